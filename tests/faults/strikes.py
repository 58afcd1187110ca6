"""What befalls a unit, and how it ends again. Each is done from outside to the packed charm as it is."""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import typing
from collections.abc import Iterable

import sighting
import strike

from rehearsal import deployment

FAULT_SECONDS = 60.0
"""How long a charm may take to notice that its hook tools fail."""
STARTS_SECONDS = 0.5
"""How long a hook's process may take to be there, once the agent has said that it executes it."""

_ON_MACHINE = """
import sys
from lab import settings
from lab.machines import faults, nspawn
getattr(faults, sys.argv[1])(nspawn.Machines(settings.load()).get(sys.argv[2]))
"""


class Kill(strike.Strike):
    fails = True

    def strike(self, unit: str) -> None:
        strike.await_(
            lambda: self.call("fault_kill_hook", model=self.model, unit=unit), f"a hook runs on {unit}", STARTS_SECONDS
        )


class Exception_(strike.Strike):
    """The unit's hook tools are gone, and so is the command with which the charm waits for snapd."""

    fails = True

    def strike(self, unit: str) -> None:
        machine = self.scene.machines[unit]
        tools = machine.root / f"var/lib/juju/tools/unit-{unit.replace('/', '-')}"
        aside = tools.with_name(f"{tools.name}.aside")
        # A hook that is on its way out already would not notice.
        strike.await_(lambda: _charm_runs(machine), f"a hook runs on {unit}", STARTS_SECONDS)
        tools.rename(aside)
        try:
            _kill(pid for pid, command in machine.charm_processes().items() if command.startswith("snap "))
            strike.await_(lambda: not _charm_runs(machine), "the charm ends", FAULT_SECONDS)
        finally:
            aside.rename(tools)


class Agent(strike.Strike):
    def strike(self, unit: str) -> None:
        self.call("fault_crash_agent", model=self.model, unit=unit)


class Reboot(strike.Strike):
    promotions = (1, 1)

    def strike(self, unit: str) -> None:
        self.machine(unit, "crash")
        self.machine(unit, "start")


class Snapd(strike.Strike):
    def strike(self, unit: str) -> None:
        self.shell(unit, "systemctl restart snapd.service")


class _HookOfSnap(strike.Strike):
    seconds = 25.0
    hook = ""
    content = "fail"

    @property
    def _file(self) -> str:
        return f"{strike.COMMON}/lab-fault-{self.hook}"

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


class _Store(strike.Strike):
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


class SnapDiskFull(strike.Strike):
    """Where snapd keeps snaps a file system lies that is as good as full, with the same snaps in it."""

    seconds = 45.0
    keeps_serving = True

    def prepare(self) -> None:
        unit = self.scene.application.unit(1)
        self.shell(unit, f"snap remove charmed-postgresql --revision={self.scene.target}", check=False)
        script = f"""set -e
            mkdir -p /run/lab-snaps
            size=$(du -sk {strike.SNAPS} | cut -f1)
            mount -t tmpfs -o size=$((size + 4096))k tmpfs /run/lab-snaps
            cp -a {strike.SNAPS}/. /run/lab-snaps/
            mount --bind /run/lab-snaps {strike.SNAPS}"""
        self.shell(unit, script)

    def strike(self, unit: str) -> None:
        """The disk does it."""

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        unit = self.scene.application.unit(1)
        self.shell(unit, f"umount -l {strike.SNAPS} 2>/dev/null; umount -l /run/lab-snaps 2>/dev/null; true")


class _Filled(strike.Strike):
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
    where = strike.WAL
    promotions = (0, 1)


class DataDiskFull(_Filled):
    where = strike.DATA
    promotions = (0, 1)


class _MachineAway(strike.Strike):
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
            raise strike.NotStruckError("Raft had no leader to strike")
        return found


class Partition(strike.Strike):
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


class _Frozen(strike.Strike):
    promotions = (0, 1)

    def __init__(self, scene: strike.Scene) -> None:
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
            raise strike.NotStruckError(f"nothing to freeze on {self.struck}")
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


class JujuLeader(strike.Strike):
    seconds = 60.0

    def strike(self, unit: str) -> None:
        self.struck = self.scene.application.leader()
        if not self.struck:
            raise strike.NotStruckError("there was no leader to strike")
        self.call("fault_crash_agent", model=self.model, unit=self.struck, stay_down=True)

    def heal(self) -> None:
        self.call("fault_start_agent", model=self.model, unit=self.struck)
        self.struck = ""

    def clear(self) -> None:
        if self.struck:
            self.heal()


class Outage(strike.Strike):
    seconds = 45.0

    def strike(self, unit: str) -> None:
        self.scene.application.lab.outage(True)

    def heal(self) -> None:
        self.scene.application.lab.outage(False)

    def clear(self) -> None:
        self.heal()


STRIKES: dict[str, type[strike.Strike]] = {
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
