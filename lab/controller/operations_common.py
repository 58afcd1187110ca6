"""What all operations share: errors, and finding entities by the names that clients use."""

from __future__ import annotations

import typing

from lab.controller import core
from lab.controller.entities import applications, leadership, machines, models, units


class OperationError(Exception):
    """Something that a client asked for cannot be done; `code` is one of the codes of Juju's API."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def not_found(kind: str, name: str) -> OperationError:
    """There is no such entity."""
    return OperationError("not found", f'{kind} "{name}" not found')


def bad_request(message: str) -> OperationError:
    """The request itself is wrong."""
    return OperationError("bad request", message)


class Base:
    """The controller, and how operations find what a client names."""

    def __init__(self, controller: core.Controller) -> None:
        self.controller = controller
        self.store = controller.store

    def _model(self, reference: str) -> models.Model:
        found = self.store.get(models.Model, reference) or models.by_name(self.store, reference)
        if found is None:
            raise OperationError("model not found", f'model "{reference}" not found')
        return found

    def _living_model(self, reference: str) -> models.Model:
        model = self._model(reference)
        if model.life is not models.Life.ALIVE:
            raise OperationError("bad request", f'model "{model.name}" is no longer alive')
        return model

    def _application(self, model: models.Model, name: str) -> applications.Application:
        found = self.store.get(applications.Application, model.uuid, name)
        if found is None:
            raise not_found("application", name)
        return found

    def _unit(self, model: models.Model, name: str) -> units.Unit:
        application, _, number = name.partition("/")
        if number == "leader":
            self._application(model, application)
            name = leadership.holder(self.store, model.uuid, application) or ""
            if not name:
                raise OperationError("not found", f'could not determine leader for "{application}"')
        found = self.store.get(units.Unit, model.uuid, name)
        if found is None:
            raise not_found("unit", name)
        return found

    def _machine(self, model: models.Model, identifier: str) -> machines.Machine:
        found = self.store.get(machines.Machine, model.uuid, identifier)
        if found is None:
            raise OperationError("not found", f"machine {identifier} not found")
        return found


Json = dict[str, typing.Any]
