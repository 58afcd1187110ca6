"""What Juju's log and snapd tell of a model: when hooks ran and what was done to snaps.

Times are seconds since the epoch, as both tell them. Hooks begin at DEBUG lines that `deployment.LOGGING` asks for; in
a log without these a hook has no length.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

_EXECUTING = re.compile(r'executing operation "run (?P<what>.+)" for (?P<unit>\S+)$')
_COMMITTING = re.compile(r'committing operation "run commands.*" for (?P<unit>\S+)$')
_RAN = re.compile(r'ran "(?P<name>[^"]+)" (?P<kind>hook|action) ')
_FAILED = re.compile(r'(?P<kind>hook|action) "(?P<name>[^"]+)" .*failed: ')
_TOOL = re.compile(r'running hook tool "[^"]+" for (?P<unit>[a-z0-9-]+/\d+)-')
COMMANDS = "commands"
"""The kind, and the name, of a command line that something on the machine had the agent run."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One hook, action or command line that a unit's agent ran."""

    unit: str
    name: str
    kind: str
    """"hook", "action" or "commands"."""
    start: float
    end: float
    failed: bool = False
    tools: int = 0
    """Calls of hook tools."""


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing that snapd did."""

    unit: str
    kind: str
    """In snapd's words: "refresh-snap", "service-control", ..."""
    summary: str
    start: float
    end: float
    failed: bool = False


@dataclasses.dataclass
class _Begun:
    start: float
    tools: int = 0


class _Runs:
    """Puts runs together from a log's lines."""

    def __init__(self) -> None:
        self.ended: list[Run] = []
        self._begun: dict[str, _Begun] = {}

    def line(self, time: float, entity: str, module: str, message: str) -> None:
        if module == "jujuc":
            if (match := _TOOL.match(message)) and match["unit"] in self._begun:
                self._begun[match["unit"]].tools += 1
        elif module.endswith("uniter.operation"):
            self._operation(time, entity, message)

    def _operation(self, time: float, entity: str, message: str) -> None:
        if match := _EXECUTING.match(message):
            if match["unit"] in self._begun:  # the agent died in the midst of it
                self._end(match["unit"], "cut off", "hook", time, failed=True)
            self._begun[match["unit"]] = _Begun(time)
        elif match := _COMMITTING.match(message):
            self._end(match["unit"], COMMANDS, COMMANDS, time)
        elif match := _RAN.match(message):
            self._end(_unit(entity), match["name"], match["kind"], time)
        elif match := _FAILED.match(message):
            self._end(_unit(entity), match["name"], match["kind"], time, failed=True)

    def _end(self, unit: str, name: str, kind: str, time: float, *, failed: bool = False) -> None:
        begun = self._begun.pop(unit, _Begun(time))
        self.ended.append(Run(unit, name, kind, begun.start, time, failed, begun.tools))


def runs(log: Iterable[Mapping[str, str]]) -> list[Run]:
    """Return the runs that a log tells of, in the order of their ends; those that have not ended are left out."""
    collected = _Runs()
    for line in log:
        collected.line(timestamp(line["timestamp"]), line["entity"], line["module"], line["message"])
    return collected.ended


def changes(unit: str, told: Iterable[Mapping[str, Any]]) -> list[Change]:
    """Return what snapd did on a unit's machine, oldest first; what it still does is left out."""
    found = [
        Change(
            unit,
            one["kind"],
            one["summary"],
            timestamp(one["spawn-time"]),
            timestamp(one["ready-time"]),
            failed=one["status"] != "Done",
        )
        for one in told
        if one.get("ready-time")
    ]
    return sorted(found, key=lambda change: change.start)


def timestamp(text: str) -> float:
    """Return the seconds since the epoch of a time in RFC 3339, of which any number of decimals is taken."""
    # fromisoformat knows no more than six decimals; snapd writes nine.
    whole = re.sub(r"(\.\d{6})\d+", r"\1", text.replace("Z", "+00:00"))
    return datetime.datetime.fromisoformat(whole).timestamp()


def _unit(entity: str) -> str:
    application, _, number = entity.removeprefix("unit-").rpartition("-")
    return f"{application}/{number}"
