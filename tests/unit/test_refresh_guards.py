"""What would hurt in the course of a refresh, and what the charm does against it."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import typing

import pytest

import problems
import refresh
from tests.fakes import builds, juju, known, process, world
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import FORCE, is_complete, primary_on, resume, revisions
from workload import snap

NEW, OLD = "416", "366"
REFUSED = "cannot stop: change in progress"


@pytest.fixture
def stop_refused(monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[set[world.Machine]]:
    """Machines whose snapd refuses to stop Patroni."""
    refusing: set[world.Machine] = set()
    stop = world.Machine.stop

    def refuse(machine: world.Machine, disable: bool = False) -> None:
        if machine in refusing:
            raise snap.SnapOperationError(REFUSED)
        stop(machine, disable)

    monkeypatch.setattr(world.Machine, "stop", refuse)
    yield refusing
    refusing.clear()


def patroni(on: juju.Application, number: int) -> process.Process:
    """The unit's, which runs."""
    found = on.units[number].machine.patroni
    assert found is not None
    return found


def told(on: juju.Application, number: int) -> dict[str, str]:
    """What the unit has published among its peers."""
    return on.databags["database-peers"][number]


def paused_refresh(on: juju.Application, primary: int = 0) -> None:
    """Unit 2 is refreshed, and the refresh waits for the operator."""
    primary_on(on, primary)
    on.refresh(builds.NEW)
    on.settle()
    assert revisions(on)[max(on.units)] == NEW


def test_nobody_is_stopped_while_patroni_is_paused(deployed: Deployed) -> None:
    on = deployed(3)
    paused_refresh(on)
    on.world.raft.paused = True
    stops = on.units[1].machine.stops
    done = resume(on, 1)
    assert problems.PAUSED in str(done.failure)
    on.run(120)
    assert on.units[1].machine.stops == stops
    # Nor in a rollback, in which nothing else holds the highest unit.
    on.refresh(dataclasses.replace(builds.OLD))
    on.run(120)
    assert revisions(on)[2] == NEW
    assert "Patroni is paused" in on.units[2].message
    on.world.raft.paused = False
    on.run(300)
    assert set(revisions(on).values()) == {OLD}


def test_a_unit_allows_nobody_to_refresh_while_patroni_is_paused() -> None:
    paused = known.settled(1, cluster=known.view(3, paused=True))
    assert problems.unhealthy(paused) == problems.PAUSED
    assert problems.unhealthy(known.settled(1)) is None


def test_a_postgresql_that_a_paused_patroni_does_not_start_says_why(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.paused = True
    machine = on.units[1].machine
    machine.crash()
    machine.boot()
    on.run(60)
    assert on.units[1].message == f"PostgreSQL is stopped; {problems.PAUSED}"
    on.world.raft.paused = False
    on.run(60)
    assert on.units[1].message == "Synchronous standby"


def test_after_a_stop_that_failed_a_member_is_a_synchronous_standby_again(
    deployed: Deployed, stop_refused: set[world.Machine]
) -> None:
    on = deployed(2)
    primary_on(on, 1)
    on.set_config(pause_after_unit_refresh="all")
    on.settle()
    on.refresh(builds.NEW)
    on.settle()
    unit = on.units[0]
    stop_refused.add(unit.machine)
    assert REFUSED in resume(on, 0).log
    stop_refused.clear()
    on.settle()
    assert not patroni(on, 0).renounces_synchronous
    assert on.world.raft.synchronous == {"postgresql-machine-0"}
    assert resume(on, 0).failure is None
    on.settle()
    is_complete(on, NEW)


def test_a_tag_that_outlives_its_stop_is_taken_back(deployed: Deployed) -> None:
    # The file is as it should be, Patroni has not been told: its reload failed, or the hook was cut off before.
    on = deployed(3)
    primary_on(on, 0)
    patroni(on, 2).settings["tags"] = {"nosync": True}
    on.update_status()
    on.settle()
    assert not patroni(on, 2).renounces_synchronous


@pytest.mark.parametrize(
    ("free", "reason"),
    [
        (300, "Unit 0: storage nearly full: logs; make room"),
        (100, "Unit 0: storage nearly full: logs; make room"),
    ],
)
def test_room_on_the_primary_counts(deployed: Deployed, free: int, reason: str) -> None:
    on = deployed(3)
    primary_on(on, 0)
    machine = on.units[0].machine
    machine.free["logs"] = free * 2**20
    on.update_status()
    on.settle()
    assert json.loads(told(on, 0)["short-of-room"]) == ["logs"]
    on.refresh(builds.NEW)
    on.settle()
    assert set(revisions(on).values()) == {OLD}
    assert reason in on.units[2].message
    machine.free["logs"] = 2**40
    on.update_status()
    on.run(120)
    assert revisions(on)[2] == NEW
    assert "short-of-room" not in told(on, 0)


def test_with_one_unit_left_the_application_asks_for_the_confirmation(deployed: Deployed) -> None:
    on = deployed(2)
    paused_refresh(on, 0)
    on.remove_unit(1)
    on.settle()
    assert revisions(on) == {0: OLD}
    assert on.status.name == "blocked"
    assert "run `resume-refresh` on unit 0" in on.status.message
    assert resume(on, 0).failure is None
    on.settle()
    is_complete(on, NEW)


@pytest.mark.parametrize(
    "action", ["get-primary", "get-cluster-status", "get-refresh-status", "get-snap-refresh-status"]
)
def test_an_action_that_asks_refreshes_nothing(deployed: Deployed, action: str) -> None:
    on = deployed(3)
    primary_on(on, 0)
    unit = on.units[2]
    unit.machine.store_reachable = False
    on.refresh(builds.NEW)
    on.run(60)
    assert unit.error
    unit.machine.store_reachable = True
    stops = unit.machine.stops
    unit.act(action)
    assert (unit.machine.stops, unit.machine.revision) == (stops, OLD)
    on.run(120)
    assert unit.machine.revision == NEW


def test_checks_that_pass_again_let_the_refresh_go_on(deployed: Deployed) -> None:
    # What goes on in the database changes nothing that anybody would tell of.
    on = deployed(3)
    primary_on(on, 0)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(builds.NEW)
    on.settle()
    assert set(revisions(on).values()) == {OLD}
    on.world.raft.database.activity = {}
    on.run(60)
    assert revisions(on)[2] == NEW


def test_what_the_application_has_told_stands_while_the_leader_s_snapd_is_silent(deployed: Deployed) -> None:
    on = deployed(3)
    paused_refresh(on)
    before = on.status
    assert before.name == "blocked"
    leader = on.leader
    assert leader is not None
    leader.machine.snapd_running = False
    on.update_status()
    on.run(30)
    assert on.status == before


def test_a_backup_that_began_meanwhile_is_not_cut_off(deployed: Deployed) -> None:
    on = deployed(3)
    paused_refresh(on)
    on.units[1].machine.activity = {"backup_running": True}
    done = resume(on, 1)
    assert "A backup of postgresql-machine-1 is running" in str(done.failure)
    assert revisions(on)[1] == OLD
    on.units[1].machine.activity = {}
    on.world.raft.database.activity = {"backup_running": True}
    assert resume(on, 1).failure is None
    on.run(120)
    # The primary, which is handed over before, is the last.
    assert revisions(on) == {0: OLD, 1: NEW, 2: NEW}
    on.world.raft.database.activity = {}
    on.run(120)
    is_complete(on, NEW)


@pytest.mark.parametrize("activity", [{"backup_running": True}, {"longest_transaction_seconds": 61.0}])
def test_what_a_standby_does_stands_against_a_refresh(deployed: Deployed, activity: dict[str, typing.Any]) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.units[1].machine.activity = activity
    on.refresh(builds.NEW)
    on.settle()
    assert set(revisions(on).values()) == {OLD}
    assert "Unit 1: a" in on.units[2].message
    assert on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False})).failure is None


def test_who_has_much_to_replay_takes_nothing_over(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 2)
    for number in (0, 1):
        patroni(on, number).replay_lag = 2**30
    on.refresh(builds.NEW)
    on.run(60)
    assert on.primary is on.units[2]
    assert set(revisions(on).values()) == {OLD}
    assert "has 1024 MiB to replay" in on.units[2].message


def test_a_unit_whose_storage_is_full_allows_nobody_and_takes_nothing_over() -> None:
    # As the primary its PostgreSQL would stop at the next segment of write-ahead log.
    full = known.settled(2, machine_storages_full=("logs",))
    assert problems.unhealthy(full) == "Storage full: logs; make room or attach a larger one"
    assert problems.unhealthy(known.settled(2, machine_storages_full=("temp",))) is None


@pytest.mark.parametrize("action", ["resume-refresh", "force-refresh-start", "pre-refresh-check"])
def test_a_unit_that_has_not_met_the_others_answers(deployed: Deployed, action: str) -> None:
    on = deployed(3)
    unit = on.add_unit()
    assert unit.act(action).failure == "This unit cannot act now; see its status"


@pytest.mark.parametrize(
    ("path", "asks"),
    [
        ("actions/get-primary", True),
        ("actions/resume-refresh", False),
        ("actions/force-refresh-start", False),
        ("hooks/update-status", False),
    ],
)
def test_a_hook_that_juju_exec_dispatches_is_no_action(monkeypatch: pytest.MonkeyPatch, path: str, asks: bool) -> None:
    monkeypatch.setenv("JUJU_ACTION_NAME", path.partition("/")[2] if path.startswith("actions/") else "juju-exec")
    monkeypatch.setenv("JUJU_DISPATCH_PATH", path)
    assert refresh._is_action_that_refreshes_nothing() is asks
