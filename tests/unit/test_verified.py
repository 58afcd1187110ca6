"""A hook does not ask Raft and PostgreSQL again for what has been found in order, until something changes."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing

import pytest

import verified
from tests.fakes import juju, known, units, workload
from tests.unit.conftest import Deployed
from workload import files

HOUR = verified.LOOK_SECONDS


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of Raft nodes and of PostgreSQL."""
    seen: list[str] = []
    execute, verifiers = workload.Raft._execute, workload.Sql.role_verifiers

    def note(self: workload.Raft, node: str, command: list[str]) -> object:
        seen.append("raft")
        return execute(self, node, command)

    def note_sql(self: workload.Sql, names: typing.Any) -> dict[str, str | None]:
        seen.append("sql")
        return verifiers(self, names)

    monkeypatch.setattr(workload.Raft, "_execute", note)
    monkeypatch.setattr(workload.Sql, "role_verifiers", note_sql)
    return seen


UPDATE_STATUS = units.Event("update-status")


def asked_in(on: juju.Application, unit: units.Unit, asked: list[str], event: units.Event = UPDATE_STATUS) -> list[str]:
    asked.clear()
    unit.queue.append(event)
    while unit.queue:
        on.step(unit)
    return list(asked)


def settled(deployed: Deployed) -> tuple[juju.Application, units.Unit]:
    """The leader, whose PostgreSQL is the primary; it has just looked."""
    on = deployed(3)
    unit = on.primary
    assert on.leader is unit
    unit.queue.append(units.Event("config-changed"))
    on.settle()
    return on, unit


@pytest.mark.parametrize(
    "event",
    [
        UPDATE_STATUS,
        units.Event("cluster_changed"),
        units.Event("relation-changed", endpoint="database-peers", remote=1),
        units.Event("relation-changed", endpoint="refresh-v-three", remote=1),
        units.Event("relation-changed", endpoint="refresh-v-three"),
    ],
    ids=str,
)
def test_nothing_is_asked_twice(deployed: Deployed, asked: list[str], event: units.Event) -> None:
    on, unit = settled(deployed)
    assert asked_in(on, unit, asked, event) == []
    assert unit.status.name == "active"
    assert on.are_active(), on.summary()


@pytest.mark.parametrize(
    "event",
    [
        units.Event("config-changed"),
        units.Event("upgrade-charm"),
        units.Event("start"),
        units.Event("leader-elected"),
        units.Event("relation-joined", endpoint="database-peers", remote=1),
    ],
    ids=str,
)
def test_any_other_event_asks(deployed: Deployed, asked: list[str], event: units.Event) -> None:
    on, unit = settled(deployed)
    asked.clear()
    unit.queue.append(event)
    on.step(unit)
    # upgrade-charm looks twice: whether this unit hands the primary over first, and then at everything.
    assert asked[:2] == ["raft", "sql"]


def test_after_an_hour_it_asks_and_mends(deployed: Deployed, asked: list[str]) -> None:
    on, unit = settled(deployed)
    on.world.raft.database.tablespaces.clear()
    assert asked_in(on, unit, asked) == []
    on.world.advance(HOUR)
    assert asked_in(on, unit, asked)[:2] == ["raft", "sql"]
    assert on.world.raft.database.tablespaces


def test_after_a_failover_and_with_a_member_missing_it_asks(deployed: Deployed, asked: list[str]) -> None:
    on, unit = settled(deployed)
    on.world.raft.timeline += 1
    assert on.world.raft.primary is not None
    assert on.world.raft.primary.data is not None
    on.world.raft.primary.data.timeline += 1
    assert "sql" in asked_in(on, unit, asked)
    standby = next(each for each in on.units.values() if each is not unit)
    standby.machine.crash()
    on.world.advance(30)  # Patroni shows it until its key has expired
    assert "raft" in asked_in(on, unit, asked)


def of(**changes: typing.Any) -> verified.Verified:
    return dataclasses.replace(
        verified.Verified(frozenset(known.node(each) for each in range(3)), f"{known.IDENTIFIER}:1", 1000.0), **changes
    )


def test_members_that_are_the_units_are_remembered() -> None:
    assert verified.Verified().updated(known.settled(0, database_seen=True), 1000.0) == of()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"raft": known.raft_view(4)}, {"raft": frozenset()}),
        ({"raft": known.raft_view(3, connected=())}, {"raft": frozenset()}),
        ({"role_passwords_current": False}, {"database": None}),
        ({"temporary_tablespace_exists": False}, {"database": None}),
    ],
)
def test_what_is_not_in_order_is_asked_again(changes: dict[str, typing.Any], expected: dict[str, typing.Any]) -> None:
    found = of().updated(known.settled(0, database_seen=True, **changes), 1001.0)
    assert found == of(since=1001.0, **expected)


def test_what_was_not_asked_stays() -> None:
    assert of().updated(known.settled(0, raft=None), 1001.0) == of()
    # Only the time is new: the file is not written for that in each hook.
    assert of().updated(known.settled(0, database_seen=True), 1001.0) == of()
    later = 1000.0 + HOUR / 2
    assert of().updated(known.settled(0, database_seen=True), later) == of(since=later)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"cluster": None}, False),
        ({"cluster": known.view(2)}, False),
        ({"cluster": known.view(4)}, False),
        ({"cluster": known.view(changes={1: {"state": "starting"}})}, False),
        ({"peers": (known.peer(1),)}, False),
    ],
)
def test_members_count_only_while_the_cluster_shows_the_same(changes: dict[str, typing.Any], expected: bool) -> None:
    assert of().has_members(known.settled(0, **changes)) is expected


def test_it_counts_for_an_hour_and_not_from_the_future() -> None:
    assert of().counts(1000.0)
    assert of().counts(1000.0 + HOUR - 1)
    assert not of().counts(1000.0 + HOUR)
    assert not of().counts(999.0)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"raft": 3, "database": null, "since": 0}', '{"raft": []}']
)
def test_a_file_that_is_none_is_begun_anew(tmp_path: pathlib.Path, content: str) -> None:
    (tmp_path / verified.FILE).write_text(content)
    assert verified.load(tmp_path) == verified.Verified()


def test_the_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verified.load(tmp_path) == verified.Verified()
    found = tmp_path.stat()
    monkeypatch.setattr(files, "ROOT", files.Owner(found.st_uid, found.st_gid))
    verified.save(tmp_path, of())
    assert verified.load(tmp_path) == of()
    content = json.loads((tmp_path / verified.FILE).read_text())
    (tmp_path / verified.FILE).write_text(json.dumps({**content, "later": 1}))
    assert verified.load(tmp_path) == of()
