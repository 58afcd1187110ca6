"""The live view of a rehearsal: what is known of each unit, and how that looks on a terminal. No input, no output."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jubilant
import rich.box
import rich.console
import rich.padding
import rich.progress_bar
import rich.table
import rich.text

from rehearsal import deployment, history, records

STYLES = {"active": "green", "error": "bold red", "blocked": "red", "maintenance": "yellow", "waiting": "yellow"}
ROLES = {history.State.PRIMARY: "bold cyan", history.State.STANDBY: "blue", history.State.DOWN: "bold red"}
PHASES = ("serves", "stopped", "refreshed", "rejoining", "done")
"""What a unit comes through in a refresh."""
COLUMNS = (("Role", 7), ("Snap", 9), ("Step", 9), ("", 8))
"""The table's columns between the unit and its health, and their widths."""
PADDING = 3
ROOM = 44
"""Columns that health and agent need to be shown side by side."""
PULSE_SECONDS = 60
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit now."""

    name: str
    leader: bool
    status: str
    """Its workload status, in Juju's words."""
    message: str
    doing: str
    """What its agent is doing; empty if it is idle."""
    role: history.State | None = None
    """What it is to a client; None where nobody has asked yet."""
    revision: str = ""
    """The snap's; empty if it is not known."""
    target: str = ""
    """The revision that it shall come to; empty if to none."""

    @property
    def phase(self) -> int | None:
        """How far it has come, as an index of `PHASES`; None where that is not known."""
        if not self.target or self.role is None:
            return None
        serving = self.role is not history.State.DOWN
        if self.revision != self.target:
            return 0 if serving else 1
        if not serving:
            return 2
        return len(PHASES) - 1 if self.status == "active" else 3


@dataclasses.dataclass(frozen=True)
class Writes:
    """How writing goes."""

    counts: Mapping[records.Outcome, int]
    gap: float
    """The longest of this step up to now, in seconds."""
    waiting: float
    """Seconds since a write was last acknowledged."""
    pulse: Sequence[int]
    """Acknowledged writes in each of the last seconds, oldest first."""


@dataclasses.dataclass(frozen=True)
class Situation:
    """Everything that is shown, at one time."""

    step: str
    begun: float
    """When the step began, on the monotonic clock."""
    number: int = 0
    """The step's, from 1 on; 0 while no plan is known."""
    plan: Sequence[str] = ()
    """All steps of the rehearsal."""
    units: Sequence[Unit] = ()
    application: str = ""
    """The application's status and message."""
    writes: Writes | None = None
    following: str = ""
    """What happens next."""


def units(
    status: jubilant.Status,
    application: str,
    roles: Mapping[str, history.State],
    revisions: Mapping[str, str],
    target: str,
) -> list[Unit]:
    """Return the application's units, in the order of their numbers.

    Args:
        status: The model's.
        application: Its name.
        roles: What each unit is to a client, as far as it is known.
        revisions: The snap's revision on each unit, as far as it is known.
        target: The revision that all shall come to; empty if to none.
    """
    if application not in status.apps:
        return []
    found = status.apps[application].units
    return [
        Unit(
            name=name,
            leader=found[name].leader,
            status=found[name].workload_status.current,
            message=found[name].workload_status.message,
            doing="" if found[name].juju_status.current == "idle" else _doing(found[name].juju_status),
            role=roles.get(name),
            revision=revisions.get(name, ""),
            target=target,
        )
        for name in sorted(found, key=deployment.number)
    ]


def _doing(status: jubilant.statustypes.StatusInfo) -> str:
    return status.message or status.current


def following(
    status: jubilant.Status, application: str, shown: Sequence[Unit], number: int, plan: Sequence[str]
) -> str:
    """Return what happens next: to whom the refresh comes, what it waits for, or the rehearsal's next step."""
    if shown and (pause := deployment.pause(status, application)):
        asked = f"`resume-refresh` on unit {pause.unit}"
        if deployment.healthy(status, application, pause.check_from):
            return asked
        return f"{asked}, once the units from {pause.check_from} on are healthy"
    underway = [unit for unit in shown if unit.phase is not None and unit.phase < len(PHASES) - 1]
    if underway:
        # Who has begun comes before who has not; among these the highest number is first.
        unit = max(underway, key=lambda unit: (bool(unit.phase), deployment.number(unit.name)))
        return f"{unit.name} {'refreshes' if not unit.phase else 'is ' + PHASES[unit.phase] + ', and comes back'}"
    return plan[number] if 0 < number < len(plan) else ""


def writes(recorded: history.History, begun: float, now: float) -> Writes | None:
    """Return how writing goes; None if nothing has been written yet."""
    if not recorded.writes:
        return None
    pulse = [
        len(recorded.acknowledged(second - 1, second))
        for second in (math.floor(now) - PULSE_SECONDS + 1 + offset for offset in range(PULSE_SECONDS))
    ]
    return Writes(
        counts=recorded.counts(),
        gap=recorded.longest_gap(begun, now) or 0.0,
        waiting=now - (recorded.last_acknowledged or recorded.writes[0].sent),
        pulse=pulse,
    )


def render(situation: Situation, now: float, width: int) -> rich.console.RenderableType:
    """Return the view.

    Args:
        situation: What is known.
        now: The monotonic clock.
        width: The terminal's columns.
    """
    parts: list[rich.console.RenderableType] = [_heading(situation, now)]
    if situation.units:
        parts.append(_table(situation.units, width))
    if situation.application:
        parts.append(_line("says", rich.text.Text(situation.application, style="dim")))
    if situation.writes:
        parts.append(_line("writes", _writing(situation.writes)))
        parts.append(_line("", _pulse(situation.writes.pulse[-max(width - 12, 1) :])))
    if situation.following:
        parts.append(_line("next", rich.text.Text(situation.following, style="bold")))
    return rich.padding.Padding(rich.console.Group(*parts), (1, 0, 0, 0))


def _line(label: str, text: rich.text.Text) -> rich.table.Table:
    line = rich.table.Table.grid(padding=(0, 2))
    line.add_column(width=6, justify="right", style="dim")
    line.add_column(ratio=1)
    line.add_row(label, text)
    return line


def _heading(situation: Situation, now: float) -> rich.console.RenderableType:
    heading = rich.table.Table.grid(padding=(0, 2), expand=False)
    text = rich.text.Text.assemble((situation.step, "bold"), (f"  {now - situation.begun:.0f} s", "dim"))
    if not situation.number:
        heading.add_row(text)
        return heading
    total = len(situation.plan)
    bar = _bar(situation.number - 1 + _share(situation), total, 24)
    heading.add_row(bar, rich.text.Text(f"{situation.number} of {total}", style="dim"), text)
    return heading


def _bar(completed: float, total: float, width: int) -> rich.progress_bar.ProgressBar:
    return rich.progress_bar.ProgressBar(
        total=total, completed=completed, width=width, complete_style="cyan", finished_style="green"
    )


def _share(situation: Situation) -> float:
    """How much of the step is done, as far as the units tell it."""
    phases = [unit.phase for unit in situation.units if unit.phase is not None]
    return sum(phases) / (len(phases) * (len(PHASES) - 1)) if phases else 0.0


def _table(shown: Sequence[Unit], width: int) -> rich.table.Table:
    name = max(len(unit.name) for unit in shown) + 1
    rest = width - sum(least + PADDING for _, least in COLUMNS) - name - 3 * PADDING
    agent = rest * 2 // 5 if rest >= ROOM else 0
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("Unit", min_width=name, no_wrap=True)
    for heading, least in COLUMNS:
        table.add_column(heading, min_width=least, no_wrap=True)
    table.add_column("Health", max_width=max(rest - agent, 1), no_wrap=True, overflow="ellipsis")
    if agent:
        table.add_column("Agent", max_width=agent, no_wrap=True, overflow="ellipsis")
    for unit in shown:
        phase = unit.phase
        done = phase == len(PHASES) - 1
        cells: list[rich.console.RenderableType] = [
            rich.text.Text.assemble(unit.name, ("*" if unit.leader else " ", "bold")),
            rich.text.Text(str(unit.role or "-"), ROLES[unit.role] if unit.role else "dim"),
            _revision(unit),
            rich.text.Text("-" if phase is None else PHASES[phase], "green" if done else "yellow" if phase else "dim"),
            _bar(phase or 0, len(PHASES) - 1, 8),
            _health(unit),
        ]
        if agent:
            cells.append(rich.text.Text(unit.doing.removeprefix("running "), "dim"))
        table.add_row(*cells)
    return table


def _revision(unit: Unit) -> rich.text.Text:
    known = unit.revision or "-"
    if unit.revision and unit.target and unit.revision != unit.target:
        return rich.text.Text.assemble((known, "yellow"), (f" → {unit.target}", "dim"))
    return rich.text.Text(known, "green" if unit.target else "")


def _health(unit: Unit) -> rich.text.Text:
    text = rich.text.Text(unit.status, STYLES.get(unit.status, ""))
    return text.append(f": {unit.message}", "dim") if unit.message and unit.status != "active" else text


def _writing(shown: Writes) -> rich.text.Text:
    failed, indeterminate = (shown.counts.get(o, 0) for o in (records.Outcome.FAILED, records.Outcome.INDETERMINATE))
    return rich.text.Text.assemble(
        (f"{shown.counts.get(records.Outcome.ACKNOWLEDGED, 0)}", "green"),
        " acknowledged, ",
        (f"{failed}", "yellow" if failed else ""),
        " failed, ",
        (f"{indeterminate}", "yellow" if indeterminate else ""),
        " indeterminate;  longest gap ",
        (f"{shown.gap:.2f} s", "bold red" if shown.gap >= 1 else "bold"),
        *([(f", waiting for {shown.waiting:.1f} s", "bold red")] if shown.waiting >= 1 else []),
    )


def _pulse(pulse: Sequence[int]) -> rich.text.Text:
    """Return the last seconds as bars: how many writes were acknowledged in each, none in red."""
    most = max([*pulse, 1])
    text = rich.text.Text()
    for count in pulse:
        block = _BLOCKS[round(count / most * (len(_BLOCKS) - 1))]
        text.append(block, "green" if count else "red")
    return text
