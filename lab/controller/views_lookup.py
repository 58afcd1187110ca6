"""What the views share: finding entities by the names that clients use, and the forms of times, statuses and charms."""

from __future__ import annotations

import dataclasses
import datetime
import typing

import lab.controller.store as store_module
from lab.controller import operations_common, tags
from lab.controller.entities import applications, charms, machines, models, statuses, units

SPACE = "alpha"
"""The only network space of the lab."""


@dataclasses.dataclass(frozen=True)
class Controller:
    """The controller itself, as clients see it."""

    name: str
    uuid: str
    version: str
    cloud: str = "lab"
    region: str = "default"


@dataclasses.dataclass(frozen=True)
class Scope:
    """One model that is looked at: what every view of a model is a function of."""

    store: store_module.Store
    controller: Controller
    model: models.Model
    now: datetime.datetime

    @property
    def uuid(self) -> str:
        """The model's UUID, by which entities refer to it."""
        return self.model.uuid

    def status(self, entity: str) -> statuses.Status | None:
        """The present status of an entity, or None."""
        return statuses.get(self.store, self.uuid, entity)

    def application(self, name: str) -> applications.Application:
        """The application of this name.

        Raises:
            OperationError: There is none.
        """
        found = self.store.get(applications.Application, self.uuid, name)
        if found is None:
            raise operations_common.OperationError("not found", f'application "{name}" not found')
        return found

    def unit(self, name: str) -> units.Unit:
        """The unit of this name; `pg/leader` is the leader.

        Raises:
            OperationError: There is none.
        """
        application, _, number = name.partition("/")
        if number == "leader":
            from lab.controller.entities import leadership

            self.application(application)
            holder = leadership.holder(self.store, self.uuid, application)
            if holder is None:
                raise operations_common.OperationError("not found", f'could not determine leader for "{application}"')
            name = holder
        found = self.store.get(units.Unit, self.uuid, name)
        if found is None:
            raise operations_common.OperationError("not found", f'unit "{name}" not found')
        return found

    def machine(self, identifier: str) -> machines.Machine:
        """The machine of this number.

        Raises:
            OperationError: There is none.
        """
        found = self.store.get(machines.Machine, self.uuid, identifier)
        if found is None:
            raise operations_common.OperationError("not found", f"machine {identifier} not found")
        return found

    def charm(self, application: applications.Application) -> charms.Charm:
        """The charm that the application should run."""
        return applications.charm_of(self.store, application)


def find_model(store: store_module.Store, reference: str) -> models.Model:
    """The model of this name or UUID.

    Raises:
        OperationError: There is none.
    """
    found = store.get(models.Model, reference) or models.by_name(store, reference)
    if found is None:
        raise operations_common.OperationError("model not found", f'model "{reference}" not found')
    return found


def time(moment: datetime.datetime | None) -> str:
    """A time in RFC 3339, UTC, whole seconds; empty for none."""
    if moment is None:
        return ""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(mapping: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """The mapping without what Juju leaves out: keys whose value is None, empty or false."""
    return {key: value for key, value in mapping.items() if value not in (None, "", {}, [], False)}


def status_info(status: statuses.Status | None, default: str = "unknown", **more: str) -> dict[str, typing.Any]:
    """A status as `{"current", "message", "since"}` with whatever else is given, empty values left out."""
    if status is None:
        return compact({"current": default, **more})
    return compact({"current": status.status, "message": status.message, "since": time(status.since), **more})


def base(text: str) -> dict[str, str]:
    """`ubuntu@24.04` as its name and channel."""
    name, _, channel = text.partition("@")
    return {"name": name, "channel": channel.partition("/")[0]}


def life(entity_life: models.Life) -> str:
    """The life of an entity for status: nothing while it is alive."""
    return "" if entity_life is models.Life.ALIVE else str(entity_life)


def owner_name(tag: str) -> str:
    """The owner behind a tag as command lines show it: `<model>` for a model, else its name."""
    return "<model>" if tags.kind(tag) == "model" else tags.name(tag)
