"""The charm's own actions on whole clusters, with each of their refusals."""

from __future__ import annotations

import json

import pytest

import actions
import switchover
from tests.fakes import builds, juju, known, units
from tests.unit.conftest import Deployed


def test_get_primary(deployed: Deployed) -> None:
    on = deployed(3)
    for unit in on.units.values():
        result = unit.act("get-primary")
        assert (result.failure, result.results) == (None, {"primary": on.primary.name})


def test_get_primary_without_one(deployed: Deployed) -> None:
    on = deployed(3)
    for number in (1, 2):
        on.units[number].machine.crash()
    on.world.advance(60)
    failure = on.units[0].act("get-primary").failure
    assert failure == "The cluster has no primary now; see `juju status` and the action get-cluster-status"


def test_get_cluster_status_as_a_table(deployed: Deployed) -> None:
    on = deployed(3)
    primary = on.primary
    standby = next(unit for unit in on.units.values() if unit is not primary)
    assert standby.machine.patroni is not None
    standby.machine.patroni.pending_restart, standby.machine.patroni.lag = True, None
    lines = on.units[0].act("get-cluster-status").results["status"].splitlines()
    assert lines[0].split() == ["Unit", "Role", "State", "Timeline", "Lag", "Snap", "Restart"]
    assert [line.split()[0] for line in lines[1:]] == [unit.name for unit in on.units.values()]
    assert lines[1 + primary.number].split()[1:] == ["primary", "running", "1", "366"]
    assert lines[1 + standby.number].split()[1:] == [
        *("synchronous", "standby", "streaming", "1", "unknown", "366", "pending")
    ]


def test_the_table_tells_that_patroni_is_paused(deployed: Deployed) -> None:
    on = deployed(1)
    on.world.raft.paused = True
    text = on.units[0].act("get-cluster-status", format="table").results["status"]
    assert text.endswith("Patroni is paused: no failover. Run `sudo charmed-postgresql.patronictl resume` on a unit.")


def test_get_cluster_status_as_json(deployed: Deployed) -> None:
    on = deployed(3)
    primary = on.primary.number
    report = json.loads(on.units[2].act("get-cluster-status", format="json").results["status"])
    assert {key: value for key, value in report.items() if key != "members"} == {
        "application": "postgresql-machine",
        "cluster-id": on.world.raft.system_identifier,
        "paused": False,
        "synchronous-node-count": 2,
    }
    assert report["members"] == [
        {
            "unit": f"postgresql-machine/{number}",
            "member": f"postgresql-machine-{number}",
            "role": "primary" if number == primary else "synchronous standby",
            "state": "running" if number == primary else "streaming",
            "address": on.units[number].machine.address,
            "timeline": 1,
            "lag-bytes": None if number == primary else 0,
            "snap-revision": "366",
            "restart-pending": False,
        }
        for number in range(3)
    ]


def test_get_cluster_status_tells_of_units_that_are_no_members(deployed: Deployed) -> None:
    on = deployed(3)
    standby = next(unit for unit in on.units.values() if unit is not on.primary)
    standby.machine.crash()
    on.world.advance(60)
    report = json.loads(on.primary.act("get-cluster-status", format="json").results["status"])
    assert [member["unit"] for member in report["members"]] == [unit.name for unit in on.units.values()]
    assert report["members"][standby.number] == {
        "unit": standby.name,
        "member": standby.member_name,
        "role": "none",
        "state": "absent",
        "address": standby.machine.address,
        "timeline": None,
        "lag-bytes": None,
        "snap-revision": "366",
        "restart-pending": False,
    }
    lines = on.primary.act("get-cluster-status").results["status"].splitlines()
    assert lines[1 + standby.number].split() == [standby.name, "none", "absent", "unknown", "unknown", "366"]


def test_get_cluster_status_tells_of_members_that_are_no_units() -> None:
    seen = known.settled(0, 2, cluster=known.view(3, changes={1: {"name": "another-1"}}))
    assert [(row["unit"], row["member"], row["state"]) for row in actions.cluster_report(seen, {})["members"]] == [
        ("postgresql-machine/0", "postgresql-machine-0", "running"),
        (None, "another-1", "streaming"),
        ("postgresql-machine/1", "postgresql-machine-1", "absent"),
        ("postgresql-machine/2", "postgresql-machine-2", "streaming"),
    ]


def test_get_cluster_status_where_nobody_answers(on: juju.Application) -> None:
    on.deploy(1, store_reachable=False)
    on.run(20)
    failure = on.units[0].act("get-cluster-status").failure
    assert failure == "The cluster does not answer on this unit; run the action on another one, or see `juju status`"


@pytest.mark.parametrize("candidate", [None, "lower", "higher"])
@pytest.mark.parametrize("on_primary", [True, False])
def test_switchover(deployed: Deployed, candidate: str | None, on_primary: bool) -> None:
    on = deployed(3)
    old = on.primary
    others = [unit for unit in on.units.values() if unit is not old]
    runs_on = old if on_primary else others[0]
    wanted = others[0] if candidate == "lower" else others[-1]
    checkpoints = on.world.raft.database.checkpoints
    result = runs_on.act("switchover", **({"candidate": wanted.name} if candidate else {}))
    assert (result.failure, result.results) == (None, {"old-primary": old.name, "new-primary": wanted.name})
    assert on.world.raft.database.checkpoints == checkpoints + 1
    on.settle()
    assert on.primary is wanted
    assert on.are_active(), on.summary()


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (
            "postgresql-machine/7",
            "No switchover: 'postgresql-machine/7' is no unit of this application; "
            "units: postgresql-machine/0, postgresql-machine/1, postgresql-machine/2",
        ),
        ("mysql/1", "No switchover: 'mysql/1' is no unit of this application"),
        ("postgresql-machine/x", "No switchover: 'postgresql-machine/x' is no unit"),
        ("1", "No switchover: '1' is no unit of this application"),
        ("postgresql-machine/²", "No switchover: 'postgresql-machine/²' is no unit"),
        ("PRIMARY", "is the primary already"),
    ],
)
def test_switchover_to_what_cannot_be(deployed: Deployed, candidate: str, reason: str) -> None:
    on = deployed(3)
    failure = on.units[0].act("switchover", candidate=candidate.replace("PRIMARY", on.primary.name)).failure
    assert failure is not None
    assert reason in failure
    assert on.world.switchovers == []


def standby(on: juju.Application) -> units.Unit:
    return next(unit for unit in on.units.values() if unit is not on.primary)


def test_switchover_refuses_what_would_lose_transactions(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(synchronous_node_count=1)
    on.settle()
    asynchronous = next(
        unit
        for unit in on.units.values()
        if unit is not on.primary and unit.member_name not in on.world.raft.synchronous
    )
    failure = on.units[0].act("switchover", candidate=asynchronous.name).failure
    assert failure == f"No switchover: {asynchronous.member_name} is not a synchronous standby"
    assert on.world.switchovers == []


def test_switchover_refuses_a_member_that_does_not_stream(deployed: Deployed) -> None:
    on = deployed(3)
    sick = standby(on)
    assert sick.machine.patroni is not None
    sick.machine.patroni.state = "stopped"
    failure = on.units[0].act("switchover", candidate=sick.name).failure
    assert failure == f"No switchover: {sick.member_name} is stopped, not streaming"


def test_switchover_without_another_unit(deployed: Deployed) -> None:
    on = deployed(1)
    assert on.units[0].act("switchover").failure == "No switchover: there is no other member"


def test_switchover_while_paused(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.paused = True
    assert (
        on.units[0].act("switchover").failure
        == "No switchover: Patroni is paused; run `sudo charmed-postgresql.patronictl resume`"
    )


def test_switchover_during_a_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    failure = on.units[0].act("switchover").failure
    assert failure == "Not while a refresh is in progress: it hands the primary over by itself"
    assert on.world.switchovers == []


@pytest.mark.parametrize(("fault", "waits"), [("refuse", False), ("lost", True)])
def test_switchover_that_patroni_refuses(deployed: Deployed, fault: str, waits: bool) -> None:
    on = deployed(3)
    on.world.switchover_fault = fault
    begun = on.world.now
    failure = on.units[0].act("switchover").failure
    # Where nothing was begun nothing can come of it.
    assert (on.world.now - begun >= switchover.SETTLE_SECONDS) is waits
    assert failure is not None
    assert failure.startswith("The switchover did not succeed: Patroni at ")
    assert failure.endswith("; see the action get-cluster-status")
    on.settle()
    assert on.are_active(), on.summary()


def test_switchover_whose_answer_is_lost(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.switchover_fault = "unknown"
    result = on.units[0].act("switchover")
    assert result.failure is None
    assert len(on.world.switchovers) == 1
