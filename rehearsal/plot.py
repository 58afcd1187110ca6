"""The geometry of a timeline's picture. No drawing here: `templates/` has that.

Across, everything is in percent of the picture's width, so that it fits any screen and paper; down, in pixels.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable

from rehearsal import timeline

LABELS = 22
STEP_HEIGHT = 22
PAUSE_HEIGHT = 18
TITLE_HEIGHT = 20
SERVE_HEIGHT = 22
THIN_HEIGHT = 7
BETWEEN = 3
LANE_GAP = 12
AXIS_HEIGHT = 22
MOST_TICKS = 12
MOST_TICKS_CLOSER = 6
LEAST_WIDTH = 0.12
"""Percent of the width that anything takes, so that it can be seen."""
CHARACTER = 0.75
"""Percent of the width that a character takes where the picture is narrow."""
GAP_LABEL = 4.2
"""Percent of the width that a write gap's length takes."""
NEAR = 0.5
"""Seconds by which what causes a write gap may seem to come before it."""

_INTERVALS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


@dataclasses.dataclass(frozen=True)
class Box:
    """A bar, with what is written in it where there is room, and what is told of it on pointing at it."""

    x: float
    width: float
    y: float
    height: float
    kind: str
    label: str = ""
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Arrow:
    """A switchover: from one lane to another."""

    x: float
    y1: float
    y2: float
    title: str


@dataclasses.dataclass(frozen=True)
class Text:
    """A unit's name, or a time below the axis."""

    x: float
    y: float
    text: str


@dataclasses.dataclass(frozen=True)
class Plot:
    """One picture."""

    height: float
    boxes: list[Box]
    """Bars, in the order in which they are drawn."""
    gaps: list[Box]
    """Drawn over everything, from top to bottom; the longest first."""
    arrows: list[Arrow]
    names: list[Text]
    ticks: list[Text]
    """The times, at the bottom."""
    top: float
    """Where the lanes begin."""
    summary: str
    """What the picture shows, for those who cannot see it."""


class _Window:
    """The part of the time that is shown."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def x(self, time: float) -> float:
        return round((min(max(time, self.start), self.end) - self.start) / (self.end - self.start) * 100, 3)

    def box(self, bar: timeline.Bar, y: float, height: float, kind: str, label: str = "", title: str = "") -> Box:
        left = self.x(bar.start)
        return Box(left, max(round(self.x(bar.end) - left, 3), LEAST_WIDTH), y, height, kind, label, title)

    def boxes(self, bars: Iterable[timeline.Bar], y: float, height: float) -> list[Box]:
        """Return what touches the window."""
        return [
            self.box(bar, y, height, _kind(bar), title=_title(bar))
            for bar in bars
            if bar.end >= self.start and bar.start <= self.end
        ]


def _kind(bar: timeline.Bar) -> str:
    return f"{bar.kind.replace(' ', '-')}{' failed' if bar.failed else ''}"


def _title(bar: timeline.Bar) -> str:
    what = f"{bar.text} ({bar.kind})" if bar.text and bar.text != bar.kind else bar.kind
    calls = f", {bar.tools} calls of hook tools" if bar.tools else ""
    return f"{what}: {bar.seconds:.2f} s from {clock(bar.start)}{calls}{', failed' if bar.failed else ''}"


def clock(seconds: float) -> str:
    """Return a time since the beginning as minutes and seconds."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"


def whole(shown: timeline.Timeline) -> Plot:
    """Return the picture of everything from the first read to the last."""
    start = min((bar.start for lane in shown.lanes for bar in lane.serves[:1]), default=0.0)
    end = max((bar.end for lane in shown.lanes for bar in lane.serves[-1:]), default=shown.seconds)
    return build(shown, start, max(end, start + 1), steps=True)


def around(shown: timeline.Timeline, gap: timeline.Bar, margin: float = 2.0) -> Plot:
    """Return the picture of a write gap and the seconds before and after it."""
    return build(shown, gap.start - margin, gap.end + margin, steps=False)


def build(shown: timeline.Timeline, start: float, end: float, *, steps: bool) -> Plot:
    """Return the picture of the time from `start` to `end`, seconds since the beginning.

    Args:
        shown: All that there is to show.
        start: The left edge.
        end: The right edge, later than `start`.
        steps: Whether steps and pauses are shown.
    """
    window = _Window(start, end)
    boxes: list[Box] = []
    y: float = LABELS
    if steps:
        boxes += [
            dataclasses.replace(box, label=_fitting(box.width, bar.text))
            for bar in shown.steps
            if bar.end > start and bar.start < end
            for box in window.boxes([bar], y, STEP_HEIGHT)
        ]
        y += STEP_HEIGHT + BETWEEN
        if shown.pauses:
            boxes += [_pause(window, bar, y) for bar in shown.pauses]
            y += PAUSE_HEIGHT + BETWEEN
    top = y
    names: list[Text] = []
    middles: dict[str, float] = {}
    for lane in shown.lanes:
        names.append(Text(0, y + TITLE_HEIGHT - 6, lane.unit))
        y += TITLE_HEIGHT
        middles[lane.unit] = y + SERVE_HEIGHT / 2
        boxes += [
            dataclasses.replace(box, label=_fitting(box.width, bar.text))
            for bar in lane.serves
            for box in window.boxes([bar], y, SERVE_HEIGHT)
        ]
        y += SERVE_HEIGHT + BETWEEN
        boxes += window.boxes(lane.snaps, y, THIN_HEIGHT)
        y += THIN_HEIGHT + BETWEEN
        boxes += window.boxes(lane.runs, y, THIN_HEIGHT)
        y += THIN_HEIGHT + LANE_GAP
    bottom = y
    gaps = [
        window.box(gap, 0, bottom, "gap", f"{gap.seconds:.1f} s", _title(gap))
        for gap in sorted(shown.gaps, key=lambda gap: gap.seconds, reverse=True)
        if gap.end > start and gap.start < end
    ]
    return Plot(
        height=bottom + AXIS_HEIGHT,
        boxes=boxes,
        gaps=_apart(gaps),
        arrows=[
            Arrow(window.x(one.time), middles[one.old], middles[one.new], f"the primary moved to {one.new}")
            for one in shown.switchovers
            if start <= one.time <= end and {one.old, one.new} <= middles.keys() and one.old != one.new
        ],
        names=names,
        ticks=_ticks(window, bottom, MOST_TICKS if steps else MOST_TICKS_CLOSER),
        top=top,
        summary=f"{len(shown.lanes)} units from {clock(start)} to {clock(end)}, with {len(gaps)} write gaps",
    )


def cause(shown: timeline.Timeline, gap: timeline.Bar) -> str:
    """Return what happened to the units when writes began to wait; empty if nothing that can be seen."""
    moved = [one for one in shown.switchovers if gap.start <= one.time <= gap.end + NEAR]
    if moved:
        return f"The primary moved from {moved[-1].old} to {moved[-1].new}."
    for lane in shown.lanes:
        for before, after in itertools.pairwise(lane.serves):
            if after.kind == "down" and gap.start - NEAR <= after.start <= gap.end:
                return f"{lane.unit} stopped as {before.kind}."
    return ""


def _fitting(width: float, *labels: str) -> str:
    """Return the first label for which there is room."""
    return next((label for label in labels if (len(label) + 1) * CHARACTER <= width), "")


def _pause(window: _Window, bar: timeline.Bar, y: float) -> Box:
    title = f"pause before unit {bar.text}"
    box = window.box(bar, y, PAUSE_HEIGHT, "pause", title=f"{title}: {bar.seconds:.1f} s")
    return dataclasses.replace(box, label=_fitting(box.width, title, "pause"))


def _apart(boxes: Iterable[Box]) -> list[Box]:
    """Return the boxes, of which those that come first keep their labels where two would be written over each other."""
    placed: list[float] = []
    result: list[Box] = []
    for box in boxes:
        middle = box.x + box.width / 2
        free = all(abs(middle - other) >= GAP_LABEL for other in placed)
        placed += [middle] if free else []
        result.append(box if free else dataclasses.replace(box, label=""))
    return result


def _ticks(window: _Window, y: float, most: int) -> list[Text]:
    length = window.end - window.start
    interval = next((one for one in _INTERVALS if length / one <= most), _INTERVALS[-1])
    first = math.ceil(window.start / interval) * interval
    count = int((window.end - first) // interval) + 1
    times = [first + number * interval for number in range(count)]
    return [Text(window.x(time), y, _tick(time, interval)) for time in times]


def _tick(time: float, interval: float) -> str:
    minutes, seconds = divmod(time, 60)
    return f"{minutes:.0f}:{seconds:04.1f}" if interval < 1 else f"{minutes:.0f}:{seconds:02.0f}"
