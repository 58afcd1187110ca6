"""A client that writes all the time and knows what it was promised.

`python -m rehearsal.writer` inserts one row after the other, each with its own sequence number, into whichever server
takes writes, and prints a record of each (see `rehearsal.records`) until its standard input is closed.
"""

from __future__ import annotations

import argparse
import itertools
import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

import psycopg

from rehearsal import postgresql, primary, records

INSERT = "INSERT INTO writes (sequence) VALUES ($1)"


class Writer:
    """Keeps one session in use and turns each attempt to write into a record."""

    def __init__(self, conninfos: Sequence[str], *, deadline: float, patience: float = 0.25) -> None:
        """Write to whichever server takes writes.

        Args:
            conninfos: One for each server.
            deadline: Seconds after which a statement is given up.
            patience: Seconds that a write waits for a server that takes it.
        """
        self._search = primary.Search(conninfos, deadline=deadline)
        self._patience = patience
        self._found: primary.Found | None = None

    def write(self, sequence: int) -> list[records.Record]:
        """Attempt one write; return its record, after that of a connection where another one is used."""
        connection = None
        sent = time.monotonic()
        try:
            if self._found is None:
                self._found = self._search.find(self._patience)
                connection = self._found.connection
                sent = time.monotonic()
            self._found.session.execute(INSERT, [sequence])
        except (psycopg.OperationalError, postgresql.ServerError) as error:
            outcome, reason = records.Outcome.FAILED, postgresql.first_line(error)
        except postgresql.Unknown as error:
            outcome, reason = records.Outcome.INDETERMINATE, postgresql.first_line(error)
        else:
            outcome, reason = records.Outcome.ACKNOWLEDGED, ""
        write = records.Write(sequence, sent, time.monotonic(), outcome, reason)
        if outcome is not records.Outcome.ACKNOWLEDGED:
            self._give_back()
        return [connection, write] if connection else [write]

    def _give_back(self) -> None:
        if self._found:
            self._search.give_back(self._found)
        self._found = None

    def close(self) -> None:
        """End all sessions."""
        self._give_back()
        self._search.close()


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
    conninfos = [
        postgresql.conninfo([host], port=options.port, user=options.user, database=options.database)
        for host in options.host
    ]
    writer = Writer(conninfos, deadline=options.deadline)
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
