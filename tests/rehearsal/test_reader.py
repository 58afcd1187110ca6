"""The reader against real PostgreSQL servers."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable

import postgresql_server
import pytest

from rehearsal import history, load, postgresql, readback, reader, records

pytestmark = pytest.mark.postgresql

Servers = list[postgresql_server.Server]


@pytest.fixture
def table(cluster: Servers) -> Servers:
    readback.prepare([one.host for one in cluster], user="operator", port=cluster[0].port)
    cluster[0].wait_for_standby()
    return cluster


def reader_of(server: postgresql_server.Server) -> reader.Reader:
    conninfo = postgresql.conninfo([server.host], port=server.port, user="operator")
    return reader.Reader(server.host, conninfo, deadline=2)


def test_it_tells_who_is_the_primary_and_which_version(table: Servers) -> None:
    primary, standby = (reader_of(server).read() for server in table)
    assert (primary.primary, standby.primary) == (True, False)
    assert (primary.acknowledges, standby.acknowledges) == (True, False)
    assert primary.version == standby.version
    assert primary.version.startswith("16.")
    assert (primary.reason, primary.host) == ("", table[0].host)
    assert primary.sent < primary.ended


def test_a_primary_without_the_standby_that_it_needs_acknowledges_nothing(table: Servers) -> None:
    primary, standby = table
    one = reader_of(primary)
    primary.query("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    primary.query("SELECT pg_reload_conf()")
    _await(lambda: (read := one.read()).primary and read.acknowledges)
    standby.stop()
    _await(lambda: (read := one.read()).primary and not read.acknowledges)
    primary.query("ALTER SYSTEM RESET synchronous_standby_names")
    primary.query("SELECT pg_reload_conf()")
    _await(lambda: one.read().acknowledges)


def _await(condition: Callable[[], bool | None]) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_it_notices_a_server_that_goes_and_comes_back_as_another(table: Servers) -> None:
    primary, standby = table
    one = reader_of(standby)
    assert one.read().primary is False
    standby.promote()
    assert one.read().primary is True
    standby.stop()
    gone = one.read()
    assert (gone.primary, gone.version) == (None, "")
    assert gone.reason
    standby.start()
    assert one.read().primary is True
    assert reader_of(primary).read().primary is True


def test_it_reads_rows_not_just_the_servers_state(table: Servers) -> None:
    primary, _ = table
    one = reader_of(primary)
    assert one.read().primary
    primary.query("DROP TABLE writes", database="rehearsal")
    failed = one.read()
    assert failed.primary is None
    assert "writes" in failed.reason


def test_it_ends_when_it_is_told(table: Servers) -> None:
    end = threading.Event()
    found: list[records.Read] = []

    def output(read: records.Read) -> None:
        found.append(read)
        if len(found) == 5:
            end.set()

    begun = time.monotonic()
    reader.run(reader_of(table[0]), output, interval=0.05, end=end)
    assert len(found) == 5
    assert time.monotonic() - begun >= 4 * 0.05


def test_the_client_reads_from_every_server_until_it_is_stopped(table: Servers, tmp_path: pathlib.Path) -> None:
    with load.passfile({"operator": postgresql_server.PASSWORD}) as passwords:
        client = load.Load([one.host for one in table], tmp_path, passwords, port=str(table[0].port))
        client.start_reading()
        limit = time.monotonic() + 30
        while {endpoint.state for endpoint in client.history.endpoints.values()} != {
            history.State.PRIMARY,
            history.State.STANDBY,
        }:
            client.check()
            assert time.monotonic() < limit
            time.sleep(0.05)
        client.stop()
    assert set(client.history.endpoints) == {one.host for one in table}
