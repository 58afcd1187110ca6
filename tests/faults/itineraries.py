"""Which cells are played in one life of the application: those that cannot disturb each other.

A unit that was struck is whole again before the next one's turn, so a refresh has room for one cell of each of its
stages; a rollback for one before the pause, one at it, and one on the way back. Where that one needs the primary in its
place, none before it may move the primary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import cells

STAGES = (
    ("check",),
    (
        "upgrade-charm",
        "upgrade-charm-last",
        "hand-over",
        "handed-over",
        "drain",
        "stop",
        "snap",
        "snap-changed",
        "gate",
    ),
    ("paused",),
    ("resume", "resume-snap"),
    ("last-snap", "finish"),
)
"""The steps of a refresh; one stage is over before the next begins."""
_BEFORE_PAUSE, _PAUSE = 1, 2


@dataclasses.dataclass(frozen=True)
class Itinerary:
    """One life: a refresh, or one that is rolled back, with the cells on the way, in order."""

    life: str
    cells: tuple[cells.Cell, ...]

    @property
    def name(self) -> str:
        """The cells' names."""
        return " ".join(cell.name for cell in self.cells)

    @property
    def quick(self) -> bool:
        """Whether `make faults-quick` plays it."""
        return all(cell.quick for cell in self.cells)

    @property
    def primaries(self) -> frozenset[int]:
        """Where the primary may be at the beginning."""
        return frozenset.intersection(*(frozenset(cell.step.primaries) for cell in self.cells))


def plan(chosen: Sequence[cells.Cell]) -> list[Itinerary]:
    """Return lives that go through each of these cells once; quick ones are not mixed with others."""
    lives: list[Itinerary] = []
    for quick in (True, False):
        found = [cell for cell in chosen if cell.quick is quick]
        lives += _plan(found)
    order = {cell.name: number for number, cell in enumerate(chosen)}
    return sorted(lives, key=lambda life: min(order[cell.name] for cell in life.cells))


def singly(chosen: Sequence[cells.Cell]) -> list[Itinerary]:
    """Return one life for each cell."""
    return [Itinerary(cell.life, (cell,)) for cell in chosen]


def _plan(chosen: Iterable[cells.Cell]) -> list[Itinerary]:
    alone: list[Itinerary] = []
    back: list[cells.Cell] = []
    stages: list[list[cells.Cell]] = [[] for _ in STAGES]
    for cell in chosen:
        if cell.fault not in cells.EVERYWHERE:
            alone.append(Itinerary(cell.life, (cell,)))
        elif cell.life == "rollback":
            back.append(cell)
        else:
            [stage] = [number for number, steps in enumerate(STAGES) if cell.step.name in steps]
            stages[stage].append(cell)
    lives: list[Itinerary] = []
    for cell in back:
        on_the_way = [_take(stages[stage], cell) for stage in (_BEFORE_PAUSE, _PAUSE)]
        lives.append(Itinerary("rollback", (*filter(None, on_the_way), cell)))
    while any(stages):
        lives.append(Itinerary("refresh", tuple(stage.pop(0) for stage in stages if stage)))
    return alone + lives


def _take(stage: list[cells.Cell], before: cells.Cell) -> cells.Cell | None:
    """Take the first cell out of a stage that may come before the other one."""
    anywhere = before.step.primaries == cells.ANYWHERE
    found = next((each for each in stage if anywhere or each.fault not in cells.MOVES_PRIMARY), None)
    if found is not None:
        stage.remove(found)
    return found
