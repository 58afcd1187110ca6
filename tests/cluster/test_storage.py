"""Storage that outlives its application: it serves again, and storage that does not belong is refused and kept."""

from __future__ import annotations

import hashlib
import json
import pathlib

import application
import pytest
import writing


def _kept(applied: application.Application) -> dict[str, list[str]]:
    """Return the identifiers of the detached storage of a model, by the number of instances before them."""
    listed = json.loads(applied.juju.cli("storage", "--format", "json")).get("storage", {})
    kept: dict[str, list[str]] = {}
    for identifier, instance in listed.items():
        if instance["status"]["current"] == "detached":
            kept.setdefault(identifier.partition("/")[0], []).append(identifier)
    return kept


def _fingerprint(storage: pathlib.Path) -> dict[str, tuple[int, int, str]]:
    """Return what a storage in the lab's pool holds: each file's mode, owner and content."""
    return {
        str(file.relative_to(storage)): (
            file.stat().st_mode,
            file.stat().st_uid,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in storage.rglob("*")
        if file.is_file()
    }


def _remove_keeping_storage(applied: application.Application) -> None:
    applied.juju.remove_application(applied.application)
    applied.await_gone()
    applied.until("all machines gone", lambda: not applied.status().machines)


def test_an_application_comes_back_with_the_storage_that_was_kept(empty, write, tmp_path):
    empty.create(3)
    empty.settle(3)
    with write(empty) as client:
        client.await_write()
        primary = empty.primary()
    before, recorded = empty.secret(), client.history
    identifier = empty.cluster_status()["cluster-id"]
    storage = {unit: empty.storage(unit) for unit in empty.units()}
    _remove_keeping_storage(empty)
    assert {name: len(kept) for name, kept in _kept(empty).items()} == {"data": 3, "logs": 3, "archive": 3, "temp": 3}

    empty.create(1, attach_storage=storage[primary])
    empty.settle(1)
    assert empty.cluster_status()["cluster-id"] == identifier
    assert empty.secret()["operator-password"] != before["operator-password"]
    empty.juju.add_unit(
        empty.application, attach_storage=next(kept for unit, kept in storage.items() if unit != primary)
    )
    empty.settle(2)
    empty.juju.add_unit(empty.application)
    empty.settle(3)
    empty.await_members()
    for copy in writing.read_back(empty, tmp_path):
        writing.check(copy, recorded)


def test_storage_of_another_cluster_is_refused_and_kept(empty, write, tmp_path):
    empty.create(1)
    empty.settle(1)
    other = application.Application(empty.juju, empty.lab, empty.charm, "other")
    other.create(1)
    other.settle(1)
    with write(other) as foreigner:
        foreigner.await_write()
    recorded, foreign = foreigner.history, other.storage("other/0")
    data = other.data_directory("other/0").parents[1]
    other.juju.remove_application("other")
    other.await_gone()

    with write(empty) as client:
        empty.juju.add_unit(empty.application, attach_storage=foreign)
        said = empty.await_status("blocked", "Storage data is of cluster", "pg/1")
        assert said.endswith("attach another storage")
        kept = _fingerprint(data)
        assert "16/main/global/pg_control" in kept
        client.await_write()
        assert empty.message() == ("active", "pg-1 is no member")
        empty.juju.config(empty.application, {"synchronous-node-count": "majority"})
        empty.until("the unit has seen an event", lambda: empty.message("pg/1") == ("blocked", said))
        assert _fingerprint(data) == kept
        empty.juju.remove_unit("pg/1")
        empty.await_gone("pg/1")
        empty.settle(1)

    other.create(1, attach_storage=foreign)
    other.settle(1)
    [copy] = writing.read_back(other, tmp_path)
    writing.check(copy, recorded)


@pytest.mark.parametrize("where", ["14/main", "16/main"])
def test_storage_of_another_major_version_is_refused_and_kept(empty, where):
    empty.create(1)
    empty.settle(1)
    storage = empty.storage("pg/0")
    data = empty.data_directory("pg/0").parents[1]
    _remove_keeping_storage(empty)
    # What is on disk of another major version: its directory and its PG_VERSION.
    if where != "16/main":
        (data / "16").rename(data / "14")
    (data / where / "PG_VERSION").write_text("14\n")
    kept = _fingerprint(data)
    assert f"{where}/global/pg_control" in kept
    empty.create(1, attach_storage=storage)
    said = empty.await_status("blocked", "Storage data holds PostgreSQL 14, this charm runs 16", "pg/1")
    assert said.endswith("attach another storage")
    assert empty.await_status("blocked", said) == said
    assert _fingerprint(data) == kept
