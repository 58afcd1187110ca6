"""A standby is no synchronous one any more when it stops: commits never wait for a unit that is being refreshed."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import types
import typing

import pytest

import draining
import facts
from tests.fakes import builds, known, units, workload, world
from tests.unit.conftest import Deployed
from workload import cluster, files, machine, paths, patroni, sql


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Each member that is stopped by the charm, and whether the primary's commits waited for it then."""
    seen: list[tuple[str, bool]] = []
    stop = world.Machine.stop

    def note(self: world.Machine, disable: bool = False) -> None:
        process = self.patroni
        if process is not None and process.raft is not None:
            seen.append((process.name, process.name in process.raft.synchronous))
        stop(self, disable)

    monkeypatch.setattr(world.Machine, "stop", note)
    return seen


def renounces(unit: units.Unit) -> bool:
    return unit.machine.patroni is not None and unit.machine.patroni.renounces_synchronous


@pytest.mark.parametrize("count", [2, 3])
def test_each_unit_is_drained_before_it_is_stopped_and_takes_part_again(
    deployed: Deployed, stops: list[tuple[str, bool]], count: int
) -> None:
    on = deployed(count)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(builds.NEW)
    on.settle()
    assert on.are_active(), on.summary()
    assert len(stops) == count
    assert not any(waited for _, waited in stops), stops
    assert not any(renounces(unit) for unit in on.units.values())
    assert len(on.world.raft.synchronous) == count - 1
    # Nothing of Patroni's configuration has been changed for it.
    assert {unit.name.replace("/", "-") for unit in on.units.values()} == set(on.world.woken)
    assert on.world.raft.configuration is not None
    assert "wake_up" not in on.world.raft.configuration


def test_a_standby_that_leaves_is_drained(deployed: Deployed, stops: list[tuple[str, bool]]) -> None:
    on = deployed(3)
    going = next(unit for unit in on.units.values() if unit is not on.primary)
    on.remove_unit(going.number)
    on.settle()
    assert stops == [(f"{builds.APPLICATION}-{going.number}", False)]


@pytest.mark.parametrize("why", ["refresh", "removal"])
def test_one_that_becomes_the_primary_meanwhile_is_handed_over_before_it_stops(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    on = deployed(3)
    if on.primary.number == 2:
        on.units[0].act("switchover", candidate=f"{builds.APPLICATION}/1")
        on.settle()
    going = on.units[2]
    process = going.machine.patroni
    assert process is not None
    before = len(on.world.switchovers)
    renounce = draining._renounce

    def fail_over(*_: object) -> None:
        monkeypatch.setattr(draining, "_renounce", renounce)
        on.world.raft.promote(process)

    monkeypatch.setattr(draining, "_renounce", fail_over)
    if why == "refresh":
        on.refresh(builds.NEW)
    else:
        on.remove_unit(2)
    on.settle()
    # The world notes where a primary of others is stopped.
    assert on.world.violations == []
    assert on.world.switchovers[before][0] == process.name


@dataclasses.dataclass
class Look:
    """What the primary tells when it is looked at."""

    renounced: bool
    """Whether it knows of the tag."""
    waits: bool
    """Whether commits wait for the standby."""


class Watched(machine.Workload):
    """A standby whose primary tells one look after the other, the last one again and again."""

    def __init__(self, given: facts.Facts, looks: list[Look], fault: str = "") -> None:
        super().__init__(paths.Paths(pathlib.Path("/nowhere")))
        self.given, self.looks, self.fault = given, looks, fault
        self.told: Look | None = None
        self.woken: list[str] = []

    def renounce_synchronous(self) -> None:
        pass

    def patroni(self, address: str, password: str | None = None) -> patroni.Client:
        client = patroni.Client(address, password)
        client.reload = lambda: None if self.fault != "patroni" else _raise(patroni.PatroniError("refused"))
        client.cluster = self._cluster
        client.wake_up = lambda: self._wake(address)
        return client

    def sql(self, address: str | None = None, password: str | None = None) -> sql.Sql:
        database = sql.Sql(pathlib.Path(), address, password)
        database.synchronous_standbys = self._synchronous
        return database

    def _wake(self, address: str) -> None:
        self.woken.append(address)
        if self.fault == "asleep":
            raise patroni.PatroniUnreachable("connection refused")

    def _cluster(self) -> cluster.ClusterView | None:
        if self.fault == "away":
            return None
        view, name = self.given.cluster, self.given.member_name
        assert view is not None
        self.told = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        renounced = self.told.renounced
        members = [
            dataclasses.replace(each, renounces_synchronous=renounced) if each.name == name else each
            for each in view.members
        ]
        return dataclasses.replace(view, members=tuple(members))

    def _synchronous(self) -> frozenset[str]:
        assert self.told is not None
        if self.fault == "sql":
            raise sql.SqlError("refused")
        return frozenset({self.given.member_name}) if self.told.waits else frozenset()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    shown = types.SimpleNamespace(now=0.0)
    sleep = types.SimpleNamespace(
        monotonic=lambda: shown.now, sleep=lambda seconds: setattr(shown, "now", shown.now + seconds)
    )
    monkeypatch.setattr(draining, "time", sleep)
    return shown


@pytest.mark.parametrize(
    ("fault", "seconds"), [("patroni", 0), ("sql", 0), ("away", 0), ("slow", draining.PATIENCE_SECONDS)]
)
def test_it_is_only_a_hint(clock: types.SimpleNamespace, fault: str, seconds: float) -> None:
    given = known.settled(1, primary=0)
    draining.drain(Watched(given, [Look(True, True)], fault), given)
    # Who does not answer is not waited for.
    assert seconds <= clock.now <= seconds + 1


OUT = Look(renounced=True, waits=False)


@pytest.mark.parametrize(
    ("synchronous", "looks", "polls"),
    [
        (True, [OUT], 0),
        (True, [Look(False, True), Look(True, True), OUT], 2),
        # After it has come back it is none yet, and may become one until the primary knows of the tag.
        (False, [Look(False, False), Look(False, True), Look(True, True), OUT], 5),
        (False, [Look(False, False), OUT], 3),
        # A loop that had begun before.
        (False, [OUT, Look(True, True), OUT], 4),
    ],
)
def test_it_waits_until_the_primary_knows_and_waits_no_more(
    clock: types.SimpleNamespace, synchronous: bool, looks: list[Look], polls: int
) -> None:
    given = known.settled(1, primary=0, cluster=known.view(3, synchronous={1, 2} if synchronous else {2}))
    draining.drain(Watched(given, looks), given)
    assert clock.now == polls * draining.POLL_SECONDS


@pytest.mark.parametrize("fault", ["", "asleep"])
def test_until_then_both_are_woken_the_one_that_tells_and_the_primary_that_acts_on_it(
    clock: types.SimpleNamespace, fault: str
) -> None:
    given = known.settled(2, primary=0, cluster=known.view(3, primary=0, synchronous={1, 2}))
    watched = Watched(given, [Look(False, True), Look(True, True), OUT], fault)
    draining.drain(watched, given)
    assert watched.woken == [known.address(2), known.address(0)] * 2
    assert clock.now == 2 * draining.POLL_SECONDS


def _raise(error: Exception) -> typing.Any:
    raise error


def test_the_configuration_keeps_all_else(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = files.Owner(os.getuid(), os.getgid())
    monkeypatch.setattr(files.Owner, "named", staticmethod(lambda _: owner))
    on = deployed(2)
    unit = next(unit for unit in on.units.values() if unit is not on.primary)
    process = unit.machine.patroni
    assert process is not None
    before = dict(process.settings)
    workload.Workload(unit.machine).renounce_synchronous()
    process.reload()
    tags = {**before.get("tags", {}), "nosync": True}
    assert process.settings == before | {"tags": tags}
