"""The few SQL statements that the charm runs. On its own machine it needs no password.

Root is let in as `operator` (peer).
"""

import collections.abc
import contextlib
import dataclasses
import logging
import pathlib
import typing

from workload import paths

if typing.TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)

SUPERUSER = "operator"
DATABASE = "postgres"
TEMPORARY_TABLESPACE = "temp"
CONNECT_TIMEOUT_SECONDS = 3
STATEMENT_TIMEOUT_MILLISECONDS = 10_000
CHECKPOINT_TIMEOUT_MILLISECONDS = 60_000
# A server whose machine has lost its power ends nothing by itself: the kernel notices in 20 s instead of two hours.
_KEEPALIVES: dict[str, typing.Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class SqlError(Exception):
    """PostgreSQL could not be reached, or refused a statement. The text never holds a password."""


@dataclasses.dataclass(frozen=True)
class Activity:
    """What goes on in the database that a refresh would disturb."""

    longest_transaction_seconds: float
    """Of other sessions' open transactions; 0 if there is none."""
    prepared_transactions: int
    temporary_bytes: int
    """In the temporary tablespace."""
    backup_running: bool
    archiver_failing: bool
    """Whether the last attempt to archive write-ahead log failed."""


class Sql:
    """SQL on one PostgreSQL: that of this machine over its socket, or another member's over the network."""

    def __init__(self, socket_directory: pathlib.Path, address: str | None = None, password: str | None = None):
        self._socket_directory = socket_directory
        self._address = address
        self._password = password

    def role_verifiers(self, names: collections.abc.Collection[str]) -> dict[str, str | None]:
        """The stored password verifier of each of these roles that exists. Raises SqlError."""
        with self._cursor() as cursor:
            cursor.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s)", (list(names),))
            return dict(cursor.fetchall())

    def set_role(self, name: str, attributes: str, verifier: str) -> None:
        """Create the role or change it to these attributes (a constant of ours) and password verifier.

        Raises SqlError.
        """
        from psycopg import sql

        with self._cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
            verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
            # The verifier is no password, but it stays out of the log all the same.
            cursor.execute("SET LOCAL log_statement = 'none'")
            cursor.execute("SET LOCAL log_min_duration_statement = -1")
            cursor.execute("SET LOCAL log_min_error_statement = 'panic'")
            cursor.execute(
                sql.SQL("{} ROLE {} WITH {} PASSWORD {}").format(
                    verb,
                    sql.Identifier(name),
                    sql.SQL(typing.cast(typing.LiteralString, attributes)),
                    sql.Literal(verifier),
                )
            )

    def grant_functions(self, name: str, signatures: collections.abc.Iterable[str]) -> None:
        """Let the role execute these functions (constants of ours). Raises SqlError."""
        from psycopg import sql

        with self._cursor() as cursor:
            for signature in signatures:
                cursor.execute(
                    sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(
                        sql.SQL(typing.cast(typing.LiteralString, signature)), sql.Identifier(name)
                    )
                )

    def has_temporary_tablespace(self) -> bool:
        """Whether the tablespace for temporary files exists. Raises SqlError."""
        with self._cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_tablespace WHERE spcname = %s", (TEMPORARY_TABLESPACE,))
            return cursor.fetchone() is not None

    def create_temporary_tablespace(self, directory: pathlib.Path) -> None:
        """Create the tablespace for temporary files; each member must have the directory. Raises SqlError."""
        from psycopg import sql

        with self._cursor(autocommit=True) as cursor:
            cursor.execute(
                sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(
                    sql.Identifier(TEMPORARY_TABLESPACE), sql.Literal(str(directory))
                )
            )
            cursor.execute(
                sql.SQL("GRANT CREATE ON TABLESPACE {} TO PUBLIC").format(sql.Identifier(TEMPORARY_TABLESPACE))
            )

    def checkpoint(self) -> None:
        """Write all that is dirty to disk, so that the next stop is short. Raises SqlError."""
        with self._cursor(autocommit=True, timeout_milliseconds=CHECKPOINT_TIMEOUT_MILLISECONDS) as cursor:
            cursor.execute("CHECKPOINT")

    def synchronous_standbys(self) -> frozenset[str]:
        """Names of the members that each commit waits for. Only the primary can tell. Raises SqlError."""
        with self._cursor() as cursor:
            cursor.execute("SELECT application_name FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')")
            return frozenset(str(name) for (name,) in cursor.fetchall())

    def activity(self) -> Activity:
        """What goes on. Raises SqlError."""
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL"
            )
            longest = float(_only(cursor))
            cursor.execute("SELECT count(*) FROM pg_prepared_xacts")
            prepared = int(_only(cursor))
            cursor.execute(
                "SELECT coalesce(sum(size), 0) FROM pg_tablespace AS spaces CROSS JOIN LATERAL pg_ls_tmpdir(spaces.oid)"
                " WHERE spcname = %s",
                (TEMPORARY_TABLESPACE,),
            )
            temporary = int(_only(cursor))
            # pgBackRest copies files by itself; its sessions are named by its command.
            cursor.execute(
                "SELECT (SELECT count(*) FROM pg_stat_progress_basebackup) + (SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name LIKE 'pgBackRest [backup]%')"
            )
            backups = int(_only(cursor))
            cursor.execute(
                "SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)"
                " FROM pg_stat_archiver"
            )
            return Activity(longest, prepared, temporary, backups > 0, bool(_only(cursor)))

    @contextlib.contextmanager
    def _cursor(
        self, autocommit: bool = False, timeout_milliseconds: int = STATEMENT_TIMEOUT_MILLISECONDS
    ) -> collections.abc.Iterator["psycopg.Cursor[typing.Any]"]:
        # Imported here: it takes time, and most hooks run no SQL.
        import psycopg

        try:
            with (
                psycopg.connect(
                    host=self._address or str(self._socket_directory),
                    port=paths.POSTGRESQL_PORT,
                    user=SUPERUSER,
                    password=self._password,
                    dbname=DATABASE,
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    **_KEEPALIVES,
                    # The charm's own statements are acknowledged without waiting for a standby that may not be there
                    # yet.
                    options=f"-c statement_timeout={timeout_milliseconds} -c synchronous_commit=local",
                    autocommit=autocommit,
                ) as connection,
                connection.cursor() as cursor,
            ):
                yield cursor
        except psycopg.Error as error:
            raise SqlError(f"{type(error).__name__}: {str(error).strip()}") from error


def _only(cursor: "psycopg.Cursor[typing.Any]") -> typing.Any:
    row = cursor.fetchone()
    if row is None:
        raise SqlError("a query that gives one row gave none")
    return row[0]
