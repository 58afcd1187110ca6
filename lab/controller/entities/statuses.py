"""Statuses of applications, units, agents, machines and models, with their history.

The entity column holds a tag; a unit has two statuses: `unit-pg-0` is its workload's, `agent-pg-0` its agent's, and so
has a machine: `machine-0` is its agent's, `instance-0` its instance's.

A hook in error is the agent's status `error`; clients see it as the workload's, over an idle agent (`presented`).
"""

from __future__ import annotations

import dataclasses
import datetime
import typing

import lab.controller.store as store_module
from lab.controller import tags

HISTORY_LENGTH = 200
"""How many past statuses of one entity are kept."""


@store_module.table("statuses", key=("model", "entity"))
@dataclasses.dataclass(frozen=True)
class Status:
    """The present status of one entity."""

    model: str
    entity: str
    status: str
    message: str
    since: datetime.datetime
    data: dict[str, typing.Any] = dataclasses.field(default_factory=dict)


@store_module.table("status_history", key=("sequence",), journal=False, indexes=("entity",))
@dataclasses.dataclass(frozen=True)
class StatusHistory:
    """One status that an entity had; a None sequence gets its number when it is written."""

    sequence: int | None
    model: str
    entity: str
    status: str
    message: str
    since: datetime.datetime


def agent(unit: str) -> str:
    """The entity of a unit agent's status."""
    return f"agent-{unit.replace('/', '-')}"


def instance(machine: str) -> str:
    """The entity of a machine's instance status."""
    return f"instance-{machine}"


def set_status(
    store: store_module.Store,
    now: datetime.datetime,
    model: str,
    entity: str,
    status: str,
    message: str = "",
    data: dict[str, typing.Any] | None = None,
) -> None:
    """Sets a status at once. Nothing but the time it was set changes if it is the one already there."""
    with store.transaction():
        previous = store.get(Status, model, entity)
        store.put(Status(model, entity, status, message, now, data or {}))
        if previous is None or (previous.status, previous.message) != (status, message):
            store.put(StatusHistory(None, model, entity, status, message, now))
            store.execute(
                StatusHistory,
                "DELETE FROM status_history WHERE model = ? AND entity = ? AND sequence <= (SELECT sequence "
                "FROM status_history WHERE model = ? AND entity = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
                (model, entity, model, entity, HISTORY_LENGTH),
            )


def get(store: store_module.Store, model: str, entity: str) -> Status | None:
    """The present status, or None if it was never set."""
    return store.get(Status, model, entity)


def presented(store: store_module.Store, model: str, unit: str) -> tuple[Status | None, Status | None]:
    """A unit's workload and agent status as clients are shown them."""
    workload, own = get(store, model, tags.unit(unit)), get(store, model, agent(unit))
    if own is not None and own.status == "error":
        return dataclasses.replace(own, entity=tags.unit(unit)), dataclasses.replace(own, status="idle", message="")
    return workload, own


def history(store: store_module.Store, model: str, entity: str, limit: int = HISTORY_LENGTH) -> list[StatusHistory]:
    """The entity's past statuses, oldest first, at most `limit` of the latest."""
    return store.find(StatusHistory, model=model, entity=entity)[-limit:]


def forget(store: store_module.Store, model: str, *entities: str) -> None:
    """Deletes statuses and histories of entities that are gone."""
    for entity in entities:
        store.delete_where(Status, model=model, entity=entity)
        store.delete_where(StatusHistory, model=model, entity=entity)
