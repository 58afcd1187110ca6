"""Releases on demand, on the host: what the store's directory offers then."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest

from lab import settings
from lab.image import mirror
from lab.snaps import release, squashfs, store
from lab.snaps.proxy import index

pytestmark = pytest.mark.skipif(shutil.which("mksquashfs", path="/usr/bin:/usr/sbin") is None, reason="no mksquashfs")


@pytest.fixture
def lab_settings(tmp_path: pathlib.Path) -> settings.Settings:
    """Settings of a lab whose store has revision 4 of one snap."""
    made = settings.Settings(name="test", state=tmp_path / "state", cache=tmp_path / "cache")
    made.cache.mkdir()
    store.publish(made.store, build(tmp_path, "1.0"), 4, ["2/stable", "2/edge"])
    return made


def build(directory: pathlib.Path, version: str) -> pathlib.Path:
    tree = directory / f"tree-{version}"
    tree.mkdir()
    (tree / "content").write_text("content")
    description = {"name": "thing", "version": version, "architectures": [mirror.architecture()], "base": "core24"}
    squashfs.write_metadata(tree, description)
    squashfs.pack(tree, directory / f"thing-{version}.snap")
    return directory / f"thing-{version}.snap"


def offered(lab_settings: settings.Settings) -> index.Snap:
    snap = index.IndexFile(lab_settings.store, mirror.architecture()).get("thing")
    assert snap is not None
    return snap


def test_a_release_has_the_same_content_and_a_version_of_its_own(
    lab_settings: settings.Settings, tmp_path: pathlib.Path
) -> None:
    assert release.release(lab_settings, "thing") == ("thing", 5, "2/stable")

    thing = offered(lab_settings)
    assert thing.channels == {"2/stable": "5", "2/edge": "4"}
    assert (thing.revisions["5"].version, thing.revisions["5"].base) == ("1.0+5", "core24")
    unpacked = tmp_path / "unpacked"
    release.commands.run("unsquashfs", "-dest", str(unpacked), str(lab_settings.store / "thing_5.snap"))
    assert (unpacked / "content").read_text() == "content"

    assert release.release(lab_settings, "thing", "edge") == ("thing", 6, "2/edge")
    assert offered(lab_settings).revisions["6"].version == "1.0+6"
    assert list(lab_settings.cache.iterdir()) == []


def test_a_file_is_released_as_it_is(lab_settings: settings.Settings, tmp_path: pathlib.Path) -> None:
    file = build(tmp_path, "2.0")
    assert release.release(lab_settings, str(file)) == ("thing", 5, "2/stable")
    assert (lab_settings.store / "thing_5.snap").read_bytes() == file.read_bytes()
    assert release.release(lab_settings, str(build(tmp_path, "3.0")), "3/edge") == ("thing", 6, "3/edge")
    assert offered(lab_settings).channels == {"2/stable": "5", "2/edge": "4", "3/edge": "6"}
    with pytest.raises(ValueError, match="revision 5"):
        release.release(lab_settings, str(file))


def test_a_new_snap_begins_with_revision_1(tmp_path: pathlib.Path) -> None:
    empty = settings.Settings(name="test", state=tmp_path / "state", cache=tmp_path / "cache")
    assert release.release(empty, str(build(tmp_path, "1.0"))) == ("thing", 1, "latest/stable")


def test_what_is_withdrawn_gives_its_channels_back(lab_settings: settings.Settings) -> None:
    for _ in range(2):
        release.release(lab_settings, "thing")
    assert offered(lab_settings).revisions["6"].version == "1.0+6", "of the release before, and not 1.0+5+6"
    assert release.withdraw(lab_settings, "thing") == 6
    assert offered(lab_settings).channels == {"2/stable": "5", "2/edge": "4"}
    assert release.withdraw(lab_settings, "thing") == 5
    assert offered(lab_settings).channels == {"2/stable": "4", "2/edge": "4"}
    with pytest.raises(LookupError, match="one revision of thing only"):
        release.withdraw(lab_settings, "thing")


def test_a_channel_whose_former_revision_is_gone_is_closed(lab_settings: settings.Settings) -> None:
    for _ in range(2):
        release.release(lab_settings, "thing")
    store.withdraw(lab_settings.store, "thing", 5)
    release.withdraw(lab_settings, "thing")
    assert offered(lab_settings).channels == {"2/edge": "4"}
    entry = json.loads((lab_settings.store / index.FILE_NAME).read_text())["snaps"]["thing"]
    assert entry["channels"] == {mirror.architecture(): {"2/edge": "4"}}


@pytest.mark.parametrize(
    ("snap", "channel", "message"),
    [
        ("nothing", None, "the store has no snap nothing; it has: thing"),
        ("thing", "9/edge", "9/edge serves no revision of thing; channels: 2/edge, 2/stable"),
        ("missing.snap", None, "there is no file missing.snap"),
    ],
)
def test_what_cannot_be_released_is_told(
    lab_settings: settings.Settings, snap: str, channel: str | None, message: str
) -> None:
    with pytest.raises(LookupError, match=message):
        release.release(lab_settings, snap, channel)
