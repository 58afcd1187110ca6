"""Files: whole or not at all, never readable by others, touched only when they differ; what is in a data directory."""

from __future__ import annotations

import dataclasses
import http.server
import os
import pathlib
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading

import pytest
import yaml

from tests.fakes import datafiles, known
from workload import configuration, datadir, files, machine, paths

OWN = files.Owner(os.getuid(), os.getgid())
NOBODY = files.Owner(65534, 65534)


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# files


def test_a_new_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "deep/er/file"
    assert files.ensure_file(path, "content", OWN, 0o600)
    assert (path.read_text(), mode(path)) == ("content", 0o600)
    assert list(path.parent.iterdir()) == [path]


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


# the machine


@pytest.fixture
def where(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> machine.Workload:
    monkeypatch.setattr(files.Owner, "named", lambda _: OWN)
    return machine.Workload(paths.Paths(tmp_path))


def settings() -> configuration.MemberSettings:
    return configuration.MemberSettings(
        known.APPLICATION,
        known.name(0),
        "10.0.0.10",
        frozenset({"10.0.0.11"}),
        frozenset({"10.0.0.11"}),
        known.PASSWORDS,
        {},
        1,
    )


def test_what_is_configured_is_read_back(where: machine.Workload) -> None:
    assert where.configured() == machine.Configured()
    assert where.configure(settings())
    found = where.configured()
    assert (found.address, found.partners) == ("10.0.0.10", frozenset({"10.0.0.11"}))
    assert settings().parameters.items() <= found.parameters.items()
    # What is read is written as it was.
    assert not where.configure(dataclasses.replace(settings(), parameters=found.parameters))
    assert mode(where.paths.patroni_configuration) == 0o600
    assert not where.configure(settings())


@pytest.mark.parametrize("content", ["", "{", "[]", "raft: 3", "raft: {}", "raft: {self_addr: a}"])
def test_a_configuration_that_is_none(where: machine.Workload, content: str) -> None:
    where.paths.patroni_configuration.parent.mkdir(parents=True)
    where.paths.patroni_configuration.write_text(content)
    assert where.configured() == machine.Configured()


def test_the_snap_s_own_configuration_names_no_address(where: machine.Workload) -> None:
    where.paths.patroni_configuration.parent.mkdir(parents=True)
    where.paths.patroni_configuration.write_text("scope: cluster\nrestapi:\n  listen: 127.0.0.1:8008\n")
    assert where.configured() == machine.Configured()


def test_directories_on_the_storages(where: machine.Workload) -> None:
    assert where.prepare_directories()
    for directory in (*where.paths.storages().values(), where.paths.wal_directory, where.paths.raft_directory):
        assert mode(directory) == 0o700
    assert not where.prepare_directories()
    assert not where.has_raft_state()
    (where.paths.raft_directory / "journal").touch()
    assert where.has_raft_state()
    where.forget_membership()
    assert not where.has_raft_state()


def test_a_replaced_storage_gets_the_tablespace_s_own_directory(where: machine.Workload) -> None:
    where.prepare_directories()
    location = where.paths.temporary_tablespace
    datafiles.Data(where.paths.data_directory, "42").save()
    control = where.paths.data_directory / "global/pg_control"
    control.write_bytes(struct.pack("=QII", 42, 1300, 202307071) + bytes(288))
    links = where.paths.data_directory / "pg_tblspc"
    links.mkdir()
    (links / "16399").mkdir()
    (links / "16400").symlink_to("/somewhere/else")
    # PostgreSQL creates it with the tablespace, and refuses if it is there already.
    assert not where.prepare_directories()
    assert list(location.iterdir()) == []
    (links / "16401").symlink_to(location)
    assert where.prepare_directories()
    assert mode(location / "PG_16_202307071") == 0o700
    assert not where.prepare_directories()


def test_leaving_forgets_passwords(where: machine.Workload) -> None:
    where.configure(settings())
    pgpass = where.paths.patroni_configuration.parent / "pgpass"
    pgpass.write_text("*:*:*:*:secret")
    # snapd keeps the files of the revision before.
    earlier = where.paths.root / "var/snap/charmed-postgresql/366/etc/patroni"
    shutil.copytree(pgpass.parent, earlier)
    where.forget_configuration()
    assert [*where.paths.patroni_configuration.parent.iterdir(), *earlier.iterdir()] == []
    where.forget_configuration()


def test_storages_by_name(where: machine.Workload) -> None:
    expected = files.free_bytes(where.paths.root)
    assert expected is not None
    for name in ("data", "logs", "archive", "temp"):
        assert where.free_bytes(name) == pytest.approx(expected, rel=0.2)


def test_what_the_machine_is(where: machine.Workload) -> None:
    assert where.architecture == os.uname().machine
    assert where.memory_bytes > 64 * 1024**2


def test_ports_that_are_taken(where: machine.Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        ports = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        for name, port in zip(("POSTGRESQL_PORT", "PATRONI_PORT", "RAFT_PORT"), (*ports, ports[1]), strict=True):
            monkeypatch.setattr(paths, name, port)
        assert where.ports_taken() == (ports[0],)


@pytest.mark.parametrize(
    ("table", "mounted", "expected"),
    [
        (None, (), ()),
        ("# LOGS: not any more\n\n/dev/sda1 / ext4\n/dev/sdb DATA-2 ext4 nofail 0 0\nsingle\n", (), ()),
        ("/dev/sdb DATA ext4 nofail 0 0\n/dev/sdc\tTEMP ext4\n", (), ("data", "temp")),
        ("/dev/sdb DATA ext4 nofail 0 0\n/dev/sdc\tTEMP ext4\n", ("data",), ("temp",)),
        ("  # /dev/sdb DATA ext4\n", (), ()),
    ],
)
def test_storages_that_the_machine_should_have_mounted(
    where: machine.Workload,
    monkeypatch: pytest.MonkeyPatch,
    table: str | None,
    mounted: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    locations = where.paths.locations()
    monkeypatch.setattr(os.path, "ismount", lambda path: path in [locations[name] for name in mounted])
    if table is not None:
        for name, location in locations.items():
            table = table.replace(name.upper(), str(location))
        where.paths.file_system_table.parent.mkdir(parents=True)
        where.paths.file_system_table.write_text(table)
    assert where.storages_unmounted() == expected


def test_storages_are_mounted_where_the_charm_says() -> None:
    told = yaml.safe_load((pathlib.Path(__file__).parents[2] / "charmcraft.yaml").read_text())["storage"]
    assert paths.Paths().locations() == {name: pathlib.Path(each["location"]) for name, each in told.items()}


class Clock(http.server.BaseHTTPRequestHandler):
    """Answers as Patroni does: health checks by the status alone, without headers."""

    date: str | None = None

    def do_GET(self) -> None:
        self.send_response_only(200)
        if self.date and self.path in ("/config", "/patroni", "/cluster", "/history"):
            self.send_header("Date", self.date)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 0.0), (100.0, 99.0), (-100.0, 99.0), (None, None)])
def test_clock_skew(
    where: machine.Workload, monkeypatch: pytest.MonkeyPatch, seconds: float | None, expected: float | None
) -> None:
    import email.utils
    import time

    with http.server.HTTPServer(("127.0.0.1", 0), Clock) as server:
        monkeypatch.setattr(
            Clock, "date", None if seconds is None else email.utils.formatdate(time.time() + seconds, usegmt=True)
        )
        monkeypatch.setattr(paths, "PATRONI_PORT", server.server_port)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = where.clock_skew_seconds("127.0.0.1")
        thread.join()
    assert found == (None if expected is None else pytest.approx(expected, abs=2.0))


def test_clock_of_nobody(where: machine.Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(paths, "PATRONI_PORT", closed.getsockname()[1])
    assert where.clock_skew_seconds("127.0.0.1") is None
