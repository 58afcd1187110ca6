"""Applications, their settings per charm, and their resources."""

from __future__ import annotations

import dataclasses
import datetime
import typing

import lab.controller.store as store_module
from lab.controller.entities import charms, models, units


@dataclasses.dataclass(frozen=True)
class StorageConstraint:
    """What `--storage NAME=pool,size,count` asks for; size in MiB."""

    pool: str
    size: int
    count: int


@store_module.table("applications", key=("model", "name"))
@dataclasses.dataclass(frozen=True)
class Application:
    """One application.

    `charm_modified_version` rises with each change that makes units run upgrade-charm (a new charm or resource).
    `force_charm` lets units in hook error take the new charm's files. `channel` is empty for local charms.
    """

    model: str
    name: str
    charm_url: str
    created: datetime.datetime
    life: models.Life = models.Life.ALIVE
    charm_modified_version: int = 0
    force_charm: bool = False
    trust: bool = False
    exposed: bool = False
    constraints: str = ""
    base: str = "ubuntu@24.04"
    channel: str = ""
    storage: dict[str, StorageConstraint] = dataclasses.field(default_factory=dict)
    destroy_storage: bool = False


@store_module.table("settings", key=("model", "application", "charm_url"))
@dataclasses.dataclass(frozen=True)
class Settings:
    """The options that were set for an application while it uses that charm; what is not here has its default."""

    model: str
    application: str
    charm_url: str
    values: dict[str, typing.Any]


@store_module.table("resources", key=("model", "application", "name"))
@dataclasses.dataclass(frozen=True)
class Resource:
    """One resource of an application. `path` is None until it is uploaded; fingerprint is SHA-384 in hexadecimal."""

    model: str
    application: str
    name: str
    origin: str  # upload | store
    revision: int
    path: str | None = None
    filename: str = ""
    fingerprint: str = ""
    size: int = 0
    uploaded: datetime.datetime | None = None
    username: str = ""


def settings(store: store_module.Store, model: str, application: str, charm_url: str) -> dict[str, typing.Any]:
    """The options that were set, without defaults."""
    found = store.get(Settings, model, application, charm_url)
    return found.values if found else {}


def config(store: store_module.Store, model: str, application: str, charm_url: str) -> dict[str, typing.Any]:
    """All options of the charm with the values that hold, defaults included; None where there is neither."""
    charm = store.require(charms.Charm, model, charm_url)
    values = {name: option.get("default") for name, option in charm.options.items()}
    return values | settings(store, model, application, charm_url)


def charm_of(store: store_module.Store, application: Application) -> charms.Charm:
    """The charm that an application should run."""
    return store.require(charms.Charm, application.model, application.charm_url)


def units_of(store: store_module.Store, model: str, application: str) -> list[units.Unit]:
    """The units of an application, by number."""
    return sorted(store.find(units.Unit, model=model, application=application), key=lambda unit: unit.number)
