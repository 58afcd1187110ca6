"""Each cell of the matrix, on real machines under writes (docs/reference/fault-matrix.md)."""

from __future__ import annotations

import os

import cells
import life
import matrix


def test_cells(itinerary, stage):
    try:
        outcomes = stage.scene().play(itinerary)
    except BaseException as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        for cell in itinerary.cells:
            _keep(cell, life.Outcome(problems=[problem]))
        stage.discard()
        raise
    for cell in itinerary.cells:
        _keep(cell, outcomes[cell.name])
        print(cell.name, outcomes[cell.name])
    unexpected = {cell.name: outcomes[cell.name].problems for cell in itinerary.cells if not cell.limit}
    assert not {name: problems for name, problems in unexpected.items() if problems}
    passed = [cell.name for cell in itinerary.cells if cell.limit and not outcomes[cell.name].problems]
    assert not passed, "these pass: take them from the known limits"


def _keep(cell: cells.Cell, outcome: life.Outcome) -> None:
    if os.environ.get("FAULTS_KEEP") == "0":
        return
    row = matrix.Row(
        result="passed" if not outcome.problems else "limit" if cell.limit else "failed",
        recovery=_rounded(outcome.recovery),
        seconds=_rounded(outcome.seconds),
        gap=_rounded(outcome.gap),
        promotions=outcome.promotions,
        commands=tuple(dict.fromkeys(outcome.commands)),
        problems=tuple(outcome.problems),
    )
    matrix.keep(cell.name, row)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
