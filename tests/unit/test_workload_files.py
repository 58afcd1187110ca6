"""Files: whole or not at all, never readable by others, touched only when they differ; what is in a data directory."""

from __future__ import annotations

import os
import pathlib
import signal
import stat
import struct
import subprocess
import sys

import pytest

from tests.fakes import datafiles
from workload import datadir, files

OWN = files.Owner(os.getuid(), os.getgid())
NOBODY = files.Owner(65534, 65534)


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# files


def test_a_new_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "directory/file"
    assert files.ensure_file(path, "content", OWN, 0o600)
    assert (path.read_text(), mode(path)) == ("content", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_no_more_than_its_directory_is_made_for_a_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.ensure_file(tmp_path / "deep/er/file", "content", OWN, 0o600)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_right_is_not_touched(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    files.ensure_file(path, "content", OWN, 0o600)
    before = path.stat()
    assert not files.ensure_file(path, "content", OWN, 0o600)
    # Not the time of its last access: it was read.
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_what_a_killed_hook_has_left_is_gone_with_the_next_write(tmp_path: pathlib.Path) -> None:
    script = f"""
import os, pathlib, signal
from workload import files
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
files.ensure_file(pathlib.Path({str(tmp_path / "file")!r}), "password", files.Owner(os.getuid(), os.getgid()), 0o600)
"""
    source = pathlib.Path(files.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], check=False, env={"PYTHONPATH": str(source)}, timeout=60)
    assert done.returncode == -signal.SIGKILL
    [left] = tmp_path.iterdir()
    assert (left.read_text(), mode(left)) == ("password", 0o600)
    assert files.ensure_file(tmp_path / "file", "another", OWN, 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("difference", ["content", "mode"])
def test_a_file_that_differs_is_replaced(tmp_path: pathlib.Path, difference: str) -> None:
    path = tmp_path / "file"
    path.write_text("other" if difference == "content" else "content")
    path.chmod(0o644 if difference == "mode" else 0o600)
    inode = path.stat().st_ino
    with path.open() as reader:
        assert files.ensure_file(path, "content", OWN, 0o600)
        # Who has it open sees the old one, whole.
        assert reader.read() == ("other" if difference == "content" else "content")
    assert (path.read_text(), mode(path)) == ("content", 0o600)
    assert path.stat().st_ino != inode


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_owners(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    files.ensure_file(path, "content", NOBODY, 0o600)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert files.ensure_file(path, "content", OWN, 0o600)
    directory = tmp_path / "directory"
    assert files.ensure_directory(directory, OWN, 0o700)
    assert files.ensure_directory(directory, NOBODY, 0o700)
    assert (directory.stat().st_uid, directory.stat().st_gid) == (65534, 65534)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.ensure_file(path, "new", OWN, 0o600)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_is_readable_by_nobody_else_at_any_moment(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    fsync = os.fsync

    def look(handle: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", look)
    files.ensure_file(tmp_path / "file", "secret", OWN, 0o644)
    assert modes == [0o600]
    assert mode(tmp_path / "file") == 0o644


def test_directories(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "parent/child"
    assert files.ensure_directory(path, OWN, 0o700)
    assert mode(path) == 0o700
    assert not files.ensure_directory(path, OWN, 0o700)
    path.chmod(0o755)
    assert files.ensure_directory(path, OWN, 0o700)
    assert mode(path) == 0o700


def test_a_link_in_a_directory_that_is_not_root_s_gives_nothing_away(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(victim)
    monkeypatch.setattr(files, "ROOT", files.Owner(os.getuid() + 1, os.getgid()))
    with pytest.raises(OSError, match="link"):
        files.ensure_directory(tmp_path / "link", OWN, 0o700)
    assert mode(victim) == 0o755
    # In root's own directories root may have put one: a storage, say.
    monkeypatch.setattr(files, "ROOT", OWN)
    assert files.ensure_directory(tmp_path / "link", OWN, 0o700)
    assert mode(victim) == 0o700


def test_remove(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "directory"
    (directory / "below").mkdir(parents=True)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    link = tmp_path / "link"
    link.symlink_to(kept)
    for path in (directory, link, kept / "file", tmp_path / "absent"):
        files.remove(path)
        assert not path.exists()
    # What a link points to is not removed.
    assert kept.is_dir()


def test_free_bytes(tmp_path: pathlib.Path) -> None:
    expected = files.free_bytes(tmp_path)
    assert expected is not None
    assert files.free_bytes(tmp_path / "not/yet/there") == pytest.approx(expected, rel=0.2)
    (tmp_path / "file").touch()
    assert files.free_bytes(tmp_path / "file/below") is None


def test_a_user_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        files.Owner.named("no-such-user")
    assert files.Owner.named("root") == files.Owner(0, 0)


# data directories


def test_a_data_directory_that_is_not_there_or_empty(tmp_path: pathlib.Path) -> None:
    assert datadir.inspect(tmp_path / "main") == datadir.DataDirectory(datadir.Content.EMPTY)
    assert datadir.inspect(tmp_path) == datadir.DataDirectory(datadir.Content.EMPTY)


def test_a_cluster(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "16/main"
    datafiles.Data(path, "18446744073709551615").save()
    assert datadir.inspect(path) == datadir.DataDirectory(datadir.Content.CLUSTER, "18446744073709551615", "16")


@pytest.mark.parametrize("left", ["nothing", "an empty directory", "other files"])
def test_a_cluster_without_its_write_ahead_log(tmp_path: pathlib.Path, left: str) -> None:
    path = tmp_path / "16/main"
    datafiles.Data(path, "42").save()
    assert datadir.inspect(path).has_write_ahead_log
    files.remove(path / "pg_wal")
    if left != "nothing":
        (path / "pg_wal").mkdir()
    if left == "other files":
        (path / "pg_wal/00000002.history").touch()
        (path / "pg_wal/archive_status").mkdir()
    assert datadir.inspect(path) == datadir.DataDirectory(datadir.Content.CLUSTER, "42", "16", False)


@pytest.mark.parametrize("missing", ["PG_VERSION", "global/pg_control", "global"])
def test_an_incomplete_cluster(tmp_path: pathlib.Path, missing: str) -> None:
    path = tmp_path / "16/main"
    datafiles.Data(path, "42").save()
    files.remove(path / missing)
    assert datadir.inspect(path) == datadir.DataDirectory(datadir.Content.OTHER)


def test_a_control_file_that_is_cut(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "16/main"
    datafiles.Data(path, "42").save()
    (path / "global/pg_control").write_bytes(struct.pack("=Q", 42)[:5])
    assert datadir.inspect(path) == datadir.DataDirectory(datadir.Content.OTHER)


def test_data_of_another_major_version(tmp_path: pathlib.Path) -> None:
    assert datadir.other_major_version(tmp_path / "absent", "16") is None
    datafiles.Data(tmp_path / "16/main", "42").save()
    assert datadir.other_major_version(tmp_path, "16") is None
    datafiles.Data(tmp_path / "14/main", "42").save()
    assert datadir.other_major_version(tmp_path, "16") == "14"
