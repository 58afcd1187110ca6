"""Operations that a user asked for (actions, commands), and the task of each receiver."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing

import lab.controller.store as store_module

EXEC = "juju-exec"
"""The name of a task that runs a command line (parameters `command` and `timeout`, in seconds) instead of an action."""


class TaskStatus(enum.StrEnum):
    """How far a task is."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABORTING = "aborting"
    ABORTED = "aborted"
    ERROR = "error"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the task."""
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.ABORTING)


@store_module.table("operations", key=("model", "id"))
@dataclasses.dataclass(frozen=True)
class Operation:
    """What was asked for at once. Operations and tasks share one sequence. `fail` says why no task came of it."""

    model: str
    id: int
    summary: str
    enqueued: datetime.datetime
    fail: str = ""


@store_module.table("tasks", key=("model", "id"), indexes=("receiver",))
@dataclasses.dataclass(frozen=True)
class Task:
    """One action or command on one receiver (tag of a unit or machine). `log` holds pairs of time and message."""

    model: str
    id: int
    operation: int
    receiver: str
    name: str
    parameters: dict[str, typing.Any]
    enqueued: datetime.datetime
    status: TaskStatus = TaskStatus.PENDING
    message: str = ""
    results: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    log: list[tuple[datetime.datetime, str]] = dataclasses.field(default_factory=list)
    started: datetime.datetime | None = None
    completed: datetime.datetime | None = None


def of_operation(store: store_module.Store, model: str, operation: int) -> list[Task]:
    """The tasks of an operation, by number."""
    return store.find(Task, model=model, operation=operation)


def unfinished(store: store_module.Store, model: str, receiver: str) -> list[int]:
    """The numbers of the tasks that a receiver has not ended yet, oldest first."""
    rows = store.query(
        "SELECT id FROM tasks WHERE model = ? AND receiver = ? AND status IN ('pending', 'running', 'aborting') "
        "ORDER BY id",
        (model, receiver),
    )
    return [row[0] for row in rows]
