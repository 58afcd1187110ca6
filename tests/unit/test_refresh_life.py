"""Refreshes and rollbacks from the first hook to the last, with the real charm_refresh."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.fakes import juju
from tests.unit.conftest import Deployed

RESUME = {"check-health-of-refreshed-units": True}
FORCE = {"check-workload-container": True, "check-compatibility": True, "run-pre-refresh-checks": True}


def revisions(on: juju.Application) -> dict[int, str | None]:
    return {number: unit.machine.revision for number, unit in on.units.items()}


def resume(on: juju.Application, number: int, **parameters: bool) -> juju.ActionResult:
    return on.units[number].act("resume-refresh", **(RESUME | parameters))


def is_complete(on: juju.Application, revision: str) -> None:
    assert on.are_active(), on.summary()
    assert on.status.message == ""
    assert set(revisions(on).values()) == {revision}
    assert sorted(unit.message for unit in on.units.values())[0] == "Primary"
    assert [unit.failures for unit in on.units.values()] == [[]] * len(on.units)


def primary_on(on: juju.Application, number: int) -> None:
    """Have the primary there, before anything is counted."""
    if on.primary.number != number:
        result = on.units[0].act("switchover", candidate=f"{juju.APPLICATION}/{number}")
        assert result.failure is None
        on.settle()
        on.world.switchovers.clear()
        on.world.promotions.clear()


@pytest.mark.parametrize("primary", [0, 1, 2])
def test_three_units_with_the_pause(deployed: Deployed, primary: int) -> None:
    on = deployed(3)
    primary_on(on, primary)
    on.refresh(juju.NEW)
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    assert on.status == juju.testing.BlockedStatus(
        "Refreshing. Check units >=2 are healthy & run `resume-refresh` on unit 1. "
        "To rollback, `juju refresh --revision 1`"
    )
    assert on.workload_version == "16.15"
    assert resume(on, 0).failure == "Must run action on unit 1"
    result = resume(on, 1)
    assert (result.failure, result.results) == (None, {"result": "Refresh resumed. Unit 1 has refreshed"})
    on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == len(on.world.promotions) == (2 if primary == 2 else 1)
    # It ends on a unit that did not have to stop any more.
    assert [unit.machine.stops for unit in on.units.values()] == [1, 1, 1]


@pytest.mark.parametrize("pause", ["none", "all"])
def test_the_pause_option(deployed: Deployed, pause: str) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh=pause)
    on.settle()
    on.refresh(juju.NEW)
    on.settle()
    if pause == "all":
        assert revisions(on) == {0: "366", 1: "366", 2: "416"}
        assert resume(on, 1).failure is None
        on.settle()
        assert revisions(on) == {0: "366", 1: "416", 2: "416"}
        assert resume(on, 0).failure is None
        on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == 1


def test_a_unit_alone(deployed: Deployed) -> None:
    on = deployed(1)
    checkpoints = on.world.raft.database.checkpoints
    on.refresh(juju.NEW)
    on.settle()
    is_complete(on, "416")
    assert on.world.raft.database.checkpoints == checkpoints + 1
    assert on.units[0].machine.stops == 1


def test_two_units(deployed: Deployed) -> None:
    on = deployed(2)
    on.refresh(juju.NEW)
    on.settle()
    assert revisions(on) == {0: "366", 1: "416"}
    assert resume(on, 0).failure is None
    on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == 1


def test_the_primary_is_handed_over_in_a_hook_before_the_one_that_stops_it(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 2)
    on.refresh(juju.NEW)
    unit = on.units[2]
    while not on.world.switchovers:
        on.step(unit)
    # Clients learn of the new primary only when the hook has ended: so the snap is refreshed in the next.
    assert unit.dispatched[-1] == "upgrade_charm"
    assert unit.machine.stops == 0
    assert unit.message == "Handing the primary over before this unit refreshes"
    on.step(unit)
    assert unit.dispatched[-1] == "config_changed"
    assert unit.machine.revision == "416"


@pytest.mark.parametrize(("refreshed", "primary"), [(1, 0), (1, 2), (2, 0)])
def test_rollback_midway(deployed: Deployed, refreshed: int, primary: int) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="all")
    primary_on(on, primary)
    on.refresh(juju.NEW)
    on.settle()
    if refreshed == 2:
        resume(on, 1)
        on.settle()
    assert sorted(revisions(on).values(), key=str) == ["366"] * (3 - refreshed) + ["416"] * refreshed
    on.refresh(dataclasses.replace(juju.OLD))
    on.settle()
    for number in (1, 0):
        if on.units[number].machine.revision == "416":
            assert resume(on, number).failure is None
            on.settle()
    is_complete(on, "366")
    assert on.workload_version == "16.14"


def test_a_refresh_can_be_done_again_after_a_rollback(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(juju.NEW)
    on.settle()
    assert revisions(on)[2] == "416"
    on.refresh(dataclasses.replace(juju.OLD))
    on.settle()
    is_complete(on, "366")
    on.set_config(pause_after_unit_refresh="none")
    on.refresh(dataclasses.replace(juju.NEW))
    on.settle()
    is_complete(on, "416")


def test_charm_code_only(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(dataclasses.replace(juju.OLD, version="16/1.0.1", url="ch:amd64/postgresql-machine-3"))
    on.settle()
    is_complete(on, "366")
    assert [unit.machine.stops for unit in on.units.values()] == [0, 0, 0]
    assert on.world.switchovers == []


@pytest.mark.parametrize(
    "changes",
    [
        {"workload": "17.1"},
        {"version": "16/1.1.0.post1.dev0+71201f4"},
    ],
)
def test_an_incompatible_build_is_refused(deployed: Deployed, changes: dict[str, str]) -> None:
    on = deployed(3)
    on.refresh(dataclasses.replace(juju.NEW, **changes))
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert on.status.name == "blocked"
    assert on.status.message == "Refresh incompatible. Rollback with `juju refresh --revision 1`"
    assert on.world.switchovers == []
    on.refresh(dataclasses.replace(juju.OLD))
    on.settle()
    is_complete(on, "366")


def test_an_incompatible_build_hands_nothing_over(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 2)
    on.refresh(dataclasses.replace(juju.NEW, workload="17.1"))
    on.settle()
    assert on.world.switchovers == []


# Checks before


def test_pre_refresh_check(deployed: Deployed) -> None:
    on = deployed(3)
    assert on.leader is not None
    before = json.dumps([on.databags, on.application_databags])
    result = on.leader.act("pre-refresh-check")
    assert result.failure is None
    assert "Charm is ready for refresh" in result.results["result"]
    other = next(unit for unit in on.units.values() if unit is not on.leader)
    failure = other.act("pre-refresh-check").failure
    assert failure is not None
    assert failure.startswith("Must run action on leader unit")
    assert json.dumps([on.databags, on.application_databags]) == before
    assert on.world.switchovers == []


@pytest.mark.parametrize(
    ("activity", "reason"),
    [
        ({"longest_transaction_seconds": 3600.0}, "A transaction is open for 3600 s; see pg_stat_activity"),
        ({"backup_running": True}, "A backup is running; wait for its end"),
    ],
)
def test_what_goes_on_in_the_database_stops_a_refresh(
    deployed: Deployed, activity: dict[str, float], reason: str
) -> None:
    on = deployed(3)
    primary_on(on, 2)
    on.world.raft.database.activity = dict(activity)
    assert on.leader is not None
    assert (
        on.leader.act("pre-refresh-check").failure
        == f"Charm is not ready for refresh. Pre-refresh check failed: {reason}"
    )
    on.refresh(juju.NEW)
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert on.world.switchovers == []
    assert on.units[2].message == f"Rollback with `juju refresh`. Pre-refresh check failed: {reason}"
    assert on.units[2].status.name == "blocked"


def test_no_room_for_the_snap_stops_a_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.units[2].machine.free_for_snap = 100 * 1024**2
    on.refresh(juju.NEW)
    on.settle()
    assert revisions(on)[2] == "366"
    assert "Only 100 MiB free for the snap; 512 are needed" in on.units[2].message


def test_an_unreachable_primary_stops_a_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.primary.machine.sql_fault = True
    on.refresh(juju.NEW)
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert "The primary cannot be asked" in on.units[2].message


def test_a_refresh_can_be_forced(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(juju.NEW)
    on.settle()
    assert on.units[0].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False})).failure == (
        "Must run action on unit 2"
    )
    result = on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False}))
    assert (result.failure, result.results) == (None, {"result": "Refreshed unit 2"})
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    assert on.units[2].machine.patroni is not None


# Gates between units


def test_a_refreshed_unit_that_is_sick_stops_the_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(juju.NEW)
    while on.units[2].machine.revision != "416":
        on.tick()
    # Its PostgreSQL does not come to stream.
    process = on.units[2].machine.patroni
    assert process is not None
    process.state = "stopped"
    on.settle()
    assert resume(on, 1).failure == "Unit 2 is unhealthy. Refresh will not resume."
    assert on.units[2].message == "PostgreSQL is stopped"
    process.state, process.since = "starting", on.world.now
    on.settle()
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_another_sick_member_stops_the_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(juju.NEW)
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
    on.refresh(juju.NEW)
    on.settle()
    result = resume(on, 1, **{"check-health-of-refreshed-units": False})
    assert result.results == {"result": "Refreshed unit 1"}
    on.settle()
    is_complete(on, "416")


def test_a_primary_that_is_forced_to_refresh_hands_over_first(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(juju.NEW)
    on.settle()
    assert on.primary.number == 0
    result = resume(on, 0, **{"check-health-of-refreshed-units": False})
    assert result.results == {"result": "Refreshed unit 0"}
    assert len(on.world.switchovers) == 1
    on.settle()
    resume(on, 1)
    on.settle()
    is_complete(on, "416")


def test_no_hand_over_no_stop(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(juju.NEW)
    on.settle()
    on.world.switchover_fault = "lost"
    with pytest.raises(juju.HookFailed, match="Switchover status unknown"):
        resume(on, 0, **{"check-health-of-refreshed-units": False})
    assert on.units[0].machine.stops == 0
    assert on.primary.number == 0


@pytest.mark.parametrize("fault", ["refuse", "lost"])
def test_a_hand_over_that_fails_is_tried_again(deployed: Deployed, fault: str) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.world.switchover_fault = fault
    on.refresh(juju.NEW)
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
    on.refresh(juju.NEW)
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
    on.refresh(juju.NEW)
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


def test_a_snap_refresh_that_fails_after_the_change_goes_on(deployed: Deployed) -> None:
    on = deployed(3)
    unit = on.units[2]
    unit.machine.refresh_fault = "changed"
    on.refresh(juju.NEW)
    while not unit.failures:
        on.tick(retry=False)
    assert unit.machine.revision == "416"
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
    on.refresh(juju.NEW)
    while not unit.failures:
        on.tick(retry=False)
    unit.machine.refresh_fault = None
    on.refresh(dataclasses.replace(juju.OLD))
    on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"366"}


@pytest.mark.parametrize("fault", ["unchanged", "changed"])
def test_a_snap_refresh_that_fails_in_an_action_leaves_the_workload_running(deployed: Deployed, fault: str) -> None:
    on = deployed(3)
    on.refresh(juju.NEW)
    on.settle()
    on.units[1].machine.refresh_fault = fault
    with pytest.raises(juju.HookFailed):
        resume(on, 1)
    on.units[1].machine.refresh_fault = None
    if fault == "unchanged":
        # No other event would start it: it runs already.
        assert on.units[1].machine.patroni is not None
    on.settle()
    on.update_status()
    on.settle()
    assert on.units[1].machine.patroni is not None
    if fault == "unchanged":
        assert resume(on, 1).failure is None
    on.settle()
    on.update_status()
    on.settle()
    is_complete(on, "416")


def test_the_store_is_not_reachable(deployed: Deployed) -> None:
    on = deployed(3)
    unit = on.units[2]
    unit.machine.store_reachable = False
    on.refresh(juju.NEW)
    on.run(60)
    assert unit.failures
    assert unit.machine.revision == "366"
    assert unit.machine.patroni is not None
    on.refresh(dataclasses.replace(juju.OLD))
    unit.machine.store_reachable = True
    on.settle()
    assert on.are_active(), on.summary()


# Topology during a refresh


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_unit_is_removed_while_paused(deployed: Deployed, removed: int) -> None:
    on = deployed(3)
    on.refresh(juju.NEW)
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
    on.refresh(juju.NEW)
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
    on.refresh(juju.NEW)
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
    on.refresh(juju.NEW)
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
    on.refresh(juju.NEW)
    on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == (2 if primary == 2 else 1)
