"""Storage from its creation to its end."""

from __future__ import annotations

import pathlib

import pytest
from engine_world import World

from lab.controller import operations_common, storage_directives
from lab.controller.entities import storage
from lab.machines import rootless

DATA = {"data": {"type": "filesystem", "location": "/srv/data"}}
DISKS = {"disks": {"type": "filesystem", "location": "/srv/disks", "multiple": {"range": "0-2"}}}


def content(world: World, unit: str, path: str = "/srv/data") -> pathlib.Path:
    return world.controller.machine(world.model, world.unit(unit).machine or "").outside(path)


def instances(world: World) -> dict[str, str | None]:
    """All instances, and who has them."""
    return {instance.id: instance.owner for instance in world.store.find(storage.StorageInstance)}


def test_storage_is_kept_and_can_be_attached_again(world: World) -> None:
    charm = world.charm(storage=DATA)
    world.deploy(charm)
    (content(world, "tiny/0") / "file").write_text("kept")
    world.operations.remove_application("m", "tiny")
    world.settle()
    assert instances(world) == {"data/0": None}
    world.hooks()
    world.operations.deploy("m", charm, application="again", attach_storage=["data/0"])
    world.settle()
    assert world.hooks()[0] == "data-storage-attached"
    assert (content(world, "again/0") / "file").read_text() == "kept"
    assert instances(world) == {"data/0": "again/0"}


def test_storage_can_be_destroyed_with_its_unit(world: World) -> None:
    world.deploy(world.charm(storage=DATA), num_units=2)
    world.operations.remove_unit("m", "tiny/0", destroy_storage=True)
    world.operations.remove_unit("m", "tiny/1")
    world.settle()
    assert instances(world) == {"data/1": None}
    assert len(list((world.directory / "storage").iterdir())) == 1


def test_storage_of_the_machine_ends_with_it(world: World) -> None:
    world.deploy(world.charm(storage=DATA), storage={"data": {"pool": "rootfs"}})
    world.operations.remove_unit("m", "tiny/0")
    world.settle()
    assert instances(world) == {}


def test_the_charm_is_told_while_the_storage_is_still_there(world: World) -> None:
    world.deploy(world.charm(storage=DATA))
    there = content(world, "tiny/0")
    world.script("data-storage-detaching", f'test -d "{there}" && touch "{there}/goodbye"')
    world.operations.detach_storage("m", "data/0")
    world.settle()
    (kept,) = (world.directory / "storage").iterdir()
    assert (kept / "goodbye").exists()
    assert list(there.iterdir()) == []
    assert instances(world) == {"data/0": None}


def test_adding_storage_later_blocks_nothing(world: World) -> None:
    world.deploy(world.charm(storage=DISKS))
    world.hooks()
    assert world.operations.add_storage("m", "tiny/0", "disks", count=2) == ["disks/0", "disks/1"]
    world.settle()
    assert world.hooks() == ["disks-storage-attached", "disks-storage-attached"]
    assert content(world, "tiny/0", "/srv/disks/disks/1").is_dir()
    with pytest.raises(operations_common.OperationError, match="at most 2 instances"):
        world.operations.add_storage("m", "tiny/0", "disks")


def test_a_charm_can_add_storage_when_its_hook_succeeds(world: World) -> None:
    world.deploy(world.charm(storage=DISKS))
    world.script("config-changed", "storage-add disks; exit 1")
    world.change_config()
    world.settle()
    assert instances(world) == {}
    world.script("config-changed", "storage-add disks")
    world.advance(5)
    assert instances(world) == {"disks/0": "tiny/0"}


def test_attaching_and_detaching(world: World) -> None:
    world.deploy(world.charm(storage=DATA), num_units=2)
    with pytest.raises(operations_common.OperationError, match="attached already"):
        world.operations.attach_storage("m", "tiny/1", "data/0")
    world.operations.detach_storage("m", "data/0")
    world.operations.detach_storage("m", "data/1")
    world.settle()
    world.hooks()
    world.operations.attach_storage("m", "tiny/1", "data/0")
    world.settle()
    assert world.hooks() == ["data-storage-attached"]
    with pytest.raises(operations_common.OperationError, match="at most 1 instances"):
        world.operations.attach_storage("m", "tiny/1", "data/1")
    with pytest.raises(operations_common.OperationError, match="is not attached"):
        world.operations.detach_storage("m", "data/1")


def test_removing_storage(world: World) -> None:
    world.deploy(world.charm(storage=DATA))
    with pytest.raises(operations_common.OperationError, match="storage data/0 is attached"):
        world.operations.remove_storage("m", "data/0")
    world.hooks()
    world.operations.remove_storage("m", "data/0", force=True)
    world.settle()
    assert world.hooks() == ["data-storage-detaching"]
    assert instances(world) == {}
    assert list((world.directory / "storage").iterdir()) == []


def test_releasing_storage_keeps_its_content(world: World) -> None:
    world.deploy(world.charm(storage=DATA), num_units=2)
    for number in (0, 1):
        (content(world, f"tiny/{number}") / "file").write_text("kept")
    world.operations.detach_storage("m", "data/1")
    world.settle()
    world.operations.remove_storage("m", "data/1", destroy=False)
    assert instances(world) == {"data/0": "tiny/0"}
    world.hooks()
    world.script("data-storage-detaching", "exit 1")
    world.operations.remove_storage("m", "data/0", force=True, destroy=False)
    world.settle()
    # What asks for its end meanwhile comes too late, as in Juju.
    world.operations.remove_storage("m", "data/0", force=True)
    world.operations.remove_unit("m", "tiny/0", destroy_storage=True)
    world.script("data-storage-detaching", "")
    world.advance(5)
    assert world.hooks()[:2] == ["data-storage-detaching", "data-storage-detaching"]
    assert instances(world) == {}
    assert [(kept / "file").read_text() for kept in (world.directory / "storage").iterdir()] == ["kept", "kept"]
    assert world.store.find(storage.StorageRelease) == []


def test_storage_that_ends_with_its_machine_cannot_be_released(world: World) -> None:
    world.deploy(world.charm(storage=DATA), storage={"data": {"pool": "rootfs"}})
    problem = 'cannot release storage "data/0": storage provider "rootfs" does not support releasing storage'
    with pytest.raises(operations_common.OperationError, match=problem):
        world.operations.remove_storage("m", "data/0", force=True, destroy=False)
    world.settle()
    assert instances(world) == {"data/0": "tiny/0"}


def test_install_waits_for_storage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.operations.deploy("m", world.charm(storage=DATA))
    with monkeypatch.context() as patch:
        patch.setattr(rootless.RootlessMachine, "attach_storage", refuse)
        for _ in range(10):
            world.engine.step()
        assert world.hooks() == []
    world.settle()
    assert world.hooks()[:2] == ["data-storage-attached", "install"]


def refuse(*_: object) -> None:
    raise OSError("not now")


@pytest.mark.parametrize(
    ("storages", "directives", "problem"),
    [
        (DATA, {"none": {}}, 'no store called "none"'),
        (DATA, {"data": {"pool": "none"}}, 'pool "none" not found'),
        (DATA, {"data": {"count": 2}}, "at most 1 instances supported, 2 specified"),
        (DISKS, {"disks": {"count": 3}}, "at most 2 instances supported, 3 specified"),
        ({"data": {"type": "filesystem", "minimum-size": "2G"}}, {"data": {"size": "1G"}}, "minimum storage size"),
        (DATA, {"data": {"size": "large"}}, "cannot parse size"),
    ],
)
def test_directives_that_are_refused(
    world: World, storages: dict[str, object], directives: storage_directives.Directives, problem: str
) -> None:
    with pytest.raises(operations_common.OperationError, match=problem):
        world.operations.deploy("m", world.charm(storage=storages), storage=directives)


@pytest.mark.parametrize(
    ("text", "mebibytes"), [("10G", 10240), ("512M", 512), ("1T", 1048576), (100, 100), ("1.5G", 1536)]
)
def test_sizes(text: str | int, mebibytes: int) -> None:
    assert storage_directives.size(text) == mebibytes


@pytest.mark.parametrize(
    ("multiple", "counts"), [(None, (1, 1)), ("0-", (0, None)), ("1+", (1, None)), ("2", (2, 2)), ("1-3", (1, 3))]
)
def test_counts(multiple: str | None, counts: tuple[int, int | None]) -> None:
    described = {"multiple": {"range": multiple}} if multiple else {}
    assert storage_directives.counts(described) == counts
