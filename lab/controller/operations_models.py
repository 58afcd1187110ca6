"""Operations on models, their configuration, and the log."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing

from lab.controller import core, model_config, operations_common, removal, storage_lifecycle, tags
from lab.controller.entities import annotations, applications, logs, machines, models, statuses, storage
from lab.controller.operations_common import Json, OperationError

_NAME = re.compile(r"[a-z0-9]+[a-z0-9-]*")
_OWN = ("name", "uuid", "type", "agent-version")


class ModelOperations(operations_common.Base):
    """Models."""

    def add_model(self, name: str, config: Json | None = None) -> Json:
        """Adds a model.

        Raises:
            OperationError: the name is not valid or taken, or a value of the configuration not valid.
        """
        if not _NAME.fullmatch(name):
            raise operations_common.bad_request(
                f'"{name}" is not a valid name: model names may only contain lowercase letters, digits and hyphens'
            )
        if models.by_name(self.store, name):
            raise OperationError("already exists", f'model "{name}" for admin already exists')
        now = self.controller.now()
        model = models.Model(self.controller.identifiers.uuid(), name, "admin", now, config=self._checked(config or {}))
        with self.store.transaction():
            self.store.put(model)
            statuses.set_status(self.store, now, model.uuid, tags.model(model.uuid), "available")
        return {"short-name": name, "model-uuid": model.uuid}

    def _checked(self, values: Json) -> Json:
        try:
            return {key: model_config.check(key, value) for key, value in values.items() if key not in _OWN}
        except ValueError as error:
            raise operations_common.bad_request(str(error)) from error

    def destroy_model(
        self, model: str, destroy_storage: bool | None = None, force: bool = False, no_wait: bool = False
    ) -> None:
        """Begins the removal of a model with all that is in it.

        Args:
            model: Name or UUID.
            destroy_storage: What becomes of storage that outlives machines: destroyed, or kept in the pool; None
                refuses if there is any.
            force: Whether entities are removed after a while whatever their hooks do.
            no_wait: With `force`, whether that is at once.
        """
        found = self._model(model)
        persistent = [
            instance
            for instance in self.store.find(storage.StorageInstance, model=found.uuid)
            if storage_lifecycle.POOLS[instance.pool].outlives_machine
        ]
        if persistent and destroy_storage is None:
            raise OperationError(
                "model has persistent storage",
                f'cannot destroy model "{found.name}": model contains persistent storage',
            )
        after = (0.0 if no_wait else removal.FORCE_AFTER) if force else None
        with self.store.transaction():
            dying = dataclasses.replace(found, life=models.Life.DYING, destroy_storage=destroy_storage)
            self.store.put(dying)
            now, entity = self.controller.now(), tags.model(found.uuid)
            statuses.set_status(self.store, now, found.uuid, entity, "destroying")
            for application in self.store.find(applications.Application, model=found.uuid):
                removal.destroy_application(
                    self.controller, application, destroy_storage=bool(destroy_storage), force_after=after
                )
            for machine in self.store.find(machines.Machine, model=found.uuid):
                if not machines.units_on(self.store, found.uuid, machine.id):
                    removal.destroy_machine(self.controller, machine)
                else:
                    self.store.put(dataclasses.replace(machine, manual=False))

    def model_config(self, model: str) -> Json:
        """The configuration: value and source (`model` or `default`) by key."""
        found = self._model(model)
        own = {"name": found.name, "uuid": found.uuid, "type": "lab", "agent-version": core.JUJU_VERSION}
        defaults = model_config.DEFAULTS | {"charmhub-url": self.controller.charmhub_url}
        result = {key: {"value": value, "source": "default"} for key, value in defaults.items()}
        for values in (own, found.config):
            result |= {key: {"value": value, "source": "model"} for key, value in values.items()}
        return result

    def set_model_config(self, model: str, values: Json | None = None, reset: typing.Sequence[str] = ()) -> None:
        """Sets keys of the configuration, and gives others their defaults again."""
        checked = self._checked(values or {})
        with self.store.transaction():
            found = self._model(model)
            config = {key: value for key, value in found.config.items() if key not in reset} | checked
            self.store.put(dataclasses.replace(found, config=config))

    def model_constraints(self, model: str) -> str:
        """The constraints of new machines, as text."""
        return self._model(model).constraints

    def set_model_constraints(self, model: str, constraints: str) -> None:
        """Stores constraints; the lab's machines are all alike."""
        self.store.put(dataclasses.replace(self._model(model), constraints=constraints))

    def set_annotations(self, model: str, entity: str, values: dict[str, str]) -> None:
        """Sets annotations of an entity (a tag); those set to an empty text go."""
        found = self._model(model)
        with self.store.transaction():
            before = self.store.get(annotations.Annotations, found.uuid, entity)
            after = (before.values if before else {}) | values
            kept = {name: value for name, value in after.items() if value}
            self.store.put(annotations.Annotations(found.uuid, entity, kept))

    def annotations(self, model: str, entity: str) -> dict[str, str]:
        """The annotations of an entity (a tag)."""
        found = self.store.get(annotations.Annotations, self._model(model).uuid, entity)
        return found.values if found else {}

    def debug_log(
        self,
        model: str,
        after: int = 0,
        limit: int | None = None,
        include: typing.Sequence[str] = (),
        exclude: typing.Sequence[str] = (),
        include_module: typing.Sequence[str] = (),
        exclude_module: typing.Sequence[str] = (),
        level: str | None = None,
        timeout: float = 0,
    ) -> list[Json]:
        """Lines of the model's log after sequence number `after`, oldest first.

        Args:
            model: Name or UUID.
            after: Sequence number.
            limit: At most so many of the latest.
            include: Entities (tags or names, `*` allowed); none means all.
            exclude: Entities to leave out.
            include_module: Loggers, with those below them; none means all.
            exclude_module: Loggers to leave out.
            level: The least level.
            timeout: Seconds to wait if there is no line yet.
        """
        uuid = self._model(model).uuid

        def lines() -> list[logs.LogLine]:
            found = logs.lines(self.store, uuid, after, level)
            return [
                line
                for line in found
                if _entity(line, include, True)
                and not _entity(line, exclude, False)
                and _module(line, include_module, True)
                and not _module(line, exclude_module, False)
            ]

        if timeout:
            self.store.wait_until(lambda: bool(lines()), timeout)
        found = lines()
        return [_line(line) for line in (found[-limit:] if limit else found)]


def _entity(line: logs.LogLine, patterns: typing.Sequence[str], default: bool) -> bool:
    if not patterns:
        return default
    name = tags.name(line.entity)
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns for text in (line.entity, name))


def _module(line: logs.LogLine, modules: typing.Sequence[str], default: bool) -> bool:
    if not modules:
        return default
    return any(line.module == module or line.module.startswith(f"{module}.") for module in modules)


def _line(line: logs.LogLine) -> Json:
    return {
        "sequence": line.sequence,
        "time": line.time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "entity": line.entity,
        "level": line.level,
        "module": line.module,
        "location": line.location,
        "message": line.message,
    }
