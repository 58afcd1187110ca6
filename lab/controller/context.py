"""What a running hook or action sees of the model, and what it wants to change.

Reading sees the hook's own changes. Changes of databags, charm state, ports, storage and secrets are staged and written
by `HookContext.commit` in one transaction, with the permissions of that moment; `discard` drops them. Statuses, the
workload version, log lines, leader settings and which revision of a secret is tracked are written at once.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping

from lab.controller import execution as executions
from lab.controller import secrets, secrets_context, tags
from lab.controller.entities import (
    applications,
    charms,
    leadership,
    machines,
    models,
    statuses,
    storage,
    tasks,
    units,
)
from lab.controller.tools import errors, goals, ports, relation_context, resource_files, views

if typing.TYPE_CHECKING:
    from lab.controller import core, execution, relation_view

_SEVERITY = {"terminated": 1, "active": 2, "waiting": 3, "maintenance": 4, "blocked": 5, "error": 6}
"""How bad a workload status is; one that is not here is the least."""


class CommitError(Exception):
    """The hook's changes cannot be written: the hook has failed."""


class HookContext(relation_context.RelationContext, secrets_context.SecretsContext):
    """One run of a hook, an action or a command line on one unit.

    Attributes:
        action: The running action's parameters and results; None in hooks.
        reboot: ``after`` or ``now`` once the charm has asked for a reboot of its machine, else empty.
        status_set: Whether the charm has set the unit's status.
    """

    def __init__(
        self, controller: core.Controller, execution: execution.Execution, view: relation_view.RelationView
    ) -> None:
        """Begin a run.

        Args:
            controller: The store, the time and the identifiers.
            execution: What is run.
            view: The remote databags as this unit sees them.
        """
        super().__init__(controller, execution, view)
        self._state_changes: dict[str, str | None] = {}
        self._state: dict[str, str] | None = None
        self._ports: ports.StagedPorts | None = None
        self._config: dict[str, typing.Any] | None = None
        self._storage_wanted: dict[str, int] = {}
        self._storage_checked = True
        self.reboot: typing.Literal["", "after", "now"] = ""
        self.status_set = False
        self.action: views.Action | None = None
        if execution.task is not None:
            task = self.store.require(tasks.Task, self.model_uuid, execution.task)
            if task.name != tasks.EXEC:
                self.action = views.Action(dict(task.parameters))

    # Charm state

    @property
    def state(self) -> Mapping[str, str]:
        """What the charm keeps with the controller, with the hook's changes."""
        if self._state is None:
            kept = self.store.get(units.CharmState, self.model_uuid, self.unit)
            self._state = dict(kept.values) if kept else {}
        return {key: value for key, value in (self._state | self._state_changes).items() if value is not None}

    def set_state(self, values: Mapping[str, str]) -> None:
        """Stage values of the charm's state."""
        self._state_changes.update(values)

    def delete_state(self, key: str) -> None:
        """Stage the deletion of a key of the charm's state."""
        self._state_changes[key] = None

    # The unit and its application

    def config(self) -> dict[str, typing.Any]:
        """All options of the charm that the unit runs; None where an option has no value."""
        if self._config is None:
            self._config = applications.config(self.store, self.model_uuid, self.application, self._charm_url())
        return dict(self._config)

    def _charm_url(self) -> str:
        unit = self.store.require(units.Unit, self.model_uuid, self.unit)
        return unit.charm_url or self._application().charm_url

    def _application(self) -> applications.Application:
        return self.store.require(applications.Application, self.model_uuid, self.application)

    def leader_settings(self) -> dict[str, str]:
        """What the leader has shared."""
        found = self.store.get(leadership.LeaderSettings, self.model_uuid, self.application)
        return dict(found.settings) if found else {}

    def write_leader_settings(self, changes: Mapping[str, str]) -> None:
        """Share settings; an empty value deletes a key.

        Raises:
            NotLeaderError: the unit is not the leader.
        """
        if not self.is_leader():
            raise errors.NotLeaderError
        with self.store.transaction():
            found = self.store.get(leadership.LeaderSettings, self.model_uuid, self.application)
            old = found or leadership.LeaderSettings(self.model_uuid, self.application, {})
            settings = relation_context.changed(old.settings, changes)
            if settings != old.settings:
                self.store.put(dataclasses.replace(old, settings=settings, version=old.version + 1))

    def goal_state(self) -> dict[str, typing.Any]:
        """The units and relations that the model is to have."""
        return goals.goal_state(self.store, self.model_uuid, self.unit)

    def unit_status(self) -> statuses.Status:
        """The unit's workload status; that of the hook in error if there is one."""
        return self._status_of(self.unit)

    def _status_of(self, unit: str) -> statuses.Status:
        workload, _ = statuses.presented(self.store, self.model_uuid, unit)
        return workload or statuses.Status(self.model_uuid, tags.unit(unit), "unknown", "", self.now())

    def application_status(self) -> tuple[statuses.Status, dict[str, statuses.Status]]:
        """The application's status (the worst of its units' while the leader has set none), and those of its units.

        Raises:
            NotLeaderError: the unit is not the leader.
        """
        if not self.is_leader():
            raise errors.NotLeaderError
        of_units = {
            unit.name: self._status_of(unit.name)
            for unit in applications.units_of(self.store, self.model_uuid, self.application)
        }
        own = statuses.get(self.store, self.model_uuid, tags.application(self.application))
        if own is None or own.status in ("unset", "unknown"):
            own = max(of_units.values(), key=lambda status: _SEVERITY.get(status.status, 0))
        return own, of_units

    def set_unit_status(self, status: str, message: str) -> None:
        """Set the unit's workload status."""
        self.status_set = True
        statuses.set_status(self.store, self.now(), self.model_uuid, tags.unit(self.unit), status, message)

    def set_application_status(self, status: str, message: str) -> None:
        """Set the application's status.

        Raises:
            NotLeaderError: the unit is not the leader.
        """
        if not self.is_leader():
            raise errors.NotLeaderError
        entity = tags.application(self.application)
        statuses.set_status(self.store, self.now(), self.model_uuid, entity, status, message)

    def set_workload_version(self, version: str) -> None:
        """Show a version of the workload."""
        with self.store.transaction():
            unit = self.store.require(units.Unit, self.model_uuid, self.unit)
            self.store.put(dataclasses.replace(unit, workload_version=version))

    def log(self, level: str, message: str) -> None:
        """Write a line of the model's log."""
        self.controller.log_unit(self.model_uuid, self.unit, level, f"unit.{self.unit}.juju-log", message)

    def request_reboot(self, *, now: bool) -> None:
        """Ask for a reboot of the machine; the agent sees to it."""
        self.reboot = "now" if now else self.reboot or "after"

    def cloud(self) -> dict[str, typing.Any]:
        """The cloud of the lab, which asks for no credentials.

        Raises:
            PermissionDeniedError: the application is not trusted.
        """
        if not self._application().trust:
            raise errors.PermissionDeniedError
        credential = {"auth-type": "empty"}
        return {"type": "manual", "name": "lab", "region": "default", "credential": credential}

    # Network

    def bindings(self) -> set[str]:
        """The names that network-get knows: the charm's endpoints and extra bindings."""
        charm = self.store.require(charms.Charm, self.model_uuid, self._charm_url())
        return {*charm.endpoints, *(charm.metadata.get("extra-bindings") or {}), "juju-info"}

    def network(self) -> views.Network:
        """The network of the unit's machine.

        Raises:
            ToolError: it has no address yet.
        """
        unit = self.store.require(units.Unit, self.model_uuid, self.unit)
        machine = self.store.get(machines.Machine, self.model_uuid, unit.machine) if unit.machine else None
        if machine is None or not machine.address:
            raise errors.ToolError("private address not found")
        return views.Network(machine.address)

    @property
    def ports(self) -> ports.StagedPorts:
        """The unit's ports with what the hook asks for."""
        if self._ports is None:
            unit = self.store.require(units.Unit, self.model_uuid, self.unit)
            neighbours = machines.units_on(self.store, self.model_uuid, unit.machine) if unit.machine else [unit]
            opened = (self.store.get(units.Ports, self.model_uuid, one.name) for one in neighbours)
            self._ports = ports.StagedPorts(self.unit, {one.unit: one.ranges for one in opened if one})
        return self._ports

    # Storage and resources

    @property
    def hook_storage(self) -> str:
        """The storage instance that the hook is about; empty if it is about none."""
        return self._hook.storage or ""

    def storages(self) -> list[str]:
        """The storage instances of the unit."""
        found = storage.of_unit(self.store, self.model_uuid, self.unit)
        return [one.storage for one in found if one.life is not models.Life.DEAD]

    def storage(self, name: str) -> views.Storage:
        """A storage instance of the unit.

        Raises:
            ToolError: the unit has no such storage, or it is not there yet.
        """
        attachment = self.store.get(storage.StorageAttachment, self.model_uuid, name, self.unit)
        instance = self.store.get(storage.StorageInstance, self.model_uuid, name)
        if attachment is None or instance is None:
            raise errors.ToolError(f"storage {json.dumps(name)} not found")
        if not attachment.attached:
            raise errors.ToolError(f"storage attachment {json.dumps(name)} on {json.dumps(self.unit)} not provisioned")
        return views.Storage(instance.kind, executions.storage_location(self.controller, attachment))

    def add_storage(self, counts: Mapping[str, int]) -> None:
        """Stage the creation of storage instances."""
        for name, count in counts.items():
            self._storage_wanted[name] = self._storage_wanted.get(name, 0) + count
        # Checked once, before the agent creates any: those would count as further ones.
        self._storage_checked = False

    @property
    def storage_wanted(self) -> Mapping[str, int]:
        """How many further instances of each storage the charm has asked for; the agent creates them at the end.

        Raises:
            CommitError: the charm has no such storage, or it may not have so many.
        """
        if self._storage_checked:
            return dict(self._storage_wanted)
        charm = self.store.require(charms.Charm, self.model_uuid, self._charm_url())
        for name, count in self._storage_wanted.items():
            if name not in charm.storage:
                raise CommitError(f"adding storage {json.dumps(name)}: charm storage {json.dumps(name)} not found")
            most = _most(charm.storage[name])
            wanted = count + sum(one.partition("/")[0] == name for one in self.storages())
            if most is not None and wanted > most:
                raise CommitError(
                    f"adding storage {json.dumps(name)}: charm {json.dumps(charm.name)} store {json.dumps(name)}: "
                    f"at most {most} instances supported, {wanted} specified"
                )
        self._storage_checked = True
        return dict(self._storage_wanted)

    def resource(self, name: str) -> str:
        """Where in the machine the current file of a resource is; it is copied there if need be.

        Raises:
            ToolError: there is no such resource, or no file for it.
        """
        return resource_files.fetch(self.controller, self.model_uuid, self.unit, name)

    # Actions

    def require_action(self) -> views.Action:
        """The running action.

        Raises:
            ToolError: no action runs.
        """
        if self.action is None:
            raise errors.ToolError("not running an action")
        return self.action

    def log_action(self, message: str) -> None:
        """Show a message to whoever waits for the action."""
        assert self.execution.task is not None
        with self.store.transaction():
            task = self.store.require(tasks.Task, self.model_uuid, self.execution.task)
            self.store.put(dataclasses.replace(task, log=[*task.log, (self.now(), message)]))

    # The end

    def commit(self) -> None:
        """Write all that is staged, or nothing.

        Raises:
            CommitError: the unit may not, or the model has changed so that it cannot be; the hook has failed.
        """
        try:
            self.storage_wanted  # noqa: B018 - raises if it cannot be
            with self.store.transaction():
                self.commit_databags()
                self._commit_state()
                self.commit_secrets()
        except (secrets.SecretError, errors.ToolError) as error:
            raise CommitError(str(error)) from error

    def discard(self) -> None:
        """Drop all that is staged. Nothing of it was written."""
        self._storage_wanted.clear()
        self.reboot = "now" if self.reboot == "now" else ""

    def _commit_state(self) -> None:
        if self._state_changes:
            values = dict(self.state)
            self.store.put(units.CharmState(self.model_uuid, self.unit, values))
        if self._ports is not None and self._ports.changed:
            self.store.put(units.Ports(self.model_uuid, self.unit, self._ports.result()))


def _most(storage: Mapping[str, typing.Any]) -> int | None:
    """How many instances a storage may have by the charm's metadata (``2``, ``2-``, ``2+``, ``1-3``); None: any."""
    text = str((storage.get("multiple") or {}).get("range", "1")).strip()
    if text.endswith(("-", "+")):
        return None
    return int(text.rpartition("-")[2])
