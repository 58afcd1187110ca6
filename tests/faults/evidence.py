"""What the lines of Juju's log prove: that a unit's hooks succeed again, and that what was to fail has failed.

The lab's agent logs `ran "…" action` also for an action that has refused, and `committing operation "run commands"` for
commands that were killed: neither proves a success. An action's own answer does, which the operator gets.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping

import sighting

_OPERATION = "juju.worker.uniter.operation"
_RAN_HOOK = re.compile(r'ran "[^"]+" hook ')
_ENDED_WELL = re.compile(r'(?:ran|skipped) "[^"]+" (?:hook|action) ')
_FAILED = re.compile(r'(?:hook|action) "[^"]+" \(via .*\) failed: ')
_COMMANDS_ENDED = re.compile(r'committing operation "run commands"')
_CANDIDATE = re.compile(r"Handing over the primary from \S+ to (\S+)-(\d+)$")

Lines = Iterable[Mapping[str, str]]


class Ending(enum.Enum):
    """How an operation of a unit's agent has ended."""

    WELL = "well"
    FAILED = "failed"
    COMMANDS = "commands"
    """They were commands (the observer's event is some): the log does not tell how."""
    NONE = "none"


def succeeded_at(lines: Lines, unit: str, since: float) -> float | None:
    """Return when a hook of the unit succeeded first since then; None if none has."""
    times = (sighting.moment(line) for line in _operations(lines, unit) if _RAN_HOOK.match(line["message"]))
    return next((time for time in times if time >= since), None)


def ending(lines: Lines, unit: str, since: float) -> Ending:
    """Return how the operation ended that was under way then: the first one that has ended since."""
    for line in _operations(lines, unit):
        if sighting.moment(line) < since:
            continue
        for form, found in ((_ENDED_WELL, Ending.WELL), (_FAILED, Ending.FAILED), (_COMMANDS_ENDED, Ending.COMMANDS)):
            if form.match(line["message"]):
                return found
    return Ending.NONE


def any_failed(lines: Lines, unit: str, since: float) -> bool:
    """Return whether a hook of the unit has failed since then."""
    failed = (line for line in _operations(lines, unit) if _FAILED.match(line["message"]))
    return any(sighting.moment(line) >= since for line in failed)


def candidates(lines: Lines, start: float, end: float) -> set[str]:
    """Return the units to which the primary was being handed over between the two times."""
    matches = ((sighting.moment(line), _CANDIDATE.search(line["message"])) for line in lines)
    return {f"{match[1]}/{match[2]}" for time, match in matches if match and start <= time <= end}


def _operations(lines: Lines, unit: str) -> Iterable[Mapping[str, str]]:
    return (line for line in lines if line["module"] == _OPERATION and sighting.unit_of(line["entity"]) == unit)
