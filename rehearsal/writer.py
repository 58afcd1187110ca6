"""A client that writes all the time and knows what it was promised.

`python -m rehearsal.writer` inserts one row after the other, each with its own sequence number, into whichever server
takes writes, and prints a record of each (see `rehearsal.records`) until its standard input is closed.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

import psycopg

from rehearsal import postgresql, records

INSERT = "INSERT INTO writes (sequence) VALUES ($1)"
WHERE = """
    SELECT host(coalesce(inet_server_addr(), '127.0.0.1')),
           ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
"""


class Writer:
    """Keeps one session open and turns each attempt to write into a record."""

    def __init__(self, conninfo: str, *, deadline: float) -> None:
        """Write through `conninfo`; give up on a statement after `deadline` seconds."""
        self._conninfo = conninfo
        self._deadline = deadline
        self._session: postgresql.Session | None = None

    def write(self, sequence: int) -> list[records.Record]:
        """Attempt one write; return its record, after that of a connection where a new one was made."""
        connection = None
        sent = time.monotonic()
        try:
            if self._session is None:
                self._session, connection = self._connect()
                sent = time.monotonic()
            self._session.execute(INSERT, [sequence])
        except psycopg.OperationalError as error:
            outcome, reason = records.Outcome.FAILED, postgresql.first_line(error)
        except postgresql.ServerError as error:
            outcome, reason = records.Outcome.FAILED, postgresql.first_line(error)
        except postgresql.Unknown as error:
            outcome, reason = records.Outcome.INDETERMINATE, postgresql.first_line(error)
        else:
            outcome, reason = records.Outcome.ACKNOWLEDGED, ""
        write = records.Write(sequence, sent, time.monotonic(), outcome, reason)
        if outcome is not records.Outcome.ACKNOWLEDGED:
            self.close()
        return [connection, write] if connection else [write]

    def close(self) -> None:
        """End the session without waiting for anything."""
        if self._session:
            with contextlib.suppress(psycopg.Error):
                self._session.connection.close()
        self._session = None

    def _connect(self) -> tuple[postgresql.Session, records.Connection]:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        session = postgresql.Session(connection, self._deadline)
        try:
            [(host, timeline)] = session.execute(WHERE)
        except (postgresql.ServerError, postgresql.Unknown) as error:
            # No write was sent yet, so whatever went wrong here leaves nothing open.
            connection.close()
            raise psycopg.OperationalError(str(error)) from error
        return session, records.Connection(time.monotonic(), str(host), int(timeline or 0))


def run(writer: Writer, output: TextIO, *, interval: float, wait: Callable[[float], bool], first: int = 1) -> None:
    """Write until `wait(seconds)`, which is called between writes, returns True.

    Args:
        writer: Makes the attempts.
        output: Gets one line a record, at once.
        interval: Seconds from one write's beginning to the next one's, unless the first takes longer.
        wait: Waits that long, or less when asked to end.
        first: The first write's sequence number.
    """
    for sequence in itertools.count(first):
        begun = time.monotonic()
        for record in writer.write(sequence):
            print(records.encode(record), file=output, flush=True)
        if wait(max(begun + interval - time.monotonic(), 0)):
            return


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.writer", description=__doc__)
    postgresql.add_arguments(parser)
    parser.add_argument("--interval", type=float, default=0.02, help="seconds between writes (default: %(default)s)")
    parser.add_argument("--deadline", type=float, default=5.0, help="seconds a write may take (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, help="the first write's number (default: %(default)s)")
    options = parser.parse_args(arguments)
    conninfo = postgresql.conninfo(
        options.host,
        port=options.port,
        user=options.user,
        database=options.database,
        target_session_attrs="read-write",
    )
    writer = Writer(conninfo, deadline=options.deadline)
    # Standard input is the lifeline: it closes when the one who started the writer asks for the end, or dies.
    run(
        writer,
        sys.stdout,
        interval=options.interval,
        wait=lambda seconds: bool(select.select([sys.stdin], [], [], seconds)[0]),
        first=options.first,
    )
    writer.close()


if __name__ == "__main__":
    main()
