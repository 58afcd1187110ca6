"""Three units under writes that go through one cell after the other, and what is checked of each."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import pathlib
import time
import types
from collections.abc import Mapping, Sequence

import application
import cells
import itineraries
import life
import sampling
import sighting
import stillness
import trial
import writing

from lab.image import mirror
from lab.snaps.proxy import index
from rehearsal import bench, charms, deployment, history, load, readback


@dataclasses.dataclass
class _Before:
    time: float
    timeline: int
    primary: str
    revisions: dict[str, str]


class Scene:
    """One application, reused: each cell leaves three healthy units, or they have to be made anew."""

    def __init__(self, applied: application.Application, packed: pathlib.Path, directory: pathlib.Path) -> None:
        self.application = applied
        self.machines: dict[str, sighting.Machine] = {}
        self.target = ""
        self._sizes = _sizes(applied)
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
        self._sampler = sampling.Sampler(
            self.machines, self.application.addresses(), self._sizes, self._directory / "samples"
        )
        self._sampler.start(passwords)
        self._stack.callback(self._sampler.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def is_refreshed(self, unit: str) -> bool:
        """Whether the unit's snap is of the revision that the refresh leads to."""
        return self.machines[unit].revision(self._sizes) == self.target

    # A life

    def play(self, itinerary: itineraries.Itinerary) -> dict[str, trial.Outcome]:
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
        trials = [trial.Trial(cell, self) for cell in itinerary.cells]
        with contextlib.ExitStack() as stack:
            lived = life.Life(self.application, self.machines, trials)
            stack.callback(lived.end)
            for each in trials:
                each.striking.prepare()
            before = self._look_before(revisions)
            coming = charms.variant(self._packed, version, self._directory / "charms")
            if itinerary.life == "refresh":
                lived.refresh(coming, version.revision)
                self._charm = coming
            else:
                lived.roll_back(coming, self._charm, present)
        self.application.settle(cells.UNITS, life.PATIENCE)
        self._writing.await_write()
        for each in trials:
            each.missed()
        self._check(itinerary, trials, before)
        return {each.cell.name: each.outcome for each in trials}

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
        self._sampler.forget_revisions()
        return _Before(time.monotonic(), self._timeline(), self.application.primary(), revisions)

    def _timeline(self) -> int:
        return max(member.get("timeline", 0) for member in self.application.patroni()["members"])

    # What must hold

    def _check(self, itinerary: itineraries.Itinerary, trials: Sequence[trial.Trial], before: _Before) -> None:
        ended = time.monotonic()
        moved = self._timeline() - before.timeline
        problems = self._sampler.overlaps(before.time, ended)
        problems += self._sampler.gaps(before.time, ended)
        problems += strange_revisions(itinerary.life, before.revisions, self.target, self._sampler.revisions)
        for each, following in itertools.pairwise([*trials, None]):
            assert each
            until = min(ended, following.struck_at if following else ended)
            each.conclude(self._sampler, until)
            if each.is_struck:
                each.outcome.gap = self._writing.gap(each.struck_at, until)
        problems += self._promotions(itinerary, trials, before, moved)
        problems += self._copies()
        problems += stillness.changes(self.application, self.machines)
        for each in trials:
            each.outcome.problems += problems
            each.outcome.promotions = moved
            each.outcome.seconds = ended - before.time

    def _promotions(
        self, itinerary: itineraries.Itinerary, trials: Sequence[trial.Trial], before: _Before, moved: int
    ) -> list[str]:
        slack = [each.promotions(self._sampler.primaries(each.struck_at)) for each in trials if each.is_struck]
        expected = bench.expected_switchovers(before.primary, list(before.revisions))
        if itinerary.life == "rollback":
            # From unit 2 it moves to unit 1 first; from there, whose turn is next, to unit 2; and away to go back.
            expected = (0, 2, 3)[deployment.number(before.primary)]
        least, most = (expected - sum(f for f, _ in slack), expected + sum(m for _, m in slack))
        return [] if least <= moved <= most else [f"{moved} promotions instead of {expected}"]

    def _copies(self) -> list[str]:
        recorded = self._writing.history
        copies = writing.read_back(self.application, self._directory)
        problems: list[str] = []
        for copy in copies:
            problems += _compare(copy, recorded)
        return problems


def _sizes(applied: application.Application) -> dict[int, str]:
    """The revisions of the workload's snap in the store by the sizes of their files, which tell them apart."""
    revisions = index.IndexFile(applied.lab.settings.store, mirror.architecture()).snaps()[deployment.SNAP].revisions
    sizes = {each.size: number for number, each in revisions.items()}
    assert len(sizes) == len(revisions), "two revisions of the snap are of the same size"
    return sizes


def strange_revisions(life: str, old: Mapping[str, str], new: str, seen: Mapping[str, set[str]]) -> list[str]:
    """Return which units had another revision of the snap than the old or the new one.

    In a rollback the new one belongs on the highest unit alone. old, seen: by the units' names.
    """
    problems: list[str] = []
    for unit, revisions in seen.items():
        refreshes = life == "refresh" or deployment.number(unit) == cells.HIGHEST
        if strange := revisions - {old[unit], *([new] if refreshes else [])}:
            problems.append(f"{unit} had the revision {', '.join(sorted(strange))} of the snap")
    return problems


def _compare(copy: readback.Copy, recorded: history.History) -> list[str]:
    try:
        writing.check(copy, recorded)
    except AssertionError as error:
        return [str(error)]
    return []
