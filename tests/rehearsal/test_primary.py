"""The search for the server that takes writes, on real servers."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import postgresql_server
import psycopg
import pytest

from rehearsal import postgresql, primary

pytestmark = pytest.mark.postgresql

Servers = list[postgresql_server.Server]


@pytest.fixture
def search(cluster: Servers) -> Iterator[primary.Search]:
    conninfos = [
        postgresql.conninfo([one.host], port=one.port, user="operator", database="postgres") for one in cluster
    ]
    search = primary.Search(conninfos, deadline=5)
    yield search
    search.close()


def sessions(server: postgresql_server.Server) -> set[object]:
    return {pid for (pid,) in server.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'rehearsal'")}


def wait_for_session(server: postgresql_server.Server) -> set[object]:
    limit = time.monotonic() + 10
    while not (found := sessions(server)):
        assert time.monotonic() < limit
        time.sleep(0.02)
    return found


def pid(found: primary.Found) -> object:
    [(backend,)] = found.session.execute("SELECT pg_backend_pid()")
    return int(backend or 0)


def test_it_lends_the_primarys_session_once(cluster: Servers, search: primary.Search) -> None:
    found = search.find(10)
    assert (found.connection.host, found.connection.timeline) == (cluster[0].host, 1)
    with pytest.raises(psycopg.OperationalError, match=f"{cluster[1].host}: session is read-only"):
        search.find(0.3)
    search.give_back(found)
    again = search.find(10)
    assert again.session is not found.session
    assert pid(again) in sessions(cluster[0])


def test_a_promoted_standby_is_found_by_the_session_it_had_before(cluster: Servers, search: primary.Search) -> None:
    old, standby = cluster
    first = search.find(10)
    [before] = wait_for_session(standby)
    old.stop()
    search.give_back(first)
    standby.promote()
    found = search.find(10)
    assert (found.connection.host, found.connection.timeline) == (standby.host, 2)
    assert pid(found) == before


def test_a_frozen_server_delays_nobody(cluster: Servers, search: primary.Search) -> None:
    old, standby = cluster
    first = search.find(10)
    wait_for_session(standby)
    old.signal(signal.SIGSTOP)
    try:
        search.give_back(first)  # its place connects anew, and waits for an answer
        time.sleep(0.1)
        standby.promote()
        begun = time.monotonic()
        assert search.find(10).connection.host == standby.host
        assert time.monotonic() - begun < 1.5  # less than a connection's limit
    finally:
        old.signal(signal.SIGCONT)


def test_a_session_that_is_gone_is_made_again(cluster: Servers, search: primary.Search) -> None:
    old, standby = cluster
    first = search.find(10)
    wait_for_session(standby)
    standby.stop()
    standby.start()
    old.stop()
    search.give_back(first)
    standby.promote()
    assert search.find(10).connection.host == standby.host
