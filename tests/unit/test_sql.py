"""The charm's statements, against a real PostgreSQL."""

from __future__ import annotations

import collections.abc
import os
import shutil
import subprocess
import threading
import time

import psycopg
import pytest

import execution
import observation
from tests.fakes import known
from tests.unit import postgresql
from workload import paths, scram, sql

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def server() -> collections.abc.Iterator[postgresql.Server]:
    with postgresql.server() as running:
        yield running


@pytest.fixture(autouse=True)
def _port(server: postgresql.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "POSTGRESQL_PORT", server.port)


def test_roles_are_made_and_changed_and_no_password_reaches_the_log(server: postgresql.Server) -> None:
    database = server.sql()
    wanted = observation.role_passwords(known.PASSWORDS)
    assert set(database.role_verifiers(wanted)) == {"operator"}
    for name, password in wanted.items():
        database.set_role(name, execution.ROLE_ATTRIBUTES[name], scram.verifier(password))
    database.grant_functions("rewind", execution.REWIND_FUNCTIONS)
    found = database.role_verifiers(wanted)
    assert all(scram.matches(found[name], password) for name, password in wanted.items())
    roles = server.query("SELECT rolname, rolsuper, rolreplication, rolcanlogin FROM pg_roles WHERE rolname !~ '^pg_'")
    assert sorted(roles) == [
        ("operator", True, True, True),
        ("replication", False, True, True),
        ("rewind", False, False, True),
    ]
    for signature in execution.REWIND_FUNCTIONS:
        (row,) = server.query(f"SELECT has_function_privilege('rewind', '{signature}', 'execute')")
        assert row == (True,)
    # Again: changed, not made.
    database.set_role("rewind", "LOGIN", scram.verifier("another"))
    assert scram.matches(database.role_verifiers(["rewind"])["rewind"], "another")
    log = server.log.read_text()
    assert "SELECT rolname" in log
    assert not [line for line in log.splitlines() if "SCRAM-SHA-256$" in line or "-pw" in line]


def test_over_the_network_the_password_counts(server: postgresql.Server) -> None:
    server.sql().set_role("operator", "SUPERUSER LOGIN", scram.verifier("right"))
    server.sql("127.0.0.1", "right").checkpoint()
    with pytest.raises(sql.SqlError, match="password authentication failed") as caught:
        server.sql("127.0.0.1", "wrong-secret").checkpoint()
    assert "wrong-secret" not in str(caught.value)


def have_tablespace(server: postgresql.Server) -> None:
    if server.sql().has_temporary_tablespace():
        return
    directory = server.directory / "temporary"
    directory.mkdir()
    if os.getuid() == 0:
        shutil.chown(directory, "nobody", "nogroup")
    server.sql().create_temporary_tablespace(directory)


def test_the_temporary_tablespace(server: postgresql.Server) -> None:
    database = server.sql()
    server.query("DROP TABLESPACE IF EXISTS temp")
    assert not database.has_temporary_tablespace()
    with pytest.raises(sql.SqlError, match="does not exist"):
        database.create_temporary_tablespace(server.directory / "absent")
    have_tablespace(server)
    assert database.has_temporary_tablespace()
    # Everybody may use it.
    assert server.query("SELECT spcacl::text FROM pg_tablespace WHERE spcname = 'temp'") == [
        ("{operator=C/operator,=C/operator}",)
    ]


def test_a_checkpoint_is_one(server: postgresql.Server) -> None:
    before = server.query("SELECT checkpoint_lsn FROM pg_control_checkpoint()")
    server.query("CREATE TABLE written AS SELECT generate_series(1, 100)")
    server.sql().checkpoint()
    assert server.query("SELECT checkpoint_lsn FROM pg_control_checkpoint()") != before


def test_an_idle_database(server: postgresql.Server) -> None:
    found = server.sql().activity()
    assert found == sql.Activity(0.0, 0, 0, False, False)


def test_open_and_prepared_transactions(server: postgresql.Server) -> None:
    with psycopg.connect(
        host=str(server.directory), port=server.port, user="operator", dbname="postgres"
    ) as connection:
        connection.execute("SELECT 1")
        time.sleep(0.3)
        found = server.sql().activity()
        assert 0.3 <= found.longest_transaction_seconds < 60
        connection.execute("CREATE TABLE prepared ()")
        connection.execute("PREPARE TRANSACTION 'one'")
    try:
        assert server.sql().activity().prepared_transactions == 1
    finally:
        server.query("ROLLBACK PREPARED 'one'")


def test_temporary_files_in_the_tablespace(server: postgresql.Server) -> None:
    have_tablespace(server)
    with psycopg.connect(
        host=str(server.directory), port=server.port, user="operator", dbname="postgres"
    ) as connection:
        connection.execute("SET temp_tablespaces = temp")
        connection.execute("SET work_mem = '64kB'")
        # A cursor in the middle of a sort that does not fit into memory.
        connection.execute(
            "DECLARE sorted CURSOR FOR SELECT g, md5(g::text) FROM generate_series(1, 50000) g ORDER BY 2"
        )
        connection.execute("FETCH 1 FROM sorted")
        assert server.sql().activity().temporary_bytes > 64 * 1024
    assert server.sql().activity().temporary_bytes == 0


def test_a_backup_that_runs(server: postgresql.Server) -> None:
    server.query("CREATE TABLE IF NOT EXISTS large AS SELECT md5(g::text) FROM generate_series(1, 200000) g")
    finished = threading.Event()

    def backup() -> None:
        target = server.directory / "backup"
        arguments = [str(server.binaries / "pg_basebackup"), "-h", str(server.directory), "-p", str(server.port)]
        arguments += ["-U", "operator", "--checkpoint=fast", "--max-rate=1M", "--no-sync", "-Ft", "-D", str(target)]
        with subprocess.Popen(
            arguments,
            env={"LD_LIBRARY_PATH": str(server.binaries.parent / "lib")},
            stdout=subprocess.DEVNULL,
            stderr=(server.directory / "backup.log").open("w"),
        ) as process:
            finished.wait(30)
            process.kill()
        shutil.rmtree(target, ignore_errors=True)

    thread = threading.Thread(target=backup)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.sql().activity().backup_running:
            assert time.monotonic() < until, (server.directory / "backup.log").read_text()
            time.sleep(0.05)
    finally:
        finished.set()
        thread.join()


def test_who_is_waited_for(server: postgresql.Server) -> None:
    assert server.sql().synchronous_standbys() == frozenset()
    target = server.directory / "received"
    target.mkdir()
    receiver = str(server.binaries / "pg_receivewal")
    connection = f"host={server.directory} port={server.port} user=operator application_name=pg-1"
    environment = {"LD_LIBRARY_PATH": str(server.binaries.parent / "lib")}
    with subprocess.Popen(
        [receiver, "-d", connection, "-D", str(target), "--synchronous"],
        env=environment,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _becomes(server, {"pg-1"}, """ALTER SYSTEM SET synchronous_standby_names = '"pg-1"'""")
            _becomes(server, set(), "ALTER SYSTEM RESET synchronous_standby_names")
        finally:
            process.kill()


def _becomes(server: postgresql.Server, names: set[str], change: str) -> None:
    server.query(change)
    server.query("SELECT pg_reload_conf()")
    until = time.monotonic() + 20
    while server.sql().synchronous_standbys() != names:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_archiving_that_fails(server: postgresql.Server) -> None:
    try:
        server.query("ALTER SYSTEM SET archive_command = '/bin/false'")
        server.query("SELECT pg_reload_conf()")
        server.query("SELECT pg_switch_wal()")
        until = time.monotonic() + 20
        while not server.sql().activity().archiver_failing:
            assert time.monotonic() < until, "no failure was seen"
            time.sleep(0.1)
    finally:
        server.query("ALTER SYSTEM RESET archive_command")
        server.query("SELECT pg_reload_conf()")


def test_nobody_answers(server: postgresql.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "POSTGRESQL_PORT", 9)
    with pytest.raises(sql.SqlError, match="OperationalError"):
        server.sql().has_temporary_tablespace()


def test_a_statement_does_not_take_for_ever(server: postgresql.Server) -> None:
    with (
        pytest.raises(sql.SqlError, match="statement timeout"),
        server.sql()._cursor(timeout_milliseconds=100) as cursor,
    ):
        cursor.execute("SELECT pg_sleep(60)")
