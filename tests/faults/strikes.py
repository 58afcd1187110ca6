"""What befalls a unit, and how it ends again. Each is done from outside to the packed charm as it is."""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import time
from collections.abc import Iterable

import cells
import disk_strikes
import sighting
import snap_strikes
import strike
import trap

FAULT_SECONDS = 60.0
"""How long a charm may take to notice that its hook tools fail."""
REFRESH_SECONDS = 180.0
"""How long the refresh of a snap may take."""
STARTS_SECONDS = 0.5
"""How long a hook's process may take to be there, once the agent has said that it executes it."""

_ON_MACHINE = """
import sys
from lab import settings
from lab.machines import faults, nspawn
getattr(faults, sys.argv[1])(nspawn.Machines(settings.load()).get(sys.argv[2]))
"""


class _OfCharm(strike.Strike):
    """It befalls the charm's own process."""

    fails = True
    springs = ""

    def __init__(self, scene: strike.Scene) -> None:
        super().__init__(scene)
        self._trap: trap.Trap | None = None

    def arm(self, step: cells.Step) -> None:
        if step.told_by_charm and isinstance(step.seen, cells.Logged) and step.seen.unit is not None:
            unit = self.scene.application.unit(step.seen.unit)
            self._trap = trap.Trap.on(self.scene.machines[unit], unit)
            self._trap.lay(step.told_by_charm, self.springs)

    def clear(self) -> None:
        if self._trap is not None:
            self._trap.remove()


class Kill(_OfCharm):
    springs = trap.KILL

    def strike(self, unit: str) -> None:
        if self._trap is not None:
            return
        strike.await_(
            lambda: self.call("fault_kill_hook", model=self.model, unit=unit), f"a hook runs on {unit}", STARTS_SECONDS
        )


class Exception_(_OfCharm):
    """The unit's hook tools are gone, and so is the command with which the charm waits for snapd."""

    springs = trap.FAIL

    def strike(self, unit: str) -> None:
        machine = self.scene.machines[unit]
        sprung, self._trap = self._trap, self._trap or trap.Trap.on(machine, unit)
        try:
            if sprung is None:
                # A hook that is on its way out already would not notice.
                strike.await_(lambda: _charm_runs(machine), f"a hook runs on {unit}", STARTS_SECONDS)
                self._trap.tools.rename(self._trap.aside)
                _kill(pid for pid, command in machine.charm_processes().items() if command.startswith("snap "))
            strike.await_(lambda: not _charm_runs(machine), "the charm ends", FAULT_SECONDS)
        finally:
            self._trap.remove()


class Agent(strike.Strike):
    def strike(self, unit: str) -> None:
        self.call("fault_crash_agent", model=self.model, unit=unit)


class Reboot(strike.Strike):
    promotions = (1, 2)

    def strike(self, unit: str) -> None:
        self.machine(unit, "crash")
        # A hook may be through before the machine tells that it has started.
        self.done = time.monotonic()
        self.machine(unit, "start")


class Snapd(strike.Strike):
    def strike(self, unit: str) -> None:
        self.shell(unit, "systemctl restart snapd.service")


class _MachineAway(strike.Strike):
    """A machine loses its power for a while."""

    seconds = 10.0
    promotions = (1, 2)

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
    promotions = (1, 2)

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
    promotions = (0, 2)

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
    """Nothing goes on meanwhile: agents and hook tools need the controller."""

    seconds = 45.0

    def strike(self, unit: str) -> None:
        self.scene.application.lab.outage(True)

    def heal(self) -> None:
        self.scene.application.lab.outage(False)

    def clear(self) -> None:
        self.heal()


class OutageOfRefresh(Outage):
    """From where a unit's refresh needs no controller until there is nothing left that goes without."""

    seconds = 10.0
    fails = True

    def strike(self, unit: str) -> None:
        super().strike(unit)
        machine = self.scene.machines[unit]
        strike.await_(lambda: not _charm_runs(machine), "the charm ends", REFRESH_SECONDS)
        if not self.scene.is_refreshed(unit):
            raise strike.NotStruckError(f"the snap of {unit} was not refreshed in the outage")


STRIKES: dict[str, type[strike.Strike]] = {
    "kill": Kill,
    "exception": Exception_,
    "agent": Agent,
    "reboot": Reboot,
    "snapd": Snapd,
    "pre-refresh-hook": snap_strikes.PreRefreshHook,
    "post-refresh-hook": snap_strikes.PostRefreshHook,
    "slow-snap": snap_strikes.SlowSnap,
    "store-refuses": snap_strikes.StoreRefuses,
    "store-away": snap_strikes.StoreAway,
    "disk-snap": disk_strikes.SnapDiskFull,
    "disk-wal": disk_strikes.WalDiskFull,
    "disk-data": disk_strikes.DataDiskFull,
    "primary-crash": PrimaryCrash,
    "partition": Partition,
    "frozen-postgresql": FrozenPostgresql,
    "frozen-patroni": FrozenPatroni,
    "raft-leader": RaftLeader,
    "juju-leader": JujuLeader,
    "outage": Outage,
    "outage-refresh": OutageOfRefresh,
}


def _charm_runs(machine: sighting.Machine) -> bool:
    return any("src/charm.py" in command for command in machine.charm_processes().values())


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
