"""Refreshes in which something goes wrong, or changes, on the way."""

from __future__ import annotations

import dataclasses

import pytest

from tests.fakes import builds
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import is_complete, primary_on, resume, revisions

# Gates between units


def test_a_refreshed_unit_that_is_sick_stops_the_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    while on.units[2].machine.revision != "416":
        on.tick()
    # Its PostgreSQL does not come to stream.
    process = on.units[2].machine.patroni
    assert process is not None
    process.state = "stopped"
    on.settle()
    result = resume(on, 1)
    assert result.failure == "Unit 2 is unhealthy. Refresh will not resume."
    assert result.log[-1] == (
        "Wait: unit 2 is stopped; unit 1 follows. If it stays so: to go on anyway, "
        "`juju run postgresql-machine/1 resume-refresh check-health-of-refreshed-units=false`; "
        "to go back, `juju refresh postgresql-machine --revision 1`"
    )
    assert on.units[2].message == "PostgreSQL is stopped"
    process.state, process.since = "starting", on.world.now
    on.settle()
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_a_snap_that_is_disabled_waits_for_the_administrator(deployed: Deployed) -> None:
    on = deployed(3)
    machine = on.units[2].machine
    machine.disable_snap()
    on.refresh(builds.NEW)
    on.run(120)
    assert [each.failures for each in on.units.values()] == [[]] * 3
    assert machine.revision == "366"
    assert any("Snap disabled on this unit; `snap enable charmed-postgresql`" in line for line in on.juju_log)
    assert not machine.paths.revision_data.exists()
    machine.enable_snap()
    on.update_status()
    on.settle()
    assert machine.revision == "416"
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_another_sick_member_stops_the_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(builds.NEW)
    while on.units[2].machine.revision != "416":
        on.tick()
    process = on.units[1].machine.patroni
    assert process is not None
    process.state = "stopped"
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    process.state, process.since = "starting", on.world.now
    on.settle()
    is_complete(on, "416")


def test_resume_without_check_refreshes_a_single_unit(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    result = resume(on, 1, **{"check-health-of-refreshed-units": False})
    assert result.results == {"result": "Refreshed unit 1"}
    on.settle()
    is_complete(on, "416")


def test_a_primary_that_is_forced_to_refresh_hands_over_first(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    assert on.primary.number == 0
    result = resume(on, 0, **{"check-health-of-refreshed-units": False})
    assert result.results == {"result": "Refreshed unit 0"}
    assert len(on.world.switchovers) == 1
    on.settle()
    resume(on, 1)
    on.settle()
    is_complete(on, "416")


def test_the_first_unit_waits_until_the_new_primary_is_followed(deployed: Deployed) -> None:
    # The hook after the hand-over, which comes at once, checks the cluster: it must not find it in the midst of it.
    on = deployed(3)
    first = on.units[2]
    assert first.machine.patroni is not None
    on.world.raft.promote(first.machine.patroni)
    on.settle()
    on.refresh(builds.NEW)
    assert on.step(first)
    assert on.world.switchovers[0][0] == first.member_name
    assert first.machine.patroni.streams
    assert first.member_name in on.world.raft.synchronous


def test_no_hand_over_no_stop(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    on.world.switchover_fault = "lost"
    result = resume(on, 0, **{"check-health-of-refreshed-units": False})
    assert result.failure is not None
    assert result.failure.startswith("Failed to refresh snap.")
    assert "Switchover status unknown" in result.log[-1]
    assert on.units[0].machine.stops == 0
    assert on.primary.number == 0


@pytest.mark.parametrize("fault", ["refuse", "lost"])
def test_a_hand_over_that_fails_is_tried_again(deployed: Deployed, fault: str) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.world.switchover_fault = fault
    on.refresh(builds.NEW)
    on.run(300)
    assert revisions(on) == {0: "366", 1: "416", 2: "416"}
    assert on.primary.number == 0
    assert "Failed to" in on.units[1].message
    on.world.switchover_fault = None
    on.settle()
    is_complete(on, "416")


def test_a_switchover_whose_answer_is_lost_is_not_asked_for_twice(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.world.switchover_fault = "unknown"
    on.refresh(builds.NEW)
    on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == 1


# snapd fails


@pytest.mark.parametrize("number", [2, 0])
def test_a_snap_refresh_that_is_refused_leaves_the_workload_running(deployed: Deployed, number: int) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    unit = on.units[number]
    unit.machine.refresh_fault = "unchanged"
    on.refresh(builds.NEW)
    for _ in range(400):
        on.tick(retry=False)
    assert isinstance(unit.error, Exception)
    assert unit.machine.revision == "366"
    assert unit.machine.patroni is not None
    assert on.world.raft.has_quorum()
    # Juju tries the hook again.
    unit.machine.refresh_fault = None
    on.settle()
    assert on.are_active()
    assert set(revisions(on).values()) == {"416"}


_REFUSED = "cannot refresh: the store does not serve revision 416"
_AWAY = "cannot reach the store"


@pytest.mark.parametrize(
    ("number", "fault", "said"),
    [
        (2, "store", _REFUSED),
        (1, "store", _REFUSED),
        (2, "unreachable", _AWAY),
        (1, "unreachable", _AWAY),
        # On unit 2 the checks before a refresh ask for more room already.
        (1, "room", "no room for revision 416 in /var/lib/snapd/snaps: 100 MiB free, 121 needed"),
    ],
)
def test_nothing_is_stopped_for_a_snap_that_cannot_be_had(
    deployed: Deployed, number: int, fault: str, said: str
) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    machine = on.units[number].machine
    machine.refresh_fault = "store" if fault == "store" else None
    machine.store_reachable = fault != "unreachable"
    machine.free_for_snap = 100 * 1024**2 if fault == "room" else machine.free_for_snap
    on.refresh(builds.NEW)
    for _ in range(400):
        on.tick(retry=False)
    assert str(on.units[number].error) == said
    assert machine.revision == "366"
    assert machine.stops == 0
    machine.refresh_fault, machine.store_reachable, machine.free_for_snap = None, True, 10 * 1024**3
    on.settle()
    assert on.are_active()
    assert set(revisions(on).values()) == {"416"}


def test_a_rollback_needs_no_store(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    assert revisions(on)[2] == "416"
    for unit in on.units.values():
        unit.machine.store_reachable = False
    on.refresh(builds.OLD)
    on.settle()
    is_complete(on, "366")


def test_a_snap_refresh_that_fails_after_the_change_goes_on(deployed: Deployed) -> None:
    on = deployed(3)
    unit = on.units[2]
    unit.machine.refresh_fault = "changed"
    on.refresh(builds.NEW)
    while not unit.failures:
        on.tick(retry=False)
    assert unit.machine.revision == "416"
    # charm-refresh knows what is there now, and nothing was started on it in a hook that failed.
    assert (unit.directory / ".charm_refresh_v3/machines_installed_workload_version").read_text() == "16.15"
    assert unit.machine.patroni is None
    unit.machine.refresh_fault = None
    on.settle()
    assert unit.machine.installs == ["366", "416"]
    assert resume(on, 1).failure is None
    on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"416"}


def test_a_failed_snap_refresh_can_be_rolled_back(deployed: Deployed) -> None:
    on = deployed(3)
    unit = on.units[2]
    unit.machine.refresh_fault = "changed"
    on.refresh(builds.NEW)
    while not unit.failures:
        on.tick(retry=False)
    unit.machine.refresh_fault = None
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"366"}


@pytest.mark.parametrize("fault", ["unchanged", "changed"])
def test_a_snap_refresh_that_fails_in_an_action_leaves_the_workload_running(deployed: Deployed, fault: str) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    on.units[1].machine.refresh_fault = fault
    result = resume(on, 1)
    on.units[1].machine.refresh_fault = None
    # No other event would start it: it runs already.
    assert on.units[1].machine.patroni is not None
    assert "cannot refresh: the" in result.log[-1]
    if fault == "unchanged":
        assert result.failure is not None
        assert result.failure.startswith("Failed to refresh snap.")
        on.settle()
        assert on.status.message.startswith("Refreshing. Check units >=2 are healthy & run `resume-refresh` on unit 1.")
        assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_the_store_is_not_reachable(deployed: Deployed) -> None:
    on = deployed(3)
    unit = on.units[2]
    unit.machine.store_reachable = False
    on.refresh(builds.NEW)
    on.run(60)
    assert unit.failures
    assert unit.machine.revision == "366"
    assert unit.machine.patroni is not None
    on.refresh(dataclasses.replace(builds.OLD))
    unit.machine.store_reachable = True
    on.settle()
    assert on.are_active(), on.summary()


# Topology during a refresh


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_unit_is_removed_while_paused(deployed: Deployed, removed: int) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    on.remove_unit(removed)
    on.settle()
    for _ in range(2):
        if on.status.name == "blocked":
            assert resume(on, int(on.status.message.partition("on unit ")[2][0])).failure is None
            on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"416"}


def test_a_unit_is_added_while_paused(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    on.add_unit()
    on.settle()
    if on.status.name == "blocked":
        resume(on, int(on.status.message.partition("on unit ")[2][0]))
        on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"416"}
    assert on.units[3].machine.installs == ["416"]


def test_the_primary_is_lost_during_a_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(builds.NEW)
    while on.units[2].machine.revision != "416":
        on.tick()
    on.units[0].machine.crash()
    on.run(100)
    on.reboot(0)
    on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"416"}


def test_configuration_changes_wait_for_the_end_of_a_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    on.set_config(synchronous_node_count=1)
    on.settle()
    configuration = on.world.raft.configuration
    assert configuration is not None
    assert configuration["synchronous_node_count"] == 2
    resume(on, 1)
    on.settle()
    on.update_status()
    on.settle()
    is_complete_with_one = on.world.raft.configuration
    assert is_complete_with_one is not None
    assert is_complete_with_one["synchronous_node_count"] == 1


@pytest.mark.parametrize(("seed", "primary"), enumerate(range(3), start=1))
def test_in_any_order_of_hooks(deployed: Deployed, seed: int, primary: int) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    primary_on(on, primary)
    on.world.random.seed(seed)
    on.refresh(builds.NEW)
    on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == (2 if primary == 2 else 1)
