"""What keeps a unit running whose turn it is: looked at right before it stops, and whatever was asked for."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

import draining
import facts
from tests.fakes import builds
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import is_complete, primary_on, resume, revisions
from workload import machine

INCOMPATIBLE = dataclasses.replace(builds.NEW, version="16/2.0.0")
REGARDLESS = {"check-health-of-refreshed-units": False}
NOT_STARTED = "Refresh has not started; see get-refresh-status, or force-refresh-start on postgresql-machine/2"


@pytest.mark.parametrize("dies", [0, 2])
def test_who_dies_while_a_unit_is_drained_keeps_it_running(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, dies: int
) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.refresh(builds.NEW)
    on.settle()
    drain = draining.drain

    def drain_and_lose_one(workload: machine.Workload, known: facts.Facts) -> facts.Facts:
        on.units[dies].machine.crash()
        return drain(workload, known)

    monkeypatch.setattr(draining, "drain", drain_and_lose_one)
    failure = resume(on, 1).failure
    monkeypatch.setattr(draining, "drain", drain)
    assert failure is not None
    assert "Refresh will not resume" in failure
    assert on.units[1].machine.stops == 0
    on.run(60)
    # It is no unit any more that never takes over.
    assert on.world.raft.primary is not None
    on.reboot(dies)
    on.settle()
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_a_rollback_waits_for_a_unit_in_the_midst_of_its_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.refresh(builds.NEW)
    on.settle()
    first, away = on.units[2], on.units[1]
    # As it is while snapd refreshes its snap.
    assert away.machine.patroni is not None
    away.machine.crash()
    on.refresh(builds.OLD)
    on.run(100)
    assert first.machine.stops == 1
    assert first.machine.revision == "416"
    assert first.message == (
        "Refresh waits: No majority without unit 2: 1 of 3 members reachable; start the others; see get-refresh-status"
    )
    assert on.world.raft.has_quorum()
    # But a way back is always open.
    on.run(120)
    assert first.machine.revision == "366"


@pytest.mark.parametrize(
    ("build", "busy"), [(builds.NEW, {"backup_running": True}), (INCOMPATIBLE, {})], ids=["checks", "versions"]
)
@pytest.mark.parametrize("number", [2, 0])
def test_nothing_is_refreshed_regardless_before_the_refresh_has_started(
    deployed: Deployed, build: builds.Charm, busy: dict[str, typing.Any], number: int
) -> None:
    on = deployed(3)
    on.world.raft.database.activity = busy
    on.refresh(build)
    on.settle()
    assert resume(on, number, **REGARDLESS).failure == NOT_STARTED
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert [unit.machine.stops for unit in on.units.values()] == [0, 0, 0]


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (2, [1, 0]), (3, [])])
def test_of_two_units_the_plan_names_both_as_outages(deployed: Deployed, count: int, expected: list[int]) -> None:
    on = deployed(count)
    on.settle()
    names = [f"{builds.APPLICATION}/{number}" for number in expected]
    report = json.loads(on.units[0].act("get-refresh-status", format="json").results["status"])
    assert report["plan"]["no-writes-while"] == names
    table = on.units[0].act("get-refresh-status", format="table").results["status"]
    assert f"Nobody can write while these refresh: {', '.join(names) or 'none'}\n" in table
    answer = on.units[0].act("pre-refresh-check").results["result"]
    assert ("Nobody can write while a unit refreshes" in answer) == bool(expected)
