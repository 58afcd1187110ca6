"""A client that writes one row after the other and writes down what it was promised for each.

It is run on a unit's machine, by that machine's Python and with a driver in pure Python beside it, so that it needs
nothing of the workload that it watches. A write is *acknowledged* when the server says that it is committed and says so
without a warning, *failed* when it was refused or never sent, and *indeterminate* otherwise.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import signal
import socket
import sys
import time
import typing

import pg8000.exceptions
import pg8000.native

PORT = 5432
INTERVAL = 0.05
"""Seconds between two attempts to write."""
CONNECTING = 2.0
"""Seconds that a connection may take."""
DEADLINE = 5.0
"""Seconds that a statement may take. A frozen server answers never."""

_BROKEN = (pg8000.exceptions.InterfaceError, OSError, EOFError)


class Writer:
    """Writes through one session with the server that takes writes, and looks for another where it ends."""

    def __init__(self, hosts: list[str], user: str, password: str, table: str) -> None:
        self._hosts = hosts
        self._user = user
        self._password = password
        self._table = table
        self._session: pg8000.native.Connection | None = None
        self.host = ""

    def write(self, number: int) -> tuple[str, str]:
        """Attempt to write a row; return the outcome, and why it is not acknowledged."""
        session = self._session or self._connect()
        if session is None:
            return "failed", "no server takes writes"
        outcome, reason = _insert(session, f"INSERT INTO {self._table} (n) VALUES ({number})")
        if outcome == "acknowledged":
            self._session = session
        else:
            self._session = None
            with contextlib.suppress(pg8000.exceptions.Error, *_BROKEN):
                session.close()
        return outcome, reason

    def _connect(self) -> pg8000.native.Connection | None:
        """Return a session with the first server that takes writes."""
        for host in self._hosts:
            channel = None
            try:
                channel = socket.create_connection((host, PORT), CONNECTING)
                session = pg8000.native.Connection(
                    self._user, database="postgres", password=self._password, sock=channel
                )
                if session.run("SELECT pg_is_in_recovery()") == [[False]]:
                    channel.settimeout(DEADLINE)
                    self.host = host
                    return session
            except (pg8000.exceptions.Error, *_BROKEN):
                pass
            if channel:
                channel.close()
        return None


def _insert(session: pg8000.native.Connection, statement: str) -> tuple[str, str]:
    session.notices.clear()
    try:
        session.run(statement)
    except pg8000.exceptions.DatabaseError as error:
        fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        # V is the severity, untranslated (PostgreSQL 16, protocol, "Error and Notice Message Fields"). After an ERROR
        # the session goes on and nothing was committed; FATAL and PANIC end it, and do not tell.
        return ("failed" if fields.get("V") == "ERROR" else "indeterminate"), str(fields.get("M", error))
    except _BROKEN as error:
        return "indeterminate", str(error)
    # A commit that has stopped waiting for its synchronous standby is reported as a warning beside a normal answer.
    warnings = [notice for notice in session.notices if notice.get(b"V") == b"WARNING"]
    return ("indeterminate", str(warnings[0].get(b"M"))) if warnings else ("acknowledged", "")


def main() -> None:
    """Write until SIGTERM. Standard input has the password; the arguments are file, table, user and hosts."""
    file, table, user, *hosts = sys.argv[1:]
    writer = Writer(hosts, user, sys.stdin.readline().rstrip("\n"), table)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    number = 0
    with pathlib.Path(file).open("w", buffering=1) as records:
        while not asked:
            number += 1
            sent = time.monotonic()
            outcome, reason = writer.write(number)
            record: dict[str, typing.Any] = {"n": number, "sent": sent, "ended": time.monotonic(), "outcome": outcome}
            print(json.dumps({**record, "reason": reason, "host": writer.host}), file=records)
            time.sleep(max(sent + INTERVAL - time.monotonic(), 0))


if __name__ == "__main__":
    main()
