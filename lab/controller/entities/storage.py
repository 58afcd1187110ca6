"""Storage instances and their attachments to units."""

from __future__ import annotations

import dataclasses
import datetime

import lab.controller.store as store_module
from lab.controller.entities import models


@store_module.table("storage", key=("model", "id"))
@dataclasses.dataclass(frozen=True)
class StorageInstance:
    """One storage instance, `data/0`. Its content lies in the pool's entry `source`; `size` is in MiB.

    `owner` is the unit that it belongs to, None once it is detached.
    """

    model: str
    id: str
    name: str
    kind: str  # filesystem | block
    pool: str
    size: int
    source: str
    created: datetime.datetime
    owner: str | None = None
    life: models.Life = models.Life.ALIVE
    status: str = "pending"  # pending | attached | detached


@store_module.table("storage_attachments", key=("model", "storage", "unit"))
@dataclasses.dataclass(frozen=True)
class StorageAttachment:
    """A storage instance on a unit. `attached` once it is mounted at `location` in the unit's machine."""

    model: str
    storage: str
    unit: str
    location: str
    life: models.Life = models.Life.ALIVE
    attached: bool = False
    since: datetime.datetime | None = None


@store_module.table("storage_releases", key=("model", "storage"), journal=False)
@dataclasses.dataclass(frozen=True)
class StorageRelease:
    """A storage instance that leaves the model once it is detached, and whose content stays in its pool."""

    model: str
    storage: str


def of_unit(store: store_module.Store, model: str, unit: str) -> list[StorageAttachment]:
    """The attachments of a unit, by storage identifier."""
    return store.find(StorageAttachment, model=model, unit=unit)
