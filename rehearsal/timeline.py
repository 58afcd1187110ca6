"""A rehearsal on one axis of time: what each unit was to its clients, what ran on it, and where writes waited.

Times are seconds since the rehearsal's beginning.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rehearsal import events, history

LEAST_GAP = 0.25
"""Seconds without an acknowledged write from which on a gap is shown."""

SHOWN_CHANGES = {"refresh-snap": "snap refresh", "install-snap": "snap install", "revert-snap": "snap revert"}
"""What of snapd's doing is shown, by snapd's own kind."""


@dataclasses.dataclass(frozen=True)
class Bar:
    """Something that took a while."""

    start: float
    end: float
    kind: str
    text: str = ""
    failed: bool = False
    tools: int = 0
    """Calls of hook tools."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclasses.dataclass(frozen=True)
class Lane:
    """One unit."""

    unit: str
    serves: list[Bar]
    """What it was to its reader; the kinds are those of `history.State`, the text is the server's version."""
    runs: list[Bar]
    """Hooks, actions and command lines, which are the kinds."""
    snaps: list[Bar]
    """What snapd did."""


@dataclasses.dataclass(frozen=True)
class Switchover:
    """The writer came to another primary."""

    time: float
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Timeline:
    """All of it."""

    seconds: float
    steps: list[Bar]
    lanes: list[Lane]
    """In the order of the units' numbers."""
    gaps: list[Bar]
    """Times without an acknowledged write."""
    switchovers: list[Switchover]
    pauses: list[Bar]
    """Times in which the refresh waited for its operator; the text is the unit that was to be resumed."""


@dataclasses.dataclass(frozen=True)
class Clock:
    """The beginning on both clocks."""

    monotonic: float
    epoch: float


def build(
    clock: Clock,
    steps: Sequence[Bar],
    pauses: Sequence[Bar],
    recorded: history.History,
    hosts: Mapping[str, str],
    ran: Iterable[events.Run] = (),
    changed: Iterable[events.Change] = (),
) -> Timeline:
    """Put everything on one axis.

    Args:
        clock: The beginning.
        steps: What was done, on the monotonic clock.
        pauses: When the refresh waited, on the monotonic clock.
        recorded: What the writer and the readers saw.
        hosts: Each unit's address, in the order of the units' numbers.
        ran: What the units' agents ran.
        changed: What snapd did.
    """
    end = max((step.end for step in steps), default=clock.monotonic)
    units = {host: unit for unit, host in hosts.items()}
    ran, changed = list(ran), list(changed)
    return Timeline(
        seconds=round(end - clock.monotonic, 3),
        steps=[_shift(step, clock.monotonic) for step in steps],
        lanes=[_lane(clock, unit, recorded.endpoints.get(host), ran, changed) for unit, host in hosts.items()],
        gaps=[
            _bar(start, stop, clock.monotonic, "gap") for start, stop in recorded.gaps(clock.monotonic, end, LEAST_GAP)
        ],
        switchovers=[
            Switchover(
                round(new.time - clock.monotonic, 3), units.get(old.host, old.host), units.get(new.host, new.host)
            )
            for old, new in itertools.pairwise(recorded.connections)
            if new.timeline != old.timeline
        ],
        pauses=[_shift(pause, clock.monotonic) for pause in pauses],
    )


def _lane(
    clock: Clock,
    unit: str,
    endpoint: history.Endpoint | None,
    ran: Iterable[events.Run],
    changed: Iterable[events.Change],
) -> Lane:
    serves = [
        _bar(span.start, span.end, clock.monotonic, str(span.state), span.version)
        for span in (endpoint.spans() if endpoint else [])
    ]
    runs = [
        _bar(run.start, run.end, clock.epoch, run.kind, run.name, run.failed, run.tools)
        for run in ran
        if run.unit == unit
    ]
    snaps = [
        _bar(change.start, change.end, clock.epoch, SHOWN_CHANGES[change.kind], change.summary, change.failed)
        for change in changed
        if change.unit == unit and change.kind in SHOWN_CHANGES
    ]
    # A machine's image may hold snaps that were installed long before.
    return Lane(unit, serves, runs, [bar for bar in snaps if bar.end >= 0])


def _bar(
    start: float, end: float, origin: float, kind: str, text: str = "", failed: bool = False, tools: int = 0
) -> Bar:
    return Bar(round(start - origin, 3), round(end - origin, 3), kind, text, failed, tools)


def _shift(bar: Bar, origin: float) -> Bar:
    return dataclasses.replace(bar, start=round(bar.start - origin, 3), end=round(bar.end - origin, 3))


def load(stored: Mapping[str, Any]) -> Timeline:
    """Return the timeline that `dataclasses.asdict` made the mapping from.

    Raises:
        TypeError: It is of another form.
    """

    def bars(of: Mapping[str, Any], key: str) -> list[Bar]:
        return [Bar(**bar) for bar in of[key]]

    return Timeline(
        seconds=stored["seconds"],
        steps=bars(stored, "steps"),
        lanes=[
            Lane(lane["unit"], bars(lane, "serves"), bars(lane, "runs"), bars(lane, "snaps"))
            for lane in stored["lanes"]
        ],
        gaps=bars(stored, "gaps"),
        switchovers=[Switchover(**switchover) for switchover in stored["switchovers"]],
        pauses=bars(stored, "pauses"),
    )
