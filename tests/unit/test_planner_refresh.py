"""Refreshes as the planner leads them: who may be next, who takes over, and what a whole refresh costs."""

from __future__ import annotations

import itertools
import typing

import pytest

import facts
import handover
import planner
from steps import HandOver, Step
from tests.fakes import known
from workload import cluster, configuration, snap


def refreshing(number: int, count: int, primary: int, refreshed: set[int], synchronous: set[int]) -> facts.Facts:
    """A unit that has refreshed, in the hooks after that."""
    return known.settled(
        number,
        count,
        primary,
        peers=tuple(known.peer(each, refreshed=each in refreshed) for each in range(count) if each != number),
        cluster=known.view(count, primary, synchronous),
        refresh=facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED, next_unit_allowed=False),
    )


@pytest.mark.parametrize("count", range(1, 8))
def test_a_primary_is_never_allowed_to_refresh_and_goes_to_a_refreshed_unit(count: int) -> None:
    for primary, length in itertools.product(range(count), range(1, count + 1)):
        refreshed = set(range(count - length, count))
        standbys = sorted(set(range(count)) - {primary})
        for chosen in itertools.chain.from_iterable(
            itertools.combinations(standbys, size) for size in range(len(standbys) + 1)
        ):
            for number in {min(refreshed), max(refreshed)}:
                given = refreshing(number, count, primary, refreshed, set(chosen))
                following = max((each for each in range(number) if each not in refreshed), default=None)
                steps = planner.plan(given)
                takers = [step.candidate for step in steps if isinstance(step, HandOver)]
                if Step.ALLOW_NEXT_UNIT in steps:
                    assert following != primary
                    assert not takers
                    assert count == 1 or chosen
                if takers:
                    assert following == primary
                    assert takers == [known.name(max(refreshed & set(chosen)))]
                if following == primary and not refreshed & set(chosen):
                    assert Step.ALLOW_NEXT_UNIT not in steps


@pytest.mark.parametrize(("count", "primary"), [(count, primary) for count in range(1, 8) for primary in range(count)])
def test_a_whole_refresh_costs_one_switchover_and_two_where_the_primary_is_the_highest_unit(
    count: int, primary: int
) -> None:
    switchovers = 0
    refreshed: set[int] = set()
    holder = primary
    for number in reversed(range(count)):
        if number == holder and count > 1:
            # The only one that may be the primary when its turn comes is the first: it hands over by itself.
            assert number == count - 1
            candidate = handover.choose(known.view(count, holder), synchronous=True)
            assert isinstance(candidate, cluster.Member)
            holder, switchovers = int(candidate.name.rpartition("-")[2]), switchovers + 1
        refreshed.add(number)
        steps: tuple[object, ...] = ()
        for _ in range(2):
            standbys = set(range(count)) - {holder}
            steps = planner.plan(refreshing(number, count, holder, refreshed, standbys))
            takers = [int(step.candidate.rpartition("-")[2]) for step in steps if isinstance(step, HandOver)]
            if not takers:
                break
            (holder,) = takers
            assert holder in refreshed
            switchovers += 1
        assert Step.ALLOW_NEXT_UNIT in steps
    assert switchovers == (0 if count == 1 else 2 if primary == count - 1 else 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"machine_snap": snap.SnapState("366", True)},
        {"machine_snap": None},
        {"machine_patroni_running": False},
        {"cluster": None},
        {"cluster": known.view(3, changes={1: {"state": "starting"}})},
        {"cluster": known.view(3, changes={2: {"state": "starting"}})},
        {"cluster": known.view(2)},
        {"cluster": known.view(3, synchronous=())},
        {"cluster": known.view(3, primary=None)},
        {"cluster": known.view(3, synchronous={1}, changes={2: {"lag": 2**21}})},
        {"cluster": known.view(3, synchronous={1}, changes={2: {"lag": None}})},
    ],
)
def test_the_next_unit_waits_until_all_is_healthy(changes: dict[str, typing.Any]) -> None:
    waiting = facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED, next_unit_allowed=False)
    assert Step.ALLOW_NEXT_UNIT in planner.plan(known.settled(2, refresh=waiting))
    steps = planner.plan(known.settled(2, refresh=waiting, **changes))
    assert Step.ALLOW_NEXT_UNIT not in steps
    assert not [step for step in steps if isinstance(step, HandOver)]


def test_a_unit_that_was_installed_allows_the_next_one_though_no_refresh_is_in_progress() -> None:
    idle = facts.RefreshFacts(pinned_revision=known.PINNED, next_unit_allowed=False)
    assert Step.ALLOW_NEXT_UNIT in planner.plan(known.settled(1, primary=0, refresh=idle))


def test_the_wanted_synchronous_standbys_follow_the_units_that_juju_wants() -> None:
    growing = known.settled(count=3, planned=frozenset(range(5)))
    assert planner.dynamic_configuration_patch(growing) == {"synchronous_node_count": 4}
    alone = known.settled(count=1, planned=None, dynamic_configuration=configuration.dynamic(2))
    assert planner.dynamic_configuration_patch(alone) == {"synchronous_mode": False, "synchronous_node_count": 1}
