"""Leases of application leadership, and the settings that leaders once shared through `leader-set`."""

from __future__ import annotations

import dataclasses
import datetime

import lab.controller.store as store_module


@store_module.table("leases", key=("model", "application"))
@dataclasses.dataclass(frozen=True)
class Lease:
    """Who leads an application, and until when unless renewed. The journal hears of a new holder and of renewals."""

    model: str
    application: str
    holder: str
    expires: datetime.datetime


@store_module.table("leader_settings", key=("model", "application"))
@dataclasses.dataclass(frozen=True)
class LeaderSettings:
    """What `leader-set` wrote; `version` rises with each change."""

    model: str
    application: str
    settings: dict[str, str]
    version: int = 0


def holder(store: store_module.Store, model: str, application: str) -> str | None:
    """The unit that holds the lease, expired or not; None if nobody does."""
    lease = store.get(Lease, model, application)
    return lease.holder if lease else None


def is_leader(store: store_module.Store, model: str, unit: str, now: datetime.datetime) -> bool:
    """Whether a unit holds a lease that has not expired."""
    lease = store.get(Lease, model, unit.partition("/")[0])
    return lease is not None and lease.holder == unit and lease.expires > now
