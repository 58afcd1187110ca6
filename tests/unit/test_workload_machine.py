"""What the charm finds on its machine and writes to it: configuration, storages, ports, clocks."""

from __future__ import annotations

import dataclasses
import http.server
import os
import pathlib
import shutil
import socket
import struct
import threading

import pytest
import yaml

from tests.fakes import datafiles, known
from tests.unit.test_workload_files import OWN, mode
from workload import configuration, files, machine, paths


@pytest.fixture
def where(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> machine.Workload:
    monkeypatch.setattr(files.Owner, "named", lambda _: OWN)
    made = machine.Workload(paths.Paths(tmp_path))
    made.paths.revision_data.mkdir(parents=True)
    return made


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


def test_nothing_is_written_in_the_place_of_snapd_s_link(where: machine.Workload) -> None:
    assert where.configure(settings())
    text = where.configuration_text()
    where.paths.revision_data.rename(where.paths.revision_data.with_name("x1"))
    for write in (lambda: where.configure(settings()), lambda: where.restore_configuration(text)):
        with pytest.raises(FileNotFoundError, match="The snap has no current revision"):
            write()
    assert not where.paths.revision_data.exists()
    where.paths.revision_data.symlink_to("x1")
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
