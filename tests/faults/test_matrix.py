"""Each cell of the matrix, on real machines under writes (docs/reference/fault-matrix.md)."""

from __future__ import annotations

import os

import matrix
import pytest
import scene


def test_cell(cell, stage):
    try:
        outcome = stage.scene().play(cell)
    except BaseException as error:
        _keep(cell, scene.Outcome(problems=[_first_line(error)]))
        stage.discard()
        raise
    _keep(cell, outcome)
    print(cell.name, outcome)
    if outcome.problems and cell.limit:
        pytest.xfail(cell.limit)
    assert not outcome.problems
    assert not cell.limit, "it passes: take it from the known limits"


def _keep(cell, outcome: scene.Outcome) -> None:
    if os.environ.get("FAULTS_KEEP") == "0":
        return
    result = "passed" if not outcome.problems else "limit" if cell.limit else "failed"

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 2)

    row = matrix.Row(
        result=result,
        recovery=rounded(outcome.recovery),
        seconds=rounded(outcome.seconds),
        gap=rounded(outcome.gap),
        promotions=outcome.promotions,
        commands=tuple(dict.fromkeys(outcome.commands)),
        problems=tuple(outcome.problems),
    )
    matrix.keep(cell.name, row)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
