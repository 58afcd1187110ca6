"""What clients may look at. Each method is one RPC method: plain keyword arguments, JSON values, nothing changed.

The structures are those of the command line's JSON, with times in RFC 3339 (UTC).
"""

from __future__ import annotations

import collections.abc
import datetime
import typing

import lab.controller.store as store_module
from lab.controller import (
    views_entities,
    views_lookup,
    views_secrets,
    views_status,
    views_storage,
    views_tasks,
)
from lab.controller.entities import models


class Clock(typing.Protocol):
    """Where the time comes from."""

    def now(self) -> datetime.datetime:
        """The time, with its zone."""
        ...


class Views:
    """The views of one controller's state.

    Every method raises `operations_common.OperationError` where something does not exist.
    """

    def __init__(self, store: store_module.Store, clock: Clock, controller: views_lookup.Controller) -> None:
        self._store = store
        self._clock = clock
        self._controller = controller

    def _scope(self, model: str) -> views_lookup.Scope:
        found = views_lookup.find_model(self._store, model)
        return views_lookup.Scope(self._store, self._controller, found, self._clock.now())

    def show_controller(self) -> dict[str, typing.Any]:
        """The controller: name, uuid, version, cloud and region."""
        controller = self._controller
        return {
            "name": controller.name,
            "uuid": controller.uuid,
            "version": controller.version,
            "cloud": controller.cloud,
            "region": controller.region,
        }

    def models(self) -> list[dict[str, typing.Any]]:
        """All models, by name, each as `show_model` has it."""
        found = sorted(self._store.find(models.Model), key=lambda model: model.name)
        return [self.show_model(model.uuid) for model in found]

    def show_model(self, model: str) -> dict[str, typing.Any]:
        """One model."""
        return views_entities.show_model(self._scope(model))

    def status(
        self, model: str, patterns: collections.abc.Sequence[str] = (), storage: bool = True
    ) -> dict[str, typing.Any]:
        """The status of a model, or of what matches one of the patterns."""
        with self._store.transaction():  # one state, not one for each entity
            return views_status.status(self._scope(model), patterns, storage)

    def show_unit(self, model: str, units: collections.abc.Sequence[str]) -> dict[str, typing.Any]:
        """Units in detail, with their relations' databags, by name."""
        scope = self._scope(model)
        return dict(views_entities.show_unit(scope, name) for name in units)

    def show_application(self, model: str, applications: collections.abc.Sequence[str]) -> dict[str, typing.Any]:
        """Applications in detail, by name."""
        scope = self._scope(model)
        return {name: views_entities.show_application(scope, name) for name in applications}

    def show_machine(self, model: str, machines: collections.abc.Sequence[str] = ()) -> dict[str, typing.Any]:
        """Machines as status has them, by number; all of them if none is named."""
        scope = self._scope(model)
        for name in machines:
            scope.machine(name)
        shown = self.status(model, storage=False)["machines"]
        return {name: view for name, view in shown.items() if not machines or name in machines}

    def resources(self, model: str, application: str) -> dict[str, typing.Any]:
        """The resources of an application."""
        return views_entities.resources(self._scope(model), application)

    def actions(self, model: str, application: str) -> dict[str, typing.Any]:
        """The actions of an application."""
        return views_entities.actions(self._scope(model), application)

    def status_log(self, model: str, name: str, kind: str = "unit", limit: int = 20) -> list[dict[str, str]]:
        """Past statuses of an entity, oldest first."""
        return views_entities.status_log(self._scope(model), kind, name, limit)

    def storage(self, model: str) -> dict[str, typing.Any]:
        """All storage instances and file systems."""
        return views_storage.combined(self._scope(model))

    def storage_pools(self, model: str) -> dict[str, typing.Any]:
        """The storage pools, by name."""
        self._scope(model)
        return views_storage.pools()

    def show_storage(self, model: str, storage: collections.abc.Sequence[str]) -> dict[str, typing.Any]:
        """Storage instances, by identifier."""
        return views_storage.details(self._scope(model), storage)

    def secrets(self, model: str, owner: str = "") -> dict[str, typing.Any]:
        """The metadata of secrets, by bare identifier."""
        return views_secrets.secrets_view(self._scope(model), owner)

    def show_secret(
        self, model: str, secret: str, reveal: bool = False, revision: int = 0, revisions: bool = False
    ) -> dict[str, typing.Any]:
        """One secret, by bare identifier."""
        return views_secrets.show_secret(
            self._scope(model), secret, reveal=reveal, revision=revision, with_revisions=revisions
        )

    def show_task(self, model: str, task: str) -> dict[str, typing.Any]:
        """One task."""
        return views_tasks.show_task(self._scope(model), task)

    def show_operation(self, model: str, operation: str) -> dict[str, typing.Any]:
        """One operation with its tasks."""
        return views_tasks.show_operation(self._scope(model), operation)

    def operations(self, model: str, **criteria: typing.Any) -> dict[str, typing.Any]:
        """The operations that match; criteria as in `views_tasks.operations`."""
        return views_tasks.operations(self._scope(model), **criteria)
