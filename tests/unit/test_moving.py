"""How a member lets itself go before it follows a new address: by its own vote, where the others need it."""

from __future__ import annotations

import collections.abc
import typing

import pytest

import execution
from tests.fakes import known
from workload import raft

NEW = "10.0.0.99"


class Nodes:
    """Raft's members: what they are asked for."""

    def __init__(self, lets_go: bool, has_gone: bool):
        self.asked: list[tuple[str, ...]] = []
        self._lets_go = lets_go
        members = {known.node(1)} if has_gone else {known.node(0), known.node(1)}
        self._view = raft.RaftView(known.node(1), known.node(1), True, frozenset(), frozenset(members))

    def raft(self, password: str) -> Nodes:
        assert password == known.PASSWORDS.raft
        return self

    def remove(self, via: str, node: str) -> bool:
        self.asked.append(("remove", via, node))
        return self._lets_go

    def transfer_leadership(self, leader: str, to: str) -> bool:
        self.asked.append(("transfer", leader, to))
        return True

    def view(self, node: str) -> raft.RaftView:
        self.asked.append(("view", node))
        return self._view


def leave(nodes: Nodes, view: raft.RaftView | None) -> None:
    """What unit 0 does first when it moves."""
    moved = known.settled(0, machine_address=NEW, raft=view)
    parts = typing.cast(typing.Any, nodes)
    execution.Executor(moved, parts, parts, lambda: None, parts)._leave_with_own_vote()


def view(count: int, connected: collections.abc.Collection[int], leader: int = 1) -> raft.RaftView:
    found = known.raft_view(count, 0, connected)
    return raft.RaftView(found.node, known.node(leader), found.has_quorum, found.connected, found.members)


class Stub(Nodes):
    """With what an executor wants to know of its parts."""

    def __getattr__(self, name: str) -> typing.Any:
        return self if name in ("snap", "paths") else lambda *_: None


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(None, id="nobody tells"),
        pytest.param(view(3, {1, 2}), id="the others are a majority"),
        pytest.param(view(1, set(), leader=0), id="it is alone"),
    ],
)
def test_it_asks_nobody(seen: raft.RaftView | None) -> None:
    nodes = Stub(lets_go=False, has_gone=False)
    leave(nodes, seen)
    assert nodes.asked == []


def test_the_others_let_it_go_before_it_stops() -> None:
    nodes = Stub(lets_go=True, has_gone=False)
    leave(nodes, view(2, {1}))
    assert nodes.asked == [("remove", known.node(1), known.node(0))]


def test_it_has_gone_already() -> None:
    nodes = Stub(lets_go=False, has_gone=True)
    leave(nodes, view(2, {1}))
    assert nodes.asked[-1] == ("view", known.node(1))


def test_it_stays_where_it_is_not_let_go() -> None:
    with pytest.raises(raft.RaftError, match="did not let this one go"):
        leave(Stub(lets_go=False, has_gone=False), view(2, {1}))


def test_a_leader_lets_another_one_lead_first() -> None:
    # It is asked at its new address; the leader cannot be removed.
    nodes = Stub(lets_go=True, has_gone=False)
    with pytest.raises(raft.RaftError, match="has to lead Raft first"):
        leave(nodes, view(2, {1}, leader=0))
    assert nodes.asked == [("transfer", raft.node_address(NEW), known.node(1))]
