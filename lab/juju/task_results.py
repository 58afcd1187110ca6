"""Tasks and operations in the structures and texts that `run`, `exec` and `show-task` print."""

from __future__ import annotations

import typing

from lab.juju import output, times

_NOT_SHOWN = frozenset({"return-code", "stdout", "stderr", "stdout-encoding", "stderr-encoding"})
ENDED = frozenset({"completed", "failed", "cancelled", "aborted", "error"})
"""Statuses of a task to which nothing more will happen."""


def return_code(task: dict[str, typing.Any]) -> int:
    """The task's return code, -1 where it has none."""
    try:
        return int(task["results"]["return-code"])
    except (KeyError, ValueError, TypeError):
        return -1


def structure(task: dict[str, typing.Any], *, utc: bool) -> dict[str, typing.Any]:
    """One task as Juju's JSON has it, empty values left out."""
    result: dict[str, typing.Any] = {
        "id": task["id"],
        "log": log_lines(task, utc=utc),
        "message": task["message"],
        "results": results(task),
        "status": task["status"],
        "timing": timing(task, utc=utc),
        task["receiver-kind"]: task["receiver"],
    }
    return {key: result[key] for key in sorted(result) if result[key]}


def results(task: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """What the task brought: empty outputs left out, the return code a number."""
    found = {
        key: value.replace("\r\n", "\n") if key in ("stdout", "stderr") else value
        for key, value in task["results"].items()
        if not (key in ("stdout", "stderr") and not value)
    }
    if return_code(task) >= 0:
        found["return-code"] = return_code(task)
    return output.ordered(found)


def log_lines(task: dict[str, typing.Any], *, utc: bool) -> list[str]:
    """The task's log, each line with its time."""
    return [f"{times.result(line['time'], utc)} {line['message']}" for line in task["log"]]


def timing(task: dict[str, typing.Any], *, utc: bool) -> dict[str, str]:
    """When the task or operation was enqueued, started and completed, as far as it has been."""
    return {key: times.result(task[key], utc) for key in ("completed", "enqueued", "started") if task[key]}


def plain(tasks: dict[str, dict[str, typing.Any]]) -> str:
    """The default output of `run` and `show-task`: results and outputs of one task, or YAML for several."""
    details = {name: _summary(task) for name, task in sorted(tasks.items())}
    if len(details) > 1:
        return output.as_yaml(output.ordered(details))
    text = ""
    for name, detail in details.items():
        if detail["status"] == "failed":
            text += f"Action id {detail['id']} failed: {detail.get('message', '')}\n"
        text += detail["output"] + "\n"
        found = tasks[name].get("results", {})
        text += "".join(str(found[key]).strip("\n") + "\n" for key in ("stdout", "stderr") if found.get(key))
    return text


def _summary(task: dict[str, typing.Any]) -> dict[str, typing.Any]:
    summary = {"id": task["id"], "status": task["status"]}
    if "results" in task:
        own = {key.lower(): value for key, value in task["results"].items() if key.lower() not in _NOT_SHOWN}
        summary["output"] = output.as_yaml(own) if own else ""
    else:
        summary["output"] = f"Task {task['id']} {task['status']}\n"
    if "message" in task:
        summary["message"] = task["message"]
    return summary


def streams(tasks: dict[str, dict[str, typing.Any]]) -> str:
    """The default output of `exec`: what the command wrote, under the names of the targets if there are several."""
    outputs: dict[str, str] = {}
    for name, task in sorted(tasks.items()):
        found = task.get("results", {})
        text = "".join(_line_ended(str(found.get(key, ""))) for key in ("stdout", "stderr"))
        if "results" in task:
            outputs[name] = text
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    return "".join(f"{name}:\n{text}\n" for name, text in outputs.items())


def _line_ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def operation(value: dict[str, typing.Any], *, utc: bool) -> dict[str, typing.Any]:
    """One operation as Juju's YAML has it. What all tasks have in common stands once, as `action`."""
    tasks = value["tasks"]
    common = bool(tasks) and all(
        (task["name"], task["parameters"]) == (tasks[0]["name"], tasks[0]["parameters"]) for task in tasks
    )
    order = ("enqueued", "started", "completed")
    result: dict[str, typing.Any] = {"summary": value["summary"], "status": value["status"]}
    if value["fail"]:
        result["fail"] = value["fail"]
    if common:
        result["action"] = {"name": tasks[0]["name"], "parameters": tasks[0]["parameters"]}
    moments = timing(value, utc=utc)
    result["timing"] = {key: moments[key] for key in order if key in moments}
    if tasks:
        result["tasks"] = {task["id"]: _task_of_operation(task, named=not common, utc=utc) for task in tasks}
    return result


def _task_of_operation(task: dict[str, typing.Any], *, named: bool, utc: bool) -> dict[str, typing.Any]:
    moments = timing(task, utc=utc)
    details = {
        "name": task["name"] if named else "",
        "host": task["receiver"],
        "status": task["status"],
        "timing": {key: moments[key] for key in ("enqueued", "started", "completed") if key in moments},
        "log": log_lines(task, utc=utc),
        "message": task["message"],
        "results": results(task),
    }
    return {key: value for key, value in details.items() if value or key == "host"}
