"""What a refresh must never do, told by somebody who only watches the machines and the operator.

The rules are the reference's, not the charm's: who is next, when the operator's word is due, what may be refreshed to.
Each broken rule becomes a line in the world's `violations`.
"""

from __future__ import annotations

import dataclasses
import json

from lab.controller.entities import models, relations, uniter, units
from tests.model import simulation as simulations
from tests.model import versions, worldserver

RESUME = "actions/resume-refresh"
FORCE = "actions/force-refresh-start"
PAUSE = "pause-after-unit-refresh"
PAUSES = frozenset({"all", "first", "none"})


@dataclasses.dataclass
class Refresh:
    """One `juju refresh`, from the operator's word on."""

    target: versions.Version
    refreshed: set[str]
    """Units that have reached the target by it; those that were there before, as far as they are first in the order."""
    confirmed: bool = False
    """Whether the operator has run resume-refresh."""
    begun: bool = False
    """Whether a unit was stopped for it."""
    forced: bool = False
    """Whether the operator has run force-refresh-start, or refreshed a unit regardless of the others."""


class Rules:
    """Watches one simulation."""

    def __init__(self, simulation: simulations.Simulation) -> None:
        self._simulation = simulation
        self._stopped: set[str] = set()
        """Units that were stopped for a refresh."""
        self.disturbed = False
        """Whether anything was ever broken on purpose, or units have joined or left."""
        self.past = {simulation.version().snap} if simulation.units() else set()
        """Each snap revision that the operator has asked for."""
        self.refresh: Refresh | None = None
        self._refreshes: dict[versions.Version, Refresh] = {}
        """The latest to each version: a unit that has not got the latest charm yet goes on with its own."""
        self.resumed: set[int | None] = set()
        """Tasks of resume-refresh that have refreshed their unit."""
        simulation.server.watcher = self
        for machine in simulation.server.known.values():
            machine.watcher = self

    def ask(self, target: versions.Version) -> None:
        """The operator refreshes."""
        first: set[str] = set()
        for unit in sorted(self._alive(), key=lambda unit: -unit.number):
            machine = self._simulation.machine_of(unit)
            if machine is None or machine.revision != target.snap:
                break
            first.add(unit.name)
        self.refresh = self._refreshes[target] = Refresh(target, first)
        self.past.add(target.snap)

    def disturb(self) -> None:
        """Something was broken on purpose."""
        self.disturbed = True

    # what is seen

    def installed(self, machine: worldserver.Machine, revision: str) -> None:
        """See `worldserver.Watcher`."""
        self._expect(revision in self.past, machine, f"revision {revision} was never asked for")

    def stopped(self, machine: worldserver.Machine, *, leaving: bool) -> None:
        """See `worldserver.Watcher`."""
        if leaving:
            return
        unit = self._unit()
        others = [name for name in self.stopped_by_refresh() if name != unit]
        self._expect(not others or self._is_forced(), machine, f"stopped while {', '.join(others)} is stopped")
        self._stopped.add(unit)
        if not self.disturbed and not self._is_forced():
            self._expect_gentle(machine, unit)
        refresh = self._refresh_of(unit)
        if refresh is not None and not refresh.begun:
            self._begin(machine, refresh)

    def refreshed(self, machine: worldserver.Machine, before: str | None, revision: str) -> None:
        """See `worldserver.Watcher`."""
        unit, now = self._unit(), self._simulation.dispatches[-1]
        self._expect(revision in self.past, machine, f"revision {revision} was never asked for")
        if before is None:
            # A unit that joins is installed by the same way.
            return
        if now.path == RESUME:
            self.resumed.add(now.task)
        refresh = self._refresh_of(unit)
        if self.refresh is not None and refresh is not self.refresh:
            self.refresh.refreshed.discard(unit)
        if refresh is None:
            return
        refresh.confirmed = refresh.confirmed or now.path == RESUME
        if not self._is_forced():
            is_confirmed = now.path == RESUME or not self.pauses(refresh)
            self._expect(is_confirmed, machine, f"{before} -> {revision} without the operator's word")
            higher = [each for each in self._alive() if each.number > self._number(unit) and self._knows(unit, each)]
            passed_over = ", ".join(each.name for each in higher if self._is_old(each, refresh))
            self._expect(not passed_over, machine, f"refreshed before {passed_over}")
        refresh.refreshed.add(unit)

    # the rules

    def _begin(self, machine: worldserver.Machine, refresh: Refresh) -> None:
        """The first unit is stopped: only for a refresh that is supported, and while all is well, unless forced."""
        refresh.begun = True
        refresh.forced = refresh.forced or self._is_forced()
        original = self.original()
        if refresh.forced or original is None or self._is_rollback(refresh):
            return
        target = refresh.target
        self._expect(
            versions.is_supported(original, target), machine, f"{original.charm} -> {target.charm} without force"
        )
        others = [unit for unit in self._alive() if unit.name != self._unit()]
        absent = [unit.name for unit in others if self._has_run(unit) and not self._runs(unit)]
        self._expect(not absent, machine, f"the refresh began while {', '.join(absent)} did not run")
        pause = self._simulation.config(PAUSE)
        self._expect(pause in PAUSES, machine, f"the refresh began while {PAUSE} was {pause!r}")

    def _expect_gentle(self, machine: worldserver.Machine, unit: str) -> None:
        """Undisturbed, nobody is stopped before the others follow, nor in the event of its hand-over."""
        now = self._simulation.dispatches[-1]
        moved = [old for old, _ in self._simulation.world.switchovers[now.switchovers :]]
        self._expect(unit.replace("/", "-") not in moved, machine, "handed over and stopped in one event")
        if self.refresh is None or self._is_rollback(self.refresh):
            return
        others = [each for each in self._alive() if each.name != unit and self._has_run(each)]
        behind = [each.name for each in others if not self.serves(each)]
        self._expect(not behind, machine, f"stopped while {', '.join(behind)} does not serve")

    def _is_rollback(self, refresh: Refresh) -> bool:
        original = self.original()
        return original is not None and original.charm == refresh.target.charm

    def pauses(self, refresh: Refresh) -> bool:
        """Whether no further unit may be refreshed without the operator's word."""
        match self._simulation.config(PAUSE):
            case "none":
                return False
            case "first":
                return len(refresh.refreshed) == 1 and not refresh.confirmed
            case _:
                return len(refresh.refreshed) > 0

    def _is_forced(self) -> bool:
        """Whether the operator has said in this very action that the others do not matter."""
        now = self._simulation.dispatches[-1]
        if now.path == RESUME:
            return now.parameters.get("check-health-of-refreshed-units") is False
        return now.path == FORCE

    def original(self) -> versions.Version | None:
        """The version to which a rollback leads, as the application keeps it."""
        for databag in self._simulation.store.find(relations.Databag, owner=versions.APPLICATION):
            charm = databag.settings.get("original_charm_version")
            if charm is not None:
                return next(each for each in versions.VERSIONS.values() if each.charm == json.loads(charm))
        return None

    def stopped_by_refresh(self) -> list[str]:
        """Units that a refresh has stopped and nobody has started again."""
        alive = {unit.name: self._simulation.machine_of(unit) for unit in self._alive()}
        self._stopped = {
            name
            for name in self._stopped
            if (machine := alive.get(name)) is not None and machine.up and machine.patroni is None
        }
        return sorted(self._stopped)

    def _refresh_of(self, unit: str) -> Refresh | None:
        """The refresh to the charm that a unit runs."""
        version = self._charm_of(unit)
        return None if version is None else self._refreshes.get(version)

    def _charm_of(self, unit: str) -> versions.Version | None:
        """The charm that a unit runs."""
        url = next(each.charm_url for each in self._simulation.units() if each.name == unit)
        return versions.VERSIONS[int(url.rpartition("-")[2])] if url else None

    def _unit(self) -> str:
        return self._simulation.dispatches[-1].unit

    @staticmethod
    def _number(unit: str) -> int:
        return int(unit.rpartition("/")[2])

    def _alive(self) -> list[units.Unit]:
        return [unit for unit in self._simulation.units() if unit.life is models.Life.ALIVE]

    def _is_old(self, unit: units.Unit, refresh: Refresh) -> bool:
        machine = self._simulation.machine_of(unit)
        return machine is not None and machine.revision not in (None, refresh.target.snap)

    def _knows(self, unit: str, other: units.Unit) -> bool:
        """Whether Juju has told a unit of another one; while its hook fails it is not told of those that join."""
        state = self._simulation.store.require(uniter.UniterState, other.model, unit)
        if state.hook is not None and state.hook.remote_unit == other.name:
            return True
        return any(other.name in relation.members for relation in state.relations.values())

    def _has_run(self, unit: units.Unit) -> bool:
        machine = self._simulation.machine_of(unit)
        return machine is not None and machine.has_raft_state()

    def _runs(self, unit: units.Unit) -> bool:
        machine = self._simulation.machine_of(unit)
        return machine is not None and machine.patroni is not None

    def serves(self, unit: units.Unit) -> bool:
        """Whether its PostgreSQL is a primary, or streams."""
        machine = self._simulation.machine_of(unit)
        return machine is not None and machine.patroni is not None and machine.patroni.state in ("running", "streaming")

    def _expect(self, holds: bool, machine: worldserver.Machine, text: str) -> None:
        if not holds:
            self._simulation.world.violations.append(f"{self._unit()} ({machine.name}): {text}")
