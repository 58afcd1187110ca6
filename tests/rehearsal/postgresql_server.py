"""A PostgreSQL server for tests."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import psycopg

PASSWORD = "of a server that lives for one test"


class Server:
    """One PostgreSQL server in a directory of its own, at an address of its own on the loopback interface."""

    def __init__(self, binaries: pathlib.Path, directory: pathlib.Path, host: str, port: int) -> None:
        self.binaries = binaries
        self.directory = directory
        self.host = host
        self.port = port

    def run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        # PostgreSQL refuses to run as root; its output goes to a file, since a server keeps a pipe open.
        environment = {
            "LD_LIBRARY_PATH": str(self.binaries.parent / "lib"),
            "LC_ALL": "C.UTF-8",
            "PGPASSFILE": str(self.directory.parent / "passfile"),
        }
        with (self.directory.parent / "output").open("a+") as output:
            position = output.tell()
            completed = subprocess.run(
                [self.binaries / program, *arguments],
                user="nobody",
                group="nogroup",
                extra_groups=[],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
            output.seek(position)
            text = output.read()
        if check and completed.returncode:
            raise AssertionError(f"{program} failed: {text}")
        return subprocess.CompletedProcess(completed.args, completed.returncode, text)

    def initialise(self) -> None:
        passwords = self.directory.parent / "password"
        passwords.write_text(PASSWORD)
        self.run(
            "initdb",
            *("-D", str(self.directory), "--username=operator", "--auth=scram-sha-256", "--data-checksums"),
            *(f"--pwfile={passwords}", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"),
        )

    def clone(self, source: Server) -> None:
        """Become a standby of `source`."""
        self.run(
            "pg_basebackup",
            *("-D", str(self.directory), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            *("-d", f"host={source.host} port={source.port} user=operator application_name=standby"),
        )

    def start(self) -> None:
        settings = (
            f"-c port={self.port} -c listen_addresses={self.host} -c unix_socket_directories='' "
            "-c fsync=off -c shared_buffers=16MB -c autovacuum=off"
        )
        log = str(self.directory.parent / "log")
        self.run("pg_ctl", "start", "-D", str(self.directory), "-w", "-t", "30", "-l", log, "-o", settings)

    def wait_for_standby(self) -> None:
        """Wait until a standby has everything that there is."""
        limit = time.monotonic() + 30
        while not self.query("SELECT pid FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_flush_lsn()"):
            assert time.monotonic() < limit, "no standby follows"
            time.sleep(0.05)

    def stop(self, mode: str = "fast", *, check: bool = True) -> None:
        self.run("pg_ctl", "stop", "-D", str(self.directory), "-w", "-t", "30", "-m", mode, check=check)

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-D", str(self.directory), "-w", "-t", "30")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server, then to each of its processes that is still there."""
        main = int((self.directory / "postmaster.pid").read_text().split()[0])
        os.kill(main, number)
        for pid in map(int, pathlib.Path(f"/proc/{main}/task/{main}/children").read_text().split()):
            # The process of a session that has just been closed may end at any moment.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def query(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(
            host=self.host, port=self.port, user="operator", password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []
