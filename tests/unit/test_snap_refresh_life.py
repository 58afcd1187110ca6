"""Lives of clusters whose machines get updates of the snaps below the workload."""

from __future__ import annotations

import datetime
import json
import pathlib
import typing
from unittest import mock

import pytest

from snap_refresh import actions, model
from tests.fakes import builds, juju, known, units
from tests.unit.conftest import Deployed

HOUR = 3600.0


def wait(on: juju.Application, hours: float) -> None:
    """Let time pass as it does where nothing happens: with update-status now and then."""
    until = on.world.now + hours * HOUR
    step = max(360.0, hours * HOUR / 12)
    while on.world.now < until:
        on.world.now += min(step, until - on.world.now)
        on.update_status()
        on.run(4)


def look(on: juju.Application) -> None:
    """Time for the store to be asked again, and for what follows."""
    for _ in range(3):
        wait(on, 0.2)
        on.settle()


def offer(on: juju.Application, *names: str, revision: str = "2") -> None:
    for name in names:
        on.world.store[name] = (revision, f"{name} {revision}")


def remembered(unit: units.Unit) -> model.Remembered:
    return model.Remembered.parse((unit.directory / model.FILE).read_text())


def answer(unit: units.Unit) -> dict[str, str]:
    lines = unit.machine.paths.gate_answer.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def status(unit: units.Unit) -> dict[str, typing.Any]:
    return json.loads(unit.act("get-snap-refresh-status", format="json").results["status"])


def entry(unit: units.Unit, name: str) -> dict[str, typing.Any]:
    return next(each for each in status(unit)["snaps"] if each["name"] == name)


def test_snaps_below_the_workload_are_held_before_an_update_is_there(deployed: Deployed) -> None:
    on = deployed()
    for unit in on.units.values():
        snaps = unit.machine.snaps
        assert snaps.held("core24")
        assert snaps.held("snapd")
        assert answer(unit)["decision"] == "hold"
        assert not any("/v2/snaps/" in request for request in snaps.requests)
    assert on.are_active()


def test_the_holds_are_renewed_and_end_by_themselves_where_the_charm_falls_silent(deployed: Deployed) -> None:
    on = deployed(1)
    machine = on.units[0].machine
    first = machine.snaps.snaps["core24"].hold
    assert first is not None
    assert first - machine.snaps.now() <= datetime.timedelta(hours=48)
    wait(on, 12)
    assert machine.snaps.snaps["core24"].hold == first
    wait(on, 40)
    assert machine.snaps.held("core24")
    on.world.now += 49 * HOUR
    assert not machine.snaps.held("core24")


def test_one_unit_at_a_time_refreshes_the_primary_last_after_a_hand_over(deployed: Deployed) -> None:
    on = deployed()
    primary = on.primary
    offer(on, "core24", "snapd")
    look(on)
    order = [name for name, snap in on.world.snap_refreshes if snap == "core24"]
    assert len(order) == 3, on.summary()
    assert sorted(on.world.snap_refreshes) == sorted((name, snap) for name in order for snap in ("core24", "snapd"))
    assert order[-1] == primary.machine.name
    assert len(on.world.switchovers) == 1
    assert on.are_active(), on.summary()
    # All are held again, and nobody waits any more.
    assert all(unit.machine.snaps.held("core24") for unit in on.units.values())
    assert "snap-refresh-turn" not in on.application_databags["database-peers"]
    assert not any("snap-updates" in bag for bag in on.databags["database-peers"].values())


def test_while_one_refreshes_no_other_does(deployed: Deployed) -> None:
    on = deployed()
    for unit in on.units.values():
        # snapd is asked and takes its time: nothing changes yet.
        unit.machine.snaps.refresh_fault = "slow"
    offer(on, "core24")
    wait(on, 0.1)
    on.run(10)
    turn = int(on.application_databags["database-peers"]["snap-refresh-turn"])
    going = on.units[turn]
    on.run(240)
    assert going.status.name == "maintenance"
    assert going.message == "Refreshing snaps: core24"
    assert answer(going)["decision"] == "proceed"
    assert int(answer(going)["valid-until"]) > on.world.now
    assert not going.machine.snaps.held("core24")
    for unit in on.units.values():
        asked = [request for request in unit.machine.snaps.requests if request == "POST /v2/snaps/core24"]
        assert bool(asked) == (unit is going)
        if unit is not going:
            assert unit.machine.snaps.held("core24")
            assert f"it is the turn of {going.name}" in unit.message
            assert unit.machine.snaps.tick() == []
    going.machine.snaps.changes, going.machine.snaps.refresh_fault = [], None
    for unit in on.units.values():
        unit.machine.snaps.refresh_fault = None
    look(on)
    assert len(on.world.snap_refreshes) == 3


def test_without_the_charm_all_would_refresh_together(deployed: Deployed) -> None:
    on = deployed()
    offer(on, "core24")
    assert [unit.machine.snaps.tick() for unit in on.units.values()] == [[], [], []]
    for unit in on.units.values():
        unit.machine.snaps.snaps["core24"].hold = None
        unit.machine.snaps.interrupts = False
    assert [unit.machine.snaps.tick() for unit in on.units.values()] == [["core24"]] * 3


def test_an_unhealthy_cluster_is_left_alone_until_the_limit(deployed: Deployed) -> None:
    on = deployed()
    broken = next(unit for unit in on.units.values() if unit is not on.primary and unit is not on.leader)
    broken.machine.crash()
    on.run(60)
    offer(on, "core24")
    wait(on, 1)
    assert on.world.snap_refreshes == []
    waiting = [unit for unit in on.units.values() if unit is not broken]
    assert all("the cluster is not healthy" in unit.message for unit in waiting), on.summary()
    wait(on, 37)
    # The status tells beforehand.
    assert all("at the latest" in unit.message for unit in waiting), on.summary()
    assert on.world.snap_refreshes == []
    wait(on, 12)
    # Whoever asks: past the limit nothing is held, and the charm refreshes them one after the other.
    assert {name for name, _ in on.world.snap_refreshes} == {unit.machine.name for unit in waiting}
    on.world.violations.clear()


def test_past_the_limit_snapd_may_refresh_by_itself(deployed: Deployed) -> None:
    on = deployed()
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    offer(on, "core24")
    look(on)
    unit = next(each for each in on.units.values() if each is not on.primary)
    assert "the window" in unit.message
    for each in on.units.values():
        each.machine.snaps.refresh_fault = "slow"
    wait(on, 49)
    assert not unit.machine.snaps.held("core24")
    assert answer(unit)["decision"] == "proceed"
    assert remembered(unit).overdue
    assert entry(unit, "core24")["decision"] == "proceed"


def test_the_clock_shifted_for_the_engine_alone_reaches_the_limit(deployed: Deployed) -> None:
    on = deployed()
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    offer(on, "core24")
    look(on)
    assert on.world.snap_refreshes == []
    for unit in on.units.values():
        content = json.loads((unit.directory / model.FILE).read_text())
        for holders in content["gating"].values():
            first = datetime.datetime.fromisoformat(holders[model.WORKLOAD]["first-held"])
            holders[model.WORKLOAD]["first-held"] = (first - datetime.timedelta(hours=48)).isoformat()
        (unit.directory / model.FILE).write_text(json.dumps(content))
    primary = on.primary
    look(on)
    assert [name for name, _ in on.world.snap_refreshes][-1] == primary.machine.name
    assert len(on.world.snap_refreshes) == 3


def test_the_window_narrows_it(deployed: Deployed) -> None:
    on = deployed()
    now = datetime.datetime.fromtimestamp(on.world.now).astimezone()
    later = now + datetime.timedelta(hours=3)
    on.set_config(snap_refresh_window=f"{later:%H}:00-{later:%H}:59")
    on.settle()
    offer(on, "core24")
    wait(on, 1)
    assert on.world.snap_refreshes == []
    wait(on, 3)
    assert len(on.world.snap_refreshes) == 3


def test_a_wrong_window_blocks_and_changes_nothing_else(deployed: Deployed) -> None:
    on = deployed(1)
    on.set_config(snap_refresh_window="saturday,2am")
    on.settle()
    unit = on.units[0]
    assert unit.status.name == on.status.name == "blocked"
    assert unit.message == (
        "snap-refresh-window: 'saturday,2am' is not allowed (a timer of snapd: sat,02:00-04:00); set with `juju config`"
    )
    assert unit.machine.patroni is not None
    offer(on, "core24")
    wait(on, 1)
    assert on.world.snap_refreshes == []
    on.set_config(snap_refresh_window="")
    look(on)
    assert on.are_active()
    assert on.world.snap_refreshes == [(unit.machine.name, "core24")]


def test_a_backup_on_the_primary_holds(deployed: Deployed) -> None:
    on = deployed()
    on.world.raft.database.activity["backup_running"] = True
    offer(on, "core24")
    look(on)
    assert on.world.snap_refreshes == []
    assert any("a backup is running" in unit.message for unit in on.units.values())
    on.world.raft.database.activity.clear()
    look(on)
    assert len(on.world.snap_refreshes) == 3


def test_a_hold_that_somebody_removed_is_put_back_and_reported(deployed: Deployed) -> None:
    on = deployed(1)
    machine = on.units[0].machine
    machine.held = False
    machine.snaps.snaps["core24"].hold = None
    wait(on, 0.1)
    assert machine.held
    assert machine.snaps.held("core24")
    assert on.units[0].message.endswith("holds were removed, put back: charmed-postgresql, core24"), on.summary()
    assert sum("hold of" in line and "WARNING" in line for line in on.juju_log) == 2
    wait(on, 25)
    assert "removed" not in on.units[0].message


def test_a_hold_of_the_administrator_is_left_alone(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    until = unit.machine.snaps.now() + datetime.timedelta(days=300)
    unit.machine.snaps.snaps["core24"].hold = until
    offer(on, "core24", "snapd")
    wait(on, 60)
    assert on.world.snap_refreshes == [(unit.machine.name, "snapd")]
    assert unit.machine.snaps.snaps["core24"].hold == until
    found = entry(unit, "core24")
    assert (found["held-by"], found["pending-revision"], found["decision"]) == ("administrator", "2", "hold")


def test_snapd_silent_changes_nothing_but_the_status(deployed: Deployed) -> None:
    on = deployed()
    unit = next(each for each in on.units.values() if each is not on.primary)
    unit.machine.snapd_running = False
    offer(on, "core24")
    wait(on, 0.2)
    assert unit.machine.patroni is not None
    assert unit.status.name == "waiting"
    assert "snapd does not answer" in unit.message
    assert unit.error is None
    unit.machine.snapd_running = True
    look(on)
    assert len(on.world.snap_refreshes) == 3
    assert on.are_active()


def test_a_store_that_does_not_answer_is_asked_less_often_and_told(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    unit.machine.snaps.store_fault = "cannot reach the snap store"
    unit.machine.snaps.requests.clear()
    wait(on, 1)
    assert unit.machine.snaps.requests.count("GET /v2/find") <= 3
    assert on.are_active()
    assert status(unit)["store-failure"] == "cannot reach the snap store"
    assert unit.act("run-snap-refresh").failure == "Updates are not known: cannot reach the snap store"


def test_a_refresh_that_fails_is_asked_for_three_times_and_then_left_to_snapd(deployed: Deployed) -> None:
    on = deployed()
    first = max((unit for unit in on.units.values() if unit is not on.primary), key=lambda unit: unit.number)
    first.machine.snaps.refresh_fault = "fails"
    offer(on, "core24")
    look(on)
    assert first.machine.snaps.requests.count("POST /v2/snaps/core24") == 3
    assert "snapd failed 3 times to refresh core24; see `snap changes`" in first.message
    assert not first.machine.snaps.held("core24")
    # The others have had their turns all the same.
    assert len(on.world.snap_refreshes) == 2
    # A newer one is tried again.
    first.machine.snaps.refresh_fault = None
    offer(on, "core24", revision="3")
    look(on)
    assert len(on.world.snap_refreshes) == 5
    assert on.are_active()


def test_while_nothing_is_pending_a_hook_asks_snapd_once_at_most(deployed: Deployed) -> None:
    on = deployed()
    for _ in range(5):
        for unit in on.units.values():
            unit.machine.snaps.requests.clear()
        wait(on, 0.2)
        hooks = 3
        for unit in on.units.values():
            assert len(unit.machine.snaps.requests) <= hooks
            assert set(unit.machine.snaps.requests) <= {"GET /v2/find", "GET /v2/connections"}


def test_no_hook_makes_two_requests_while_nothing_is_pending(deployed: Deployed) -> None:
    on = deployed(1)
    machine = on.units[0].machine
    made: list[int] = []
    for _ in range(30):
        machine.snaps.requests.clear()
        on.world.now += 400
        on.update_status()
        on.run(4)
        made.append(len(machine.snaps.requests))
    # The store in each, as time passes, but for those that look at the connections instead.
    assert set(made) == {1}


def test_a_connection_that_is_made_later_is_seen_within_the_hour(deployed: Deployed) -> None:
    on = deployed(1)
    machine = on.units[0].machine
    machine.snaps.add("content")
    look(on)
    assert not machine.snaps.held("content")
    machine.snaps.connections = [("content", model.WORKLOAD, "content")]
    wait(on, 1.1)
    assert machine.snaps.held("content")
    # Whoever asks is told at once.
    machine.snaps.add("other")
    look(on)
    machine.snaps.connections.append(("content", model.WORKLOAD, "other"))
    assert entry(on.units[0], "other")["decision"] == "hold"
    assert machine.snaps.held("other")


def test_a_provider_of_content_counts_and_an_unrelated_snap_does_not(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    for name in ("content", "unrelated"):
        unit.machine.snaps.add(name)
    unit.machine.snaps.connections = [("content", model.WORKLOAD, "content")]
    look(on)
    assert unit.machine.snaps.held("content")
    assert not unit.machine.snaps.held("unrelated")
    offer(on, "content", "unrelated")
    look(on)
    assert on.world.snap_refreshes == [(unit.machine.name, "content")]


def test_a_newer_workload_is_told_by_the_application_and_not_refreshed(deployed: Deployed) -> None:
    on = deployed()
    on.world.store[model.WORKLOAD] = ("420", "16.16")
    look(on)
    assert on.are_active()
    assert on.status.message == "charmed-postgresql 16.16 (revision 420) is out: charm refresh wanted"
    assert {unit.machine.revision for unit in on.units.values()} == {"366"}
    assert on.world.snap_refreshes == []
    assert status(on.units[0])["charm-refresh-wanted"] is True


@pytest.mark.parametrize("update", [("300", "16.9"), ("420", "14.20"), ("x3", "16.16")])
def test_what_does_not_supersede_the_pinned_revision(deployed: Deployed, update: tuple[str, str]) -> None:
    on = deployed(1)
    on.world.store[model.WORKLOAD] = update
    look(on)
    assert on.status.message == ""


def test_a_workload_held_for_90_days_is_told(deployed: Deployed) -> None:
    on = deployed(1)
    on.world.now += 91 * 24 * HOUR
    look(on)
    assert on.are_active()
    assert on.status.message == (
        "charmed-postgresql held for 90 days: charm refresh wanted (`juju refresh postgresql-machine`)"
    )


def test_a_refresh_of_the_charm_goes_first(deployed: Deployed) -> None:
    on = deployed()
    on.refresh(builds.NEW)
    on.run(30)
    offer(on, "core24")
    wait(on, 0.5)
    assert on.world.snap_refreshes == []
    assert all("a refresh of the charm is in progress" in status(unit)["reason"] for unit in on.units.values())


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
    assert replica.act("run-snap-refresh").results == {"refreshing": "core24"}
    assert on.world.snap_refreshes == [(replica.machine.name, "core24")]
    refused = next(unit for unit in on.units.values() if unit not in (primary, replica)).act("run-snap-refresh")
    assert refused.failure is not None
    assert "the cluster is not healthy" in refused.failure
    on.settle()
    assert on.are_active()


def test_run_snap_refresh_by_force_warns(deployed: Deployed) -> None:
    on = deployed()
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    offer(on, "core24")
    primary = on.primary
    done = primary.act("run-snap-refresh", force=True)
    assert done.results == {"refreshing": "core24"}
    assert done.log == ["Forced, although this unit is the primary; run the action switchover first"]
    assert on.world.violations == [f"{primary.machine.name}: stopped while it was the primary of others"]
    on.world.violations.clear()
    on.settle()


def test_run_snap_refresh_refuses_while_snapd_refreshes(deployed: Deployed) -> None:
    on = deployed(1)
    on.set_config(snap_refresh_window="mon1,02:00-02:30")
    on.settle()
    offer(on, "core24")
    on.units[0].machine.snaps.changes = ["Auto-refresh snap core24"]
    assert on.units[0].act("run-snap-refresh").failure == "there is an auto-refresh in progress"


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


def test_a_file_that_cannot_be_read_is_begun_anew(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    for content in ("{", "[]", '{"asked": 5}', '{"attempts": {"core24": 1}}'):
        (unit.directory / model.FILE).write_text(content)
        wait(on, 0.1)
        assert remembered(unit).holds.keys() >= set()
        assert unit.error is None
    assert on.are_active()
    assert any("begun anew" in line for line in on.juju_log)


def test_a_wish_that_is_not_understood_is_left_out(deployed: Deployed) -> None:
    on = deployed()
    on.databags["database-peers"][1]["snap-updates"] = "?"
    on.units[0].seen["database-peers"][1]["snap-updates"] = "?"
    offer(on, "core24")
    look(on)
    assert on.are_active(), on.summary()
