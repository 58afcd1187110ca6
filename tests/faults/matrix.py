"""The matrix: what the cells' trials have given, kept as JSON, and the page that is made from it."""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
import typing
from collections.abc import Iterable, Mapping

import cells
import trial

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/reference/fault-matrix.md"
RESULTS = DOCUMENT.with_suffix(".json")
NOT_RUN = "not run yet"

_HEAD = """# Fault matrix

What happens when a refresh or a rollback is cut into at each of its steps: three units on real machines, under writes.
`make faults` plays all cells and writes this page; `make faults CELLS='refresh/snap/*'` plays some and replaces their
rows. What each cell gave is in `fault-matrix.json` beside it.

A cell passes if the fault has happened as it should, which is proved (a hook that was cut off has failed, snapd tells
of the hook that was to fail, a disk had no block left), if afterwards all units run the version that the operator asked
for, and meanwhile

- no two servers were primaries at once, and every acknowledged write is on every unit, with right checksums;
- the primary moved as often as it had to; where the fault befell the primary or its successor, once less, or up to
  twice more: a failover, and a hand-over where that chose a unit whose turn is still to come;
- no unit had a revision of the snap but the old and the new one, and in a rollback the new one on unit 2 alone;
- the statuses alone told the operator what to do;
- all of this was sampled without a hole;

and if then an update-status and two config-changed on each unit change nothing: no databag, no service, no unit file,
no configuration, no state file of the charm, no snap, no status.

A rollback begins at the pause after the first unit. *Recovery* is the time from the cut until the unit's PostgreSQL
answers and the unit has taken an event: a hook, an action, or an update-status that it is given once no unit has
anything more to do. The fault's own time is included. *Gap* is the longest time without an acknowledged write from the
cut to the end, or to the next cut, regular hand-overs included: where they do not disturb each other, several cells are
played in one refresh, each when the one before is over. Both depend on the host, which was loaded. A command is what
the operator had to run beside the refresh and its `resume-refresh`, with its number where it was run more than once.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """What one cell gave."""

    result: str
    """"passed", "limit" or "failed"."""
    recovery: float | None = None
    seconds: float | None = None
    gap: float | None = None
    promotions: int | None = None
    commands: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def row(cell: cells.Cell, outcome: trial.Outcome) -> Row:
    """Return what a cell gave. Nothing has passed of which it is not known when it had recovered."""
    problems = list(outcome.problems)
    if not problems and outcome.recovery is None:
        problems.append("it is not known when it recovered")
    result = "failed"
    if not problems:
        result = "passed"
    elif cell.limit is not None and cell.limit.covers(problems):
        result = "limit"
    return Row(
        result=result,
        recovery=_rounded(outcome.recovery),
        seconds=_rounded(outcome.seconds),
        gap=_rounded(outcome.gap),
        promotions=outcome.promotions,
        commands=tuple(_counted(outcome.commands)),
        failures=tuple(outcome.failures),
        problems=tuple(problems),
    )


def _counted(texts: Iterable[str]) -> list[str]:
    """Each once, with its number where it was there more than once."""
    return [f"{text} x {number}" if number > 1 else text for text, number in collections.Counter(texts).items()]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def load(path: pathlib.Path = RESULTS) -> dict[str, Row]:
    """Return what is kept, by the cells' names."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text())
    return {name: _row(fields) for name, fields in kept.items()}


def _row(fields: dict[str, typing.Any]) -> Row:
    lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    return Row(**{**fields, **lists})


def keep(name: str, found: Row, path: pathlib.Path = RESULTS, document: pathlib.Path = DOCUMENT) -> None:
    """Replace a cell's row, and write the page anew."""
    rows = load(path) | {name: found}
    known = {cell.name for cell in cells.CELLS}
    rows = {each: rows[each] for each in sorted(rows) if each in known}
    path.write_text(json.dumps({each: dataclasses.asdict(kept) for each, kept in rows.items()}, indent=1) + "\n")
    document.write_text(page(rows))


def page(rows: Mapping[str, Row]) -> str:
    """Return the page."""
    parts = [_HEAD, _count(rows)]
    for life, steps in cells.LIVES.items():
        parts.append(f"## A {life}\n\n{_grid(life, steps.values(), rows)}")
    parts.append(f"## What befalls each step\n\n{_meanings(cells.EVERYWHERE)}")
    parts.append(f"## Other faults\n\n{_others(rows)}")
    parts.append(f"## Steps\n\n{_meanings({f'{n}': s.what for n, s in _steps().items()})}")
    failures = _failures(rows)
    if failures:
        parts.append(f"## Actions that failed on the way\n\n{failures}")
    notes = _notes(rows)
    if notes:
        parts.append(f"## What did not pass\n\n{notes}")
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _steps() -> dict[str, cells.Step]:
    return {name: step for steps in reversed(cells.LIVES.values()) for name, step in steps.items()}


def _count(rows: Mapping[str, Row]) -> str:
    results = [rows[cell.name].result if cell.name in rows else NOT_RUN for cell in cells.CELLS]
    counted = [(results.count(result), result) for result in ("passed", "limit", "failed", NOT_RUN)]
    names = {"limit": "known limits"}
    return (
        f"Of {len(results)} cells "
        + ", ".join(f"{number} {names.get(result, result)}" for number, result in counted if number)
        + ".\n"
    )


def _grid(life: str, steps: Iterable[cells.Step], rows: Mapping[str, Row]) -> str:
    faults = list(cells.EVERYWHERE)
    lines = [f"| step | {' | '.join(faults)} |", f"|---|{'---|' * len(faults)}"]
    names = {cell.name for cell in cells.CELLS}
    for step in steps:
        found = [f"{life}/{step.name}/{fault}" for fault in faults]
        lines.append(f"| {step.name} | {' | '.join(_short(rows.get(n)) if n in names else '-' for n in found)} |")
    return (
        "\n".join(
            [*lines, "", "In a cell: seconds of recovery, seconds of the longest gap, the command if there is one."]
        )
        + "\n"
    )


def _short(found: Row | None) -> str:
    if found is None:
        return NOT_RUN
    if found.result != "passed":
        return f"**{found.result}**"
    return "; ".join([_seconds(found.recovery), f"gap {_seconds(found.gap)}", *found.commands])


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f} s"


def _others(rows: Mapping[str, Row]) -> str:
    lines = ["| fault | what | at | result | recovery | gap | command |", "|---|---|---|---|---|---|---|"]
    for cell in cells.CELLS:
        if cell.fault not in cells.ELSEWHERE:
            continue
        found = rows.get(cell.name)
        fields = [cell.fault, cells.ELSEWHERE[cell.fault], cell.step.name]
        if found is None:
            fields += [NOT_RUN, "", "", ""]
        else:
            result = found.result if found.result == "passed" else f"**{found.result}**"
            fields += [result, _seconds(found.recovery), _seconds(found.gap), "; ".join(found.commands)]
        lines.append(f"| {' | '.join(fields)} |")
    return "\n".join(lines) + "\n"


def _meanings(meanings: Mapping[str, str]) -> str:
    return "\n".join(["| name | meaning |", "|---|---|", *(f"| {k} | {v} |" for k, v in meanings.items())]) + "\n"


def _failures(rows: Mapping[str, Row]) -> str:
    told = {cell.name: rows[cell.name].failures for cell in cells.CELLS if cell.name in rows}
    lines = [f"- **{name}**: {'; '.join(_counted(failures))}" for name, failures in told.items() if failures]
    return "\n".join(lines) + "\n" if lines else ""


def _notes(rows: Mapping[str, Row]) -> str:
    lines: list[str] = []
    for cell in cells.CELLS:
        found = rows.get(cell.name)
        if found is not None and found.result != "passed":
            reason = cell.limit.reason if cell.limit and found.result == "limit" else ""
            told = f"{'; '.join(found.problems)}. {reason}".strip(". ")
            lines.append(f"- **{cell.name}** ({found.result}): {told}.")
    return "\n".join(lines) + "\n" if lines else ""
