"""Reads from the store what the model wants of one unit: the `Remote` that the resolver decides by."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json

import lab.controller.store as store_module
from lab.controller import remote as remote_module
from lab.controller import secrets_events
from lab.controller.entities import applications, charms, leadership, machines, models, relations, storage, tasks, units
from lab.controller.entities.uniter import UniterState


@dataclasses.dataclass(frozen=True)
class Timers:
    """How often the agent's timers have fired, and the `juju-exec` calls that wait for it."""

    update_status: int = 0
    retry: int = 0
    commands: tuple[str, ...] = ()


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def config_hash(store: store_module.Store, unit: units.Unit) -> str:
    """Changes with the configuration that the unit's present charm sees."""
    if unit.charm_url is None:
        return ""
    return _hash(applications.config(store, unit.model, unit.application, unit.charm_url))


def trust_hash(application: applications.Application) -> str:
    """Changes with the application's trust."""
    return _hash(application.trust)


def address_hash(store: store_module.Store, unit: units.Unit) -> str:
    """Changes with the addresses of the unit's machine."""
    machine = store.get(machines.Machine, unit.model, unit.machine) if unit.machine else None
    return _hash([machine.address] if machine else [])


def remote(
    store: store_module.Store, now: datetime.datetime, unit: units.Unit, local: UniterState, timers: Timers
) -> remote_module.Remote:
    """What the model wants of a unit.

    Raises:
        NotFoundError: the unit's application is gone.
    """
    application = store.require(applications.Application, unit.model, unit.application)
    settings = store.get(leadership.LeaderSettings, unit.model, unit.application)
    alive = unit.life is models.Life.ALIVE and local.installed
    expired, rotate, changed, obsolete = secret_events(store, now, unit) if alive else ((), (), (), ())
    return remote_module.Remote(
        life=unit.life,
        application_life=application.life,
        charm_url=application.charm_url,
        charm_modified_version=application.charm_modified_version,
        force_charm=application.force_charm,
        resolved=unit.resolved,
        leader=leadership.is_leader(store, unit.model, unit.name, now),
        leader_settings_version=settings.version if settings else 0,
        config_hash=config_hash(store, unit),
        trust_hash=trust_hash(application),
        address_hash=address_hash(store, unit),
        relations=relations_of(store, unit),
        storage=tuple(
            remote_module.StorageSnapshot(attachment.storage, attachment.life, attachment.attached)
            for attachment in storage.of_unit(store, unit.model, unit.name)
        ),
        tasks=tuple(tasks.unfinished(store, unit.model, unit.tag)),
        commands=timers.commands,
        secrets_expired=expired,
        secrets_rotate=rotate,
        secrets_changed=changed,
        secrets_obsolete=obsolete,
        update_status_version=timers.update_status,
        retry_version=timers.retry,
    )


def relations_of(store: store_module.Store, unit: units.Unit) -> tuple[remote_module.RelationSnapshot, ...]:
    """The relations of a unit's application, as the unit should see them."""
    found = relations.of_application(store, unit.model, unit.application)
    if not found:
        return ()
    charm = store.get(charms.Charm, unit.model, unit.charm_url) if unit.charm_url else None
    endpoints = charm.endpoints if charm else {}
    return tuple(
        _relation(store, unit, relation, relation.endpoint(unit.application).name in endpoints) for relation in found
    )


def _relation(
    store: store_module.Store, unit: units.Unit, relation: relations.Relation, implemented: bool
) -> remote_module.RelationSnapshot:
    remote_application = relation.remote(unit.application).application
    databag = store.get(relations.Databag, unit.model, relation.id, remote_application)
    return remote_module.RelationSnapshot(
        id=relation.id,
        life=relation.life,
        peer=relation.peer,
        remote_application=remote_application,
        members=relations.members(store, unit.model, relation, unit.name),
        applications={remote_application: databag.version} if databag else {},
        implemented=implemented,
    )


SecretEvents = tuple[
    tuple[remote_module.SecretSnapshot, ...],
    tuple[remote_module.SecretSnapshot, ...],
    tuple[remote_module.SecretSnapshot, ...],
    tuple[remote_module.SecretSnapshot, ...],
]


def secret_events(store: store_module.Store, now: datetime.datetime, unit: units.Unit) -> SecretEvents:
    """The secret events that are due for a unit: expired, to be rotated, changed, obsolete."""
    model, name = unit.model, unit.name
    leader = leadership.is_leader(store, model, name, now)

    def event(identifier: str, revision: int) -> remote_module.SecretSnapshot:
        return remote_module.SecretSnapshot(identifier, revision, secrets_events.label(store, model, name, identifier))

    expired = secrets_events.expirations(store, model, name, now, leader=leader)
    changed = secrets_events.changed(store, model, name, leader=leader)
    rotations = secrets_events.rotations(store, model, name, now, leader=leader)
    obsolete = secrets_events.obsolete(store, model, name, leader=leader)
    return (
        tuple(event(identifier, revision) for identifier, revision in expired),
        tuple(event(identifier, 0) for identifier in rotations),
        tuple(event(identifier, revision) for identifier, revision in changed.items()),
        tuple(event(identifier, revision) for identifier, revisions in obsolete.items() for revision in revisions),
    )
