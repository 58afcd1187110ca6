"""Refreshes: files, events, settings, storage, resources, errors, and the local Charmhub."""

from __future__ import annotations

import pathlib
import shutil
import zipfile

import pytest
from engine_world import World

from lab.controller import charm_archives, charm_files, charmhub, operations_common
from lab.controller.entities import applications

PEERS = {"peers": {"interface": "p"}}


def packed(world: World, **parts: object) -> pathlib.Path:
    """A charm as a zip file."""
    directory = pathlib.Path(world.charm(**parts))  # pyright: ignore[reportArgumentType]
    return pathlib.Path(shutil.make_archive(str(directory), "zip", directory)).rename(directory.with_suffix(".charm"))


# Events and files


def test_events(world: World) -> None:
    world.deploy(num_units=2)
    world.hooks()
    world.operations.refresh("m", "tiny", path=world.charm())
    world.settle()
    runs = world.runs()
    for unit in ("tiny/0", "tiny/1"):
        assert [run.hook for run in runs if run.unit == unit] == ["upgrade-charm", "config-changed"]
    assert world.unit("tiny/0").charm_url == "local:tiny-1"


def test_relations_of_new_endpoints_are_created_afterwards(world: World) -> None:
    world.deploy()
    world.hooks()
    world.operations.refresh("m", "tiny", path=world.charm(peers=PEERS))
    world.settle()
    assert world.hooks() == ["upgrade-charm", "config-changed", "peers-relation-created"]


def test_files(world: World) -> None:
    world.deploy(world.charm(files={"old": "1", "gone/old": "1", "both": "1", "kept/old": "1"}))
    charm = world.charm_directory("tiny/0")
    (charm / "own").write_text("mine")
    (charm / "kept" / "own").write_text("mine")
    before = (charm / ".juju-charm").stat()
    assert (charm / ".juju-charm").read_text() == "local:tiny-0\n"
    world.operations.refresh("m", "tiny", path=world.charm(files={"new": "2", "both": "2"}))
    world.settle()
    assert not (charm / "old").exists()
    assert not (charm / "gone").exists()
    assert (charm / "both").read_text() == "2"
    assert (charm / "new").read_text() == "2"
    assert (charm / "own").read_text() == "mine"
    assert [path.name for path in (charm / "kept").iterdir()] == ["own"]
    assert (charm / ".juju-charm").read_text() == "local:tiny-1\n"
    assert (charm / ".juju-charm").stat().st_mtime_ns > before.st_mtime_ns
    assert not (charm / ".juju-deploying").exists()


def test_archives_keep_modes_and_links(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "metadata.yaml").write_text("name: x")
    (source / "run").write_text("#!/bin/sh")
    (source / "run").chmod(0o755)
    (source / "link").symlink_to("run")
    archive = charm_archives.take(source, tmp_path / "charms")
    assert archive.name == "x"
    charm_files.CharmFiles(tmp_path / "charm", tmp_path / "manifests").deploy(archive.path, "local:x-0")
    assert (tmp_path / "charm/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "charm/link").readlink() == pathlib.Path("run")


def test_an_archive_cannot_write_outside_of_the_charm(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.charm", "w") as archive:
        archive.writestr("../../evil", "x")
    files = charm_files.CharmFiles(tmp_path / "a/b/charm", tmp_path / "manifests")
    with pytest.raises(zipfile.BadZipFile, match="leads out"):
        files.deploy(tmp_path / "bad.charm", "local:x-0")
    assert not (tmp_path / "a/evil").exists()


def test_what_a_deployment_that_was_cut_off_has_left_goes_with_the_next_one(tmp_path: pathlib.Path) -> None:
    archives: list[pathlib.Path] = []
    for number, name in enumerate("abc"):
        with zipfile.ZipFile(tmp_path / f"{name}.charm", "w") as archive:
            archive.writestr(f"only-{name}", str(number))
            archive.writestr("z", str(number))
        archives.append(tmp_path / f"{name}.charm")
    files = charm_files.CharmFiles(tmp_path / "charm", tmp_path / "manifests")
    files.deploy(archives[0], "local:x-0")

    def cut_off() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        files.deploy(archives[1], "local:x-1", cut_off)
    assert files.deployed == "local:x-0"
    files.deploy(archives[2], "local:x-2")
    assert sorted(path.name for path in (tmp_path / "charm").iterdir()) == [".juju-charm", "only-c", "z"]
    assert files.deployed == "local:x-2"


# Errors


def test_a_unit_in_error_does_not_take_the_new_charm_until_it_is_resolved(world: World) -> None:
    world.deploy(world.charm(files={"version": "1"}))
    world.script("config-changed", "exit 1")
    world.change_config()
    world.settle()
    world.operations.refresh("m", "tiny", path=world.charm(files={"version": "2"}))
    world.settle()
    assert (world.charm_directory("tiny/0") / "version").read_text() == "1"
    world.script("config-changed", "")
    world.hooks()
    world.operations.resolved("m", ["tiny/0"])
    world.settle()
    assert world.hooks() == ["config-changed", "upgrade-charm", "config-changed"]
    assert (world.charm_directory("tiny/0") / "version").read_text() == "2"


def test_forced_units_take_the_files_and_retry_their_hook_without_upgrade_charm(world: World) -> None:
    world.deploy(world.charm(files={"version": "1"}))
    world.script("config-changed", '[ "$(cat version)" = 2 ]')
    world.change_config()
    world.settle()
    world.hooks()
    world.operations.refresh("m", "tiny", path=world.charm(files={"version": "2"}), force_units=True)
    world.settle()
    assert (world.charm_directory("tiny/0") / "version").read_text() == "2"
    assert world.hooks() == []
    world.advance(5)
    assert world.hooks() == ["config-changed"]
    assert world.agent_status("tiny/0") == "idle"


def test_a_failed_upgrade_charm_is_retried(world: World) -> None:
    world.deploy()
    world.script("upgrade-charm", "exit 1")
    world.operations.refresh("m", "tiny", path=world.charm())
    world.settle()
    world.hooks()
    world.script("upgrade-charm", "")
    world.advance(5)
    assert world.hooks() == ["upgrade-charm", "config-changed"]


# Settings


def test_settings_belong_to_the_charm(world: World) -> None:
    old = {"kept": {"type": "string", "default": "a"}, "gone": {"type": "string"}, "odd": {"type": "string"}}
    world.deploy(world.charm(config=old), config={"kept": "set", "gone": "x", "odd": "text"})
    world.script("config-changed", 'status-set active "$(config-get kept)/$(config-get new)"')
    new = {"kept": {"type": "string", "default": "b"}, "new": {"type": "int", "default": 7}, "odd": {"type": "int"}}
    world.operations.fault_crash_agent("m", "tiny/0", stay_down=True)
    world.settle()
    world.operations.refresh("m", "tiny", path=world.charm(config=new), config={"new": "8"})
    unit = world.unit("tiny/0")
    assert applications.config(world.store, unit.model, "tiny", unit.charm_url or "") == {
        "kept": "set",
        "gone": "x",
        "odd": "text",
    }
    world.operations.fault_start_agent("m", "tiny/0")
    world.settle()
    assert world.status("tiny/0") == ("active", "set/8")
    shown = world.operations.get_config("m", "tiny")["settings"]
    assert set(shown) == {"kept", "new", "odd"}
    assert shown["odd"]["source"] == "unset"


# Storage and resources


def test_new_storage_is_created_for_units(world: World) -> None:
    world.deploy()
    world.hooks()
    world.operations.refresh("m", "tiny", path=world.charm(storage={"data": {"type": "filesystem"}}))
    world.settle()
    assert sorted(world.hooks()) == ["config-changed", "data-storage-attached", "upgrade-charm"]


def test_a_new_resource_alone_is_an_upgrade(world: World) -> None:
    (world.directory / "one").write_text("1")
    (world.directory / "two").write_text("2")
    charm = world.charm(resources={"blob": {"type": "file", "filename": "blob.txt"}})
    world.script("upgrade-charm", 'status-set active "$(cat $(resource-get blob))"')
    world.deploy(charm, resources={"blob": str(world.directory / "one")})
    world.hooks()
    world.operations.attach_resource("m", "tiny", "blob", str(world.directory / "two"))
    world.settle()
    assert world.hooks() == ["upgrade-charm", "config-changed"]
    assert world.status("tiny/0") == ("active", "2")
    with pytest.raises(operations_common.OperationError, match='resource "tiny/none" not found'):
        world.operations.attach_resource("m", "tiny", "none", str(world.directory / "two"))


# What is refused


def test_what_is_refused(world: World) -> None:
    world.operations.deploy("m", world.charm(peers=PEERS, provides={"db": {"interface": "x"}}))
    world.operations.deploy("m", world.charm("other", requires={"up": {"interface": "x"}}))
    world.operations.integrate("m", ["tiny", "other"])
    refresh = world.operations.refresh
    with pytest.raises(operations_common.OperationError, match="requires either --path or --switch"):
        refresh("m", "tiny")
    with pytest.raises(operations_common.OperationError, match='cannot refresh "tiny" to "other"'):
        refresh("m", "tiny", path=world.charm("other"))
    with pytest.raises(
        operations_common.OperationError,
        match=r'cannot upgrade application "tiny" to charm "local:tiny-\d": would break relation "other:up tiny:db"',
    ):
        refresh("m", "tiny", path=world.charm(peers=PEERS))
    with pytest.raises(operations_common.OperationError, match='would break relation "tiny:peers"'):
        refresh("m", "tiny", path=world.charm(provides={"db": {"interface": "x"}}))
    application = world.store.require(applications.Application, world.model, "tiny")
    assert application.charm_url == "local:tiny-0"


def test_storage_in_use_cannot_be_taken_away(world: World) -> None:
    world.operations.deploy("m", world.charm(storage={"data": {"type": "filesystem"}}))
    with pytest.raises(operations_common.OperationError, match='in-use storage "data" removed'):
        world.operations.refresh("m", "tiny", path=world.charm())


def test_switching_to_another_charm(world: World) -> None:
    world.deploy()
    world.operations.refresh("m", "tiny", switch=world.charm("other"))
    world.settle()
    assert world.unit("tiny/0").charm_url == "local:other-0"


# The local Charmhub


def test_charmhub(world: World) -> None:
    root = world.directory / "charmhub"
    assert charmhub.publish(root, "tiny", packed(world, files={"version": "1"}), ["16/stable"]) == 1
    deployed = world.operations.deploy("m", "tiny", channel="16/edge")
    world.settle()
    assert deployed["charm"].startswith("ch:")
    assert deployed["charm"].endswith("/tiny-1")
    assert (deployed["origin"], deployed["revision"], deployed["channel"]) == ("charmhub", 1, "16/edge")
    assert world.operations.refresh("m", "tiny")["up-to-date"]
    charmhub.publish(root, "tiny", packed(world, files={"version": "2"}), ["16/edge"])
    world.hooks()
    refreshed = world.operations.refresh("m", "tiny")
    world.settle()
    assert (refreshed["up-to-date"], refreshed["revision"]) == (False, 2)
    assert world.hooks() == ["upgrade-charm", "config-changed"]
    back = world.operations.refresh("m", "tiny", revision=1)
    world.settle()
    assert back["revision"] == 1
    assert (world.charm_directory("tiny/0") / "version").read_text() == "1"
    switched = world.operations.refresh("m", "tiny", channel="16/stable")
    assert (switched["up-to-date"], switched["channel-changed"], switched["channel"]) == (True, True, "16/stable")


def test_what_charmhub_has_not(world: World) -> None:
    root = world.directory / "charmhub"
    charmhub.publish(root, "tiny", packed(world), ["16/candidate"])
    wanted: list[tuple[str | None, int | None]] = [("14/stable", None), ("16/stable", None), (None, 9)]
    for channel, revision in wanted:
        with pytest.raises(operations_common.OperationError) as raised:
            world.operations.deploy("m", "tiny", channel=channel, revision=revision)
        assert raised.value.code == "not found"
    with pytest.raises(operations_common.OperationError, match='name "none"'):
        world.operations.deploy("m", "none")


@pytest.mark.parametrize(
    ("channel", "normal"),
    [("", "16/stable"), ("edge", "16/edge"), ("14", "14/stable"), ("14/beta", "14/beta")],
)
def test_channels(channel: str, normal: str) -> None:
    assert charmhub.normalize(channel, "16/stable") == normal
