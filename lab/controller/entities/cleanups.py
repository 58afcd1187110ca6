"""Removals that do not wait for the agents concerned."""

from __future__ import annotations

import dataclasses
import datetime

import lab.controller.store as store_module


@store_module.table("cleanups", key=("model", "kind", "entity"), journal=False)
@dataclasses.dataclass(frozen=True)
class Cleanup:
    """An entity (`kind` unit, machine or application) to be removed by force at a given time, if still there."""

    model: str
    kind: str
    entity: str
    due: datetime.datetime
