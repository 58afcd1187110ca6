"""Read back what a writer wrote, from every server, and verify every server's data checksums.

`python -m rehearsal.readback` prints one JSON object: what `Copy` tells, for each host.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterable, Iterator, Sequence

import psycopg

from rehearsal import basebackup, postgresql

Ranges = list[tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Copy:
    """One server's copy of the data."""

    host: str
    primary: bool
    timeline: int
    sequences: Ranges
    """Sequence numbers of the rows found, as first and last of each run without a hole."""
    verified_bytes: int
    """Bytes that were read from disk, all checksums in them right; 0 if `problem` says why not."""
    problem: str = ""
    """What is wrong with this copy's files; empty if nothing is."""


def prepare(hosts: Sequence[str], *, user: str, port: int = postgresql.PORT) -> None:
    """Make the database and the table that the writer fills, empty.

    Raises:
        psycopg.Error: No server takes writes, or it refuses.
    """
    for database, statements in {
        "postgres": [f"DROP DATABASE IF EXISTS {postgresql.DATABASE}", f"CREATE DATABASE {postgresql.DATABASE}"],
        postgresql.DATABASE: [
            "CREATE TABLE writes (sequence bigint PRIMARY KEY, written timestamptz NOT NULL DEFAULT clock_timestamp())"
        ],
    }.items():
        conninfo = postgresql.conninfo(
            hosts, user=user, port=port, database=database, target_session_attrs="read-write"
        )
        with psycopg.connect(conninfo, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def read(
    hosts: Sequence[str], *, user: str, replication_user: str, port: int = postgresql.PORT, patience: float = 60
) -> list[Copy]:
    """Read every server's copy, the primary's first, each at least as new as the primary's is at the beginning.

    Args:
        hosts: All servers of the cluster.
        user: A superuser.
        replication_user: A user who may take base backups.
        port: The port of each.
        patience: Seconds that a standby has for replaying what the primary had at the beginning.

    Raises:
        psycopg.Error: A server cannot be reached, or there is no primary.
        TimeoutError: A standby did not catch up.
    """
    everywhere = postgresql.conninfo(hosts, user=user, port=port, target_session_attrs="read-write")
    with psycopg.connect(everywhere, autocommit=True) as primary:
        primary_host = primary.info.host
        primary.execute("CHECKPOINT")  # what a standby's base backup verifies goes up to here
        position = _scalar(primary, "SELECT pg_current_wal_flush_lsn()")
    copies: list[Copy] = []
    for host in sorted(hosts, key=lambda host: host != primary_host):
        _wait_for_replay(
            postgresql.conninfo([host], user=user, port=port, database="postgres"), str(position), patience
        )
        with psycopg.connect(postgresql.conninfo([host], user=user, port=port), autocommit=True) as connection:
            copies.append(_read_copy(connection, host, replication_user))
    return copies


def _read_copy(connection: psycopg.Connection, host: str, replication_user: str) -> Copy:
    standby = bool(_scalar(connection, "SELECT pg_is_in_recovery()"))
    rows = connection.execute("SELECT sequence FROM writes ORDER BY sequence")
    sequences = list(ranges(int(sequence) for (sequence,) in rows))
    verified, problem = 0, ""
    try:
        # It begins with a checkpoint; on a standby with a restartpoint, which is as new as the primary's checkpoint.
        verified = basebackup.verify(connection.info.dsn, user=replication_user).bytes
    except basebackup.ChecksumFailure as error:
        problem = str(error)
    if _scalar(connection, "SHOW data_checksums") != "on":
        verified, problem = 0, "data checksums are off"
    timeline = _scalar(connection, "SELECT timeline_id FROM pg_control_checkpoint()")
    return Copy(host, not standby, int(str(timeline)), sequences, verified, problem)


def _wait_for_replay(conninfo: str, position: str, patience: float) -> None:
    """Wait in a database that every server has: the writer's may be among what is still to be replayed."""
    limit = time.monotonic() + patience
    behind = f"SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() < '{position}'::pg_lsn"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while _scalar(connection, behind):
            if time.monotonic() > limit:
                raise TimeoutError(f"{connection.info.host} has not replayed {position} within {patience:g} s")
            time.sleep(0.1)


def _scalar(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Return the runs of consecutive numbers in ascending `numbers` as pairs of first and last."""
    first = last = None
    for number in numbers:
        if last is not None and first is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def decode(text: str) -> list[Copy]:
    """Return the copies that the command printed."""
    return [
        Copy(**{**fields, "sequences": [(first, last) for first, last in fields["sequences"]]})
        for fields in json.loads(text)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.readback", description=__doc__)
    parser.add_argument("--host", action="append", required=True, help="a server; give it once for each")
    parser.add_argument("--port", type=int, default=postgresql.PORT)
    parser.add_argument("--user", required=True, help="a superuser")
    parser.add_argument("--replication-user", default="replication", help="who may take base backups")
    parser.add_argument("--prepare", action="store_true", help="make the empty table instead of reading it")
    options = parser.parse_args(arguments)
    if options.prepare:
        prepare(options.host, user=options.user, port=options.port)
        return
    copies = read(options.host, user=options.user, replication_user=options.replication_user, port=options.port)
    print(json.dumps([dataclasses.asdict(copy) for copy in copies]))


if __name__ == "__main__":
    main()
