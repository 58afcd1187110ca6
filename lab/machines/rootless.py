"""Machines without privileges: each is a directory, and its commands run on the host.

There is no systemd and nothing is isolated. Where code under test calls a command of the machine (`snap`, `systemctl`,
...), a simulation of it goes into the machine's `/usr/local/bin`, which comes first in every command's `PATH`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import typing
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence

from lab.machines import machine

HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""One label of a host name, after RFC 1123, in lower case."""

_FIRST_ADDRESS = ipaddress.IPv4Address("127.7.0.1")
_COMMANDS = ("/usr/local/sbin", "/usr/local/bin")

# Several objects may stand for the same machine, and whichever is told to crash ends the commands of all.
_processes: weakref.WeakKeyDictionary[subprocess.Popen[typing.Any], pathlib.Path] = weakref.WeakKeyDictionary()


class Machines:
    """The machines below one directory, laid out as in a lab's state: `machines/<name>/`, `storage/`."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory

    def create(self, name: str) -> RootlessMachine:
        """See `machine.Machines.create`. Each machine gets a loopback address of its own."""
        if not HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a host name")
        with self._locked():
            directory = self._directory / "machines" / name
            directory.mkdir()
            taken = {self.get(other).address for other in self.names()}
            address = next(str(_FIRST_ADDRESS + i) for i in range(2**16) if str(_FIRST_ADDRESS + i) not in taken)
            created = RootlessMachine(name, address, directory, self._directory / "storage")
            for path in (*_COMMANDS, "/etc", "/root", "/run", "/tmp", "/var/lib/juju"):  # noqa: S108 - the machine's own
                created.outside(path).mkdir(parents=True, exist_ok=True)
            created.outside("/etc/hostname").write_text(f"{name}\n")
            created.save()
        return created

    def get(self, name: str) -> RootlessMachine:
        """See `machine.Machines.get`."""
        directory = self._directory / "machines" / name
        try:
            described = json.loads((directory / "machine.json").read_text())
        except FileNotFoundError:
            raise LookupError(f"there is no machine {name!r}") from None
        return RootlessMachine(name, described["address"], directory, self._directory / "storage")

    def names(self) -> list[str]:
        """See `machine.Machines.names`."""
        return sorted(path.parent.name for path in self._directory.glob("machines/*/machine.json"))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        (self._directory / "machines").mkdir(parents=True, exist_ok=True)
        with (self._directory / "machines" / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclasses.dataclass
class RootlessMachine:
    """A directory that is used as a machine."""

    name: str
    address: str
    directory: pathlib.Path
    pool: pathlib.Path

    @property
    def running(self) -> bool:
        """Whether it was started and not ended since."""
        return self._boot_file.exists()

    @property
    def boot_id(self) -> str:
        """Made up at each start."""
        try:
            return self._boot_file.read_text()
        except FileNotFoundError:
            return ""

    def start(self) -> None:
        """See `machine.Machine.start`."""
        if not self.running:
            self._boot_file.write_text(str(uuid.uuid4()))

    def stop(self) -> None:
        """See `machine.Machine.stop`. Commands that still run are killed."""
        self._boot_file.unlink(missing_ok=True)
        for process, directory in list(_processes.items()):
            if directory == self.directory and process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def crash(self) -> None:
        """See `machine.Machine.crash`."""
        self.stop()

    def reboot(self) -> None:
        """See `machine.Machine.reboot`. Like a real one's, its `/run` and `/tmp` are empty afterwards."""
        self.stop()
        for path in ("/run", "/tmp"):  # noqa: S108 - the machine's own
            shutil.rmtree(self.outside(path))
            self.outside(path).mkdir()
        self.start()

    def destroy(self) -> None:
        """See `machine.Machine.destroy`."""
        self.stop()
        shutil.rmtree(self.directory)

    def outside(self, path: str) -> pathlib.Path:
        """See `machine.Machine.outside`."""
        return self.directory / "root" / path.lstrip("/")

    def inside(self, path: str) -> str:
        """See `machine.Machine.inside`: here the same as `outside`."""
        return str(self.outside(path))

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        **popen_arguments: typing.Any,
    ) -> subprocess.Popen[typing.Any]:
        """See `machine.Machine.popen`. Runs as whoever runs the lab."""
        if not self.running:
            raise machine.MachineError(f"{self.name} does not run")
        environment = {**machine.ENVIRONMENT, "HOME": self.inside("/root")} if env is None else dict(env)
        own = [self.inside(path) for path in _COMMANDS]
        environment["PATH"] = os.pathsep.join([*own, environment.get("PATH", machine.ENVIRONMENT["PATH"])])
        command = [shutil.which(argv[0], path=environment["PATH"]) or argv[0], *argv[1:]]
        process = subprocess.Popen(
            command, env=environment, cwd=cwd or self.inside("/"), start_new_session=True, **popen_arguments
        )
        _processes[process] = self.directory
        return process

    def run(
        self, argv: Sequence[str], *, timeout: float, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """See `machine.Machine.run`."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self.popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return machine.communicate(process, timeout=timeout, input=input, check=check)

    def attach_storage(self, source: str, location: str, kind: machine.StorageKind, size: int | None) -> None:
        """See `machine.Machine.attach_storage`. The location becomes a link into the pool; sizes are not enforced."""
        entry = self.pool / source
        entry.mkdir(parents=True, exist_ok=True)
        place = self.outside(location)
        if place.is_symlink():
            place.unlink()
        elif place.exists():
            place.rmdir()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(entry)

    def detach_storage(self, location: str) -> None:
        """See `machine.Machine.detach_storage`. Like a mount point, the location is an empty directory afterwards."""
        place = self.outside(location)
        if place.is_symlink():
            place.unlink()
            place.mkdir()

    def save(self) -> None:
        """Write the machine's description, which makes it exist for `Machines`."""
        (self.directory / "machine.json").write_text(json.dumps({"address": self.address}))

    @property
    def _boot_file(self) -> pathlib.Path:
        return self.directory / "boot-id"
