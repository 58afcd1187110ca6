"""What is tried: each step of a refresh and of a rollback, and what befalls it. Declarations only.

Three units, 2 first: unit 2 refreshes, the refresh pauses, the operator resumes on unit 1, unit 0 follows by itself. A
rollback begins at the pause after the first unit, so only unit 2 goes back. Steps are seen from outside, as anybody
can: in Juju's log, and in the command lines that the charm runs.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterable

HIGHEST, NEXT, LOWEST = 2, 1, 0
ANYWHERE = (LOWEST, NEXT, HIGHEST)
UNITS = 3


@dataclasses.dataclass(frozen=True)
class Logged:
    """A line of Juju's log, of the unit of that number; None: of any unit."""

    unit: int | None
    text: str


@dataclasses.dataclass(frozen=True)
class Ran:
    """A command that the charm of that unit has begun."""

    unit: int
    command: str


@dataclasses.dataclass(frozen=True)
class Asked:
    """The application's status asks the operator to resume; nothing runs. It befalls the unit of that number."""

    unit: int


Seen = Logged | Ran | Asked


@dataclasses.dataclass(frozen=True)
class Step:
    """A moment that is recognised from outside."""

    name: str
    what: str
    seen: Seen
    primaries: tuple[int, ...] = ANYWHERE
    """Where the primary may be at the beginning for the step to come."""
    is_action: bool = False
    """Whether what is cut off is an action: then the operator runs it again, and no hook has to follow."""

    @property
    def told_by_charm(self) -> str:
        """The words with which the charm tells that the step has come; empty where the agent tells it, or nobody."""
        text = self.seen.text if isinstance(self.seen, Logged) else ""
        return "" if text.startswith("executing operation") else text


_SNAP_REFRESH = "snap refresh charmed-postgresql --revision="
_HAND_OVER = "Handing over the primary from"
_HANDED_OVER = "is the primary now"
_ALLOWED = "Allowed next unit to refresh"
_BEGUN = "Refreshing PostgreSQL on this unit from"
_UPGRADE = 'executing operation "run upgrade-charm hook"'

REFRESH = (
    Step(
        "check",
        "the action `pre-refresh-check` runs",
        Logged(None, 'executing operation "run action'),
        is_action=True,
    ),
    Step("upgrade-charm", "unit 2 has its new charm, the hook begins", Logged(HIGHEST, _UPGRADE)),
    Step("upgrade-charm-last", "unit 0 has its new charm, the hook begins", Logged(LOWEST, _UPGRADE)),
    Step("hand-over", "unit 2 hands the primary over", Logged(HIGHEST, _HAND_OVER), primaries=(NEXT, HIGHEST)),
    Step(
        "handed-over",
        "unit 2 has handed the primary over, not yet committed",
        Logged(HIGHEST, _HANDED_OVER),
        primaries=(NEXT, HIGHEST),
    ),
    Step("drain", "unit 2 begins: the primary is told not to wait for it", Logged(HIGHEST, _BEGUN)),
    Step("stop", "unit 2 stops PostgreSQL", Ran(HIGHEST, "snap stop charmed-postgresql.patroni")),
    Step("snap", "unit 2 has asked snapd for the refresh", Ran(HIGHEST, _SNAP_REFRESH)),
    Step(
        "snap-changed",
        "unit 2 has the other snap, with which snapd starts PostgreSQL; others do not know",
        Logged(HIGHEST, "snap refresh completed"),
    ),
    Step("gate", "unit 2 is healthy and allows the next, not yet committed", Logged(HIGHEST, _ALLOWED)),
    Step("paused", "the refresh waits for the operator", Asked(NEXT)),
    Step(
        "resume",
        "the action `resume-refresh` begins on unit 1",
        Logged(NEXT, 'executing operation "run action'),
        is_action=True,
    ),
    Step(
        "resume-snap",
        "unit 1 has asked snapd for the refresh, in the action",
        Ran(NEXT, _SNAP_REFRESH),
        is_action=True,
    ),
    Step("last-snap", "unit 0 has asked snapd for the refresh", Ran(LOWEST, _SNAP_REFRESH)),
    Step("finish", "unit 0 is healthy, the end is not yet committed", Logged(LOWEST, _ALLOWED)),
)
ROLLBACK = (
    Step("upgrade-charm", "unit 2 has the old charm again, the hook begins", Logged(HIGHEST, _UPGRADE)),
    Step("hand-over", "unit 2 hands the primary over", Logged(HIGHEST, _HAND_OVER), primaries=(NEXT, HIGHEST)),
    Step(
        "handed-over",
        "unit 2 has handed the primary over, not yet committed",
        Logged(HIGHEST, _HANDED_OVER),
        primaries=(NEXT, HIGHEST),
    ),
    *(step for step in REFRESH if step.name in ("drain", "stop", "snap", "snap-changed")),
    Step("finish", "unit 2 is healthy, the end is not yet committed", Logged(HIGHEST, _ALLOWED)),
)
LIVES: dict[str, dict[str, Step]] = {
    "refresh": {step.name: step for step in REFRESH},
    "rollback": {step.name: step for step in ROLLBACK},
}

MOVES_PRIMARY = frozenset({"reboot"})
"""Faults of every step that may lead to a failover."""
EVERYWHERE = {
    "kill": "SIGKILL of the charm and of all that it has started",
    "exception": "what the charm waits for, or its next hook tool, fails: an exception that nobody catches",
    "agent": "Juju's agent of the unit is killed and starts again",
    "reboot": "the unit's machine loses its power and boots",
    "snapd": "snapd of the unit's machine restarts",
}
"""What befalls each step, on the unit that takes it."""

ELSEWHERE = {
    "pre-refresh-hook": "the old snap's pre-refresh hook fails for 25 s",
    "post-refresh-hook": "the new snap's post-refresh hook fails for 25 s, and snapd reverts each time",
    "slow-snap": "the snap's refresh takes 20 s longer",
    "store-refuses": "the store refuses the revision for 75 s; PostgreSQL must not be stopped for it",
    "store-away": "the store cannot be reached for 75 s; PostgreSQL must not be stopped for it",
    "disk-snap": "no room for the snap on unit 1 for 45 s; PostgreSQL must not be stopped for it",
    "disk-wal": "the refreshing unit's storage of the write-ahead log is full for 30 s",
    "disk-data": "the refreshing unit's storage of the data is full for 30 s",
    "primary-crash": "the primary's machine loses its power for 10 s while a standby is stopped for its refresh",
    "partition": "the refreshing unit's machine is cut off for 20 s",
    "frozen-postgresql": "the primary's PostgreSQL is frozen for 25 s",
    "frozen-patroni": "the primary's Patroni is frozen for 35 s",
    "raft-leader": "the machine of Raft's leader loses its power for 10 s",
    "juju-leader": "the agent of Juju's leader is away for 60 s",
    "outage": "the controller is away for 45 s, from the first hook on",
    "outage-refresh": "the controller is away from then on until the unit's refresh is over",
}
"""What befalls one step each, mostly while unit 2 is stopped."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """How a cell is known not to pass. Whatever else goes wrong in it is a failure."""

    problem: str
    """The problem, as a regular expression that matches the whole of it."""
    reason: str
    always: bool = True
    """False: it may happen not to be seen."""

    def covers(self, problems: Iterable[str]) -> bool:
        """Whether nothing but what is known has gone wrong."""
        return all(re.fullmatch(self.problem, problem) for problem in problems)


_TWO_PRIMARIES = r"\S+ and \S+ were primaries at once for [\d.]+ s"
LIMITS = {
    "refresh/snap/frozen-patroni": Limit(
        _TWO_PRIMARIES,
        "PostgreSQL stays a primary until its Patroni goes on, while another is promoted: only a watchdog device "
        '(Patroni documentation, "Watchdog Support") could end it. It acknowledges nothing, which is sampled too: its '
        "synchronous standbys have gone over to the new primary",
    ),
    "refresh/snap/frozen-postgresql": Limit(
        _TWO_PRIMARIES,
        "While it was frozen another was promoted; when it goes on it stays a primary until its Patroni has stopped "
        "it. It acknowledges nothing, which is sampled too: its synchronous standbys have gone over to the new primary",
        always=False,
    ),
}
"""Cells that do not pass."""

QUICK = frozenset(
    {
        "refresh/check/exception",
        "refresh/gate/agent",
        "refresh/resume/kill",
        "refresh/last-snap/reboot",
        "refresh/upgrade-charm/kill",
        "refresh/paused/agent",
        "rollback/snap/snapd",
        "refresh/snap/kill",
        "refresh/paused/reboot",
        "rollback/snap-changed/reboot",
    }
)
"""Ten cells that go into three lives."""
_PLACES = {
    "store-refuses": "drain",
    "store-away": "drain",
    "disk-snap": "resume",
    "outage": "upgrade-charm",
    "disk-wal": "stop",
    "disk-data": "stop",
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One trial."""

    life: str
    """"refresh" or "rollback"."""
    step: Step
    fault: str

    @property
    def name(self) -> str:
        """Such as "refresh/snap/kill"."""
        return f"{self.life}/{self.step.name}/{self.fault}"

    @property
    def limit(self) -> Limit | None:
        """How it is known not to pass; None if it has to."""
        return LIMITS.get(self.name)

    @property
    def quick(self) -> bool:
        """Whether it is one of the ten that `make faults-quick` plays."""
        return self.name in QUICK


def _all() -> tuple[Cell, ...]:
    found: list[Cell] = []
    for life, steps in LIVES.items():
        for step in steps.values():
            # Where nothing runs there is no charm to end.
            befalls = [fault for fault in EVERYWHERE if not (isinstance(step.seen, Asked) and fault in _CHARM)]
            found += [Cell(life, step, fault) for fault in befalls]
    found += [Cell("refresh", LIVES["refresh"][_PLACES.get(fault, "snap")], fault) for fault in ELSEWHERE]
    return tuple(found)


_CHARM = ("kill", "exception")
CELLS = _all()


def chosen(pattern: str) -> tuple[Cell, ...]:
    """The cells whose names match one of the patterns, which are separated by blanks, in the order of the patterns.

    Raises:
        ValueError: No cell matches.
    """
    matched = (cell for each in pattern.split() for cell in CELLS if fnmatch.fnmatchcase(cell.name, each))
    found = tuple(dict.fromkeys(matched))
    if not found:
        raise ValueError(f"no cell matches {pattern!r}; names are like {CELLS[0].name!r}")
    return found
