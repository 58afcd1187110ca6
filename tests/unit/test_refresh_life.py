"""Refreshes and rollbacks from the first hook to the last, with the real charm_refresh."""

from __future__ import annotations

import dataclasses
import json

import pytest
from ops import testing

from tests.fakes import builds, juju, units
from tests.unit.conftest import Deployed

RESUME = {"check-health-of-refreshed-units": True}
FORCE = {"check-workload-container": True, "check-compatibility": True, "run-pre-refresh-checks": True}


def revisions(on: juju.Application) -> dict[int, str | None]:
    return {number: unit.machine.revision for number, unit in on.units.items()}


def resume(on: juju.Application, number: int, **parameters: bool) -> units.ActionResult:
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
        result = on.units[0].act("switchover", candidate=f"{builds.APPLICATION}/{number}")
        assert result.failure is None
        on.settle()
        on.world.switchovers.clear()
        on.world.promotions.clear()


@pytest.mark.parametrize("primary", [0, 1, 2])
def test_three_units_with_the_pause(deployed: Deployed, primary: int) -> None:
    on = deployed(3)
    primary_on(on, primary)
    on.refresh(builds.NEW)
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    assert on.status == testing.BlockedStatus(
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
    on.refresh(builds.NEW)
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
    on.refresh(builds.NEW)
    on.settle()
    is_complete(on, "416")
    assert on.world.raft.database.checkpoints == checkpoints + 1
    assert on.units[0].machine.stops == 1


def test_two_units(deployed: Deployed) -> None:
    on = deployed(2)
    on.refresh(builds.NEW)
    on.settle()
    assert revisions(on) == {0: "366", 1: "416"}
    assert resume(on, 0).failure is None
    on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == 1


def test_the_primary_is_handed_over_in_a_hook_before_the_one_that_stops_it(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 2)
    on.refresh(builds.NEW)
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
    on.refresh(builds.NEW)
    on.settle()
    if refreshed == 2:
        resume(on, 1)
        on.settle()
    assert sorted(revisions(on).values(), key=str) == ["366"] * (3 - refreshed) + ["416"] * refreshed
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    for number in (1, 0):
        if on.units[number].machine.revision == "416":
            assert resume(on, number).failure is None
            on.settle()
    is_complete(on, "366")
    assert on.workload_version == "16.14"


def test_a_refresh_can_be_done_again_after_a_rollback(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    assert revisions(on)[2] == "416"
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    is_complete(on, "366")
    on.set_config(pause_after_unit_refresh="none")
    on.refresh(dataclasses.replace(builds.NEW))
    on.settle()
    is_complete(on, "416")


@pytest.mark.parametrize("primary", [0, 2])
def test_charm_code_only(deployed: Deployed, primary: int) -> None:
    on = deployed(3)
    primary_on(on, primary)
    on.refresh(dataclasses.replace(builds.OLD, version="16/1.0.1", url="ch:amd64/postgresql-machine-3"))
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
    on.refresh(dataclasses.replace(builds.NEW, **changes))
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert on.status.name == "blocked"
    assert on.status.message == "Refresh incompatible. Rollback with `juju refresh --revision 1`"
    assert on.world.switchovers == []
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    is_complete(on, "366")


def test_an_incompatible_build_hands_nothing_over(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 2)
    on.refresh(dataclasses.replace(builds.NEW, workload="17.1"))
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
    assert "`juju refresh postgresql-machine --revision 1`" in result.results["result"]
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
    on.refresh(builds.NEW)
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert on.world.switchovers == []
    assert on.units[2].message == f"Rollback with `juju refresh`. Pre-refresh check failed: {reason}"
    assert on.units[2].status.name == "blocked"


def test_no_room_for_the_snap_stops_a_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.units[2].machine.free_for_snap = 100 * 1024**2
    on.refresh(builds.NEW)
    on.settle()
    assert revisions(on)[2] == "366"
    assert "100 MiB free for the snap, 512 needed; make room" in on.units[2].message


def test_an_unreachable_primary_stops_a_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.primary.machine.sql_fault = True
    on.refresh(builds.NEW)
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert "The primary cannot be asked" in on.units[2].message


def test_a_refresh_can_be_forced(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(builds.NEW)
    on.settle()
    assert on.units[0].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False})).failure == (
        "Must run action on unit 2"
    )
    result = on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False}))
    assert (result.failure, result.results) == (None, {"result": "Refreshed unit 2"})
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    assert on.units[2].machine.patroni is not None
