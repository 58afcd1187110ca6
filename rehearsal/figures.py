"""The figures of a bench: what each refresh and each floor measured, and what they come to."""

from __future__ import annotations

import dataclasses
import math
import statistics
import typing
from collections.abc import Iterable, Mapping, Sequence

import rich.box
import rich.table

from rehearsal import history

GAP_RATIO = 1.1
"""At most so many times the bare switchover's is a refresh's write gap to be, in the median."""
WORST_RATIO = 2.0
"""The same for the longest of all."""
SECONDS = 45.0
"""Seconds in which three units are to be refreshed with one switchover."""

MEDIAN_RATIO = "median gap, times the bare switchover's"
LONGEST_RATIO = "longest gap, times the bare switchover's"


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
    lost: int | None = None
    """Acknowledged writes that a server lacks in the end; None until everything has been read back."""


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


@dataclasses.dataclass(frozen=True)
class Spread:
    """What several values come to."""

    median: float
    p99: float
    maximum: float


@dataclasses.dataclass(frozen=True)
class Total:
    """One line of what a bench comes to."""

    what: str
    value: Spread | float | None
    """None: it is not known."""
    unit: str = ""
    limit: float | None = None
    """The aim: the value, or the greatest of several, is at most so much."""

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; what is not known meets none. None: there is no aim."""
        if self.limit is None:
            return None
        most = self.value.maximum if isinstance(self.value, Spread) else self.value
        return most is not None and most <= self.limit

    @property
    def text(self) -> str:
        """For people."""
        match self.value:
            case None:
                return "-"
            case Spread(median, p99, maximum):
                return ", ".join(
                    f"{name} {_number(value)}{self.unit}"
                    for name, value in (("p50", median), ("p99", p99), ("max", maximum))
                )
            case value:
                return f"{_number(value)}{self.unit}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"


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


def spread(values: Sequence[float]) -> Spread | None:
    """Return what some values come to; None if there are none."""
    middle, most, longest = (percentile(values, share) for share in (0.5, 0.99, 1.0))
    return None if middle is None or most is None or longest is None else Spread(middle, most, longest)


def summary(figures: Figures) -> list[Total]:
    """Return what the bench comes to, and which aims there are; nothing before the first refresh."""
    refreshes = figures.refreshes
    if not refreshes:
        return []
    losses = [one.lost for one in refreshes]
    lost = None if None in losses else sum(_known(losses))
    unexpected = sum(one.switchovers != one.expected_switchovers for one in refreshes)
    return [
        *_gaps(figures),
        *(Total(f"read gap of {unit}", spread(gaps), " s") for unit, gaps in _read_gaps(refreshes).items()),
        *_seconds(figures),
        Total("acknowledged writes lost", lost, limit=0),
        Total("refreshes with other switchovers than expected", unexpected, limit=0),
        Total("hooks' processor seconds", spread([one.hook_processor_seconds for one in refreshes]), " s"),
        Total("hooks", spread([one.hooks for one in refreshes])),
        Total("calls of hook tools", spread([one.hook_tools for one in refreshes])),
    ]


def unmet(figures: Figures) -> list[str]:
    """Return the aims that are not met, and whether anything was measured at all."""
    if not figures.refreshes:
        return ["no refresh was measured"]
    missed = [total for total in summary(figures) if total.met is False]
    return [f"{total.what}: {total.text}, at most {total.limit:g} aimed at" for total in missed]


def document(figures: Figures) -> dict[str, typing.Any]:
    """Return all of it for programs: what was measured, and what it comes to."""
    totals = [{**dataclasses.asdict(total), "met": total.met} for total in summary(figures)]
    return {**dataclasses.asdict(figures), "totals": totals}


def _gaps(figures: Figures) -> list[Total]:
    gaps, bare = ([one.gap for one in found] for found in (figures.refreshes, figures.switchovers))
    own = spread(_known(one.noticed for one in figures.refreshes))
    found = [Total("write gap of a refresh", spread(gaps), " s")]
    if bare:
        found += [
            Total("write gap of a bare switchover", spread(bare), " s"),
            Total("write gap of stopping the primary", spread([one.gap for one in figures.stops]), " s"),
            Total(MEDIAN_RATIO, statistics.median(gaps) / statistics.median(bare), limit=GAP_RATIO),
            Total(LONGEST_RATIO, max(gaps) / max(bare), limit=WORST_RATIO),
        ]
    return [*found, Total("the writer's own share in it, at most", own, " s")]


def _read_gaps(refreshes: Sequence[Refresh]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for one in refreshes:
        for unit, gap in one.read_gaps.items():
            found.setdefault(unit, []).append(gap)
    return found


def _seconds(figures: Figures) -> list[Total]:
    """By switchovers: where the primary starts on the highest unit there is a second one, with all that follows it."""
    seconds: dict[int, list[float]] = {}
    for one in figures.refreshes:
        seconds.setdefault(one.expected_switchovers, []).append(one.seconds)
    return [
        Total(
            f"seconds of a refresh with {count} switchover{'' if count == 1 else 's'}",
            spread(found),
            " s",
            SECONDS if figures.units == 3 and count == 1 else None,
        )
        for count, found in sorted(seconds.items())
    ]


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def table(figures: Figures) -> rich.table.Table:
    """Return one row a refresh."""
    shown = rich.table.Table(box=rich.box.SIMPLE)
    shown.add_column("Refresh", no_wrap=True)
    for heading in (
        "From",
        "Seconds",
        "Per unit",
        "Write gaps",
        "Read gaps",
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
            _list(one.read_gaps.values(), 2),
            f"{one.switchovers} of {one.expected_switchovers}",
            "?" if one.lost is None else str(one.lost),
            str(one.hooks),
            str(one.hook_tools),
            f"{one.hook_processor_seconds:.1f}",
        )
    return shown


def totals(figures: Figures) -> rich.table.Table:
    """Return what it all comes to."""
    marks: Mapping[bool | None, str] = {True: "[green]met[/]", False: "[red]not met[/]", None: ""}
    shown = rich.table.Table(box=rich.box.SIMPLE, show_header=False)
    for total in summary(figures):
        limit = "" if total.limit is None else f", at most {total.limit:g}"
        shown.add_row(total.what, f"{total.text}{limit}", marks[total.met])
    return shown


def _list(values: Iterable[float], decimals: int = 1) -> str:
    return " ".join(f"{value:.{decimals}f}" for value in values) or "-"
