"""The checker against real servers: every copy is read, and damage is found where it is."""

from __future__ import annotations

import itertools

import postgresql_server
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal import basebackup, postgresql, readback


def read(servers: list[postgresql_server.Server], **options: float) -> list[readback.Copy]:
    hosts = [one.host for one in servers]
    return readback.read(hosts, user="operator", replication_user="replication", port=servers[0].port, **options)


def conninfo(one: postgresql_server.Server) -> str:
    return postgresql.conninfo([one.host], port=one.port, user="operator", database="postgres")


def write(one: postgresql_server.Server, sequences: str) -> None:
    one.query(f"INSERT INTO writes (sequence) SELECT unnest('{{{sequences}}}'::bigint[])", postgresql.DATABASE)


@pytest.fixture
def table(cluster: list[postgresql_server.Server]) -> list[postgresql_server.Server]:
    readback.prepare([cluster[0].host], user="operator", port=cluster[0].port)
    return cluster


@given(st.sets(st.integers(min_value=1)))
def test_ranges_hold_each_number_once(numbers: set[int]) -> None:
    found = list(readback.ranges(sorted(numbers)))
    assert sorted(number for first, last in found for number in range(first, last + 1)[:1000]) == sorted(numbers)
    assert all(last + 1 < following for (_, last), (following, _) in itertools.pairwise(found))


@pytest.mark.postgresql
def test_preparing_again_starts_from_nothing(table: list[postgresql_server.Server]) -> None:
    write(table[0], "1, 2")
    readback.prepare([table[1].host, table[0].host], user="operator", port=table[0].port)
    assert [copy.sequences for copy in read(table)] == [[], []]


@pytest.mark.postgresql
def test_every_copy_is_read_the_primary_first(table: list[postgresql_server.Server]) -> None:
    primary, standby = table
    write(primary, "1, 2, 3, 7, 8, 11")
    copies = read([standby, primary])
    assert [(copy.host, copy.primary, copy.timeline) for copy in copies] == [
        (primary.host, True, 1),
        (standby.host, False, 1),
    ]
    for copy in copies:
        assert copy.sequences == [(1, 3), (7, 8), (11, 11)]
        assert copy.problem == ""
        assert copy.verified_bytes > 20_000_000


@pytest.mark.postgresql
def test_a_standby_that_does_not_follow_is_no_copy(table: list[postgresql_server.Server]) -> None:
    primary, standby = table
    standby.query("SELECT pg_wal_replay_pause()")
    write(primary, "1")
    with pytest.raises(TimeoutError, match=standby.host):
        read(table, patience=0.5)


@pytest.mark.postgresql
def test_a_wrong_block_on_a_standbys_disk_is_found_though_memory_is_right(
    table: list[postgresql_server.Server],
) -> None:
    primary, standby = table
    write(primary, "1, 2, 3")
    read(table)
    [(path,)] = standby.query("SELECT pg_relation_filepath('writes')", postgresql.DATABASE)
    with (standby.directory / str(path)).open("r+b") as file:
        file.seek(4000)
        byte = file.read(1)[0]
        file.seek(4000)
        file.write(bytes([byte ^ 1]))
    healthy, damaged = read(table)
    assert standby.query("SELECT count(*) FROM writes", postgresql.DATABASE) == [(3,)]
    assert healthy.problem == ""
    assert "checksum" in damaged.problem
    assert damaged.verified_bytes == 0


@pytest.mark.postgresql
def test_what_was_written_last_is_on_the_disk_that_is_verified(table: list[postgresql_server.Server]) -> None:
    write(table[0], "1")
    [(position,)] = table[0].query("SELECT pg_current_wal_flush_lsn()")
    read(table)
    for one in table:
        # A base backup passes over blocks that are newer than where it starts: the last checkpoint's redo position.
        assert one.query(f"SELECT redo_lsn >= '{position}' FROM pg_control_checkpoint()") == [(True,)]


@pytest.mark.postgresql
def test_checksums_that_are_off_are_a_problem(table: list[postgresql_server.Server]) -> None:
    primary, standby = table
    standby.stop()
    standby.run("pg_checksums", "--disable", "--no-sync", "-D", str(standby.directory))
    standby.start()
    primary.wait_for_standby()
    healthy, off = read(table)
    assert healthy.problem == ""
    assert off.problem == "data checksums are off"


@pytest.mark.postgresql
def test_verification_without_the_right_to_replicate_is_an_error(table: list[postgresql_server.Server]) -> None:
    table[0].query(f"CREATE USER other PASSWORD '{postgresql_server.PASSWORD}'")
    with pytest.raises(psycopg.OperationalError):
        basebackup.verify(conninfo(table[0]), user="other")


@pytest.mark.postgresql
def test_what_the_command_prints_is_what_was_read(
    table: list[postgresql_server.Server], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*(f"--host={one.host}" for one in table), f"--port={table[0].port}", "--user=operator"]
    readback.main([*arguments, "--prepare"])
    write(table[0], "1, 2, 5")
    capsys.readouterr()
    readback.main(arguments)
    copies = readback.decode(capsys.readouterr().out)
    assert [(copy.primary, copy.sequences) for copy in copies] == [(True, [(1, 2), (5, 5)]), (False, [(1, 2), (5, 5)])]
