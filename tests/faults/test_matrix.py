"""Each cell of the matrix, on real machines under writes (docs/reference/fault-matrix.md)."""

from __future__ import annotations

import os
import typing

import cells
import itineraries
import matrix
import trial


class Scene(typing.Protocol):
    """Plays lives."""

    def play(self, itinerary: itineraries.Itinerary) -> dict[str, trial.Outcome]:
        """Return the outcomes by the cells' names."""
        ...


class Stage(typing.Protocol):
    """Has a scene; another one after it was discarded."""

    def scene(self) -> Scene:
        """Return it."""
        ...

    def discard(self) -> None:
        """Let there be another."""


def test_cells(itinerary, stage):
    rows = play(itinerary, stage)
    failed = {name: row.problems for name, row in rows.items() if row.result == "failed"}
    assert not failed
    sure = [cell.name for cell in itinerary.cells if cell.limit and cell.limit.always]
    passed = [name for name in sure if rows[name].result == "passed"]
    assert not passed, "these pass: take them from the known limits"


def play(itinerary: itineraries.Itinerary, stage: Stage) -> dict[str, matrix.Row]:
    """Play a life and keep what its cells gave. Where anything was wrong the next one has another scene."""
    try:
        outcomes = stage.scene().play(itinerary)
    except BaseException as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        _keep({cell: trial.Outcome(problems=[problem]) for cell in itinerary.cells})
        stage.discard()
        raise
    rows = _keep({cell: outcomes[cell.name] for cell in itinerary.cells})
    if any(row.problems for row in rows.values()):
        stage.discard()
    return rows


def _keep(outcomes: dict[cells.Cell, trial.Outcome]) -> dict[str, matrix.Row]:
    rows = {cell.name: matrix.row(cell, outcome) for cell, outcome in outcomes.items()}
    for name, row in rows.items():
        print(name, row)
        if os.environ.get("FAULTS_KEEP") != "0":
            matrix.keep(name, row)
    return rows
