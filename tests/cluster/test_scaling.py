"""Units come and go while a client writes: nothing is lost, and the cluster has exactly the units as members."""

from __future__ import annotations

import time

import pytest

LONGEST_GAP = 15.0
"""Seconds without an acknowledged write that a planned hand-over may cost at most, on a host that is busy."""


@pytest.mark.quick
def test_three_units_serve_and_the_primary_leaves_only_after_another_took_over(three, write, measure):
    primary = three.primary()
    [client, *_] = [unit for unit in three.units() if unit != primary]
    data = three.data_directory(primary)
    compiled = three.compiled(client)
    # Hooks have imported it, and found it good.
    assert any("/src/__pycache__/planner." in name for name in compiled[True])
    assert compiled[False] == []
    with write(three) as writing:
        writing.move(client)
        begun = time.monotonic()
        three.juju.remove_unit(primary)
        three.await_gone(primary)
        assert (data / "PG_VERSION").exists()
        assert not (data / "postmaster.pid").exists(), "PostgreSQL was not stopped cleanly"
        three.settle(2)
        three.await_members()
        writing.await_write()
        measure("longest gap while the primary's unit was removed", writing.gap(begun))
        assert writing.gap(begun) < LONGEST_GAP
        three.juju.add_unit(three.application)
        three.settle(3)
        three.await_members()


def test_from_one_unit_to_five_and_back(empty, write, measure):
    empty.create(1)
    empty.settle(1)
    with write(empty) as writing:
        for more in (2, 2):
            count = len(empty.units()) + more
            begun = time.monotonic()
            empty.juju.add_unit(empty.application, num_units=more)
            empty.settle(count)
            empty.await_members()
            measure(f"longest gap while two units came, {count} then", writing.gap(begun))
            writing.move(writing.unit)  # to learn the new addresses, as clients of an endpoint do
        for whom in (empty.primary, empty.leader, empty.raft_leader, empty.primary):
            leaving = whom()
            assert leaving
            staying = [unit for unit in empty.units() if unit != leaving]
            writing.move(staying[-1])
            begun = time.monotonic()
            empty.juju.remove_unit(leaving)
            empty.await_gone(leaving)
            assert empty.settle(len(staying)) == staying
            empty.await_members()
            writing.await_write()
            measure(f"longest gap while the {whom.__name__} was removed, {len(staying)} left", writing.gap(begun))
            assert writing.gap(begun) < LONGEST_GAP


def test_two_of_three_leave_at_once(three, write, measure):
    """Those who leave are the primary and, where it is another one, Raft's leader: nobody can count on them."""
    first = three.primary()
    others = [unit for unit in three.units() if unit != first]
    second = three.raft_leader() if three.raft_leader() in others else others[0]
    [staying] = [unit for unit in others if unit != second]
    with write(three) as writing:
        writing.move(staying)
        begun = time.monotonic()
        three.juju.remove_unit(first, second)
        three.await_gone(first, second)
        assert three.settle(1) == [staying]
        three.await_members()
        writing.await_write()
        measure("longest gap while two of three units were removed", writing.gap(begun))
        three.juju.add_unit(three.application, num_units=2)
        three.settle(3)
        three.await_members()


@pytest.mark.parametrize("whom", ["primary", "standby"])
def test_a_unit_whose_machine_died_for_good_is_removed_by_force(three, write, measure, whom):
    primary = three.primary()
    dying = primary if whom == "primary" else next(unit for unit in three.units() if unit != primary)
    staying = [unit for unit in three.units() if unit != dying]
    with write(three) as writing:
        writing.move(staying[0])
        begun = time.monotonic()
        three.fault("crash", three.machine_number(dying))
        writing.await_write()
        measure(f"longest gap after the machine of the {whom} died", writing.gap(begun))
        three.juju.cli("remove-unit", dying, "--force", "--no-wait", "--no-prompt")
        three.await_gone(dying)
        assert three.settle(2) == staying
        three.await_members()
        three.juju.add_unit(three.application)
        three.settle(3)
        three.await_members()
