"""The actions run-snap-refresh and get-snap-refresh-status."""

from __future__ import annotations

import datetime
import pathlib
from unittest import mock

import pytest

from snap_refresh import actions, model
from tests.fakes import known
from tests.fakes.snap_lives import offer, status, wait
from tests.unit.conftest import Deployed


def test_run_snap_refresh_refuses_what_would_hurt(deployed: Deployed) -> None:
    on = deployed()
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    primary = on.primary
    replica = next(unit for unit in on.units.values() if unit is not primary)
    assert replica.act("run-snap-refresh").results == {"refreshing": "nothing: all snaps are up to date"}
    offer(on, "core24")
    refused = primary.act("run-snap-refresh")
    assert refused.failure == "Not now: this unit is the primary; run the action switchover first"
    assert on.world.snap_refreshes == []
    on.world.raft.database.activity["backup_running"] = True
    assert replica.act("run-snap-refresh").failure == "Not now: a backup is running"
    on.world.raft.database.activity.clear()
    other = next(unit for unit in on.units.values() if unit not in (primary, replica))
    other.machine.crash()
    on.run(40)
    assert "the cluster is not healthy" in (replica.act("run-snap-refresh").failure or "")


def test_run_snap_refresh_on_all_replicas_at_once_refreshes_one_after_the_other(deployed: Deployed) -> None:
    on = deployed()
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    offer(on, "core24")
    replicas = [unit for unit in on.units.values() if unit is not on.primary]
    at_once: list[int] = []
    for unit in replicas:
        assert unit.act("run-snap-refresh").results == {"requested": "core24"}
    for _ in range(200):
        on.run(3)
        at_once.append(sum(bool(unit.machine.snaps.in_progress()) for unit in on.units.values()))
    assert max(at_once) == 1
    assert sorted(name for name, _ in on.world.snap_refreshes) == sorted(unit.machine.name for unit in replicas)
    # The window holds the others as before.
    wait(on, 3)
    assert len(on.world.snap_refreshes) == 2
    assert on.are_active(), on.summary()


def test_run_snap_refresh_says_who_holds(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    unit.machine.snaps.snaps["core24"].hold = unit.machine.snaps.now() + datetime.timedelta(days=9)
    offer(on, "core24")
    failure = unit.act("run-snap-refresh").failure
    assert failure == "Held by the administrator: core24; see `snap refresh --unhold`"


def test_run_snap_refresh_tries_again_what_had_failed(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    unit.machine.snaps.refresh_fault = "fails"
    offer(on, "core24")
    wait(on, 5)
    assert "snapd failed 3 times" in unit.message
    unit.machine.snaps.refresh_fault = None
    assert unit.act("run-snap-refresh").results == {"refreshing": "core24"}
    wait(on, 0.2)
    assert on.world.snap_refreshes == [(unit.machine.name, "core24")]


def test_run_snap_refresh_by_force_warns(deployed: Deployed) -> None:
    on = deployed()
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    offer(on, "core24")
    primary = on.primary
    primary.machine.snaps.interrupts = True
    done = primary.act("run-snap-refresh", force=True)
    assert done.results == {"refreshing": "core24"}
    assert done.log == ["Forced, although this unit is the primary; run the action switchover first"]
    on.run(30)
    wait(on, 0.1)
    assert on.world.violations == [f"{primary.machine.name}: stopped while it was the primary of others"]
    on.world.violations.clear()
    on.settle()


@pytest.mark.parametrize("hours", [0, 49], ids=["held", "past the limit"])
def test_run_snap_refresh_refuses_while_snapd_refreshes(deployed: Deployed, hours: int) -> None:
    on = deployed(1)
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    offer(on, "core24")
    wait(on, hours)
    on.units[0].machine.snaps.changes = ["Auto-refresh snap core24"]
    assert on.units[0].act("run-snap-refresh").failure == "there is an auto-refresh in progress"
    assert on.world.snap_refreshes == []


def test_the_status_says_all_of_it(deployed: Deployed) -> None:
    on = deployed(1)
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    unit = on.units[0]
    offer(on, "core24")
    found = status(unit)
    assert found["decision"] == "hold"
    assert found["reason"].startswith("the window mon1,02:00-02:30 opens Mon")
    core = next(each for each in found["snaps"] if each["name"] == "core24")
    assert core["time-left"].startswith("47h")
    assert core | {"since": "", "until": "", "time-left": "", "reason": ""} == {
        "name": "core24",
        "revision": "1",
        "pending": "ready",
        "channel": "stable",
        "version": "core24 2",
        "pending-revision": "2",
        "base": False,
        "restart": False,
        "held-by": "charm",
        "since": "",
        "until": "",
        "time-left": "",
        "decision": "hold",
        "reason": "",
    }
    workload = next(each for each in found["snaps"] if each["name"] == model.WORKLOAD)
    assert workload["base"] is True
    assert workload["pending"] == "none"
    assert workload["held-by"] == "charm"
    assert workload["until"] is None
    table = unit.act("get-snap-refresh-status").results["status"].splitlines()
    assert table[0].startswith("Snap                Revision  Pending")
    assert table[1].startswith("charmed-postgresql  366")
    assert any(line.startswith("core24") and "core24 2 (2)" in line and "charm" in line for line in table)
    assert f"Window: {found['window']}." in table


def test_a_unit_that_knows_nothing_of_its_snaps_says_so_to_actions() -> None:
    for act in (
        lambda event: actions.get_status(event, known.settled()),
        lambda event: actions.run(event, known.settled(), mock.Mock(), pathlib.Path()),
    ):
        event = mock.Mock()
        act(event)
        event.fail.assert_called_once_with(actions.UNKNOWN)
