"""How units, relations, applications, machines and models end.

What is destroyed is dying first: its agents still run the hooks that end its part in things. It is removed once the
last of them is done, or by force.
"""

from __future__ import annotations

import dataclasses
import datetime

from lab.controller import core, secrets_events, storage_lifecycle, tags
from lab.controller.entities import (
    applications,
    cleanups,
    leadership,
    machines,
    models,
    relations,
    statuses,
    storage,
    tasks,
    uniter,
    units,
)

FORCE_AFTER = 60.0
"""Seconds that something removed by force has for its hooks (Juju's default of --no-wait's counterpart)."""

DYING = models.Life.DYING
ALIVE = models.Life.ALIVE


def destroy_unit(
    controller: core.Controller,
    unit: units.Unit,
    *,
    destroy_storage: bool = False,
    force_after: float | None = None,
) -> None:
    """Begins the removal of a unit; one whose agent has not begun is removed at once.

    Args:
        controller: The controller.
        unit: The unit.
        destroy_storage: Whether its storage ends with it.
        force_after: Seconds after which it is removed whatever its hooks do; None for never.
    """
    store = controller.store
    with store.transaction():
        if destroy_storage:
            storage_lifecycle.mark_for_destruction(controller, unit.model, unit.name)
        agent = statuses.get(store, unit.model, statuses.agent(unit.name))
        if agent is None or agent.status == "allocating":
            remove_unit(controller, unit)
            return
        if unit.life is ALIVE:
            store.put(dataclasses.replace(unit, life=DYING))
            # The others learn at once that it leaves, while it still has its own hooks to run.
            for membership in store.find(relations.Membership, model=unit.model, unit=unit.name):
                store.put(dataclasses.replace(membership, departing=True))
        if force_after is not None:
            _plan(controller, unit.model, "unit", unit.name, force_after)


def _plan(controller: core.Controller, model: str, kind: str, entity: str, seconds: float) -> None:
    due = controller.now() + datetime.timedelta(seconds=seconds)
    controller.store.put(cleanups.Cleanup(model, kind, entity, due))


def remove_unit(controller: core.Controller, unit: units.Unit) -> None:
    """Deletes a unit and all that is its own; its machine goes too if nothing else is on it."""
    store, model, name = controller.store, unit.model, unit.name
    # Unmounting is no part of the transaction: it may take long.
    for attachment in storage.of_unit(store, model, name):
        storage_lifecycle.detach(controller, model, name, attachment.storage)
    with store.transaction():
        store.delete(unit)
        for membership in store.find(relations.Membership, model=model, unit=name):
            leave_scope(controller, model, membership.relation, name)
        if leadership.holder(store, model, unit.application) == name:
            store.delete_where(leadership.Lease, model=model, application=unit.application)
        for entity in (units.Ports, units.CharmState, uniter.UniterState):
            store.delete_where(entity, model=model, unit=name)
        secrets_events.forget_unit(store, model, name)
        for number in tasks.unfinished(store, model, unit.tag):
            _abandon(controller, model, number)
        statuses.forget(store, model, unit.tag, statuses.agent(name))
        store.delete_where(cleanups.Cleanup, model=model, kind="unit", entity=name)
        if unit.machine is not None:
            _release_machine(controller, model, unit.machine)
        remove_application_if_done(controller, model, unit.application)


def _abandon(controller: core.Controller, model: str, number: int) -> None:
    task = controller.store.require(tasks.Task, model, number)
    ended = tasks.TaskStatus.CANCELLED if task.status is tasks.TaskStatus.PENDING else tasks.TaskStatus.FAILED
    controller.store.put(dataclasses.replace(task, status=ended, message="unit removed", completed=controller.now()))


def _release_machine(controller: core.Controller, model: str, identifier: str) -> None:
    machine = controller.store.get(machines.Machine, model, identifier)
    if machine is not None and not machine.manual and not machines.units_on(controller.store, model, identifier):
        destroy_machine(controller, machine)


def leave_scope(controller: core.Controller, model: str, relation: int, unit: str) -> None:
    """Ends a unit's part in a relation. The last one out of a dying relation ends it."""
    store = controller.store
    with store.transaction():
        store.delete_where(relations.Membership, model=model, relation=relation, unit=unit)
        entity = store.get(relations.Relation, model, relation)
        if entity is not None and entity.life is not ALIVE:
            _remove_relation_if_done(controller, entity)


def destroy_relation(controller: core.Controller, relation: relations.Relation) -> None:
    """Begins the removal of a relation; one that no unit has entered is removed at once."""
    dying = dataclasses.replace(relation, life=DYING)
    with controller.store.transaction():
        controller.store.put(dying)
        _remove_relation_if_done(controller, dying)


def _remove_relation_if_done(controller: core.Controller, relation: relations.Relation) -> None:
    store = controller.store
    if store.find(relations.Membership, model=relation.model, relation=relation.id):
        return
    remove_relation(controller, relation)
    for endpoint in relation.endpoints:
        remove_application_if_done(controller, relation.model, endpoint.application)


def remove_relation(controller: core.Controller, relation: relations.Relation) -> None:
    """Deletes a relation with its databags and what was granted through it, whoever is still in it."""
    store = controller.store
    with store.transaction():
        store.delete(relation)
        store.delete_where(relations.Membership, model=relation.model, relation=relation.id)
        store.delete_where(relations.Databag, model=relation.model, relation=relation.id)
        secrets_events.forget_relation(store, relation.model, relation.id)


def destroy_application(
    controller: core.Controller,
    application: applications.Application,
    *,
    destroy_storage: bool = False,
    force_after: float | None = None,
) -> None:
    """Begins the removal of an application with its relations and units. Arguments as of `destroy_unit`."""
    store = controller.store
    with store.transaction():
        store.put(dataclasses.replace(application, life=DYING, destroy_storage=destroy_storage))
        for relation in relations.of_application(store, application.model, application.name):
            destroy_relation(controller, relation)
        for unit in applications.units_of(store, application.model, application.name):
            destroy_unit(controller, unit, destroy_storage=destroy_storage, force_after=force_after)
        remove_application_if_done(controller, application.model, application.name)
        if force_after is not None:
            _plan(controller, application.model, "application", application.name, force_after)


def remove_application_if_done(controller: core.Controller, model: str, name: str) -> None:
    """Deletes a dying application once it has neither units nor relations that others are still in."""
    store = controller.store
    application = store.get(applications.Application, model, name)
    if application is None or application.life is ALIVE or applications.units_of(store, model, name):
        return
    for relation in relations.of_application(store, model, name):
        if store.find(relations.Membership, model=model, relation=relation.id):
            return
    remove_application(controller, application)


def remove_application(controller: core.Controller, application: applications.Application) -> None:
    """Deletes an application that has no units any more."""
    store, model, name = controller.store, application.model, application.name
    with store.transaction():
        for relation in relations.of_application(store, model, name):
            remove_relation(controller, relation)
        secrets_events.forget_application(store, model, name)
        statuses.forget(store, model, tags.application(name))
        for entity in (applications.Settings, applications.Resource, leadership.Lease, leadership.LeaderSettings):
            store.delete_where(entity, model=model, application=name)
        store.delete_where(cleanups.Cleanup, model=model, kind="application", entity=name)
        store.delete(application)


def destroy_machine(controller: core.Controller, machine: machines.Machine) -> None:
    """Marks a machine without units for its end, which the provisioner brings about."""
    controller.store.put(dataclasses.replace(machine, life=models.Life.DEAD))


def force_cleanups(controller: core.Controller) -> None:
    """Removes by force what was given its time and is still there."""
    store, now = controller.store, controller.now()
    for cleanup in store.find(cleanups.Cleanup):
        if cleanup.due > now:
            continue
        if cleanup.kind == "unit" and (unit := store.get(units.Unit, cleanup.model, cleanup.entity)):
            remove_unit(controller, unit)
        elif cleanup.kind == "application":
            _force_application(controller, cleanup.model, cleanup.entity)
        store.delete(cleanup)


def _force_application(controller: core.Controller, model: str, name: str) -> None:
    application = controller.store.get(applications.Application, model, name)
    if application is not None:
        for unit in applications.units_of(controller.store, model, name):
            remove_unit(controller, unit)
        if application := controller.store.get(applications.Application, model, name):
            remove_application(controller, application)
