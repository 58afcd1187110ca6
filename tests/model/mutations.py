"""Breaks the charm on purpose, one place at a time, and sees whether the model tests find it.

`python -m tests.model.mutations [NAME...]` plays lives against each broken charm until one goes wrong, and prints after
how many seconds and how. It fails if one lives on undetected, or is noticed by another rule than the one it breaks, as
one that only crashes is. The charm is broken in the memory of a fork server of its own; no file is changed.
"""

from __future__ import annotations

import argparse
import collections.abc
import dataclasses
import functools
import re
import sys
import time

import hypothesis
import pytest
from hypothesis import stateful

from tests.model import broken, deployed, life, stage, test_lives, test_refresh, test_scenarios, versions

COUNTS = (3, 2, 1)


@dataclasses.dataclass(frozen=True)
class Found:
    """How a mutation was found."""

    seconds: float
    place: int
    """The how-manieth that was played."""
    reason: str
    is_expected: bool
    """Whether it is what the mutation breaks, and not that the charm fails in some other way."""


def played(on: stage.Stage, examples: int, steps: int) -> collections.abc.Iterator[collections.abc.Callable[[], None]]:
    """What is played: undisturbed refreshes, the lives that are told by hand, then random ones."""
    for count in COUNTS:
        yield functools.partial(undisturbed, on, count)
    for version in (versions.INCOMPATIBLE, versions.UNRELEASED):
        yield functools.partial(test_refresh.test_what_is_not_supported_is_refused_and_the_status_leads_back, version)
    yield test_scenarios.test_a_unit_that_joins_while_the_refresh_is_paused_confirms_nothing
    yield test_scenarios.test_the_only_refreshed_unit_that_leaves_confirms_nothing
    yield test_scenarios.test_a_unit_that_becomes_the_primary_just_before_its_turn
    yield test_scenarios.test_a_refresh_does_not_begin_while_a_member_is_gone
    yield test_scenarios.test_a_refresh_does_not_begin_with_a_pause_that_there_is_not
    yield test_scenarios.test_no_unit_is_stopped_before_a_refreshed_one_that_starts_slowly_follows
    yield test_scenarios.test_a_unit_whose_snap_has_failed_serves_again_within_the_event
    for fault in ("unchanged", "changed"):
        yield functools.partial(test_scenarios.test_a_snap_that_fails_and_a_way_back, fault)
    settings = hypothesis.settings(
        test_lives.PROFILE,
        max_examples=examples,
        stateful_step_count=steps,
        phases=[hypothesis.Phase.generate],
        report_multiple_bugs=False,
    )
    for count in COUNTS:
        machine = type(f"Lives{count}", (test_lives.Lives,), {"count": count, "on": on})
        yield functools.partial(stateful.run_state_machine_as_test, machine, settings=settings)


def hunt(plays: collections.abc.Iterable[collections.abc.Callable[[], None]], expected: str) -> Found | None:
    """Play until something goes wrong; None if nothing does. expected: what may (broken.Mutation)."""
    began = time.monotonic()
    for number, play in enumerate(plays, 1):
        try:
            play()
        except (AssertionError, pytest.fail.Exception) as error:
            reason = str(error).partition("\n")[0]
            is_expected = re.search(expected, reason) is not None
            return Found(time.monotonic() - began, number, re.sub(r"\s+", " ", reason)[:160], is_expected)
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


def _told(found: Found | None) -> str:
    if found is None:
        return "NOT FOUND"
    how = "found" if found.is_expected else "FAILS FOR ANOTHER REASON"
    return f"{how} in {found.seconds:.0f} s, play {found.place}: {found.reason}"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Breaks the charm on purpose and sees whether the model tests notice.")
    parser.add_argument("name", nargs="*", help="mutations to try; all if none is named")
    parser.add_argument("--examples", type=int, default=20, help="random lives for each number of units")
    parser.add_argument("--steps", type=int, default=30, help="steps of each life")
    arguments = parser.parse_args()
    chosen = [each for each in broken.MUTATIONS if not arguments.name or each.name in arguments.name]
    place, missed = stage.shared(), 0
    for count in COUNTS:
        # By the charm as it is, so that each life begins well.
        with deployed.application(place, count):
            pass
    for mutation in chosen:
        with place.broken(f"{broken.__name__}:{mutation.name}"):
            found = hunt(played(place, arguments.examples, arguments.steps), mutation.expected)
        missed += found is None or not found.is_expected
        print(f"{mutation.name}: {_told(found)}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
