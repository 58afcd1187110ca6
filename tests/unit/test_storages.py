"""Storages that hold something already: data of an earlier deployment, of another cluster or version, or garbage."""

from __future__ import annotations

import pathlib
import typing

import pytest

from tests.fakes import juju, world
from tests.unit.conftest import Deployed
from tests.unit.test_trouble import status
from workload import datadir


def removed(on: juju.Application, keep: pathlib.Path) -> tuple[list[pathlib.Path], str]:
    """Remove the application; its kept storages, and the cluster's identity."""
    identifier = on.world.raft.system_identifier
    machines = [unit.machine for unit in on.units.values()]
    on.remove()
    on.settle()
    assert identifier is not None
    for machine in machines:
        machine.up = False
    return [machine.take_storage(keep / machine.name) for machine in machines], identifier


@pytest.mark.parametrize("count", [1, 3])
def test_kept_storage_of_an_earlier_deployment(deployed: Deployed, tmp_path: pathlib.Path, count: int) -> None:
    on = deployed(count)
    (storage, *_), identifier = removed(on, tmp_path)
    written = on.world.databases[identifier].acknowledged
    assert written > 0
    on.world.directory = tmp_path
    new = juju.Application(on.world, on.charm)
    new.add_unit(storage)
    new.settle()
    assert new.are_active(), new.summary()
    assert new.world.raft.system_identifier == identifier
    process = new.units[0].machine.patroni
    assert process is not None
    assert process.data is not None
    assert process.data.position >= written
    # The passwords are new ones.
    database = new.world.raft.database
    settings = new.units[0].machine.settings()["postgresql"]["authentication"]
    assert all(database.accepts(user["username"], user["password"]) for user in settings.values())
    assert database.attributes == {
        "operator": "SUPERUSER LOGIN",
        "replication": "REPLICATION LOGIN",
        "rewind": "LOGIN",
    }
    assert len(database.functions) == 4
    new.deploy(2)
    new.settle()
    assert new.are_active(), new.summary()
    assert len(new.world.raft.members) == 3


def test_kept_storage_of_the_same_cluster_on_a_new_unit(deployed: Deployed, tmp_path: pathlib.Path) -> None:
    on = deployed(3)
    going = next(unit for unit in on.units.values() if unit is not on.primary)
    on.remove_unit(going.number)
    on.settle()
    storage = going.machine.take_storage(tmp_path / "kept")
    going.machine.up = False
    on.add_unit(storage)
    on.settle()
    assert on.are_active(), on.summary()
    assert len(on.world.raft.alive()) == 3


def prepared(
    on: juju.Application, tmp_path: pathlib.Path, prepare: typing.Callable[[world.Machine], None]
) -> pathlib.Path:
    machine = on.world.machine("elsewhere", "10.9.9.9")
    prepare(machine)
    machine.up = False
    return machine.take_storage(tmp_path / "foreign")


def another_cluster(machine: world.Machine) -> None:
    machine.put_data("42")


def another_version(machine: world.Machine) -> None:
    machine.put_data("42", "14")


def garbage(machine: world.Machine) -> None:
    machine.paths.data_directory.mkdir(parents=True)
    (machine.paths.data_directory / "holiday.jpg").write_bytes(b"\x00")


def files_below(directory: pathlib.Path) -> set[tuple[pathlib.Path, bytes]]:
    return {(path.relative_to(directory), path.read_bytes()) for path in directory.rglob("*") if path.is_file()}


VERSION_TEXT = "Storage data holds PostgreSQL 14, this charm runs 16; attach another storage"
GARBAGE_TEXT = "Storage data holds files that are no database cluster; attach another storage"


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (another_cluster, "Storage data is of cluster 42, not {identifier}; attach another storage"),
        (another_version, VERSION_TEXT),
        (garbage, GARBAGE_TEXT),
    ],
)
def test_a_new_unit_with_the_data_of_something_else(
    deployed: Deployed, tmp_path: pathlib.Path, prepare: typing.Callable[[world.Machine], None], text: str
) -> None:
    on = deployed(1)
    storage = prepared(on, tmp_path, prepare)
    unit = on.add_unit(storage)
    on.settle()
    expected = text.format(identifier=on.world.raft.system_identifier)
    assert (unit.status.name, unit.message) == ("blocked", expected)
    assert unit.machine.installs == []
    # The others go on, and the files are as they were.
    assert on.units[0].status.name == "active"
    assert files_below(unit.machine.paths.data_storage) == files_below(storage / "data")


@pytest.mark.parametrize(("prepare", "text"), [(another_version, VERSION_TEXT), (garbage, GARBAGE_TEXT)])
def test_the_first_unit_with_data_that_it_cannot_use(
    on: juju.Application, tmp_path: pathlib.Path, prepare: typing.Callable[[world.Machine], None], text: str
) -> None:
    on.add_unit(prepared(on, tmp_path, prepare))
    on.settle()
    assert status(on) == ("blocked", text)
    assert (on.status.name, on.status.message) == ("blocked", text)
    assert on.units[0].machine.installs == []


def test_data_on_a_unit_that_does_not_found(on: juju.Application, tmp_path: pathlib.Path) -> None:
    on.add_unit()
    on.add_unit(prepared(on, tmp_path, another_cluster))
    on.settle()
    assert status(on, 0) == ("active", "Primary")
    assert status(on, 1)[0] == "blocked"
    assert on.units[1].machine.inspect() == datadir.DataDirectory(datadir.Content.CLUSTER, "42", "16")
