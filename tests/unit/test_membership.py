"""Which change of the Raft cluster's membership is due: one at a time, and never of a node that may be a unit's."""

from __future__ import annotations

import dataclasses
import itertools
import typing

import pytest

import facts
import membership
import verified
from tests.fakes import known, workload
from tests.unit.conftest import Deployed


def test_nothing_is_due_in_a_settled_cluster() -> None:
    for number in range(3):
        assert membership.due(known.settled(number)) is None


def test_a_running_member_that_raft_does_not_know_adds_itself() -> None:
    view = known.raft_view(2, 0)
    assert membership.due(known.settled(2, raft=view)) == membership.Add(known.node(2))
    assert membership.due(known.settled(2, raft=view, machine_patroni_running=False)) is None
    assert membership.due(known.settled(2, raft=view, machine_has_raft_state=False)) is None


@pytest.mark.parametrize("connected", [{1, 2}, {1}, {2}, {1, 2, 3}])
@pytest.mark.parametrize("units", [2, 3, 4])
@pytest.mark.parametrize("leader", [True, False])
def test_only_a_node_that_nobody_claims_and_nobody_reaches_is_removed(
    connected: set[int], units: int, leader: bool
) -> None:
    given = known.settled(0, units, leader=leader, raft=known.raft_view(4, 0, connected=connected))
    dead = set(range(4)) - connected - set(range(units)) - {0}
    change = membership.due(given)
    majority = (len(connected) + 1) * 2 > 4
    if leader and dead and majority:
        assert change == membership.Remove(known.node(min(dead)))
    else:
        assert change is None


def test_a_leader_that_has_moved_does_not_remove_the_member_that_it_still_is() -> None:
    moved = known.settled(1, leader=True, machine_address="10.0.0.77", raft=known.raft_view(3, 2, connected={0}))
    assert membership.due(moved) is None
    dead = known.raft_view(5, 2, connected={0, 3})
    assert membership.due(dataclasses.replace(moved, raft=dead)) == membership.Remove(known.node(4))


@pytest.mark.parametrize(
    "changes",
    [
        {"raft": None},
        {"machine_address": None},
        {"planned": None},
        {"planned": frozenset({0, 1, 2, 3})},
        {"peers": (known.peer(1), known.peer(2, address=None))},
        {"raft": known.raft_view(4, 0, connected={1})},
    ],
)
def test_nothing_is_removed_unless_every_unit_is_in_sight(
    changes: dict[str, typing.Any],
) -> None:
    dead = known.raft_view(4, 0, connected={1, 2})
    assert membership.due(known.settled(0, 3, raft=dead)) == membership.Remove(known.node(3))
    assert membership.due(known.settled(0, 3, **(dict[str, typing.Any](raft=dead) | changes))) is None


def test_only_the_leader_looks_whether_the_members_are_the_units() -> None:
    assert membership.is_exact(known.settled(0, 3))
    assert not membership.is_exact(known.settled(0, 3, raft=known.raft_view(4, 0)))
    assert not membership.is_exact(known.settled(0, 3, raft=known.raft_view(2, 0)))
    assert membership.is_exact(known.settled(0, 3, raft=None))
    assert membership.is_exact(known.settled(1, 3, raft=known.raft_view(4, 1)))


def test_a_dead_member_that_seemed_alive_is_removed_without_another_event(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = deployed(3)
    on.world.raft.members.add("10.0.0.99:2222")
    monkeypatch.setattr(membership, "due", lambda _: None)
    on.world.advance(verified.LOOK_SECONDS)
    on.update_status()
    on.run(5)
    monkeypatch.undo()
    assert len(on.world.raft.members) == 4
    on.run(60)
    assert len(on.world.raft.members) == 3


@pytest.mark.parametrize("answers", [True, False])
def test_a_connection_to_a_node_that_nobody_claims_counts_only_if_it_answers(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    on = deployed(3)
    stray = "10.0.0.99:2222"
    on.world.raft.members.add(stray)
    execute = workload.Raft._execute

    def pretend(self: workload.Raft, node: str, command: list[str]) -> object:
        if node == stray:
            return {"self": stray} if answers else None
        answer = execute(self, node, command)
        return answer | {f"partner_node_status_server_{stray}": 2} if isinstance(answer, dict) else answer

    monkeypatch.setattr(workload.Raft, "_execute", pretend)
    on.world.advance(verified.LOOK_SECONDS)
    on.update_status()
    on.run(60)
    assert (stray in on.world.raft.members) is answers


def test_one_change_at_a_time_until_all_is_right() -> None:
    for units, members in itertools.product(range(1, 5), range(1, 7)):
        alive = set(range(min(units, members)))
        given: facts.Facts = known.settled(0, units)
        present = set(range(members))
        for _ in range(members):
            view = known.raft_view(max(present) + 1, 0, connected=alive - {0})
            nodes = frozenset(known.node(each) for each in present)
            quorum = len(alive) * 2 > len(present)
            view = type(view)(view.node, view.leader, quorum, view.connected, nodes)
            change = membership.due(known.settled(0, units, raft=view))
            if change is None:
                break
            assert isinstance(change, membership.Remove)
            present -= {next(each for each in present if known.node(each) == change.node)}
        assert alive <= present
        assert given.numbers == set(range(units))
