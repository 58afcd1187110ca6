"""Real machines: systemd-nspawn containers with an init, a network and a snapd of their own.

Everything here runs in the lab's namespaces. A machine's state is on disk and in the kernel (its control group, its
network namespace), never in the memory of a process, so whoever asks finds it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import time
import typing
import uuid
from collections.abc import Iterator, Mapping, Sequence

from lab import cache, commands, namespaces, settings
from lab.machines import groups, machine, network, rootless, storage

JOIN_GROUP = 'echo $$ >"$0" && exec "$@"'
"""Shell text that runs its arguments in the control group whose `cgroup.procs` is `$0`."""

_GROUPS = pathlib.Path("/sys/fs/cgroup/machines")
_BOOT_TIMEOUT = 90.0
_STOP_TIMEOUT = 60.0
_POLL = 0.02
_POWER_OFF = signal.SIGRTMIN + 3  # systemd(1): halts; with nspawn, the same as a power-off


class Machines:
    """The real machines of a lab."""

    def __init__(self, lab_settings: settings.Settings) -> None:
        self._settings = lab_settings

    def create(self, name: str) -> NspawnMachine:
        """See `machine.Machines.create`.

        Raises:
            machine.MachineError: all addresses are taken, or the lab does not run.
        """
        if not rootless.HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a host name")
        lab = namespaces.find(self._settings)
        if lab is None or not lab.inside:
            raise machine.MachineError("machines are made in the namespaces of a running lab")
        with self._locked():
            if name in self.names():
                raise FileExistsError(f"there is a machine {name!r}")
            others = [self.get(other) for other in self.names()]
            taken = {other.address for other in others}
            address = next((free for free in network.addresses(lab.subnet) if free not in taken), None)
            if address is None:
                raise machine.MachineError(f"all addresses of {lab.subnet} are taken")
            created = NspawnMachine(self._settings, name)
            indexes = {other.index for other in others}
            index = next(number for number in range(len(indexes) + 1) if number not in indexes)
            created.make(index, address, lab)
        return created

    def get(self, name: str) -> NspawnMachine:
        """See `machine.Machines.get`."""
        if name not in self.names():
            raise LookupError(f"there is no machine {name!r}")
        return NspawnMachine(self._settings, name)

    def names(self) -> list[str]:
        """See `machine.Machines.names`."""
        return sorted(path.parent.name for path in self._settings.machines.glob("*/machine.json"))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._settings.machines.mkdir(parents=True, exist_ok=True)
        with (self._settings.machines / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class NspawnMachine:
    """One machine. Its directory has `upper`, `work` and `root` (overlay), `console.log` and `machine.json`."""

    def __init__(self, lab_settings: settings.Settings, name: str) -> None:
        self._settings = lab_settings
        self._name = name
        self._directory = lab_settings.machines / name
        self._root = self._directory / "root"
        self.group = _GROUPS / name

    def __repr__(self) -> str:
        return f"NspawnMachine({self._name!r})"

    @property
    def name(self) -> str:
        """See `machine.Machine.name`."""
        return self._name

    @property
    def address(self) -> str:
        """See `machine.Machine.address`."""
        return self._described["address"]

    @property
    def index(self) -> int:
        """A small number, unique in the lab, that names the machine's port on the bridge."""
        return self._described["index"]

    @property
    def layers(self) -> list[str]:
        """What the root file system lies on, uppermost first."""
        return self._described["layers"]

    @property
    def network_namespace(self) -> pathlib.Path:
        """What to give to programs that enter the machine's network namespace."""
        return network.namespace_path(self._name)

    @property
    def console(self) -> pathlib.Path:
        """What its systemd and nspawn have written."""
        return self._directory / "console.log"

    @property
    def running(self) -> bool:
        """See `machine.Machine.running`."""
        return groups.leader(self.group) is not None

    @property
    def boot_id(self) -> str:
        """See `machine.Machine.boot_id`."""
        return groups.boot_id(self.group) if groups.agent(self.group).exists() else ""

    def make(self, index: int, address: str, lab: namespaces.Lab) -> None:
        """Write the machine's files. `Machines.create` chooses the index and the address."""
        cache.remove_tree(self._directory)  # what an interrupted `destroy` or `make` has left
        for name in ("upper", "work", "root"):
            (self._directory / name).mkdir(parents=True)
        described = {"index": index, "address": address, "subnet": lab.subnet, "layers": list(lab.layers)}
        files = {
            "etc/hostname": f"{self._name}\n",
            "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {self._name}\n::1 localhost ip6-localhost ip6-loopback\n",
            # With an identifier in place systemd does not take this for a first boot, which it would spend on presets.
            "etc/machine-id": f"{uuid.uuid4().hex}\n",
        }
        for name, content in files.items():
            path = self._directory / "upper" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self._describe(described)
        self._mount()

    def start(self) -> None:
        """See `machine.Machine.start`."""
        with contextlib.suppress(BlockingIOError), self._start_lock() as lock:
            self._mount()
            described = self._in_subnet()
            network.connect(self._name, described["index"], described["address"], described["subnet"])
            self.group.mkdir(exist_ok=True)
            self._supervise(lock)
        self._wait_up(different_from="")

    def stop(self) -> None:
        """See `machine.Machine.stop`. A machine that does not end in a minute is ended as by `crash`."""
        self._thaw()
        signalled = None
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self._supervised and time.monotonic() < deadline:
            leader = groups.leader(self.group)
            if leader is not None and leader != signalled:
                _signal(leader, _POWER_OFF)
                signalled = leader
            time.sleep(_POLL)
        self.crash()

    def crash(self) -> None:
        """See `machine.Machine.crash`."""
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self._supervised:
            leader = groups.leader(self.group)
            if leader is not None:
                _signal(leader, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise machine.MachineError(f"{self._name} does not end: see {self.console}")
            time.sleep(_POLL)

    def reboot(self) -> None:
        """See `machine.Machine.reboot`."""
        before = self.boot_id
        if before:
            self._thaw()
            with contextlib.suppress(subprocess.CalledProcessError):  # the connection may go before the answer
                self.run(["systemctl", "reboot"], timeout=_STOP_TIMEOUT)
            self._wait_up(different_from=before)
        else:
            self.start()

    def destroy(self) -> None:
        """See `machine.Machine.destroy`."""
        self.crash()
        groups.clear(self.group)
        with contextlib.suppress(FileNotFoundError):
            self.group.rmdir()
        network.disconnect(self._name, self._described["index"])
        self._unmount()
        (self._directory / "machine.json").unlink()  # from here on it does not exist; before, this could be done again
        cache.remove_tree(self._directory)

    def outside(self, path: str) -> pathlib.Path:
        """See `machine.Machine.outside`."""
        return self._root / path.lstrip("/")

    def inside(self, path: str) -> str:
        """See `machine.Machine.inside`."""
        return path

    def command(self, argv: Sequence[str], *, cwd: str | None = None) -> list[str]:
        """Return the command line that runs `argv` in the machine: see `popen`.

        Raises:
            machine.MachineError: the machine does not run, or has barely begun to boot.
        """
        leader, group = groups.leader(self.group), groups.for_commands(self.group)
        if leader is None or group is None:
            raise machine.MachineError(f"{self._name} does not run")
        return [
            *(commands.find("sh"), "-c", JOIN_GROUP, f"{group}/cgroup.procs"),
            *(commands.find("nsenter"), "--target", str(leader), "--mount", "--uts", "--ipc", "--net", "--pid"),
            *("--cgroup", "--root", f"--wdns={cwd or '/'}", "--", *argv),
        ]

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        **popen_arguments: typing.Any,
    ) -> subprocess.Popen[typing.Any]:
        """See `machine.Machine.popen`."""
        environment = dict(machine.ENVIRONMENT if env is None else env)
        command = self.command(argv, cwd=cwd)
        return subprocess.Popen(command, env=environment, start_new_session=True, **popen_arguments)

    def run(
        self, argv: Sequence[str], *, timeout: float, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """See `machine.Machine.run`."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self.popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return machine.communicate(process, timeout=timeout, input=input, check=check)

    def attach_storage(self, source: str, location: str, kind: machine.StorageKind, size: int | None) -> None:
        """See `machine.Machine.attach_storage`."""
        storage.ensure(self._settings.storage / source, kind, size)
        if self.running:
            self.run(["mkdir", "--parents", location], timeout=30)
        else:
            self.outside(location).mkdir(parents=True, exist_ok=True)
        table = self.outside("/etc/fstab")
        table.write_text(storage.with_entry(table.read_text(), source, location, kind))
        if self.running and self.run(["mountpoint", "--quiet", location], timeout=30, check=False).returncode:
            self.run(["mount", location], timeout=60)

    def detach_storage(self, location: str) -> None:
        """See `machine.Machine.detach_storage`.

        Raises:
            subprocess.CalledProcessError: a process still uses what is mounted there.
        """
        if self.running and not self.run(["mountpoint", "--quiet", location], timeout=30, check=False).returncode:
            self.run(["umount", location], timeout=60)
        table = self.outside("/etc/fstab")
        table.write_text(storage.without_entry(table.read_text(), location))

    def change_address(self, address: str | None = None) -> None:
        """Give the machine another address (the highest that is free), as a DHCP server does: now, and at each boot.

        Raises:
            ValueError: the address is not one of the lab's for machines, or is a machine's already.
        """
        machines, described = Machines(self._settings), self._described
        taken = {machines.get(name).address for name in machines.names()}
        free = [each for each in network.addresses(described["subnet"]) if each not in taken]
        if not free or address not in (None, *free):
            raise ValueError(f"{address} is not free for machines of {described['subnet']}")
        address = address or free[-1]
        self._describe(described | {"address": address})
        if self.network_namespace.exists():
            network.readdress(self._name, address, described["subnet"])

    @property
    def _described(self) -> dict[str, typing.Any]:
        return json.loads((self._directory / "machine.json").read_text())

    def _describe(self, described: dict[str, typing.Any]) -> None:
        aside = self._directory / "machine.json.new"
        aside.write_text(json.dumps(described, indent=1))
        aside.rename(self._directory / "machine.json")

    @property
    def _supervised(self) -> bool:
        """Whether a supervisor stands behind the machine, also while it is between two boots."""
        try:
            with self._start_lock():
                return False
        except BlockingIOError:
            return True

    @contextlib.contextmanager
    def _start_lock(self) -> Iterator[int]:
        """Lock the machine; the supervisor inherits the descriptor, and with it the lock, for as long as it lives."""
        descriptor = os.open(self._directory / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor
        finally:
            os.close(descriptor)

    def _in_subnet(self) -> dict[str, typing.Any]:
        """Return the description, for the lab's subnet: a lab that was down may have come back with another one."""
        described = self._described
        lab = namespaces.find(self._settings)
        if lab and lab.subnet != described["subnet"]:
            address = network.moved(described["address"], lab.subnet)
            described |= {"subnet": lab.subnet, "address": address}
            self._describe(described)
        return described

    def _supervise(self, lock: int) -> None:
        with self.console.open("ab") as console:
            subprocess.run(
                # In the background at once, so that it becomes the init's child and not ours.
                [commands.find("setsid"), "--fork", *commands.module("lab.machines.supervisor", self._name)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd="/",
                env=commands.module_environment() | self._settings.environment(),
                pass_fds=[lock],
                timeout=30,
                check=True,
            )

    def _thaw(self) -> None:
        if self.running:
            groups.freeze(self.group, False)

    def _wait_up(self, different_from: str) -> None:
        """Wait until systemd has finished a boot with another identifier than the one given."""
        deadline = time.monotonic() + _BOOT_TIMEOUT
        while time.monotonic() < deadline:
            if self.boot_id not in ("", different_from) and self._listens():
                with contextlib.suppress(machine.MachineError, subprocess.TimeoutExpired):
                    command = ["systemctl", "is-system-running", "--wait"]
                    state = self.run(command, timeout=deadline - time.monotonic(), check=False).stdout.strip()
                    if state in ("running", "degraded"):
                        return
            elif not self._supervised:
                raise machine.MachineError(f"{self._name} ended while it booted: see {self.console}")
            time.sleep(_POLL)
        raise machine.MachineError(f"{self._name} did not come up within {_BOOT_TIMEOUT:.0f} s: see {self.console}")

    def _listens(self) -> bool:
        """Whether systemd takes requests already."""
        return pathlib.Path(f"/proc/{groups.leader(self.group)}/root/run/systemd/private").exists()

    def _mount(self) -> None:
        if not self._root.is_mount():
            lower = ":".join(self.layers)
            upper, work = self._directory / "upper", self._directory / "work"
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            commands.run("mount", "-t", "overlay", "overlay", "-o", options, str(self._root))

    def _unmount(self) -> None:
        if self._root.is_mount():
            # What is left of its mounts goes with its last process, which may take a moment.
            commands.run("umount", "--lazy", str(self._root))


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)
