"""The address of a machine changes: its unit follows, so do the others, and a client that knows all of them goes on."""

from __future__ import annotations

import time

import application
import pytest

LONGEST_GAP = 60.0
"""Seconds without an acknowledged write while the primary is cut off by its own move: a failover, and its way back."""


def _told(three: application.Application) -> set[str]:
    return {member["host"] for member in three.patroni()["members"]}


def _move(three: application.Application, unit: str, address: str | None = None) -> str:
    """Give a unit's machine another address; return the old one, once the cluster has followed."""
    old = three.addresses()[unit]
    three.lab.readdress(three.hostname(unit), address)
    three.until(f"Juju knows {unit}'s new address", lambda: three.addresses()[unit] != old)
    three.until("the members have the units' addresses", lambda: _told(three) == set(three.addresses().values()))
    three.settle(3)
    three.await_members()
    assert old not in _told(three)
    return old


@pytest.fixture(params=[0, 1, 2], ids=["lowest", "middle", "highest"])
def moving(three: application.Application, request: pytest.FixtureRequest) -> str:
    """The unit that moves, by the place of its address in their order.

    Of two Raft nodes the one with the greater address connects. So after a move of the lowest nobody is connected with
    it, while the middle one goes on with the lowest under its old address, and the highest with both.
    """
    addresses = three.addresses()
    return sorted(addresses, key=lambda unit: f"{addresses[unit]}:2222")[request.param]


def _move_primary_to(three: application.Application, unit: str) -> None:
    if three.primary() != unit:
        three.action(unit, "switchover", candidate=unit)
        three.until(f"{unit} is the primary", lambda: three.primary() == unit)
        three.settle(3)


def test_a_standby_moves(three, moving, write, measure):
    other = next(unit for unit in three.units() if unit != moving)
    _move_primary_to(three, other)
    with write(three) as writing:
        writing.move(other)
        begun = time.monotonic()
        _move(three, moving)
        writing.await_write()
        measure("longest gap while a standby's address changed", writing.gap(begun))
        assert writing.gap(begun) < LONGEST_GAP


def test_the_primary_moves(three, moving, write, measure):
    _move_primary_to(three, moving)
    with write(three) as writing:
        writing.move(next(unit for unit in three.units() if unit != moving))
        begun = time.monotonic()
        _move(three, moving)
        writing.await_write()
        measure("longest gap while the primary's address changed", writing.gap(begun))
        assert writing.gap(begun) < LONGEST_GAP


@pytest.mark.parametrize("which", ["lower", "higher"])
def test_one_of_two_moves(empty, write, which):
    """The other one is no majority without it, whether or not Raft is still connected.

    Its nodes are connected by the one with the greater address, which goes on under the old name where that one moves.
    """
    empty.create(2)
    empty.settle(2)
    addresses = empty.addresses()
    moving = sorted(addresses, key=lambda unit: f"{addresses[unit]}:2222")[which == "higher"]
    with write(empty) as writing:
        writing.stop()
        empty.lab.readdress(empty.hostname(moving))
        empty.await_status("blocked", "see force-majority", moving)
        empty.action(moving, "force-majority")
        empty.settle(2)
        empty.await_members()
        writing.move(moving)


def test_two_move_one_after_the_other_and_one_gets_what_the_other_had(three, write):
    primary = three.primary()
    first, second = [unit for unit in three.units() if unit != primary]
    with write(three) as writing:
        writing.move(primary)
        old = _move(three, first)
        writing.await_write()
        _move(three, second, old)
        writing.await_write()
