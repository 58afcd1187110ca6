"""The report as a page: one HTML file that needs nothing else, to look at, to send and to print.

`python -m rehearsal.page REPORT` makes it anew from the `rehearsal.json` in that directory.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

import jinja2
import markupsafe

from rehearsal import history, plot, readback, report, timeline

TEMPLATES = pathlib.Path(__file__).parent / "templates"
MOST_GAPS = 6
"""How many write gaps are shown closer."""

LEGEND = [
    ("primary", "primary"),
    ("standby", "standby"),
    ("down", "does not answer"),
    ("snap-refresh", "snap refresh"),
    ("hook", "hook"),
    ("action", "action"),
    ("commands", "command of the observer"),
    ("gap", "write gap"),
    ("pause", "waits for the operator"),
]


@dataclasses.dataclass(frozen=True)
class Tile:
    """One figure in large type."""

    value: str
    unit: str
    text: str
    kind: str = ""
    """"good", "bad" or neither."""


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit's figures."""

    name: str
    read_gap: float
    """The longest time between two answers, in seconds."""
    down: float
    """Seconds in which it did not answer."""
    primary: float
    """Seconds in which it took writes."""
    runs: int
    running: float
    tools: int
    snaps: int


def write(result: report.Result, path: pathlib.Path) -> pathlib.Path:
    """Write the page; return where it is."""
    path.write_text(render(result))
    return path


def render(result: report.Result) -> str:
    """Return the page."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    drawn = result.timeline
    longest = sorted(drawn.gaps, key=lambda gap: gap.seconds, reverse=True)[:MOST_GAPS]
    return environment.get_template("report.html").render(
        result=result,
        style=markupsafe.Markup((TEMPLATES / "report.css").read_text()),  # noqa: S704  # the project's own
        tiles=tiles(result),
        units=[unit(lane) for lane in drawn.lanes if lane.serves],
        whole=plot.whole(drawn) if any(lane.serves for lane in drawn.lanes) else None,
        closer=[
            (gap, plot.around(drawn, gap), plot.cause(drawn, gap)) for gap in sorted(longest, key=lambda gap: gap.start)
        ],
        legend=LEGEND,
        rows=rows,
        clock=plot.clock,
        least=timeline.LEAST_GAP,
    )


def tiles(result: report.Result) -> list[Tile]:
    """Return the figures that matter most."""
    written = [row for row in result.rows if row.longest_gap is not None]
    lost = sum(row.lost or 0 for row in written)
    known = bool(result.copies)
    gap = max((row.longest_gap or 0.0 for row in written), default=None)
    refreshes = [row for row in result.rows if row.switchovers is not None and row.revisions]
    return [
        Tile(
            str(lost) if known else "?",
            "",
            f"of {result.outcomes.get('acknowledged', 0)} acknowledged writes lost",
            "good" if known and not lost else "bad",
        ),
        Tile("-" if gap is None else f"{gap:.2f}", "s", "longest write gap"),
        Tile(str(sum(row.switchovers or 0 for row in written)), "", f"switchovers in {len(refreshes)} refreshes"),
        Tile(f"{sum(row.seconds for row in refreshes):.0f}", "s", "in refreshes, pauses included"),
    ]


def unit(lane: timeline.Lane) -> Unit:
    """Return a unit's figures."""
    answered = [bar for bar in lane.serves if bar.kind != history.State.DOWN]
    between = [later.start - earlier.end for earlier, later in itertools.pairwise(answered)]
    return Unit(
        name=lane.unit,
        read_gap=max(between, default=0.0),
        down=sum(bar.seconds for bar in lane.serves if bar.kind == history.State.DOWN),
        primary=sum(bar.seconds for bar in lane.serves if bar.kind == history.State.PRIMARY),
        runs=len(lane.runs),
        running=sum(bar.seconds for bar in lane.runs),
        tools=sum(bar.tools for bar in lane.runs),
        snaps=sum(bar.kind == "snap refresh" for bar in lane.snaps),
    )


def rows(copy: readback.Copy) -> int:
    """Return how many rows a copy has."""
    return sum(last - first + 1 for first, last in copy.sequences)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.page", description=__doc__)
    parser.add_argument("report", type=pathlib.Path, help="the directory that a rehearsal has written")
    directory = parser.parse_args(arguments).report
    print(write(report.load(directory / "rehearsal.json"), directory / "rehearsal.html"))


if __name__ == "__main__":
    main()
