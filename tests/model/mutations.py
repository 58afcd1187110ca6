"""Breaks the charm on purpose, one place at a time, and sees whether the model tests find it.

`python -m tests.model.mutations [NAME...]` plays lives against each broken charm until one goes wrong, and prints after
how many seconds and how. It fails if one lives on undetected. The charm is broken in the memory of a fork server of its
own; no file is changed.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import time

import hypothesis
from hypothesis import stateful

from tests.model import broken, deployed, life, stage, test_lives, versions

COUNTS = (3, 2, 1)


@dataclasses.dataclass(frozen=True)
class Found:
    """How a mutation was found."""

    seconds: float
    lives: int
    reason: str


def hunt(on: stage.Stage, examples: int, steps: int) -> Found | None:
    """Play lives until one goes wrong: first refreshes that nobody disturbs, then random ones."""
    began, lives = time.monotonic(), 0
    for count in COUNTS:
        lives += 1
        try:
            undisturbed(on, count)
        except AssertionError as error:
            return Found(time.monotonic() - began, lives, _reason(error))
    for count in COUNTS:
        machine = type(f"Lives{count}", (test_lives.Lives,), {"count": count, "on": on})
        settings = hypothesis.settings(
            test_lives.PROFILE,
            max_examples=examples,
            stateful_step_count=steps,
            phases=[hypothesis.Phase.generate],
            report_multiple_bugs=False,
        )
        try:
            stateful.run_state_machine_as_test(machine, settings=settings)
        except AssertionError as error:
            return Found(time.monotonic() - began, lives, _reason(error))
        lives += examples
    return None


def undisturbed(on: stage.Stage, count: int) -> None:
    """A refresh and its rollback, by an operator who does what the statuses ask for. Raises AssertionError."""
    with life.Life(count, on) as lived:
        world = lived.simulation.world
        highest = world.raft.leader == f"{versions.APPLICATION}-{count - 1}"
        lived.refresh(versions.NEWER.revision)
        lived.end()
        expected = 0 if count == 1 else 1 + highest
        assert len(world.switchovers) == expected, f"{len(world.switchovers)} switchovers instead of {expected}"


def _reason(error: AssertionError) -> str:
    return re.sub(r"\s+", " ", str(error).partition("\n")[0])[:160]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Breaks the charm on purpose and sees whether the model tests notice.")
    parser.add_argument("name", nargs="*", help="mutations to try; all if none is named")
    parser.add_argument("--examples", type=int, default=20, help="random lives for each number of units")
    parser.add_argument("--steps", type=int, default=30, help="steps of each life")
    arguments = parser.parse_args()
    chosen = [each for each in broken.MUTATIONS if not arguments.name or each.__name__ in arguments.name]
    place, missed = stage.shared(), 0
    for count in COUNTS:
        # By the charm as it is, so that each life begins well.
        with deployed.application(place, count):
            pass
    for mutation in chosen:
        with place.broken(f"{broken.__name__}:{mutation.__name__}"):
            found = hunt(place, arguments.examples, arguments.steps)
        missed += found is None
        told = "NOT FOUND" if found is None else f"found in {found.seconds:.0f} s, life {found.lives}: {found.reason}"
        print(f"{mutation.__name__}: {told}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
