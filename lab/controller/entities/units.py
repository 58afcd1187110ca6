"""Units: the model's side of them. What a unit's agent itself remembers is in `uniter`."""

from __future__ import annotations

import dataclasses
import datetime

import lab.controller.store as store_module
from lab.controller import tags
from lab.controller.entities import models


@store_module.table("units", key=("model", "name"), indexes=("machine",))
@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit.

    `charm_url` is what its files are now (None before the first deployment). `resolved` is empty, `retry-hooks` or
    `no-hooks`. `agent_alive` tells whether its agent speaks to the controller.
    """

    model: str
    name: str
    application: str
    number: int
    created: datetime.datetime
    machine: str | None = None
    life: models.Life = models.Life.ALIVE
    charm_url: str | None = None
    resolved: str = ""
    agent_alive: bool = False
    workload_version: str = ""

    @property
    def tag(self) -> str:
        """`unit-pg-0`."""
        return tags.unit(self.name)


@store_module.table("ports", key=("model", "unit"))
@dataclasses.dataclass(frozen=True)
class Ports:
    """The ports that a unit has opened: by endpoint (empty string: all), as `5432/tcp`, `8000-8010/udp`, `icmp`."""

    model: str
    unit: str
    ranges: dict[str, list[str]]


@store_module.table("charm_state", key=("model", "unit"), journal=False)
@dataclasses.dataclass(frozen=True)
class CharmState:
    """What the charm keeps with `state-set`."""

    model: str
    unit: str
    values: dict[str, str]


def sort_key(name: str) -> tuple[str, int]:
    """Sorts unit names by application, then number: `pg/2` before `pg/10`."""
    application, _, number = name.partition("/")
    return application, int(number)
