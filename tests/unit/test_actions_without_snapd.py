"""Actions on a unit that cannot act: snapd does not answer, which makes none of them crash, or its charm is refused."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

from tests.fakes import builds, units
from tests.unit.conftest import Deployed
from workload import snap

SILENCE = "snapd does not answer: connection refused; see `systemctl status snapd`, then run this action again"


def silent(deployed: Deployed) -> list[units.Unit]:
    """The units of an application, the primary first, all of them without snapd."""
    on = deployed(3)
    for unit in on.units.values():
        unit.machine.snapd_running = False
    return [on.primary, *(unit for unit in on.units.values() if unit is not on.primary)]


@pytest.mark.parametrize("name", sorted(builds.METADATA["actions"]))
def test_no_action_crashes(deployed: Deployed, name: str) -> None:
    for unit in silent(deployed):
        result = unit.act(name)
        assert result.results or "snapd" in (result.failure or ""), name
        assert unit.status.name == "waiting"
        assert unit.machine.patroni is not None


def test_what_needs_no_snapd_is_answered(deployed: Deployed) -> None:
    primary, standby, _ = silent(deployed)
    assert standby.act("get-primary").results == {"primary": primary.name}
    report = json.loads(standby.act("get-cluster-status", format="json").results["status"])
    assert {member["state"] for member in report["members"]} == {"running", "streaming"}
    assert {member["snap-revision"] for member in report["members"] if member["unit"] == standby.name} == {None}
    assert json.loads(standby.act("get-refresh-status", format="json").results["status"])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("pre-refresh-check", {}),
        ("force-refresh-start", {"check-compatibility": False}),
        ("resume-refresh", {"check-health-of-refreshed-units": False}),
        ("switchover", {}),
        ("force-majority", {}),
    ],
)
def test_what_needs_snapd_fails_with_its_words_and_works_later(
    deployed: Deployed, name: str, parameters: dict[str, typing.Any]
) -> None:
    units = silent(deployed)
    highest = max(units, key=lambda unit: unit.number)
    for unit in units:
        result = unit.act(name, **parameters)
        assert (result.failure, result.results) == (SILENCE, {})
    on = highest.application
    assert on.world.switchovers == []
    for unit in units:
        unit.machine.snapd_running = True
    later = highest.act(name, **parameters)
    assert "snapd" not in (later.failure or "")
    on.settle()
    assert on.are_active(), on.summary()


RESUME = {"check-health-of-refreshed-units": True}


def test_a_refresh_is_resumed_when_snapd_is_back(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    waits = on.units[1]
    waits.machine.snapd_running = False
    assert waits.act("resume-refresh", **RESUME).failure == SILENCE
    assert waits.act("switchover").failure == SILENCE
    assert (waits.machine.revision, waits.machine.stops) == ("366", 0)
    waits.machine.snapd_running = True
    assert waits.act("resume-refresh", **RESUME).failure is None
    on.settle()
    assert on.are_active(), on.summary()


def test_snapd_falls_silent_while_it_refreshes(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    machine = on.units[1].machine

    def fall_silent(revision: str) -> None:
        machine.snapd_running = False
        raise snap.SnapdUnreachableError(f"snapd does not answer: no answer about revision {revision}")

    with monkeypatch.context() as patched:
        patched.setattr(machine, "refresh", fall_silent)
        result = on.units[1].act("resume-refresh", **RESUME)
    assert (result.failure, result.results) == (SILENCE, {})
    machine.snapd_running = True
    on.update_status()
    on.settle()
    assert machine.patroni is not None
    assert on.units[1].act("resume-refresh", **RESUME).failure is None
    on.settle()
    assert on.are_active(), on.summary()


def test_switchover_on_a_refused_charm_says_so(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(dataclasses.replace(builds.OLD, version="16/1.0.1", url="ch:amd64/postgresql-machine-3"))
    on.settle()
    on.refresh(builds.OLD)
    on.settle()
    for unit in on.units.values():
        failure = unit.act("switchover").failure or ""
        assert failure.startswith("No switchover: Charm 16/1.0.0 cannot follow 16/1.0.1. Go back: `juju refresh")
    assert on.world.switchovers == []


def test_switchover_before_charm_refresh_is_ready_points_to_the_status(deployed: Deployed) -> None:
    on = deployed(3)
    on.units[0].in_scope = False
    assert on.units[0].act("switchover").failure == "No switchover: this unit cannot act now; see its status"
    on.units[0].in_scope = True
