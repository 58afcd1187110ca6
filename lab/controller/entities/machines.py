"""Machines as the model sees them. What they run on is `lab.machines`."""

from __future__ import annotations

import dataclasses
import datetime

import lab.controller.store as store_module
from lab.controller.entities import models, units


@store_module.table("machines", key=("model", "id"))
@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine; `hostname` is its name in the lab. A `manual` one (add-machine) stays when its last unit leaves."""

    model: str
    id: str
    hostname: str
    created: datetime.datetime
    life: models.Life = models.Life.ALIVE
    address: str = ""
    provisioned: bool = False
    manual: bool = False
    base: str = "ubuntu@24.04"
    constraints: str = ""


def units_on(store: store_module.Store, model: str, machine: str) -> list[units.Unit]:
    """The units on a machine."""
    return store.find(units.Unit, model=model, machine=machine)
