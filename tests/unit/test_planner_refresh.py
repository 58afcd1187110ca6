"""Refreshes as the planner leads them: who may be next, who takes over, and what a whole refresh costs."""

from __future__ import annotations

import collections.abc
import dataclasses
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


def subsets(numbers: set[int]) -> collections.abc.Iterator[set[int]]:
    """Every subset."""
    for size in range(len(numbers) + 1):
        yield from map(set, itertools.combinations(sorted(numbers), size))


PLACEMENTS = [(count, primary) for count in range(1, 8) for primary in range(count)]


@pytest.mark.parametrize(("count", "primary"), PLACEMENTS)
def test_a_primary_is_never_allowed_to_refresh_and_goes_to_a_refreshed_unit(count: int, primary: int) -> None:
    """Every placement of the primary, of synchronous standbys and of the leader, after each unit's refresh."""
    for length in range(1, count + 1):
        refreshed = set(range(count - length, count))
        number = min(refreshed)
        following = number - 1 if number else None
        for chosen in subsets(set(range(count)) - {primary}):
            by_leader = set()
            for leader in {0, number, count - 1}:
                given = refreshing(number, count, primary, refreshed, chosen)
                given = dataclasses.replace(given, leader=leader == number)
                steps = planner.plan(given)
                takers = [step.candidate for step in steps if isinstance(step, HandOver)]
                allowed = Step.ALLOW_NEXT_UNIT in steps
                by_leader.add((allowed, tuple(takers)))
                healthy = count == 1 or bool(chosen)
                fit = refreshed & chosen
                assert allowed is (healthy and following != primary)
                assert takers == ([known.name(max(fit))] if healthy and following == primary and fit else [])
            # Who is Juju's leader has no say in it.
            assert len(by_leader) == 1


def played(count: int, primary: int, chosen: set[int], leader: int) -> tuple[list[int], list[int]]:
    """A refresh from the first unit to the last; the new primaries in order, and the units that had to stop as primary.

    chosen: synchronous standbys at the beginning; afterwards the old primary is one in the new one's place.
    """
    holder, refreshed, takers, stopped = primary, set[int](), list[int](), list[int]()

    def hand_over(candidate: str) -> None:
        nonlocal holder
        taker = int(candidate.rpartition("-")[2])
        assert taker in chosen
        chosen.discard(taker)
        chosen.add(holder)
        holder = taker
        takers.append(taker)

    for number in reversed(range(count)):
        if number == holder and count > 1:
            # Only the first can be the primary when its turn comes: it hands over by itself, in the hook before.
            assert number == count - 1
            candidate = handover.choose(known.view(count, holder, chosen), synchronous=True)
            assert isinstance(candidate, cluster.Member)
            hand_over(candidate.name)
        if number == holder:
            stopped.append(number)
        refreshed.add(number)
        for _ in range(3):
            given = refreshing(number, count, holder, refreshed, chosen)
            steps = planner.plan(dataclasses.replace(given, leader=number == leader))
            if Step.ALLOW_NEXT_UNIT in steps:
                break
            (step,) = [step for step in steps if isinstance(step, HandOver)]
            assert int(step.candidate.rpartition("-")[2]) in refreshed
            hand_over(step.candidate)
        else:
            raise AssertionError("the refresh does not go on")
    return takers, stopped


@pytest.mark.parametrize(("count", "primary"), PLACEMENTS)
def test_a_whole_refresh_costs_one_switchover_and_two_where_the_primary_is_the_highest_unit(
    count: int, primary: int
) -> None:
    """Every placement of the primary, of the synchronous standbys and of the leader.

    Of those that synchronous mode allows: a unit that has refreshed streams, and is one of the synchronous standbys as
    all of them are by default. With fewer the refresh waits, which the test before this one has.
    """
    for leader in range(count):
        takers, stopped = played(count, primary, set(range(count)) - {primary}, leader)
        assert len(takers) == (0 if count == 1 else 2 if primary == count - 1 else 1)
        # Only a unit alone stops as the primary; and the last primary is a unit that has refreshed.
        assert stopped == ([0] if count == 1 else [])
        if takers:
            assert takers[-1] == max(set(range(count)) - ({takers[0]} if len(takers) == 2 else set()))


@pytest.mark.parametrize(("count", "primary"), [each for each in PLACEMENTS if each[0] > 1])
def test_with_some_synchronous_standbys_it_costs_no_more(count: int, primary: int) -> None:
    """Every set of synchronous standbys in which a refreshed unit can take over from the primary when it has to."""
    highest = count - 1
    for chosen in subsets(set(range(count)) - {primary}):
        # Patroni keeps a standby that streams as synchronous: so one above the primary stays one.
        if (primary != highest and max(chosen, default=-1) < primary) or not chosen:
            continue
        if primary == highest and count > 2 and max(chosen) == 0 and len(chosen) == 1:
            continue
        takers, stopped = played(count, primary, set(chosen), 0)
        assert len(takers) <= (2 if primary == highest else 1)
        assert not stopped


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


WOKEN = {
    "no synchronous standby": known.view(3, synchronous=()),
    "it starts": known.view(3, synchronous={1}, changes={2: {"state": "starting"}}),
    "lag not known": known.view(3, synchronous={1}, changes={2: {"lag": None}}),
}
ASLEEP = {
    "all are synchronous": known.view(3, changes={1: {"state": "starting"}}),
    "no primary": known.view(3, primary=None),
    "not known": None,
    "paused": dataclasses.replace(known.view(3, synchronous={1}), paused=True),
}


@pytest.mark.parametrize("view", WOKEN.values(), ids=WOKEN)
def test_patroni_is_woken_where_the_next_unit_waits_for_a_standby(view: cluster.ClusterView) -> None:
    waiting = facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED, next_unit_allowed=False)
    assert Step.WAKE_PATRONI in planner.plan(known.settled(2, refresh=waiting, cluster=view))
    # Nobody waits for it before, nor after.
    before = snap.SnapState("366", True)
    assert Step.WAKE_PATRONI not in planner.plan(known.settled(2, refresh=waiting, cluster=view, machine_snap=before))
    allowed = dataclasses.replace(waiting, next_unit_allowed=True)
    assert Step.WAKE_PATRONI not in planner.plan(known.settled(2, refresh=allowed, cluster=view))


@pytest.mark.parametrize("view", ASLEEP.values(), ids=ASLEEP)
def test_and_only_where_it_can_change_something(view: cluster.ClusterView | None) -> None:
    waiting = facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED, next_unit_allowed=False)
    steps = planner.plan(known.settled(2, refresh=waiting, cluster=view))
    assert Step.WAKE_PATRONI not in steps
    assert Step.ALLOW_NEXT_UNIT not in steps


def test_patroni_is_woken_where_the_next_unit_is_the_primary_and_this_one_cannot_take_over_yet() -> None:
    given = refreshing(2, 3, primary=1, refreshed={2}, synchronous={0})
    assert Step.WAKE_PATRONI in planner.plan(given)
    given = refreshing(2, 3, primary=1, refreshed={2}, synchronous={0, 2})
    assert Step.WAKE_PATRONI not in planner.plan(given)


def test_patroni_is_woken_where_the_next_unit_may_go_on_before_this_one_is_a_synchronous_standby() -> None:
    given = refreshing(1, 3, primary=2, refreshed={2, 1}, synchronous={0})
    assert {Step.WAKE_PATRONI, Step.ALLOW_NEXT_UNIT} <= set(planner.plan(given))
    given = refreshing(1, 3, primary=2, refreshed={2, 1}, synchronous={0, 1})
    assert Step.WAKE_PATRONI not in planner.plan(given)


def test_a_unit_that_was_installed_allows_the_next_one_though_no_refresh_is_in_progress() -> None:
    idle = facts.RefreshFacts(pinned_revision=known.PINNED, next_unit_allowed=False)
    assert Step.ALLOW_NEXT_UNIT in planner.plan(known.settled(1, primary=0, refresh=idle))


def test_the_wanted_synchronous_standbys_follow_the_units_that_juju_wants() -> None:
    growing = known.settled(count=3, planned=frozenset(range(5)))
    assert planner.dynamic_configuration_patch(growing) == {"synchronous_node_count": 4}
    alone = known.settled(count=1, planned=None, dynamic_configuration=configuration.dynamic(2))
    assert planner.dynamic_configuration_patch(alone) == {"synchronous_mode": False, "synchronous_node_count": 1}
