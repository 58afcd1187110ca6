"""Clocks of machines that differ: who is told, and what it costs to look."""

from __future__ import annotations

import pytest

from tests.fakes import workload
from tests.unit.conftest import Deployed


@pytest.mark.parametrize(
    ("seconds", "role"),
    # What a unit that is later than Patroni's keys last tells of itself has expired at once: it is no member.
    [
        (9.0, "Synchronous standby"),
        (-9.0, "Synchronous standby"),
        (42.0, "Synchronous standby"),
        (-42.0, "Joining the cluster"),
    ],
)
def test_clocks_differ(deployed: Deployed, seconds: float, role: str) -> None:
    on = deployed(3)
    standby = next(unit for unit in on.units.values() if unit is not on.primary)
    standby.machine.clock_offset = seconds
    on.update_status()
    on.settle()
    text = f"{role}; Clock differs by {abs(seconds):.0f} s from other units; check `timedatectl`"
    assert standby.message == text, on.summary()


@pytest.mark.parametrize("skewed", ["own", "another's"])
@pytest.mark.parametrize("on_primary", [True, False])
def test_a_check_before_a_refresh_compares_all_clocks(deployed: Deployed, on_primary: bool, skewed: str) -> None:
    on = deployed(3)
    unit = next(each for each in on.units.values() if (each is on.primary) is on_primary)
    others = [each for each in on.units.values() if each is not unit]
    (unit if skewed == "own" else others[-1]).machine.clock_offset = -42.0
    on.elect(unit.number)
    told = others[0] if skewed == "own" else others[-1]
    assert unit.act("pre-refresh-check").failure == (
        "Charm is not ready for refresh. Pre-refresh check failed: "
        f"Clock differs by 42 s from unit {told.number}'s; check `timedatectl`"
    )


@pytest.mark.parametrize("skewed", [0, 1, 2])
def test_without_a_primary_clocks_that_differ_are_told(deployed: Deployed, skewed: int) -> None:
    on = deployed(3)
    on.units[skewed].machine.clock_offset = -42.0
    # Nobody gets the lock, though there is a majority.
    on.world.raft.paused, on.world.raft.leader = True, None
    on.world.advance(5)
    on.update_status()
    on.run(10)
    text = "The cluster has no primary; clocks differ by 42 s; check `timedatectl` on each unit"
    told = {number: (unit.status.name, unit.message) for number, unit in on.units.items()}
    if skewed:  # too late for the one that Raft has as its leader, so that it is no member
        no_member = "Joining the cluster; Clock differs by 42 s from other units; check `timedatectl`"
        assert told.pop(skewed) == ("maintenance", no_member)
    assert set(told.values()) == {("waiting", text)}
    assert (on.status.name, on.status.message) == ("blocked", text)


def test_clocks_cost_one_question_where_there_is_a_primary_and_none_without_a_majority(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = deployed(3)
    asked: list[str] = []
    monkeypatch.setattr(workload.Workload, "clock_skew_seconds", lambda _, address: asked.append(address))
    on.update_status()
    on.settle()
    # The primary asks nobody.
    assert asked == [on.primary.machine.address] * 2
    for number in (1, 2):
        on.units[number].machine.crash()
    on.world.advance(60)
    asked.clear()
    on.update_status()
    on.run(10)
    assert asked == []
