"""Find the server that takes writes, fast: a session with each is kept open, as a connection pool does.

A standby's sessions outlive its promotion. So what a change of the primary costs a client is one question to a server
that it is connected to, and not a way around all of them with a log-in at each: the gap that a writer measures is the
servers', not its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Sequence

import psycopg
import psycopg.conninfo

from rehearsal import postgresql, records

SEARCHING = 0.01
"""Seconds between two questions to a server while the primary is sought."""
RESTING = 0.5
"""The same while there is one: so often it is seen to that the session is still there."""
WHERE = """
    SELECT host(coalesce(inet_server_addr(), '127.0.0.1')),
           ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
"""


@dataclasses.dataclass(frozen=True)
class Found:
    """A session with a server that takes writes."""

    session: postgresql.Session
    connection: records.Connection
    candidate: _Candidate


class Search:
    """Keeps a session with each server, and lends the one with the primary."""

    def __init__(self, conninfos: Sequence[str], *, deadline: float) -> None:
        """Connect to each server in the background.

        Args:
            conninfos: One for each server.
            deadline: Seconds that a statement may take.
        """
        self._changed = threading.Condition()
        self._wanted = True
        self._found: Found | None = None
        self._ended = False
        self._candidates = [_Candidate(self, conninfo, deadline) for conninfo in conninfos]
        for candidate in self._candidates:
            candidate.start()

    def find(self, patience: float) -> Found:
        """Return a session with a server that takes writes; it has to be given back.

        Raises:
            psycopg.OperationalError: There was none within `patience` seconds; the text says what each server said.
        """
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._found, timeout=patience)
            found, self._found = self._found, None
            if found is None:
                raise psycopg.OperationalError("; ".join(f"{one.host}: {one.reason}" for one in self._candidates))
            self._wanted = False
            return found

    def give_back(self, found: Found) -> None:
        """Take a session back, and end it: it is not known to be good any more."""
        with contextlib.suppress(psycopg.Error):
            found.session.connection.close()
        with self._changed:
            found.candidate.lent = False

    def close(self) -> None:
        """End all sessions that are not lent."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            found, self._found = self._found, None
        if found:
            self.give_back(found)
        for candidate in self._candidates:
            candidate.join()

    def wait(self) -> bool:
        """Wait until a server is to be asked; return whether there is an end."""
        with self._changed:
            if not self._wanted:
                self._changed.wait_for(lambda: self._wanted or self._ended, timeout=RESTING)
            else:
                self._changed.wait_for(lambda: self._ended, timeout=SEARCHING)
            return not self._ended

    def offer(self, found: Found) -> bool:
        """Lend a session, if one is still wanted; return whether it was."""
        with self._changed:
            if not self._wanted or self._found or self._ended:
                return False
            self._found = found
            found.candidate.lent = True
            self._changed.notify_all()
            return True


class _Candidate(threading.Thread):
    """One server. While its session is lent it has none."""

    def __init__(self, search: Search, conninfo: str, deadline: float) -> None:
        super().__init__(daemon=True)
        self.host = psycopg.conninfo.conninfo_to_dict(conninfo).get("host")
        self.reason = "not yet connected"
        self.lent = False
        self._search = search
        self._conninfo = conninfo
        self._deadline = deadline
        self._session: postgresql.Session | None = None

    def run(self) -> None:
        self._ask()
        while self._search.wait():
            if not self.lent:
                self._ask()
        self._end()

    def _ask(self) -> None:
        try:
            if self._session is None:
                connection = psycopg.connect(self._conninfo, autocommit=True)
                self._session = postgresql.Session(connection, self._deadline)
            [(recovering,)] = self._session.execute("SELECT pg_is_in_recovery()")
            if recovering == "t":
                self.reason = "session is read-only"
                return
            [(host, timeline)] = self._session.execute(WHERE)
        except (psycopg.OperationalError, postgresql.ServerError, postgresql.Unknown) as error:
            self.reason = postgresql.first_line(error)
            self._end()
            return
        connection = records.Connection(time.monotonic(), str(host), int(timeline or 0))
        self.reason = "its session is not wanted"
        if self._search.offer(Found(self._session, connection, self)):
            self._session = None

    def _end(self) -> None:
        if self._session:
            with contextlib.suppress(psycopg.Error):
                self._session.connection.close()
        self._session = None
