"""operations, show-operation, show-task, cancel-task."""

from __future__ import annotations

import time
import typing

from lab.juju import client, command, flags, names, tabular, task_results, task_wait, times

_STATUSES = ("pending", "running", "completed", "failed", "cancelled", "aborting", "aborted", "error")
_MAXIMUM_TASKS = 5
_DEFAULT_LIMIT = 50
_POLL = 0.2

_WAIT_FLAGS = (
    flags.duration("wait", default=-1.0, usage="Maximum wait time for the result"),
    flags.boolean("watch", usage="Wait indefinitely for the result"),
    command.UTC_FLAG,
)


@command.define(
    "operations",
    "Lists pending, running, or completed operations for specified application, units, machines, or all.",
    formats=("plain", "json", "yaml"),
    aliases=("list-operations",),
    options=(
        flags.words("apps", "applications", usage="Comma separated list of applications to filter on"),
        flags.words("units", usage="Comma separated list of units to filter on"),
        flags.words("machines", usage="Comma separated list of machines to filter on"),
        flags.words("actions", usage="Comma separated list of actions names to filter on"),
        flags.words("status", usage="Comma separated list of operation status values to filter on"),
        flags.number("limit", usage="The maximum number of operations to return"),
        flags.number("offset", usage="Return operations from offset onwards"),
        command.UTC_FLAG,
    ),
)
def operations(invocation: command.Invocation) -> None:
    """List operations, those of `juju exec` only if asked for by `--actions juju-exec` or `--machines`."""
    options = invocation.options
    _check_filters(options)
    invocation.at_most(0)
    offset, limit = options.number("offset"), options.number("limit")
    criteria = {
        "applications": options.texts("apps"),
        **{name: options.texts(name) for name in ("units", "machines", "actions", "status")},
    }
    found = invocation.call("operations", limit=limit, offset=offset, **criteria)
    listed, utc = found["operations"], options.on("utc")
    if not listed:
        invocation.inform("no matching operations")
        return
    if invocation.format != "plain":
        invocation.show({one["id"]: task_results.operation(one, utc=utc) for one in listed})
        return
    head = ""
    if offset or found["truncated"]:
        head = f"Displaying operation results {offset + 1} to {offset + len(listed)}.\n"
    if found["truncated"]:
        step = limit or _DEFAULT_LIMIT
        head += f"Run the command again with --offset={offset + step} --limit={step} to see the next batch.\n\n"
    invocation.write(head + _table(listed, utc))


def _check_filters(options: flags.Values) -> None:
    checks = (
        ("apps", "invalid application name", names.is_application),
        ("units", "invalid unit name", names.is_unit),
        ("machines", "invalid machine id", names.is_machine),
    )
    wrong = [
        f'{message} "{word}"' for name, message, valid in checks for word in options.texts(name) if not valid(word)
    ]
    listed = " ".join(_STATUSES)
    wrong += [
        f'"{word}" is not a valid task status, want one of [{listed}]'
        for word in options.texts("status")
        if word not in _STATUSES
    ]
    if wrong:
        raise command.UsageError("\n".join(wrong))


def _table(listed: list[dict[str, typing.Any]], utc: bool) -> str:
    table = tabular.Table(right={0})
    table.add("ID", "Status", "Started", "Finished", "Task IDs", "Summary")
    for one in listed:
        tasks = [task["id"] for task in one["tasks"]]
        shown = ",".join(tasks[:_MAXIMUM_TASKS]) + ("..." if len(tasks) > _MAXIMUM_TASKS else "")
        moments = (times.plain(one["started"], utc), times.plain(one["completed"], utc))
        table.add(one["id"], one["status"], *moments, shown, one["summary"])
    return table.render()


def _identifier(invocation: command.Invocation, kind: str) -> str:
    invocation.require(1, f"no {kind} ID specified")
    identifier = invocation.arguments[0]
    if not identifier.isdigit():
        raise command.UsageError(f'{kind} ID "{identifier}" not valid')
    invocation.at_most(1)
    if invocation.options.on("watch") and invocation.options.given("wait"):
        raise command.UsageError("specify either --watch or --wait but not both")
    return identifier


def _waits(options: flags.Values) -> bool:
    return options.on("watch") or options.seconds("wait") >= 0


def _deadline(options: flags.Values) -> float | None:
    """When the wait ends; None for never, which `--wait 0` asks for too."""
    wait = options.seconds("wait")
    return None if options.on("watch") or wait == 0 else time.monotonic() + wait


@command.define(
    "show-operation",
    "Show results of an operation.",
    usage="<operation-id>",
    formats=("yaml", "json"),
    options=_WAIT_FLAGS,
)
def show_operation(invocation: command.Invocation) -> None:
    """Show an operation and its tasks, as they are now or once all have ended."""
    identifier = _identifier(invocation, "operation")
    options = invocation.options
    deadline = _deadline(options)
    while True:
        value = invocation.call("show_operation", operation=identifier)
        if value["status"] in task_results.ENDED or not _waits(options):
            break
        if deadline is not None and time.monotonic() >= deadline:
            raise command.CommandError("timeout reached")
        time.sleep(_POLL)
    invocation.show(task_results.operation(value, utc=options.on("utc")))


@command.define(
    "show-task",
    "Show results of a task by ID.",
    usage="<task ID>",
    formats=("plain", "json", "yaml"),
    options=_WAIT_FLAGS,
)
def show_task(invocation: command.Invocation) -> None:
    """Show a task, as it is now or once it has ended."""
    identifier = _identifier(invocation, "task")
    options = invocation.options
    task = invocation.call("show_task", task=identifier)
    if _waits(options):
        task = task_wait.until_ended(invocation, identifier, _deadline(options), invocation.inform)
        if task is None:
            raise command.CommandError("maximum wait time reached")
    shown = task_results.structure(task, utc=options.on("utc"))
    invocation.show(shown, plain=lambda value: task_results.plain({identifier: value}))


@command.define(
    "cancel-task",
    "Cancel pending or running tasks.",
    usage="(<task-id>|<task-id-prefix>) [...]",
    formats=("yaml", "json"),
)
def cancel_task(invocation: command.Invocation) -> None:
    """Cancel tasks: one that waits never runs, the process of one that runs is ended."""
    invocation.require(1, "no task IDs specified")
    failed: list[str] = []
    shown: list[dict[str, typing.Any]] = []
    for identifier in invocation.arguments:
        try:
            invocation.call("cancel_task", task=identifier)
            shown.append(task_results.structure(invocation.call("show_task", task=identifier), utc=False))
        except client.RemoteError as error:
            failed.append(f"id: {identifier}\nerror: {error.message}")
    if shown:
        invocation.show({"actions": shown})
    if failed:
        raise command.CommandError("The following tasks could not be cancelled:\n" + "\n".join(failed))
