"""What a rehearsal found: its steps, its verdict, its timeline, and these as a table and as JSON."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import rich.box
import rich.table

from rehearsal import events, history, readback, records, timeline

FORMAT = 1
"""The number of the JSON's form; a form that older readers misunderstand gets the next."""


@dataclasses.dataclass
class Pause:
    """A time in which a refresh waited, between two readings of the monotonic clock."""

    unit: int
    """The unit that was to be resumed."""
    started: float
    ended: float


@dataclasses.dataclass
class Step:
    """One thing that was done, between two readings of the monotonic clock."""

    name: str
    started: float
    ended: float
    revisions: list[str] = dataclasses.field(default_factory=list)
    """The snap's revision on each unit at the step's end, in the order of the units' numbers."""
    resumed: list[int] = dataclasses.field(default_factory=list)
    """The units that `resume-refresh` was run on, in order."""
    written: bool = False
    """Whether the writer was writing."""
    pauses: list[Pause] = dataclasses.field(default_factory=list)
    """The times in which the refresh waited for its operator."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What the table shows of a step. None: nothing was written during it."""

    step: str
    seconds: float
    longest_gap: float | None
    acknowledged: int | None
    lost: int | None
    switchovers: int | None
    revisions: list[str]
    resumed: list[int]


@dataclasses.dataclass
class Result:
    """All that a rehearsal found."""

    rows: list[Row]
    outcomes: dict[str, int]
    copies: list[readback.Copy]
    problems: list[str]
    """Why the rehearsal failed; empty if it did not."""
    timeline: timeline.Timeline
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    """Where it took place: what, and its value."""
    format: int = FORMAT

    def save(self, path: pathlib.Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n")


def load(path: pathlib.Path) -> Result:
    """Return the result that `Result.save` wrote.

    Raises:
        ValueError: The file is of another form.
    """
    stored = json.loads(path.read_text())
    if stored.get("format") != FORMAT:
        raise ValueError(f"{path}: format {stored.get('format')!r} instead of {FORMAT}; make the report anew")
    return Result(
        rows=[Row(**row) for row in stored["rows"]],
        outcomes=stored["outcomes"],
        copies=readback.decode(json.dumps(stored["copies"])),
        problems=stored["problems"],
        timeline=timeline.load(stored["timeline"]),
        environment=stored["environment"],
    )


def draw(
    clock: timeline.Clock,
    steps: Sequence[Step],
    recorded: history.History,
    hosts: Mapping[str, str],
    ran: Iterable[events.Run] = (),
    changed: Iterable[events.Change] = (),
) -> timeline.Timeline:
    """Return steps and pauses with all else on one axis; the arguments are `timeline.build`'s."""
    pauses = [pause for step in steps for pause in step.pauses]
    return timeline.build(
        clock,
        [timeline.Bar(step.started, step.ended, "step", step.name) for step in steps],
        [timeline.Bar(pause.started, pause.ended, "pause", str(pause.unit)) for pause in pauses],
        recorded,
        hosts,
        ran,
        changed,
    )


def conclude(
    steps: Sequence[Step],
    recorded: history.History,
    copies: Sequence[readback.Copy],
    problems: Sequence[str] = (),
    drawn: timeline.Timeline | None = None,
) -> Result:
    """Hold the writer's history against what the servers have.

    Args:
        steps: What was done.
        recorded: What the writer was told.
        copies: What each server has; empty if it could not be read, which one of `problems` must then say.
        problems: What went wrong before.
        drawn: The timeline; by default one without units.
    """
    present = [_present(copy.sequences) for copy in copies]
    missing = lost(recorded, copies)
    rows = [_row(step, recorded, missing if copies else None) for step in steps]
    outcomes = {str(outcome): recorded.counts()[outcome] for outcome in records.Outcome}
    if drawn is None:
        drawn = draw(timeline.Clock(steps[0].started if steps else 0.0, 0.0), steps, recorded, {})
    return Result(rows, outcomes, list(copies), [*problems, *_judge(recorded, copies, present)], drawn)


def lost(recorded: history.History, copies: Sequence[readback.Copy]) -> set[int]:
    """Return the numbers of the acknowledged writes that any server lacks."""
    return {write.sequence for copy in copies for write in recorded.lost(_present(copy.sequences))}


def _present(sequences: readback.Ranges) -> set[int]:
    return {number for first, last in sequences for number in range(first, last + 1)}


def _judge(recorded: history.History, copies: Sequence[readback.Copy], present: Sequence[set[int]]) -> list[str]:
    problems: list[str] = []
    if copies and not recorded.counts()[records.Outcome.ACKNOWLEDGED]:
        problems.append("not one write was acknowledged")
    for copy, sequences in zip(copies, present, strict=True):
        if lost := recorded.lost(sequences):
            problems.append(f"{copy.host} lacks {len(lost)} acknowledged writes: {_some(lost)}")
        if resurrected := recorded.resurrected(sequences):
            problems.append(f"{copy.host} has {len(resurrected)} writes that had failed: {_some(resurrected)}")
        if copy.problem:
            problems.append(f"{copy.host}: {copy.problem}")
    if copies and sum(copy.primary for copy in copies) != 1:
        problems.append(f"{sum(copy.primary for copy in copies)} primaries")
    if len({copy.timeline for copy in copies}) > 1:
        problems.append("timelines differ: " + ", ".join(f"{copy.host} {copy.timeline}" for copy in copies))
    return problems


def _some(writes: Sequence[records.Write]) -> str:
    shown = ", ".join(str(write.sequence) for write in writes[:10])
    return f"{shown}, ..." if len(writes) > 10 else shown


def _row(step: Step, recorded: history.History, lost: set[int] | None) -> Row:
    acknowledged = recorded.acknowledged(step.started, step.ended) if step.written else None
    return Row(
        step=step.name,
        seconds=step.ended - step.started,
        longest_gap=recorded.longest_gap(step.started, step.ended) if step.written else None,
        acknowledged=None if acknowledged is None else len(acknowledged),
        lost=None if lost is None or acknowledged is None else sum(write.sequence in lost for write in acknowledged),
        switchovers=recorded.switchovers(step.started, step.ended) if step.written else None,
        revisions=step.revisions,
        resumed=step.resumed,
    )


def table(result: Result) -> rich.table.Table:
    """Return the rows as they are shown to people."""
    shown = rich.table.Table(box=rich.box.SIMPLE, show_footer=True)
    shown.add_column("Step", "Total", no_wrap=True)
    shown.add_column("Seconds", f"{sum(row.seconds for row in result.rows):.1f}", justify="right")
    for heading, key, style in [
        ("Longest write gap", "longest_gap", "{:.2f} s"),
        ("Acknowledged", "acknowledged", "{}"),
        ("Lost", "lost", "{}"),
        ("Switchovers", "switchovers", "{}"),
    ]:
        values = [value for row in result.rows if (value := getattr(row, key)) is not None]
        total = (max if key == "longest_gap" else sum)(values) if values else None
        shown.add_column(heading, "-" if total is None else style.format(total), justify="right")
    shown.add_column("Revisions", no_wrap=True)
    for row in result.rows:
        gap = "-" if row.longest_gap is None else f"{row.longest_gap:.2f} s"
        counts = ["-" if n is None else str(n) for n in (row.acknowledged, row.lost, row.switchovers)]
        shown.add_row(row.step, f"{row.seconds:.1f}", gap, *counts, " ".join(row.revisions) or "-")
    return shown
