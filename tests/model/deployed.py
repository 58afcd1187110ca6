"""Applications that are deployed already: made once a process, and copied for each life that begins with one."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import pathlib
import shutil

import observer
from tests.fakes import world
from tests.model import simulation, stage, worldserver

PROFILE = "testing"


@dataclasses.dataclass(frozen=True)
class Deployed:
    """An application of some units that is settled, at rest: its files, and what was in memory."""

    files: pathlib.Path
    world: world.World
    machines: dict[str, worldserver.Machine]
    now: datetime.datetime
    seen: dict[str, observer.View | None]
    """What each unit's observer has seen."""


_made: dict[tuple[int, int], Deployed] = {}


def application(on: stage.Stage, count: int) -> simulation.Simulation:
    """A simulation in which an application of that many units is deployed; use it as a context."""
    if (id(on), count) not in _made:
        _made[id(on), count] = _make(on, count)
    return Continued(on, _made[id(on), count])


def _make(on: stage.Stage, count: int) -> Deployed:
    with simulation.Simulation(on) as simulated:
        simulated.deploy(count, profile=PROFILE)
        simulated.settle()
        assert simulated.are_active(), simulated.summary()
        assert not simulated.world.violations, simulated.summary()
        simulated.close()
        files = on.directory / f"deployed-{count}"
        shutil.copytree(simulated.directory, files, symlinks=True, ignore=shutil.ignore_patterns("*.socket"))
        now, seen = simulated.clock.now(), simulated.observed()
        return Deployed(files, simulated.world, simulated.server.known, now, seen)


class Continued(simulation.Simulation):
    """A simulation that goes on where another has ended, as after a restart of the controller and its agents."""

    def __init__(self, on: stage.Stage, deployed: Deployed) -> None:
        super().__init__(on)
        self._deployed = deployed

    def __enter__(self) -> simulation.Simulation:
        shutil.rmtree(self.directory, ignore_errors=True)
        # The same place again: a machine's files hold absolute paths. Times stay: they identify a refresh.
        shutil.copytree(self._deployed.files, self.directory, symlinks=True)
        self.world, self.server.known = copy.deepcopy((self._deployed.world, self._deployed.machines))
        self.server.world = self.world
        self.clock.advance((self._deployed.now - self.clock.now()).total_seconds())
        self.observe_again(self._deployed.seen)
        self._open()
        return self
