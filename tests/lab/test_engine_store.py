"""The store: transactions, journal, what is kept in memory."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import sqlite3
import threading
import time

import pytest

from lab.controller import store as store_module
from lab.controller.entities import logs, machines, models, relations, statuses, tasks, uniter, units

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
MODEL = models.Model("u", "m", "admin", NOW, config={"a": [1, None]})


@pytest.fixture
def store(tmp_path: pathlib.Path) -> store_module.Store:
    return store_module.Store(tmp_path / "store.sqlite")


def test_all_kinds_of_values_come_back(store: store_module.Store) -> None:
    state = uniter.UniterState(
        "u",
        "a/0",
        kind=uniter.Kind.RUN_HOOK,
        hook=uniter.Hook("relation-changed", relation=3, remote_unit="b/1"),
        installed=True,
        relations={3: uniter.RelationState({"b/1": 2}, {"b": 1}, "b/1", True)},
    )
    ends = [relations.RelationEndpoint("a", "db", "provider", "x")]
    relation = relations.Relation("u", 3, "a:db", ends, models.Life.DYING)
    task = tasks.Task("u", 2, 1, "unit-a-0", "go", {"x": 1.5}, NOW, log=[(NOW, "one")])
    for entity in (MODEL, state, relation, task):
        store.put(entity)
    assert store.get(models.Model, "u") == MODEL
    assert store.get(uniter.UniterState, "u", "a/0") == state
    assert store.find(relations.Relation, model="u") == [relation]
    assert store.get(tasks.Task, "u", 2) == task


def test_none_is_found_too(store: store_module.Store) -> None:
    store.put(units.Unit("u", "a/0", "a", 0, NOW), units.Unit("u", "a/1", "a", 1, NOW, machine="1"))
    assert [unit.name for unit in store.find(units.Unit, machine=None)] == ["a/0"]
    assert [unit.name for unit in store.find(units.Unit, machine="1")] == ["a/1"]


def test_what_is_not_there(store: store_module.Store) -> None:
    assert store.get(models.Model, "x") is None
    with pytest.raises(store_module.NotFoundError, match="models"):
        store.require(models.Model, "x")


def test_a_transaction_is_whole_or_nothing(store: store_module.Store, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put(MODEL)
        assert store.get(models.Model, "u") == MODEL
        raise ZeroDivisionError
    assert store.get(models.Model, "u") is None
    assert store.changes(0) == []
    assert store_module.Store(tmp_path / "store.sqlite").get(models.Model, "u") is None


def test_an_inner_transaction_may_fail_alone(store: store_module.Store) -> None:
    other = dataclasses.replace(MODEL, uuid="v")
    with store.transaction():
        store.put(MODEL)
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.put(other, dataclasses.replace(MODEL, name="changed"))
            raise ZeroDivisionError
        assert store.get(models.Model, "u") == MODEL
    assert store.find(models.Model) == [MODEL]
    assert [change.key for change in store.changes(0)] == [("u",)]


def test_what_is_read_is_never_old(store: store_module.Store) -> None:
    assert store.find(models.Model) == []
    store.put(MODEL)
    assert store.find(models.Model, name="m") == [MODEL]
    changed = dataclasses.replace(MODEL, name="n")
    store.put(changed)
    assert store.get(models.Model, "u") == changed
    assert store.find(models.Model, name="m") == []
    store.delete(changed)
    assert store.get(models.Model, "u") is None
    logs.append(store, NOW, "u", "unit-a-0", "INFO", "x", "one")
    assert len(store.find(logs.LogLine)) == 1
    logs.append(store, NOW, "u", "unit-a-0", "INFO", "x", "two")
    assert [line.message for line in store.find(logs.LogLine)] == ["one", "two"]


def test_a_list_that_was_read_can_be_changed_by_who_got_it(store: store_module.Store) -> None:
    store.put(MODEL)
    store.find(models.Model).clear()
    assert store.find(models.Model) == [MODEL]


def test_the_journal(store: store_module.Store, tmp_path: pathlib.Path) -> None:
    store.put(MODEL)
    first = store.sequence
    store.put(MODEL)
    assert store.sequence == first
    unit = units.Unit("u", "a/0", "a", 0, NOW)
    with store.transaction():
        store.put(unit)
        store.put(uniter.UniterState("u", "a/0"))
        store.delete(MODEL)
        assert store.sequence == first
    assert [(change.kind, change.key) for change in store.changes(first)] == [
        ("units", ("u", "a/0")),
        ("models", ("u",)),
    ]
    store.delete(MODEL)
    last = store.sequence
    assert last == first + 2
    store.close()
    assert store_module.Store(tmp_path / "store.sqlite").sequence == last


def test_waiting_for_the_journal(store: store_module.Store) -> None:
    before = time.monotonic()
    assert store.wait(store.sequence, 0.05) == store.sequence
    assert time.monotonic() - before >= 0.05
    threading.Timer(0.05, lambda: store.put(MODEL)).start()
    assert store.wait(0, 10) == 1
    assert time.monotonic() - before < 5


def test_listeners_hear_of_the_journal_only(store: store_module.Store) -> None:
    heard: list[int] = []
    store.subscribe(lambda: heard.append(store.sequence))
    store.put(uniter.UniterState("u", "a/0"))
    logs.append(store, NOW, "u", "unit-a-0", "INFO", "x", "one")
    assert heard == []
    store.put(MODEL)
    assert heard == [1]


def test_threads_do_not_see_half_a_transaction(store: store_module.Store) -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(len(store.find(machines.Machine))))
    with store.transaction():
        store.put(machines.Machine("u", "0", "h0", NOW))
        thread.start()
        time.sleep(0.05)
        store.put(machines.Machine("u", "1", "h1", NOW))
    thread.join()
    assert seen == [2]


def test_a_store_of_another_version_is_refused(store: store_module.Store, tmp_path: pathlib.Path) -> None:
    store.close()
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(store_module.StoreError, match="schema version 99"):
        store_module.Store(tmp_path / "store.sqlite")


def test_old_history_is_dropped(store: store_module.Store) -> None:
    for number in range(statuses.HISTORY_LENGTH + 20):
        statuses.set_status(store, NOW, "u", "unit-a-0", "active", str(number))
    statuses.set_status(store, NOW, "u", "unit-a-1", "active", "other")
    kept = statuses.history(store, "u", "unit-a-0")
    assert [entry.message for entry in kept] == [str(number) for number in range(20, statuses.HISTORY_LENGTH + 20)]
    assert len(store.find(statuses.StatusHistory)) == statuses.HISTORY_LENGTH + 1


def test_an_old_journal_is_dropped_when_the_store_is_opened(
    store: store_module.Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        store.put(dataclasses.replace(MODEL, name=str(number)))
    store.close()
    monkeypatch.setattr(store_module, "JOURNAL_LENGTH", 4)
    again = store_module.Store(tmp_path / "store.sqlite")
    assert [change.sequence for change in again.changes(0)] == [7, 8, 9, 10]
    assert again.sequence == 10


def test_numbers_are_never_used_twice(store: store_module.Store) -> None:
    assert [models.next_number(store, "u", "machine") for _ in range(3)] == [0, 1, 2]
    assert models.next_number(store, "u", "task", first=1) == 1
    assert models.next_number(store, "v", "machine") == 0


@pytest.mark.parametrize(
    ("config", "module", "level", "kept"),
    [
        ("<root>=INFO", "unit.a/0.install", "DEBUG", False),
        ("<root>=INFO", "unit.a/0.install", "INFO", True),
        ("<root>=INFO;unit=DEBUG", "unit.a/0.install", "DEBUG", True),
        ("<root>=INFO;unit=DEBUG", "juju.worker", "DEBUG", False),
        ("<root>=WARNING;unit.a/0=TRACE", "unit.a/0.juju-log", "TRACE", True),
        ("<root>=WARNING;unit.a/0=TRACE", "unit.a/1.juju-log", "INFO", False),
        ("", "x", "INFO", True),
    ],
)
def test_which_lines_are_kept(config: str, module: str, level: str, kept: bool) -> None:
    assert logs.enabled(config, module, level) is kept
