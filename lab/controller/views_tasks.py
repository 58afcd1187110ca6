"""`juju show-task`, `show-operation` and `operations`."""

from __future__ import annotations

import collections.abc
import typing

from lab.controller import operations_common, tags, views_lookup
from lab.controller.entities import tasks

DEFAULT_LIMIT = 50


def show_task(scope: views_lookup.Scope, identifier: str) -> dict[str, typing.Any]:
    """One task.

    Raises:
        OperationError: There is none of this number.
    """
    task = scope.store.get(tasks.Task, scope.uuid, int(identifier)) if identifier.isdigit() else None
    if task is None:
        raise operations_common.OperationError("not found", f'task "{identifier}" not found')
    return task_view(task)


def task_view(task: tasks.Task) -> dict[str, typing.Any]:
    """One task with its receiver's kind and name, results, log and times."""
    return {
        "id": str(task.id),
        "operation": str(task.operation),
        "name": task.name,
        "receiver-kind": tags.kind(task.receiver),
        "receiver": tags.name(task.receiver),
        "parameters": task.parameters,
        "status": str(task.status),
        "message": task.message,
        "results": task.results,
        "log": [{"time": views_lookup.time(moment), "message": message} for moment, message in task.log],
        "enqueued": views_lookup.time(task.enqueued),
        "started": views_lookup.time(task.started),
        "completed": views_lookup.time(task.completed),
    }


def show_operation(scope: views_lookup.Scope, identifier: str) -> dict[str, typing.Any]:
    """One operation with its tasks.

    Raises:
        OperationError: There is none of this number.
    """
    operation = scope.store.get(tasks.Operation, scope.uuid, int(identifier)) if identifier.isdigit() else None
    if operation is None:
        raise operations_common.OperationError("not found", f'operation "{identifier}" not found')
    return operation_view(scope, operation)


def operation_view(scope: views_lookup.Scope, operation: tasks.Operation) -> dict[str, typing.Any]:
    """One operation; its status and times follow from its tasks'."""
    found = tasks.of_operation(scope.store, scope.uuid, operation.id)
    ended = [task.completed for task in found if task.completed]
    complete = bool(found) and len(ended) == len(found)
    return {
        "id": str(operation.id),
        "summary": operation.summary,
        "fail": operation.fail,
        "status": operation_status(operation, found),
        "enqueued": views_lookup.time(operation.enqueued),
        "started": views_lookup.time(min((task.started for task in found if task.started), default=None)),
        "completed": views_lookup.time(max(ended) if complete else None),
        "tasks": [task_view(task) for task in found],
    }


def operation_status(operation: tasks.Operation, found: collections.abc.Sequence[tasks.Task]) -> str:
    """The status that stands for all tasks: what still runs first, then what went wrong."""
    present = {str(task.status) for task in found}
    order = ("running", "pending", "aborting", "error", "failed", "aborted", "cancelled", "completed")
    for status in order:
        if status in present:
            return status
    return "error" if operation.fail else "pending"


def operations(
    scope: views_lookup.Scope,
    *,
    applications: collections.abc.Sequence[str] = (),
    units: collections.abc.Sequence[str] = (),
    machines: collections.abc.Sequence[str] = (),
    actions: collections.abc.Sequence[str] = (),
    status: collections.abc.Sequence[str] = (),
    limit: int = 0,
    offset: int = 0,
) -> dict[str, typing.Any]:
    """The operations that match all criteria, by number, and whether there are more than were returned.

    Without actions or machines asked for, commands run by `juju exec` are left out, as Juju does.
    """

    def wanted(view: dict[str, typing.Any]) -> bool:
        members = [task for task in view["tasks"] if not actions or task["name"] in actions]
        if not actions and not machines and any(task["name"] == tasks.EXEC for task in members):
            return False
        if applications or units or machines:
            members = [task for task in members if _received(task, applications, units, machines)]
        matching = bool(members) or not (view["tasks"] or actions or applications or units or machines)
        return matching and (not status or view["status"] in status)

    found = sorted(scope.store.find(tasks.Operation, model=scope.uuid), key=lambda operation: operation.id)
    shown = [view for view in (operation_view(scope, operation) for operation in found) if wanted(view)]
    end = offset + (limit or DEFAULT_LIMIT)
    return {"operations": shown[offset:end], "truncated": len(shown) > end}


def _received(
    task: dict[str, typing.Any],
    applications: collections.abc.Sequence[str],
    units: collections.abc.Sequence[str],
    machines: collections.abc.Sequence[str],
) -> bool:
    name = task["receiver"]
    if task["receiver-kind"] == "machine":
        return name in machines
    return name in units or name.partition("/")[0] in applications
