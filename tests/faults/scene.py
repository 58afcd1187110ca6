"""Three units under writes that go through one cell after the other, and what is checked of each."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import pathlib
import time
import types
from collections.abc import Sequence

import application
import cells
import itineraries
import life
import sampling
import sighting
import writing

from rehearsal import bench, charms, deployment, history, load, readback

_DISPATCH = "cd $CHARM_DIR && JUJU_HOOK_NAME=update-status JUJU_DISPATCH_PATH=hooks/update-status ./dispatch"
_STATE = """
systemctl show --property ActiveEnterTimestampMonotonic,MainPID snap.charmed-postgresql.patroni.service
stat --format '%Y %Z' /var/snap/charmed-postgresql/current/etc/patroni/patroni.yaml
snap list charmed-postgresql | tail -1
"""


@dataclasses.dataclass
class _Before:
    time: float
    timeline: int
    primary: str
    revisions: dict[str, str]
    links: dict[str, str]


class Scene:
    """One application, reused: each cell leaves three healthy units, or they have to be made anew."""

    def __init__(self, applied: application.Application, packed: pathlib.Path, directory: pathlib.Path) -> None:
        self.application = applied
        self.machines: dict[str, sighting.Machine] = {}
        self.target = ""
        self._packed = packed
        self._directory = directory
        (directory / "charms").mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(2)
        self._charm = packed
        self._stack = contextlib.ExitStack()
        self._written = 0

    def __enter__(self) -> Scene:
        self.application.create(cells.UNITS, storage={"data": "image,3G", "logs": "image,3G"})
        assert self.application.juju.model
        logging = "<root>=INFO;juju.worker.uniter.operation=DEBUG"
        self.application.juju.model_config({"logging-config": logging, "update-status-hook-interval": "5m"})
        units = self.application.settle(cells.UNITS, life.PATIENCE)
        settings = self.application.lab.settings
        self.machines = {unit: sighting.Machine(settings, self.application.hostname(unit)) for unit in units}
        self._writing = self._stack.enter_context(writing.Writing(self.application, self._directory / "writing"))
        passwords = self._stack.enter_context(load.passfile(self.application.passwords()))
        self._sampler = sampling.Sampler(self.machines, self.application.addresses(), self._directory / "samples")
        self._sampler.start(passwords)
        self._stack.callback(self._sampler.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    # A life

    def play(self, itinerary: itineraries.Itinerary) -> dict[str, life.Outcome]:
        """Go through an itinerary; the outcomes by the cells' names. What was wrong is among their problems.

        Raises:
            AssertionError: The units were not healthy before, or are not so in the end.
        """
        self.application.settle(cells.UNITS, life.PATIENCE)
        if not itinerary.primaries & {deployment.number(self.application.primary())}:
            self._place_primary(self.application.unit(min(itinerary.primaries)))
        revisions = self.application.revisions()
        [present] = set(revisions.values())
        version = self._next_version(present)
        self.target = version.revision
        trials = [life.Trial(cell, self) for cell in itinerary.cells]
        with contextlib.ExitStack() as stack:
            lived = life.Life(self.application, self.machines, trials)
            stack.callback(lived.end)
            for trial in trials:
                trial.striking.prepare()
            before = self._look_before(revisions)
            coming = charms.variant(self._packed, version, self._directory / "charms")
            if itinerary.life == "refresh":
                lived.refresh(coming, version.revision)
                self._charm = coming
            else:
                lived.roll_back(coming, self._charm, present)
        self.application.settle(cells.UNITS, life.PATIENCE)
        self._writing.await_write()
        for trial in trials:
            trial.missed()
        self._check(itinerary, trials, before)
        return {trial.cell.name: trial.outcome for trial in trials}

    def _next_version(self, present: str) -> charms.Version:
        """A version that may follow, with the other one of the two snaps."""
        pinned = charms.pinned(load.TREE)
        revisions = charms.EARLIER.revisions if present == pinned.revision else pinned.revisions
        return charms.Version(f"{pinned.charm.partition('/')[0]}/1.{next(self._numbers)}.0", pinned.workload, revisions)

    def _place_primary(self, unit: str) -> None:
        if self.application.primary() != unit:
            self.application.action(self.application.unit(0), "switchover", candidate=unit)
            self.application.settle(cells.UNITS, life.PATIENCE)

    def _look_before(self, revisions: dict[str, str]) -> _Before:
        self._sampler.forget_links()
        links = {unit: machine.link() for unit, machine in self.machines.items()}
        return _Before(time.monotonic(), self._timeline(), self.application.primary(), revisions, links)

    def _timeline(self) -> int:
        return max(member.get("timeline", 0) for member in self.application.patroni()["members"])

    # What must hold

    def _check(self, itinerary: itineraries.Itinerary, trials: Sequence[life.Trial], before: _Before) -> None:
        ended = time.monotonic()
        promotions = self._timeline() - before.timeline
        problems = [
            f"{' and '.join(overlap.hosts)} took writes at once for {overlap.seconds:.1f} s"
            for overlap in self._sampler.overlaps(before.time, ended)
        ]
        problems += _promotions(itinerary, trials, before, promotions)
        problems += self._links(before)
        for trial, following in itertools.pairwise([*trials, None]):
            assert trial
            until = min(ended, following.struck_at if following else ended)
            trial.conclude(self._sampler, until)
            if trial.is_struck:
                trial.outcome.gap = self._writing.gap(trial.struck_at, until)
        problems += self._copies()
        problems += self._changes()
        for trial in trials:
            trial.outcome.problems += problems
            trial.outcome.promotions = promotions
            trial.outcome.seconds = ended - before.time

    def _links(self, before: _Before) -> list[str]:
        """Each unit had the old revision of the snap, or the new one, and nothing else."""
        problems: list[str] = []
        for unit, machine in self.machines.items():
            known = {before.links[unit], machine.link()}
            seen = self._sampler.links[unit]
            if len(seen | known) > 2:
                problems.append(f"{unit} had the revisions {', '.join(sorted(seen))} of the snap")
        return problems

    def _copies(self) -> list[str]:
        recorded = self._writing.history
        copies = writing.read_back(self.application, self._directory)
        problems: list[str] = []
        for copy in copies:
            problems += _compare(copy, recorded)
        return problems

    def _changes(self) -> list[str]:
        """Another event changes nothing."""
        before = self._state()
        with concurrent.futures.ThreadPoolExecutor() as executor:
            list(executor.map(lambda unit: self.application.juju.exec(_DISPATCH, unit=unit, wait=120), self.machines))
        after = self._state()
        return [f"another event changed {name}" for name in before if before[name] != after[name]]

    def _state(self) -> dict[str, str]:
        def of(unit: str) -> dict[str, str]:
            on_machine = self.application.lab.shell(self.machines[unit].name, _STATE)
            shown = json.loads(self.application.juju.cli("show-unit", unit, "--format", "json"))[unit]
            told = self.application.units()[unit].workload_status
            return {
                f"the service of {unit}": on_machine,
                f"the databags that {unit} sees": json.dumps(shown["relation-info"], sort_keys=True),
                f"the status of {unit}": f"{told.current} {told.message}",
            }

        with concurrent.futures.ThreadPoolExecutor() as executor:
            return {name: text for each in executor.map(of, self.machines) for name, text in each.items()}


def _promotions(
    itinerary: itineraries.Itinerary, trials: Sequence[life.Trial], before: _Before, promotions: int
) -> list[str]:
    fewer = sum(trial.striking.promotions[0] for trial in trials)
    more = sum(trial.striking.promotions[1] for trial in trials)
    expected = bench.expected_switchovers(before.primary, list(before.revisions))
    least, most = expected, expected
    if itinerary.life == "rollback":
        # From unit 2 it moves to unit 1 first; from there, whose turn is next, to unit 2; and away to go back.
        expected = least = most = (0, 2, 3)[deployment.number(before.primary)]
    if least - fewer <= promotions <= most + more:
        return []
    return [f"{promotions} promotions instead of {expected}"]


def _compare(copy: readback.Copy, recorded: history.History) -> list[str]:
    try:
        writing.check(copy, recorded)
    except AssertionError as error:
        return [str(error)]
    return []
