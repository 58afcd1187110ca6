"""The writer, the reader and the checker, run in the network of one of the application's machines."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence

from rehearsal import deployment, history, readback

Reach = Callable[[Sequence[str]], list[str]]
"""Turns a command into one that runs where the cluster's addresses can be reached."""

TREE = pathlib.Path(__file__).resolve().parents[1]


def in_network_of(machine: str) -> Reach:
    """Return the way into the network namespace of a machine of the lab."""
    return lambda command: [sys.executable, "-m", "lab", "netns", machine, "--", *command]


class _Process:
    """One client that runs until its standard input is closed, with its records and what it says in two files."""

    def __init__(self, name: str, directory: pathlib.Path, records: str) -> None:
        self.name = name
        self.records = directory / records
        self._errors = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with self.records.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=output, stderr=errors, env=dict(environment), cwd=TREE
            )

    def check(self) -> None:
        if self._process and self._process.poll() is not None:
            raise RuntimeError(f"the {self.name} ended by itself: {self._errors.read_text().strip()[-500:]}")

    def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class Load:
    """A client of a cluster: writes, reads from each server, and later reads everything back."""

    def __init__(
        self,
        hosts: Sequence[str],
        directory: pathlib.Path,
        passwords: pathlib.Path,
        reach: Reach = list,
        **options: str,
    ) -> None:
        """Be a client of `hosts`.

        Args:
            hosts: All servers' addresses.
            directory: Where the writer's records go.
            passwords: The file that libpq reads passwords from, as `passfile` makes it.
            reach: How to run a command where the hosts can be reached.
            options: More options of the commands, such as `port`.
        """
        self._arguments = [
            *(f"--host={host}" for host in hosts),
            f"--user={deployment.USER}",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        self._reach = reach
        self._environment = {**os.environ, "PGPASSFILE": str(passwords), "PYTHONPATH": str(TREE)}
        self._writer = _Process("writer", directory, "writes.jsonl")
        self._reader = _Process("reader", directory, "reads.jsonl")
        self._follower = history.Follower(self._writer.records, self._reader.records)

    @property
    def history(self) -> history.History:
        """What the writer and the reader have recorded up to now."""
        return self._follower.poll()

    def start(self, *, prepare: bool = True, first: int = 1) -> None:
        """Begin to write.

        Args:
            prepare: Whether to make the empty table before; without it the table of an earlier client is written to.
            first: The first write's number, which no other client of the same table may use.

        Raises:
            subprocess.CalledProcessError: The table could not be made.
        """
        if prepare:
            self._call("rehearsal.readback", "--prepare")
        self._writer.start(self._command("rehearsal.writer", f"--first={first}"), self._environment)

    def start_reading(self) -> None:
        """Begin to read from each server, from the table that `start` has made."""
        self._reader.start(self._command("rehearsal.reader"), self._environment)

    def check(self) -> None:
        """Raise if the writer or the reader has ended by itself.

        Raises:
            RuntimeError: One has; the text is what it said last.
        """
        for process in (self._writer, self._reader):
            process.check()

    def stop(self) -> None:
        """End the writer and the reader; what they have recorded stays."""
        for process in (self._writer, self._reader):
            process.stop()

    def read_back(self) -> list[readback.Copy]:
        """Read every server's copy and verify its checksums.

        Raises:
            subprocess.CalledProcessError: It could not be done; its output says why.
        """
        return readback.decode(self._call("rehearsal.readback"))

    def _command(self, module: str, *more: str) -> list[str]:
        return self._reach([sys.executable, "-m", module, *self._arguments, *more])

    def _call(self, module: str, *more: str) -> str:
        completed = subprocess.run(
            self._command(module, *more),
            stdout=subprocess.PIPE,
            env=self._environment,
            cwd=TREE,
            text=True,
            timeout=600,
            check=True,
        )
        return completed.stdout


@contextlib.contextmanager
def passfile(passwords: Mapping[str, str]) -> Iterator[pathlib.Path]:
    """Give each user's password in a file as libpq wants it, for its owner's eyes only, while the context lasts."""
    with tempfile.NamedTemporaryFile("w", prefix="rehearsal-", suffix=".pgpass") as file:  # made with mode 0600
        for user, password in passwords.items():
            escaped = password.replace("\\", "\\\\").replace(":", "\\:")
            file.write(f"*:*:*:{user}:{escaped}\n")
        file.flush()
        yield pathlib.Path(file.name)
