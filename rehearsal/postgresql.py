"""One statement against PostgreSQL with a deadline, told apart by what its client may conclude.

psycopg's own `execute` waits as long as the server lives. A rehearsal freezes and cuts off servers, so statements here
go through the asynchronous commands of libpq (https://www.postgresql.org/docs/16/libpq-async.html).
"""

from __future__ import annotations

import argparse
import dataclasses
import select
import time
from collections.abc import Sequence

import psycopg
import psycopg.conninfo
from psycopg import pq

PORT = 5432
DATABASE = "rehearsal"


class ServerError(Exception):
    """The server refused the statement and keeps the session: nothing of it was committed."""


class Unknown(Exception):
    """The statement was sent, and the answer did not come or promises less than a commit."""


def conninfo(
    hosts: Sequence[str], *, user: str, port: int = PORT, database: str = DATABASE, **others: str | int
) -> str:
    """Return a connection string with short limits, so that a dead host costs seconds, not minutes.

    The password is libpq's own concern: `PGPASSFILE` names a file that only its owner can read.
    """
    parameters: dict[str, str | int] = {
        "host": ",".join(hosts),
        "port": port,
        "user": user,
        "dbname": database,
        "application_name": "rehearsal",
        "connect_timeout": 2,  # libpq takes less than two seconds as two
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": 3000,  # milliseconds
        **others,
    }
    return psycopg.conninfo.make_conninfo("", **parameters)


@dataclasses.dataclass
class Session:
    """A connection in autocommit mode whose statements have deadlines."""

    connection: psycopg.Connection
    deadline: float
    """Seconds that a statement may take."""

    def __post_init__(self) -> None:
        """Collect the server's notices: some take back what the command's tag promises."""
        self._warnings: list[str] = []
        self.connection.add_notice_handler(self._notice)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self._warnings.append(diagnostic.message_primary or "warning")

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[str | None, ...]]:
        """Run one statement with parameters `$1`, ... and return its rows as text.

        Raises:
            ServerError: The server refused it; nothing was committed.
            Unknown: No answer, a lost session, or a warning with the answer. A warning counts, since a commit that no
                longer waits for its synchronous standby is reported as one, beside a normal command tag.
        """
        self._warnings.clear()
        values = [None if value is None else str(value).encode() for value in parameters]
        connection = self.connection.pgconn
        limit = time.monotonic() + self.deadline
        try:
            connection.send_query_params(statement.encode(), values)
            while connection.flush():
                self._wait(limit, writable=True)
            result = self._result(limit)
        except psycopg.OperationalError as error:
            raise Unknown(str(error).strip()) from error
        judge(result, self._warnings)
        return [
            tuple(None if value is None else value.decode() for value in row)
            for row in (
                [result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)
            )
        ]

    def _wait(self, limit: float, *, writable: bool = False) -> None:
        descriptor = [self.connection.fileno()]
        remaining = max(limit - time.monotonic(), 0)
        if not any(select.select(descriptor, descriptor if writable else [], [], remaining)):
            raise Unknown(f"no answer within {self.deadline:g} s")
        if not writable:
            self.connection.pgconn.consume_input()

    def _result(self, limit: float) -> pq.abc.PGresult:
        results: list[pq.abc.PGresult] = []
        while True:
            while self.connection.pgconn.is_busy():
                self._wait(limit)
            result = self.connection.pgconn.get_result()
            if result is None:
                break
            results.append(result)
        if not results:
            raise Unknown("the session ended without an answer")
        # A FATAL message comes as a result of its own before libpq's word that the connection is gone.
        return results[0]


def judge(result: pq.abc.PGresult, warnings: Sequence[str]) -> None:
    """Return if the result, with the warnings that came along, is a promise.

    Raises:
        ServerError: The statement failed and the session goes on: it was rolled back.
        Unknown: The session has ended (severity FATAL or PANIC), or there were warnings.
    """
    if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        severity = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
        text = next(iter(result.error_message.decode(errors="replace").strip().splitlines()), "no message")
        raise ServerError(text) if severity == b"ERROR" else Unknown(text)
    if warnings:
        raise Unknown(warnings[0])


def first_line(error: Exception) -> str:
    """Return an error in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command say which servers, whose user and which database it means."""
    parser.add_argument("--host", action="append", required=True, help="a server; give it once for each")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--user", required=True)
    parser.add_argument("--database", default=DATABASE)
