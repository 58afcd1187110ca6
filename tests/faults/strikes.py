"""What befalls a unit, and how it ends again. Each is done from outside to the packed charm as it is."""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import time
import typing
from collections.abc import Callable, Iterable

import application
import sighting

from rehearsal import deployment

COMMON = "/var/snap/charmed-postgresql/common"
WAL = f"{COMMON}/data/logs"
DATA = f"{COMMON}/var/lib/postgresql"
SNAPS = "/var/lib/snapd/snaps"
FAULT_SECONDS = 60.0
"""How long a charm may take to notice that its hook tools fail."""

_ON_MACHINE = """
import sys
from lab import settings
from lab.machines import faults, nspawn
getattr(faults, sys.argv[1])(nspawn.Machines(settings.load()).get(sys.argv[2]))
"""


class NotStruckError(AssertionError):
    """What was to befall the unit did not."""


class Scene(typing.Protocol):
    """What a strike has to know."""

    application: application.Application
    machines: dict[str, sighting.Machine]
    target: str
    """The revision that the refresh leads to."""


class Strike(abc.ABC):
    """One fault. `prepare` comes before the refresh, `strike` at the step, `heal` after `seconds`, `clear` at last."""

    seconds = 0.0
    """How long it lasts."""
    fails = False
    """Whether the charm's hook or action fails of it."""
    promotions = (0, 0)
    """How many promotions fewer, and how many more there may be than without it."""
    keeps_serving = False
    """Whether the unit's PostgreSQL must not be stopped while it lasts."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.struck = ""
        """The unit whose recovery counts."""

    def prepare(self) -> None:  # noqa: B027  many strikes need none
        """Nothing."""

    @abc.abstractmethod
    def strike(self, unit: str) -> None:
        """Let it befall `unit`."""

    def heal(self) -> None:  # noqa: B027  many strikes need none
        """Let it end."""

    def clear(self) -> None:  # noqa: B027  many strikes need none
        """Leave nothing of it behind, also where it was not struck."""

    @property
    def model(self) -> str:
        """The model's name."""
        assert self.scene.application.juju.model
        return self.scene.application.juju.model

    def call(self, method: str, **parameters: typing.Any) -> typing.Any:
        """Ask the lab for a fault."""
        return self.scene.application.lab.call(method, **parameters)

    def shell(self, unit: str, script: str, check: bool = True) -> str:
        """Run a script on a unit's machine."""
        return self.scene.application.lab.shell(self.scene.machines[unit].name, script, check=check)

    def primary(self) -> str:
        """Return the unit of the primary."""
        found = self.scene.application.primary()
        if not found:
            raise NotStruckError("there was no primary to strike")
        return found

    def machine(self, unit: str, action: str) -> None:
        """Let a unit's machine crash or start."""
        number = self.scene.machines[unit].name.rpartition("-")[2]
        self.call("fault_machine", model=self.model, machine=number, action=action)


class Kill(Strike):
    fails = True

    def strike(self, unit: str) -> None:
        if not self.call("fault_kill_hook", model=self.model, unit=unit):
            raise NotStruckError(f"no hook ran on {unit} any more")


class Exception_(Strike):
    """The unit's hook tools are gone, and so is the command with which the charm waits for snapd."""

    fails = True

    def strike(self, unit: str) -> None:
        machine = self.scene.machines[unit]
        tools = machine.root / f"var/lib/juju/tools/unit-{unit.replace('/', '-')}"
        aside = tools.with_name(f"{tools.name}.aside")
        # A hook that is on its way out already would not notice.
        if not _charm_runs(machine):
            raise NotStruckError(f"no hook ran on {unit} any more")
        tools.rename(aside)
        try:
            _kill(pid for pid, command in machine.charm_processes().items() if command.startswith("snap "))
            _await(lambda: not _charm_runs(machine), "the charm ends", FAULT_SECONDS)
        finally:
            aside.rename(tools)


class Agent(Strike):
    def strike(self, unit: str) -> None:
        self.call("fault_crash_agent", model=self.model, unit=unit)


class Reboot(Strike):
    promotions = (1, 1)

    def strike(self, unit: str) -> None:
        self.machine(unit, "crash")
        self.machine(unit, "start")


class Snapd(Strike):
    def strike(self, unit: str) -> None:
        self.shell(unit, "systemctl restart snapd.service")


class _HookOfSnap(Strike):
    seconds = 25.0
    hook = ""
    content = "fail"

    @property
    def _file(self) -> str:
        return f"{COMMON}/lab-fault-{self.hook}"

    def prepare(self) -> None:
        self.shell(self._highest, f"echo {self.content} >{self._file}")

    @property
    def _highest(self) -> str:
        return max(self.scene.machines, key=deployment.number)

    def strike(self, unit: str) -> None:
        """The hook does it."""

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.shell(self._highest, f"rm -f {self._file}")


class PreRefreshHook(_HookOfSnap):
    hook = "pre-refresh"


class PostRefreshHook(_HookOfSnap):
    hook = "post-refresh"


class SlowSnap(_HookOfSnap):
    hook = "post-refresh"
    content = "sleep 20"


class _Store(Strike):
    """The store fails. What a machine has already, it would not ask the store for: so it is forgotten before."""

    seconds = 75.0
    keeps_serving = True
    rule: typing.ClassVar[dict[str, str]] = {}

    def prepare(self) -> None:
        unit = max(self.scene.machines, key=deployment.number)
        self.shell(unit, f"snap remove charmed-postgresql --revision={self.scene.target}", check=False)
        self.scene.application.lab.store_faults({**self.rule, "snap": "charmed-postgresql"})

    def strike(self, unit: str) -> None:
        """The store does it."""

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.scene.application.lab.store_faults()


class StoreRefuses(_Store):
    rule: typing.ClassVar[dict[str, str]] = {"fault": "error", "message": "the store does not serve this revision"}


class StoreAway(_Store):
    rule: typing.ClassVar[dict[str, str]] = {"fault": "unreachable"}


class SnapDiskFull(Strike):
    """Where snapd keeps snaps a file system lies that is as good as full, with the same snaps in it."""

    seconds = 45.0
    keeps_serving = True

    def prepare(self) -> None:
        unit = self.scene.application.unit(1)
        self.shell(unit, f"snap remove charmed-postgresql --revision={self.scene.target}", check=False)
        script = f"""set -e
            mkdir -p /run/lab-snaps
            size=$(du -sk {SNAPS} | cut -f1)
            mount -t tmpfs -o size=$((size + 4096))k tmpfs /run/lab-snaps
            cp -a {SNAPS}/. /run/lab-snaps/
            mount --bind /run/lab-snaps {SNAPS}"""
        self.shell(unit, script)

    def strike(self, unit: str) -> None:
        """The disk does it."""

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        unit = self.scene.application.unit(1)
        self.shell(unit, f"umount -l {SNAPS} 2>/dev/null; umount -l /run/lab-snaps 2>/dev/null; true")


class _Filled(Strike):
    seconds = 30.0
    where = ""

    def strike(self, unit: str) -> None:
        script = f"""free=$(stat -f -c '%a' {self.where}); size=$(stat -f -c '%S' {self.where})
            fallocate -l $((free * size)) {self.where}/filler || true
            dd if=/dev/zero of={self.where}/filler bs=64k oflag=append conv=notrunc 2>/dev/null || true"""
        self.struck = unit
        self.shell(unit, script)

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        if self.struck:
            self.shell(self.struck, f"rm -f {self.where}/filler")


class WalDiskFull(_Filled):
    where = WAL
    promotions = (0, 1)


class DataDiskFull(_Filled):
    where = DATA
    promotions = (0, 1)


class _MachineAway(Strike):
    """A machine loses its power for a while."""

    seconds = 10.0
    promotions = (1, 1)

    @abc.abstractmethod
    def whose(self, unit: str) -> str:
        """Return the unit whose machine it is."""

    def strike(self, unit: str) -> None:
        self.struck = self.whose(unit)
        self.machine(self.struck, "crash")

    def heal(self) -> None:
        self.machine(self.struck, "start")
        self.struck = ""

    def clear(self) -> None:
        if self.struck:
            self.heal()


class PrimaryCrash(_MachineAway):
    def whose(self, unit: str) -> str:
        return self.primary()


class RaftLeader(_MachineAway):
    def whose(self, unit: str) -> str:
        found = self.scene.application.raft_leader()
        if not found:
            raise NotStruckError("Raft had no leader to strike")
        return found


class Partition(Strike):
    seconds = 20.0
    promotions = (1, 1)

    def strike(self, unit: str) -> None:
        self.struck = unit
        self.scene.application.lab.inside(_ON_MACHINE, "isolate", self.scene.machines[unit].name)

    def heal(self) -> None:
        self.scene.application.lab.inside(_ON_MACHINE, "rejoin", self.scene.machines[self.struck].name)
        self.struck = ""

    def clear(self) -> None:
        if self.struck:
            self.heal()


class _Frozen(Strike):
    promotions = (0, 1)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._stopped: list[int] = []

    @abc.abstractmethod
    def is_meant(self, command: str) -> bool:
        """Whether the process with that command line is to be frozen."""

    def strike(self, unit: str) -> None:
        self.struck = self.primary()
        processes = self.scene.machines[self.struck].workload_processes()
        self._stopped = [pid for pid, command in processes.items() if self.is_meant(command)]
        if not self._stopped:
            raise NotStruckError(f"nothing to freeze on {self.struck}")
        for pid in self._stopped:
            os.kill(pid, signal.SIGSTOP)

    def heal(self) -> None:
        for pid in self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = []

    def clear(self) -> None:
        self.heal()


class FrozenPostgresql(_Frozen):
    seconds = 25.0

    def is_meant(self, command: str) -> bool:
        return command.startswith("postgres:") or "/bin/postgres " in command


class FrozenPatroni(_Frozen):
    seconds = 35.0

    def is_meant(self, command: str) -> bool:
        return "bin/patroni " in command


class JujuLeader(Strike):
    seconds = 60.0

    def strike(self, unit: str) -> None:
        self.struck = self.scene.application.leader()
        if not self.struck:
            raise NotStruckError("there was no leader to strike")
        self.call("fault_crash_agent", model=self.model, unit=self.struck, stay_down=True)

    def heal(self) -> None:
        self.call("fault_start_agent", model=self.model, unit=self.struck)
        self.struck = ""

    def clear(self) -> None:
        if self.struck:
            self.heal()


class Outage(Strike):
    seconds = 45.0

    def strike(self, unit: str) -> None:
        self.scene.application.lab.outage(True)

    def heal(self) -> None:
        self.scene.application.lab.outage(False)

    def clear(self) -> None:
        self.heal()


STRIKES: dict[str, type[Strike]] = {
    "kill": Kill,
    "exception": Exception_,
    "agent": Agent,
    "reboot": Reboot,
    "snapd": Snapd,
    "pre-refresh-hook": PreRefreshHook,
    "post-refresh-hook": PostRefreshHook,
    "slow-snap": SlowSnap,
    "store-refuses": StoreRefuses,
    "store-away": StoreAway,
    "disk-snap": SnapDiskFull,
    "disk-wal": WalDiskFull,
    "disk-data": DataDiskFull,
    "primary-crash": PrimaryCrash,
    "partition": Partition,
    "frozen-postgresql": FrozenPostgresql,
    "frozen-patroni": FrozenPatroni,
    "raft-leader": RaftLeader,
    "juju-leader": JujuLeader,
    "outage": Outage,
}


def _charm_runs(machine: sighting.Machine) -> bool:
    return any("src/charm.py" in command for command in machine.charm_processes().values())


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _await(condition: Callable[[], bool], what: str, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise NotStruckError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
