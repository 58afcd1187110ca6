"""The life of one application: what an operator, Juju and misfortune do to it, and what must hold after each of it.

Each operation is total, so that any sequence of them is a life: units are named by their place among those that there
are. A life writes down what was done to it, as a test that does it again.
"""

from __future__ import annotations

import collections.abc
import contextlib
import datetime
import functools
import typing

from lab.controller.entities import leadership, models, units
from lab.controller.operations_common import OperationError
from tests.model import advice, deployed, quiet, rules, simulation, stage, tasks, versions

MAXIMUM_UNITS = 5
ATTEMPTS = 30
"""How often an operator does what the statuses ask for, before it counts as leading nowhere."""

Operation = typing.TypeVar("Operation", bound=collections.abc.Callable[..., None])


class Broken(AssertionError):
    """Something that must never be."""


def operation(method: Operation) -> Operation:
    """One thing that is done to an application: it is written down, and afterwards all rules must hold."""

    @functools.wraps(method)
    def recorded(self: Life, *arguments: object, **keywords: object) -> None:
        # Parameters of actions have hyphens in their names.
        given = [repr(each) for each in arguments] + ([f"**{keywords!r}"] if keywords else [])
        self.script.append(f"{method.__name__}({', '.join(given)})")
        self.steps += 1
        try:
            method(self, *arguments, **keywords)
            self.check()
        except AssertionError as error:
            raise Broken(f"{error}\n\n{self.simulation.summary()}\n\n{self.scenario()}") from error

    return typing.cast("Operation", recorded)


class Life:
    """One life; use it as a context."""

    def __init__(self, count: int = 0, on: stage.Stage | None = None) -> None:
        """Begin with that many settled units; with none, `deploy` comes first."""
        place = on or stage.shared()
        self.count = count
        self.simulation = deployed.application(place, count) if count else simulation.Simulation(place)
        self.script: list[str] = []
        self.steps = 0
        self._off: set[str] = set()
        self._broken_on_purpose = False

    def __enter__(self) -> Life:
        self.simulation.__enter__()
        self.rules = rules.Rules(self.simulation)
        self._tasks = tasks.Tasks(self.simulation)
        self._quiet = quiet.Quiet(self.simulation)
        return self

    def __exit__(self, *_: object) -> None:
        self.simulation.close()

    def scenario(self) -> str:
        """What was done, as a test."""
        lines = [
            f"    with life.Life({self.count or ''}) as lived:",
            *(f"        lived.{line}" for line in self.script),
        ]
        return "\n".join(["def test_scenario():", *lines])

    # what an operator does

    @operation
    def deploy(self, count: int) -> None:
        """Deploy that many units, which nobody waits for."""
        self.simulation.deploy(count, profile=deployed.PROFILE)
        self.rules.past.add(versions.ORIGINAL.snap)

    @operation
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.simulation.tick()
            self.check()

    @operation
    def add_unit(self) -> None:
        """Add a unit, up to five."""
        if len(self.simulation.units()) < MAXIMUM_UNITS:
            self.rules.disturbed = True
            self.simulation.operations.add_unit(simulation.MODEL, simulation.APPLICATION)

    @operation
    def remove_unit(self, place: int) -> None:
        """Remove a unit; not the last that serves, with which the data would go."""
        unit = self._unit(place)
        if any(self.rules.serves(each) for each in self._alive() if each.name != unit):
            self.rules.disturbed = True
            self.simulation.operations.remove_unit(simulation.MODEL, unit)

    @operation
    def refresh(self, revision: int, force_units: bool = False) -> None:
        """Refresh to a revision of the charm."""
        target = versions.VERSIONS[revision]
        if target != self.simulation.version():
            self.rules.ask(target)
        self.simulation.refresh(target, force_units=force_units)

    @operation
    def set_pause(self, pause: str) -> None:
        """Set pause-after-unit-refresh."""
        self.simulation.configure(pause_after_unit_refresh=pause)

    @operation
    def run(self, place: int, action: str, **parameters: object) -> None:
        """Run an action on a unit."""
        self.simulation.run(self._unit(place), action, **parameters)

    @operation
    def switch_over(self, place: int, candidate: int | None) -> None:
        """Run the action switchover, to a unit or to whichever is fit."""
        given = {} if candidate is None else {"candidate": self._unit(candidate)}
        self.simulation.run(self._unit(place), "switchover", **given)

    @operation
    def resolve(self, place: int, retry: bool) -> None:
        """Run `juju resolved` on a unit; nothing happens where it is not in error."""
        with contextlib.suppress(OperationError):
            self.simulation.operations.resolved(simulation.MODEL, [self._unit(place)], no_retry=not retry)

    # what Juju does, and misfortune

    @operation
    def change_leader(self, place: int) -> None:
        """Let Juju make another unit the leader."""
        unit, store = self._units()[place % len(self._units())], self.simulation.store
        if unit.agent_alive:
            expires = self.simulation.clock.now() + datetime.timedelta(seconds=60)
            store.put(leadership.Lease(unit.model, simulation.APPLICATION, unit.name, expires))

    @operation
    def cut_off(self, place: int, at: int, how: str) -> None:
        """Let a unit's next run of the charm end at its `at`-th hook tool or change of the workload."""
        self._disturb()
        self.simulation.cuts[self._unit(place)] = {"at": at, "how": how}

    @operation
    def crash_agent(self, place: int, point: str, count: int) -> None:
        """Let a unit's agent die at a point to come (lab.controller.faults.Point)."""
        self._disturb()
        with contextlib.suppress(OperationError):
            self.simulation.operations.fault_crash_agent(simulation.MODEL, self._unit(place), point=point, count=count)

    @operation
    def break_snap(self, place: int, fault: str | None) -> None:
        """Let refreshes of the snap fail on a unit, before or after the revision has changed, or no more."""
        self._disturb()
        machine = self.simulation.machine_of(self._units()[place % len(self._units())])
        if machine is not None:
            machine.refresh_fault = fault

    @operation
    def start_slowly(self, place: int, seconds: int) -> None:
        """Let a unit's PostgreSQL take that long to come up from its next start on, as one that replays much."""
        machine = self.simulation.machine_of(self._units()[place % len(self._units())])
        if machine is not None:
            machine.start_seconds = float(seconds)

    @operation
    def reboot(self, place: int) -> None:
        """Restart a machine at once."""
        self._power(place, on=False)
        self._power(place, on=True)

    @operation
    def power(self, place: int, on: bool) -> None:
        """Cut or restore a machine's power. One machine at a time is without it."""
        if on or not self._off:
            self._power(place, on=on)

    def _power(self, place: int, *, on: bool) -> None:
        self._disturb()
        unit = self._units()[place % len(self._units())]
        machine = self.simulation.machine_of(unit)
        if machine is None or unit.machine is None or on == machine.up:
            return
        host = self.simulation.controller.machine(unit.model, unit.machine)
        if on:
            host.start()
            machine.boot()
            self._off.discard(unit.name)
        else:
            host.crash()
            machine.crash()
            self._off.add(unit.name)

    def _disturb(self) -> None:
        self._broken_on_purpose = True
        self.rules.disturb()

    # what must hold

    def check(self) -> None:
        """What must hold at any time. Raises AssertionError."""
        world = self.simulation.world
        assert not world.violations, "; ".join(world.violations)
        leaders = [process.name for process in world.processes() if process.is_leader]
        assert len(leaders) <= 1, f"several primaries: {leaders}"
        wrong = {
            name: each for name, each in self.simulation.revisions().items() if each not in {None, *self.rules.past}
        }
        assert not wrong, f"revisions that nobody asked for: {wrong}"
        self._tasks.check(self.rules)
        if not self._broken_on_purpose:
            failed = [unit.name for unit in self._units() if self.simulation.status(unit)[0] == "error"]
            assert not failed, f"hooks failed although nothing was broken: {failed}"

    @operation
    def settle(self) -> None:
        """Wait until all is quiet; then nobody is stuck, little was written, and events change nothing any more."""
        self._settle()

    def _settle(self) -> None:
        self.simulation.settle(self.check)
        self._quiet.check_writes(self.steps)
        self.steps = 0
        if not self._off:
            self._quiet.check_advice(self.rules)
            self._quiet.check_events()

    # the end

    @operation
    def end(self, revision: int | None = None) -> None:
        """Mend what was broken, and do what the statuses ask for until all is well. Raises Broken."""
        self._mend()
        if revision is not None and versions.VERSIONS[revision] != self.simulation.version():
            self.rules.ask(versions.VERSIONS[revision])
            self.simulation.refresh(versions.VERSIONS[revision])
        for _ in range(ATTEMPTS):
            self._settle()
            if advice.is_done(self.simulation) or not advice.follow(self.simulation, self.rules):
                break
        assert advice.is_done(self.simulation), "what the statuses ask for leads nowhere"
        self._check_data()

    def _check_data(self) -> None:
        raft = self.simulation.world.raft
        primary = raft.primary
        assert primary is not None and primary.data is not None, "no primary"
        assert primary.data.position >= raft.database.acknowledged, "acknowledged transactions are lost"
        assert len(self.simulation.world.databases) == 1, "the application has had more than one database cluster"
        assert len(raft.alive()) == len(self._alive()), "not every unit is a member"

    def _mend(self) -> None:
        self.simulation.cuts.clear()
        for place, unit in enumerate(self._units()):
            machine = self.simulation.machine_of(unit)
            if machine is not None:
                machine.refresh_fault = None
                if not machine.up:
                    self._power(place, on=True)
            with contextlib.suppress(OperationError):
                self.simulation.operations.fault_clear(simulation.MODEL, unit.name)

    def _units(self) -> list[units.Unit]:
        return self.simulation.units()

    def _alive(self) -> list[units.Unit]:
        return [unit for unit in self._units() if unit.life is models.Life.ALIVE]

    def _unit(self, place: int) -> str:
        found = self._units()
        return found[place % len(found)].name
