"""Waiting for tasks, with what is told meanwhile."""

from __future__ import annotations

import collections.abc
import time
import typing

from lab.juju import command, output, task_results, times

_FIRST_POLL = 0.02
_LONGEST_POLL = 0.5
_BACKOFF = 1.5

Formatter = collections.abc.Callable[[dict[str, dict[str, typing.Any]]], str]


def report(
    invocation: command.Invocation, enqueued: dict[str, typing.Any], *, plain: Formatter, wait: float, quiet: bool
) -> None:
    """Tell what was enqueued, wait for it unless `--background`, and print the results.

    Args:
        invocation: The command.
        enqueued: The operation's number and its tasks, or the errors why there are none.
        plain: What formats the results where neither JSON nor YAML is asked for.
        wait: Seconds to wait; negative waits without end.
        quiet: Whether progress is told only with `--verbose`.

    Raises:
        CommandError: A task has a return code above 0, or time is up.
    """
    operation = enqueued["operation"]
    tasks = [task for task in enqueued["tasks"] if not task.get("error")]
    errors = [task["error"] for task in enqueued["tasks"] if task.get("error")]
    background = invocation.options.on("background")
    tell = (lambda _: None) if background or (quiet and not invocation.options.on("verbose")) else invocation.inform
    if tasks:
        tell(f"Running operation {operation} with {len(tasks)} task{'s' if len(tasks) > 1 else ''}")
        for task in tasks:
            tell(f"  - task {task['id']} on {task['receiver-kind']}-{task['receiver'].replace('/', '-')}")
    tell("")
    if not tasks:
        invocation.inform(f"Operation {operation} failed to schedule any tasks:\n" + "\n".join(errors))
        return
    if errors:
        invocation.inform("Some actions could not be scheduled:\n" + "\n".join(errors) + "\n\n")
    if background:
        _tell_scheduled(invocation, operation, tasks)
        return
    finished = _wait(invocation, tasks, wait, tell)
    utc = invocation.options.on("utc")
    shown = {task["receiver"]: task_results.structure(task, utc=utc) for task in finished}
    invocation.show({name: shown[name] for name in sorted(shown)}, plain=plain)
    _raise_on_failure(finished)


def _tell_scheduled(invocation: command.Invocation, operation: str, tasks: list[dict[str, typing.Any]]) -> None:
    if len(tasks) == 1:
        invocation.inform(f"Scheduled operation {operation} with task {tasks[0]['id']}")
        invocation.inform(f"Check operation status with 'juju show-operation {operation}'")
        invocation.inform(f"Check task status with 'juju show-task {tasks[0]['id']}'")
        return
    invocation.inform(f"Scheduled operation {operation} with {len(tasks)} tasks")
    invocation.write(output.as_yaml({task["receiver"]: {"id": task["id"]} for task in tasks}))
    invocation.inform(f"Check operation status with 'juju show-operation {operation}'")
    invocation.inform("Check task status with 'juju show-task <id>'")


def _wait(
    invocation: command.Invocation,
    tasks: list[dict[str, typing.Any]],
    wait: float,
    tell: collections.abc.Callable[[str], None],
) -> list[dict[str, typing.Any]]:
    deadline = None if wait < 0 else time.monotonic() + wait
    finished: list[dict[str, typing.Any]] = []
    for task in tasks:
        tell(f"Waiting for task {task['id']}...\n")
        log = invocation.inform if len(tasks) == 1 else None
        ended = until_ended(invocation, task["id"], deadline, log)
        if ended is None:
            waiting = sorted(f"{one['receiver-kind']} {one['receiver']}" for one in tasks[len(finished) :])
            raise command.CommandError(f"timed out waiting for results from: {', '.join(waiting)}")
        if log and ended["log"]:
            tell("\n")
        finished.append(ended)
    return finished


def until_ended(
    invocation: command.Invocation,
    identifier: str,
    deadline: float | None,
    log: collections.abc.Callable[[str], None] | None = None,
) -> dict[str, typing.Any] | None:
    """Wait until a task has ended, passing on its log; None if that is not before `deadline` (of `time.monotonic`)."""
    pause, told = _FIRST_POLL, 0
    utc = invocation.options.on("utc")
    while True:
        task = invocation.call("show_task", task=identifier)
        for line in task["log"][told:] if log else []:
            assert log is not None
            log(f"{times.timestamp(line['time'], utc)[:8]} {line['message']}")
        told = len(task["log"])
        if task["status"] in task_results.ENDED:
            return task
        rest = pause if deadline is None else min(pause, deadline - time.monotonic())
        if rest <= 0:
            return None
        time.sleep(rest)
        pause = min(pause * _BACKOFF, _LONGEST_POLL)


def _raise_on_failure(tasks: list[dict[str, typing.Any]]) -> None:
    failed = sorted(
        f' - id "{task["id"]}" with return code {code}'
        for task in tasks
        if (code := task_results.return_code(task)) > 0
    )
    if failed:
        plural = "s" if len(failed) > 1 else ""
        listed = "\n".join(failed)
        message = (
            f"the following task{plural} failed:\n{listed}\n\nuse 'juju show-task' to inspect the failure{plural}\n"
        )
        raise command.CommandError(message)
