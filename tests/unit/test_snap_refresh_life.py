"""Lives of clusters whose machines get updates of the snaps below the workload."""

from __future__ import annotations

import datetime
import json

import pytest

from snap_refresh import model
from tests.fakes import builds
from tests.fakes.snap_lives import HOUR, answer, entry, look, offer, remembered, status, wait
from tests.unit.conftest import Deployed


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
    wait(on, 1.2)
    on.run(10)
    going = on.units[model.Turn.parse(on.application_databags["database-peers"]["snap-refresh-turn"]).unit]
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
    for unit in on.units.values():
        unit.machine.snaps.end()
        unit.machine.snaps.refresh_fault = None
    look(on)
    assert len(on.world.snap_refreshes) == 3


def test_without_the_charm_all_would_refresh_together(deployed: Deployed) -> None:
    on = deployed()
    offer(on, "core24")
    assert [unit.machine.snaps.tick() for unit in on.units.values()] == [[], [], []]
    for unit in on.units.values():
        unit.machine.snaps.snaps["core24"].hold = None
    assert [unit.machine.snaps.tick() for unit in on.units.values()] == [["core24"]] * 3


def test_an_unhealthy_cluster_is_left_alone_until_the_limit(deployed: Deployed) -> None:
    on = deployed()
    broken = next(unit for unit in on.units.values() if unit is not on.primary and unit is not on.leader)
    broken.machine.crash()
    on.run(60)
    offer(on, "core24")
    wait(on, 1.2)
    assert on.world.snap_refreshes == []
    waiting = [unit for unit in on.units.values() if unit is not broken]
    assert all("the cluster is not healthy" in unit.message for unit in waiting), on.summary()
    wait(on, 37)
    # The status tells beforehand.
    assert all("at the latest" in unit.message for unit in waiting), on.summary()
    assert on.world.snap_refreshes == []
    wait(on, 15)
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
