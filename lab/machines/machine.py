"""What the rest of the lab may ask of a machine, whatever kind it is."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import typing
from collections.abc import Mapping, Sequence

POOL = "/var/lib/juju/storage-pool"
"""Where a machine sees the storage pool."""

STORE = "/var/lib/lab/store"
"""Where a machine sees the snap store's directory."""

ENVIRONMENT: typing.Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
"""The environment of commands for which the caller gives none: nothing of the host's goes into a machine."""

StorageKind = typing.Literal["directory", "image"]
"""A part of the machine's own disk, or a file system of a fixed size in a sparse file."""


class MachineError(RuntimeError):
    """A machine did not do what was asked of it."""


class Machine(typing.Protocol):
    """A machine of the lab. It exists on disk: `Machines.get` finds it again after the asking process has ended."""

    @property
    def name(self) -> str:
        """Unique in the lab; its host name too."""
        ...

    @property
    def address(self) -> str:
        """IPv4 address by which the lab's other machines reach it."""
        ...

    @property
    def running(self) -> bool:
        """Whether its PID 1 lives."""
        ...

    @property
    def boot_id(self) -> str:
        """Differs after each boot; empty if the machine does not run, or has not come as far as Juju's agent."""
        ...

    def start(self) -> None:
        """Boot, and return once the machine's systemd has come up (`running` or `degraded`).

        Nothing happens if it runs already.

        Raises:
            MachineError: it did not come up in time.
        """
        ...

    def stop(self) -> None:
        """Power off cleanly; the files stay. Nothing happens if it does not run."""
        ...

    def crash(self) -> None:
        """End it as a power cut does: nothing in it gets a chance to clean up. The files stay."""
        ...

    def reboot(self) -> None:
        """Boot anew, with a clean shutdown before, and return as `start` does."""
        ...

    def destroy(self) -> None:
        """Stop it if need be and delete its files. Storage in the pool stays."""
        ...

    def outside(self, path: str) -> pathlib.Path:
        """Return where the controller finds the machine's file `path`.

        What the machine mounts below `path` (its storage, /run, /tmp) is not seen there.
        """
        ...

    def inside(self, path: str) -> str:
        """Return what processes of the machine call its file `path`."""
        ...

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        **popen_arguments: typing.Any,
    ) -> subprocess.Popen[typing.Any]:
        """Start a command as root in the machine.

        Args:
            argv: the command; a name without a slash is looked up in the `PATH` of `env`.
            env: its whole environment, `ENVIRONMENT` if not given.
            cwd: directory as `inside` names it; `/` if not given.
            popen_arguments: as of `subprocess.Popen`.

        The command leads a session of its own: `os.killpg` with the returned `pid` ends it and all that it started
        and that has not made itself a daemon. `returncode` is the command's, negative if a signal ended it.

        Raises:
            MachineError: the machine does not run.
        """
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        input: str | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as `popen` does, in `ENVIRONMENT`, and return its output as text.

        Raises:
            subprocess.TimeoutExpired: after `timeout` seconds; the command has been killed.
            subprocess.CalledProcessError: it failed and `check` is true.
            MachineError: the machine does not run.
        """
        ...

    def attach_storage(self, source: str, location: str, kind: StorageKind, size: int | None) -> None:
        """Mount the pool's entry `source` at `location`, now if the machine runs, and at each boot.

        Args:
            source: name of the entry in the pool, without a slash. It is made if it is not there.
            location: absolute path in the machine.
            kind: `image` is a sparse file with an ext4 file system of `size` bytes. An entry that is there
                keeps its size.
            size: in bytes, for `image`.
        """
        ...

    def detach_storage(self, location: str) -> None:
        """Undo `attach_storage`; the entry stays in the pool. Nothing happens if nothing is attached there."""
        ...


class Machines(typing.Protocol):
    """The machines of one lab."""

    def create(self, name: str) -> Machine:
        """Make the files of a new machine; `start` boots it.

        Raises:
            ValueError: the name is not a host name.
            FileExistsError: there is a machine of this name.
        """
        ...

    def get(self, name: str) -> Machine:
        """Return the machine of this name.

        Raises:
            LookupError: there is none.
        """
        ...

    def names(self) -> list[str]:
        """Return the names of all machines, whether they run or not, sorted."""
        ...


def communicate(
    process: subprocess.Popen[str], *, timeout: float, input: str | None, check: bool
) -> subprocess.CompletedProcess[str]:
    """Wait for a process that `Machine.popen` started, with the whole of its group killed when time is up."""
    with process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    result = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        result.check_returncode()
    return result
