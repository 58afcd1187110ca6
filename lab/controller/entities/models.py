"""Models, and the numbers they hand out."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing

import lab.controller.store as store_module


class Life(enum.StrEnum):
    """How far an entity's removal has come. Dying entities still act; dead ones only wait to be deleted."""

    ALIVE = "alive"
    DYING = "dying"
    DEAD = "dead"


@store_module.table("models", key=("uuid",))
@dataclasses.dataclass(frozen=True)
class Model:
    """One model. `config` holds only what differs from the defaults in `lab.controller.model_config`."""

    uuid: str
    name: str
    owner: str
    created: datetime.datetime
    life: Life = Life.ALIVE
    config: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    constraints: str = ""
    destroy_storage: bool | None = None


@store_module.table("sequences", key=("model", "name"), journal=False)
@dataclasses.dataclass(frozen=True)
class Sequence:
    """The next number of a kind that is never used twice: machine, relation, storage, task, unit of an application."""

    model: str
    name: str
    next_number: int


@store_module.table("controller", key=("name",))
@dataclasses.dataclass(frozen=True)
class ControllerIdentity:
    """The controller itself."""

    name: str
    uuid: str


def next_number(store: store_module.Store, model: str, name: str, first: int = 0) -> int:
    """Takes the next number of the sequence `name` of a model."""
    with store.transaction():
        sequence = store.get(Sequence, model, name)
        number = sequence.next_number if sequence else first
        store.put(Sequence(model, name, number + 1))
    return number


def by_name(store: store_module.Store, name: str) -> Model | None:
    """The model of that name, or None."""
    return next(iter(store.find(Model, name=name)), None)
