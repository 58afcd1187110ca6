"""A refreshed unit comes up once, as its charm wants it, and what waits for it is looked at again."""

from __future__ import annotations

import json
import typing
from unittest import mock

import pytest

from tests.fakes import builds, cluster, juju, units, workload, world
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_trouble import resume
from workload import machine, snap

Settings = dict[str, typing.Any]
ALLOWED = "next_unit_allowed_to_refresh_if_this_units_snap_revision_and_databag_are_up_to_date"


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, Settings]]:
    """Each start of a Patroni: the snap's revision, and the configuration that it came up with."""
    seen: list[tuple[str | None, Settings]] = []
    start = cluster.Process.__init__

    def note(self: cluster.Process, machine: world.Machine) -> None:
        start(self, machine)
        seen.append((machine.revision, self.settings))

    monkeypatch.setattr(cluster.Process, "__init__", note)
    return seen


def paused(deployed: Deployed) -> juju.Application:
    """The first unit has refreshed; an option has changed since."""
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    on.set_config(profile="testing")
    on.settle()
    return on


def buffers(settings: Settings) -> str:
    return settings["postgresql"]["parameters"]["shared_buffers"]


def test_snapd_starts_the_new_snap_with_what_this_charm_wants(
    deployed: Deployed, starts: list[tuple[str | None, Settings]]
) -> None:
    on = paused(deployed)
    starts.clear()
    assert resume(on, 1).failure is None
    [(revision, settings)] = starts
    assert (revision, buffers(settings)) == ("416", "128MB")
    assert "tags" not in settings
    on.settle()
    assert [each for each, _ in starts] == ["416"] * 2
    assert on.are_active(), on.summary()


def test_the_old_snap_is_started_again_as_it_was(deployed: Deployed, starts: list[tuple[str | None, Settings]]) -> None:
    on = paused(deployed)
    on.units[1].machine.refresh_fault = "unchanged"
    before = on.units[1].machine.settings()
    starts.clear()
    assert resume(on, 1).failure is not None
    assert starts == [("366", before)]
    assert on.units[1].machine.settings() == before


def test_a_configuration_that_cannot_be_written_stops_the_refresh_and_nothing_else(
    deployed: Deployed, starts: list[tuple[str | None, Settings]], monkeypatch: pytest.MonkeyPatch
) -> None:
    on = paused(deployed)
    starts.clear()

    def write(self: machine.Workload, *_: object) -> typing.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(machine.Workload, "configure", write)
    monkeypatch.setattr(machine.Workload, "restore_configuration", write)
    assert resume(on, 1).failure is not None
    assert [revision for revision, _ in starts] == ["366"]
    monkeypatch.undo()
    assert resume(on, 1).failure is None
    on.settle()
    assert on.are_active(), on.summary()


def test_a_wrong_option_leaves_it_as_it_was(deployed: Deployed, starts: list[tuple[str | None, Settings]]) -> None:
    on = paused(deployed)
    on.set_config(profile="wrong")
    before = on.units[1].machine.settings()
    starts.clear()
    resume(on, 1)
    assert starts == [("416", before)]


def test_a_unit_that_has_still_to_allow_the_next_one_is_looked_at_again(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    waited = False

    def watches(unit: units.Unit) -> bool:
        return json.loads((unit.directory / ".observer.json").read_text())["retry_seconds"] is not None

    for _ in range(300):
        on.tick()
        bag = on.databags[builds.ENDPOINTS[-1]].get(2, {})
        if bag.get("installed_snap_revision") == '"416"' and bag.get(ALLOWED) == "false":
            waited = True
            assert watches(on.units[2])
    assert waited
    assert on.databags[builds.ENDPOINTS[-1]][2][ALLOWED] == "true"
    assert not watches(on.units[2])


def fail_in_hook(on: juju.Application) -> units.Unit:
    """The first unit to refresh, whose hook has just failed in the midst of it."""
    on.refresh(builds.NEW)
    unit = on.units[2]
    for _ in range(60):
        on.tick()
        if unit.failures:
            return unit
    raise AssertionError("no hook has failed")


def test_what_a_hook_that_was_cut_off_has_stopped_is_started_where_the_snap_cannot_be_had(
    deployed: Deployed, starts: list[tuple[str | None, Settings]]
) -> None:
    on = deployed(3)

    def cut_off(*_: object) -> typing.NoReturn:
        raise RuntimeError("killed")

    with mock.patch.object(workload.Snap, "refresh", cut_off):
        unit = fail_in_hook(on)
    assert unit.machine.patroni is None
    unit.machine.store_reachable = False
    starts.clear()
    on.run(60)
    assert "store" in str(unit.failures[-1])
    assert [revision for revision, _ in starts] == ["366"]
    unit.machine.store_reachable = True
    on.settle()
    assert unit.machine.revision == "416"


def test_snapd_that_falls_silent_has_changed_nothing_as_far_as_is_known(
    deployed: Deployed, starts: list[tuple[str | None, Settings]]
) -> None:
    on = deployed(3)
    state = workload.Snap.state
    silent: list[world.Machine] = []

    def cut_off(self: workload.Snap, _: str) -> typing.NoReturn:
        silent.append(self._machine)
        raise snap.SnapdUnreachableError("snapd is away")

    def ask(self: workload.Snap) -> snap.SnapState:
        if self._machine in silent:
            raise snap.SnapdUnreachableError("snapd is away")
        return state(self)

    with mock.patch.object(workload.Snap, "refresh", cut_off), mock.patch.object(workload.Snap, "state", ask):
        starts.clear()
        unit = fail_in_hook(on)
        assert [revision for revision, _ in starts] == ["366"]
    on.settle()
    assert unit.machine.revision == "416"
