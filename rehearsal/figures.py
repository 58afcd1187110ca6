"""The figures of a bench: what each refresh and each floor measured, and what they come to."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import rich.box
import rich.table

from rehearsal import history

GAP_RATIO = 1.1
"""At most so many times the bare switchover's is a refresh's write gap to be, in the median."""
WORST_RATIO = 2.0
"""The same for the longest of all."""
SECONDS = 45.0
"""Seconds in which three units are to be refreshed."""

HEADINGS = ("From", "Seconds", "Units down", "Write gaps", "Read gap", "Switched", "Lost", "Hooks", "Tools", "CPU")


@dataclasses.dataclass(frozen=True)
class Floor:
    """One change of the primary without a refresh."""

    gap: float
    """The longest time without an acknowledged write, in seconds."""
    old: str
    new: str


@dataclasses.dataclass
class Refresh:
    """One refresh. Seconds throughout."""

    version: str
    revision: str
    primary: str
    """The unit that was the primary at the beginning."""
    seconds: float
    unit_seconds: dict[str, float]
    """Of each unit: from the time it stopped answering until it did again."""
    gaps: list[float]
    """Each time of at least a quarter of a second without an acknowledged write."""
    gap: float
    """The longest time without an acknowledged write."""
    noticed: float | None
    """How long the writer took to find the last new primary, at most (see `noticed`). None: there was none."""
    read_gaps: dict[str, float]
    """The longest time without an answer, of each unit."""
    switchovers: int
    expected_switchovers: int
    hook_processor_seconds: float
    hook_tools: int
    hooks: int
    lost: int = 0
    """Acknowledged writes that a server lacks in the end."""


@dataclasses.dataclass
class Figures:
    """Everything that a bench measured."""

    units: int
    refreshes: list[Refresh]
    switchovers: list[Floor]
    """A bare switchover by Patroni."""
    stops: list[Floor]
    """The primary's service stopped without a hand-over."""
    problems: list[str]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest of the values that is at least as great as that share of them; None if there are none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None


def noticed(recorded: history.History, start: float, end: float) -> float | None:
    """Return how long after the last change of the primary the writer had its first acknowledgement, at most.

    Counted from when a reader, which asks each server twenty times a second, last found the new primary to be none. So
    this is the most that the writer itself, by its way of looking for a primary, can have added to the gap.
    """
    promotions = [
        span.start
        for endpoint in recorded.endpoints.values()
        for span in endpoint.spans(start, end)
        if span.state is history.State.PRIMARY and start < span.start <= end
    ]
    if not promotions:
        return None
    promoted = max(promotions)
    later = [gap for gap in recorded.gaps(start, end, 0.0) if gap[1] >= promoted]
    return later[0][1] - promoted if later else None


def summary(figures: Figures) -> list[tuple[str, str, bool | None]]:
    """Return what the bench comes to: what, its value, and whether that meets its aim (None: there is none)."""
    gaps, bare = [one.gap for one in figures.refreshes], [one.gap for one in figures.switchovers]
    if not gaps or not bare:
        return []
    middle, worst = statistics.median(gaps) / statistics.median(bare), max(gaps) / max(bare)
    seconds = [one.seconds for one in figures.refreshes]
    lost = sum(one.lost for one in figures.refreshes)
    unexpected = sum(one.switchovers != one.expected_switchovers for one in figures.refreshes)
    reads = [gap for one in figures.refreshes for gap in one.read_gaps.values()]
    rows: list[tuple[str, str, bool | None]] = [
        ("write gap of a refresh", _spread(gaps), None),
        ("write gap of a bare switchover", _spread(bare), None),
        ("write gap of stopping the primary", _spread([one.gap for one in figures.stops]), None),
        ("median gap, times the bare switchover's", f"{middle:.2f} of at most {GAP_RATIO}", middle <= GAP_RATIO),
        ("longest gap, times the bare switchover's", f"{worst:.2f} of at most {WORST_RATIO}", worst <= WORST_RATIO),
        ("the writer's own share in it, at most", _spread(_known(one.noticed for one in figures.refreshes)), None),
        ("read gap of a unit", _spread(reads), None),
        ("seconds of a refresh", _spread(seconds), max(seconds) <= SECONDS if figures.units == 3 else None),
        ("acknowledged writes lost", str(lost), not lost),
        ("refreshes with other switchovers than expected", str(unexpected), not unexpected),
        ("hooks' processor seconds", _spread([one.hook_processor_seconds for one in figures.refreshes]), None),
        ("calls of hook tools", _spread([one.hook_tools for one in figures.refreshes], "", 0), None),
    ]  # fmt: skip
    return rows


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _spread(values: Sequence[float], unit: str = " s", decimals: int = 2) -> str:
    if not values:
        return "-"
    shares = (percentile(values, share) for share in (0.5, 0.99, 1.0))
    middle, most, longest = (f"{value:.{decimals}f}" for value in shares if value is not None)
    return f"p50 {middle}{unit}, p99 {most}{unit}, max {longest}{unit}"


def table(figures: Figures) -> rich.table.Table:
    """Return one row a refresh."""
    shown = rich.table.Table(box=rich.box.SIMPLE)
    shown.add_column("Refresh", no_wrap=True)
    for heading in (
        "From",
        "Seconds",
        "Per unit",
        "Write gaps",
        "Read gap",
        "Switched",
        "Lost",
        "Hooks",
        "Tools",
        "CPU",
    ):
        shown.add_column(heading, justify="right")
    for one in figures.refreshes:
        shown.add_row(
            f"{one.version} ({one.revision})",
            one.primary.rpartition("/")[2],
            f"{one.seconds:.1f}",
            _list(one.unit_seconds.values()),
            _list(one.gaps, 2),
            f"{max(one.read_gaps.values(), default=0.0):.2f}",
            f"{one.switchovers} of {one.expected_switchovers}",
            str(one.lost),
            str(one.hooks),
            str(one.hook_tools),
            f"{one.hook_processor_seconds:.1f}",
        )
    return shown


def totals(figures: Figures) -> rich.table.Table:
    """Return what it all comes to."""
    marks: Mapping[bool | None, str] = {True: "[green]met[/]", False: "[red]not met[/]", None: ""}
    shown = rich.table.Table(box=rich.box.SIMPLE, show_header=False)
    for what, value, met in summary(figures):
        shown.add_row(what, value, marks[met])
    return shown


def _list(values: Iterable[float], decimals: int = 1) -> str:
    return " ".join(f"{value:.{decimals}f}" for value in values) or "-"
