"""The store's directory on the host: publishing, and what machines then read."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest

from lab import settings
from lab.image import mirror
from lab.snaps import charmed_postgresql, placeholder, squashfs, store
from lab.snaps.proxy import faults, index, refusal

pytestmark = pytest.mark.skipif(shutil.which("mksquashfs", path="/usr/bin:/usr/sbin") is None, reason="no mksquashfs")

ARCHITECTURE = "amd64"


def build(
    directory: pathlib.Path, name: str, version: str, architecture: str = ARCHITECTURE, **extra: object
) -> pathlib.Path:
    tree = directory / f"{name}-{version}-{architecture}"
    tree.mkdir()
    description = {"name": name, "version": version, "architectures": [architecture], "summary": "A snap.", **extra}
    squashfs.write_metadata(tree, description)
    snap = directory / f"{tree.name}.snap"
    squashfs.pack(tree, snap)
    return snap


def offered(directory: pathlib.Path, name: str, architecture: str = ARCHITECTURE) -> index.Snap:
    snap = index.IndexFile(directory, architecture).get(name)
    assert snap is not None
    return snap


def test_what_is_published_is_what_the_proxy_reads(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "store"
    snap = build(tmp_path, "thing", "1.0", base="core24", apps={"b": {"command": "b"}, "a": {"command": "a"}})
    store.publish(directory, snap, 7, ["2/stable", "2/edge"])

    thing = offered(directory, "thing")
    revision = thing.revisions["7"]
    assert (revision.version, revision.base, revision.apps, revision.type) == ("1.0", "core24", ("a", "b"), "app")
    assert (directory / revision.file).read_bytes() == snap.read_bytes()
    assert revision.size == snap.stat().st_size
    assert thing.default_channel == "2/stable"
    assert thing.channels == {"2/stable": "7", "2/edge": "7"}
    assert len(thing.id) == 32


def test_channels_move_to_what_is_published_later(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "store"
    store.publish(directory, build(tmp_path, "thing", "1.0"), 1, ["latest/stable", "latest/edge"])
    seen = index.IndexFile(directory, ARCHITECTURE)
    first = seen.get("thing")
    store.publish(directory, build(tmp_path, "thing", "1.1"), 2, ["latest/edge"])

    thing = seen.get("thing")
    assert first is not None and thing is not None
    assert "2" not in first.revisions
    assert thing.channels == {"latest/stable": "1", "latest/edge": "2"}
    assert thing.default_channel == "latest/stable"


def test_architectures_do_not_meet(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "store"
    store.publish(directory, build(tmp_path, "thing", "1.0", "amd64"), 1, ["latest/stable"])
    store.publish(directory, build(tmp_path, "thing", "1.0", "arm64"), 2, ["latest/stable"])
    for architecture, number in (("amd64", "1"), ("arm64", "2")):
        thing = offered(directory, "thing", architecture)
        assert set(thing.revisions) == {number}
        assert thing.channels == {"latest/stable": number}


def test_publishing_again_changes_nothing(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "store"
    snap = build(tmp_path, "thing", "1.0")
    store.publish(directory, snap, 1, ["latest/stable"])
    before = (directory / "index.json").stat()
    store.publish(directory, snap, 1, ["latest/stable"])
    assert (directory / "index.json").stat().st_mtime_ns == before.st_mtime_ns


def test_revisions_are_told_apart_by_content(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "store"
    first, second = build(tmp_path, "thing", "1.0"), build(tmp_path, "thing", "1.1")
    store.publish(directory, first, 1)
    with pytest.raises(ValueError, match="revision 1"):
        store.publish(directory, first, 2)
    with pytest.raises(ValueError, match="revision 1"):
        store.publish(directory, second, 1)
    assert set(offered(directory, "thing").revisions) == {"1"}


def test_what_is_withdrawn_is_gone(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "store"
    store.publish(directory, build(tmp_path, "thing", "1.0"), 1, ["latest/stable"])
    store.publish(directory, build(tmp_path, "thing", "1.1"), 2, ["latest/edge"])
    store.withdraw(directory, "thing", 2)
    store.withdraw(directory, "nothing", 2)

    thing = offered(directory, "thing")
    assert set(thing.revisions) == {"1"}
    assert thing.channels == {"latest/stable": "1"}
    assert sorted(path.name for path in directory.glob("*.snap")) == ["thing_1.snap"]


def test_the_labs_own_snaps_are_replaced_when_they_are_built_anew(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab_settings = settings.Settings(name="test", state=tmp_path / "state", cache=tmp_path / "cache")
    for directory in ("one", "two"):
        (tmp_path / directory).mkdir()
    base = shutil.copy(build(tmp_path, "core24", "1"), tmp_path / "one" / "core24_1.snap")
    monkeypatch.setattr(store.base, "ensure", lambda _: pathlib.Path(base))
    only = charmed_postgresql.Revision(366, "16.14", ("16/stable",))
    monkeypatch.setattr(charmed_postgresql, "revisions", lambda: (only,))
    for number, directory in enumerate((tmp_path / "one", tmp_path / "two")):
        snap = directory / "charmed-postgresql_366.snap"
        shutil.copy(build(tmp_path, "charmed-postgresql", f"16.{number}", mirror.architecture()), snap)
        monkeypatch.setattr(charmed_postgresql, "build", lambda *_, snap=snap: snap)
        assert store.ensure(lab_settings) == lab_settings.store
        revision = offered(lab_settings.store, "charmed-postgresql", mirror.architecture()).revisions["366"]
        assert revision.version == f"16.{number}"
    before = (lab_settings.store / "index.json").stat().st_mtime_ns
    store.ensure(lab_settings)
    assert (lab_settings.store / "index.json").stat().st_mtime_ns == before


def test_the_placeholder_never_replaces_the_distributions_snapd(tmp_path: pathlib.Path) -> None:
    lab_settings = settings.Settings(name="test", state=tmp_path / "state", cache=tmp_path / "cache")
    snap = placeholder.ensure(lab_settings)
    described = squashfs.metadata(snap)
    assert (described["name"], described["type"], described["version"]) == ("snapd", "snapd", "0")


def test_faults_are_set_and_taken_back(tmp_path: pathlib.Path) -> None:
    slept: list[float] = []
    asked = faults.Faults(tmp_path, "one", slept.append)
    store.set_faults(
        tmp_path,
        [
            {"fault": "slow", "seconds": 3, "snap": "thing"},
            {"fault": "error", "message": "broken", "snap": "thing", "revision": 2},
            {"fault": "unreachable", "snap": "other"},
        ],
    )
    asked.download("thing", "1")
    assert slept == [3.0]
    with pytest.raises(refusal.Refusal, match="broken"):
        asked.download("thing", "2")
    with pytest.raises(refusal.Refusal, match="cannot reach"):
        asked.query("other")
    asked.query()
    store.set_faults(tmp_path, [])
    asked.download("thing", "2")
    assert slept == [3.0, 3.0]


@pytest.mark.parametrize(
    ("channel", "tracking", "full"),
    [
        ("edge", "16/stable", "16/edge"),
        ("edge", None, "latest/edge"),
        ("16", None, "16/stable"),
        ("16/edge", "14/stable", "16/edge"),
        ("16/edge/fix", None, "16/edge/fix"),
        ("edge/fix", "16/stable", "latest/edge/fix"),
    ],
)
def test_channels_are_completed_as_snapd_does(channel: str, tracking: str | None, full: str) -> None:
    assert index.full_channel(channel, tracking) == full


def test_closed_channels_serve_what_is_safer(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "store"
    store.publish(directory, build(tmp_path, "thing", "1.0"), 1, ["1/stable"])
    store.publish(directory, build(tmp_path, "thing", "1.1"), 2, ["1/edge/fix"])
    thing = offered(directory, "thing")

    def served(channel: str) -> str | None:
        head = thing.head(channel)
        return head and head.number

    assert served("1/edge") == "1"
    assert served("1/edge/fix") == "2"
    assert served("1/edge/other") == "1"
    assert served("2/stable") is None
    assert served("1/unknown") is None


def test_a_store_without_index_offers_nothing(tmp_path: pathlib.Path) -> None:
    assert index.IndexFile(tmp_path / "none", ARCHITECTURE).snaps() == {}
    (tmp_path / "index.json").write_text(json.dumps({"snaps": {}}))
    assert index.IndexFile(tmp_path, ARCHITECTURE).snaps() == {}
