"""Clients that read all the time, one for each server, and know when it did not answer.

`python -m rehearsal.reader` reads one row after the other from every server at once, and prints a record of each
attempt (see `rehearsal.records`) until its standard input is closed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence

import psycopg

from rehearsal import postgresql, records

READ = """
SELECT pg_is_in_recovery(), (SELECT max(sequence) FROM writes),
    current_setting('synchronous_standby_names') = ''
    OR EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))
"""


class Reader:
    """Keeps one session with one server open and turns each attempt to read into a record."""

    def __init__(self, host: str, conninfo: str, *, deadline: float) -> None:
        """Read from `host` through `conninfo`; give up on an answer after `deadline` seconds."""
        self._host = host
        self._conninfo = conninfo
        self._deadline = deadline
        self._session: postgresql.Session | None = None

    def read(self) -> records.Read:
        """Attempt one read."""
        sent = time.monotonic()
        try:
            if self._session is None:
                connection = psycopg.connect(self._conninfo, autocommit=True)
                self._session = postgresql.Session(connection, self._deadline)
            [(recovering, _, acknowledges)] = self._session.execute(READ)
        except (psycopg.OperationalError, postgresql.ServerError, postgresql.Unknown) as error:
            self.close()
            return records.Read(self._host, sent, time.monotonic(), None, reason=postgresql.first_line(error))
        told = self._session.connection.info.parameter_status("server_version") or ""
        primary, version = recovering == "f", told.partition(" ")[0]
        return records.Read(
            self._host, sent, time.monotonic(), primary, version, acknowledges=primary and acknowledges == "t"
        )

    def close(self) -> None:
        """End the session without waiting for anything."""
        if self._session:
            with contextlib.suppress(psycopg.Error):
                self._session.connection.close()
        self._session = None


def run(reader: Reader, output: Callable[[records.Read], None], *, interval: float, end: threading.Event) -> None:
    """Read until `end` is set, one read every `interval` seconds unless one takes longer."""
    while not end.is_set():
        begun = time.monotonic()
        output(reader.read())
        end.wait(max(begun + interval - time.monotonic(), 0))
    reader.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.reader", description=__doc__)
    postgresql.add_arguments(parser)
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between reads (default: %(default)s)")
    parser.add_argument("--deadline", type=float, default=2.0, help="seconds a read may take (default: %(default)s)")
    options = parser.parse_args(arguments)
    lock = threading.Lock()
    end = threading.Event()

    def output(record: records.Read) -> None:
        with lock:
            print(records.encode(record), flush=True)

    threads: list[threading.Thread] = []
    for host in options.host:
        conninfo = postgresql.conninfo(
            [host],
            port=options.port,
            user=options.user,
            database=options.database,
            application_name="rehearsal-reader",
        )
        reader = Reader(host, conninfo, deadline=options.deadline)
        arguments_ = {"interval": options.interval, "end": end}
        threads.append(threading.Thread(target=run, args=(reader, output), kwargs=arguments_))
    for thread in threads:
        thread.start()
    # Standard input is the lifeline: it closes when the one who started the reader asks for the end, or dies.
    sys.stdin.read()
    end.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
