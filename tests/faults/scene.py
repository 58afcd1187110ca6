"""Three units under writes that go through one cell after the other, and what is checked of each."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import math
import pathlib
import time
import types
import typing

import application
import cells
import jubilant
import sampling
import sighting
import strikes
import writing

from rehearsal import bench, charms, deployment, history, load, readback

PATIENCE = 300.0
"""Seconds that a life may take, the fault's own time not counted."""
POLL = 2.0
STOPS_WITHIN = 10.0
"""Seconds after a strike within which a server that stops answering is taken to stop because of it."""
_DISPATCH = "cd $CHARM_DIR && JUJU_HOOK_NAME=update-status JUJU_DISPATCH_PATH=hooks/update-status ./dispatch"
_STATE = """
systemctl show --property ActiveEnterTimestampMonotonic,MainPID snap.charmed-postgresql.patroni.service
stat --format '%Y %Z' /var/snap/charmed-postgresql/current/etc/patroni/patroni.yaml
snap list charmed-postgresql | tail -1
"""


@dataclasses.dataclass
class Outcome:
    """What became of a cell."""

    recovery: float | None = None
    """Seconds from the strike until the unit's server answers and a hook has succeeded."""
    seconds: float = 0.0
    """From the strike to the end of the refresh or rollback."""
    gap: float = 0.0
    """Longest time without an acknowledged write, in seconds."""
    promotions: int = 0
    commands: list[str] = dataclasses.field(default_factory=list)
    """What the operator had to run beside what every refresh asks for."""
    problems: list[str] = dataclasses.field(default_factory=list)


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
        units = self.application.settle(cells.UNITS, PATIENCE)
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

    # A cell

    def play(self, cell: cells.Cell) -> Outcome:
        """Go through a cell; what was wrong is among the outcome's problems.

        Raises:
            AssertionError: The units were not healthy before, or are not so in the end, or nothing was struck.
        """
        self.application.settle(cells.UNITS, PATIENCE)
        if cell.step.primary is not None:
            self._place_primary(self.application.unit(cell.step.primary))
        revisions = self.application.revisions()
        [present] = set(revisions.values())
        version = self._next_version(present)
        self.target = version.revision
        outcome = Outcome()
        striking = strikes.STRIKES[cell.fault](self)
        with contextlib.ExitStack() as stack:
            stack.callback(striking.clear)
            striking.prepare()
            before = self._look_before(revisions)
            coming = charms.variant(self._packed, version, self._directory / "charms")
            run = _Run(self, cell, striking, outcome)
            stack.callback(run.end)
            if cell.life == "refresh":
                run.refresh(coming, version.revision)
                self._charm = coming
            else:
                run.roll_back(coming, self._charm, present)
        self._settle(outcome, run)
        self._check(cell, striking, before, run, outcome)
        return outcome

    def _next_version(self, present: str) -> charms.Version:
        """A version that may follow, with the other one of the two snaps."""
        pinned = charms.pinned(load.TREE)
        revisions = charms.EARLIER.revisions if present == pinned.revision else pinned.revisions
        return charms.Version(f"{pinned.charm.partition('/')[0]}/1.{next(self._numbers)}.0", pinned.workload, revisions)

    def _place_primary(self, unit: str) -> None:
        if self.application.primary() != unit:
            self.application.action(self.application.unit(0), "switchover", candidate=unit)
            self.application.settle(cells.UNITS, PATIENCE)

    def _look_before(self, revisions: dict[str, str]) -> _Before:
        self._sampler.forget_links()
        links = {unit: machine.link() for unit, machine in self.machines.items()}
        return _Before(time.monotonic(), self._timeline(), self.application.primary(), revisions, links)

    def _timeline(self) -> int:
        return max(member.get("timeline", 0) for member in self.application.patroni()["members"])

    def _settle(self, outcome: Outcome, run: _Run) -> None:
        self.application.settle(cells.UNITS, PATIENCE)
        self._writing.await_write()
        outcome.seconds = time.monotonic() - run.struck_at

    # What must hold

    def _check(self, cell: cells.Cell, striking: strikes.Strike, before: _Before, run: _Run, outcome: Outcome) -> None:
        ended = time.monotonic()
        problems = outcome.problems
        outcome.gap = self._writing.gap(before.time, ended)
        outcome.recovery = self._recovery(run, ended)
        if outcome.recovery is None:
            problems.append(f"{run.recovering} did not recover")
        for overlap in self._sampler.overlaps(before.time, ended):
            problems.append(f"{' and '.join(overlap.hosts)} took writes at once for {overlap.seconds:.1f} s")
        outcome.promotions = self._timeline() - before.timeline
        problems += _promotions(cell, striking, before, outcome.promotions)
        problems += self._links(before)
        problems += run.disturbance(self._sampler)
        problems += self._copies()
        problems += self._changes()

    def _recovery(self, run: _Run, ended: float) -> float | None:
        reads = self._sampler.reads(run.recovering, run.struck_at - 2, ended)
        answered = sampling.answers_again(reads, run.struck_at, STOPS_WITHIN + run.strike_seconds)
        if answered is None or run.succeeded_at is None:
            return None
        return max(answered, run.succeeded_at) - run.struck_at

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


class _Run:
    """One life in which something befalls a unit; the operator does what the statuses ask for."""

    def __init__(self, scene: Scene, cell: cells.Cell, striking: strikes.Strike, outcome: Outcome) -> None:
        self._scene = scene
        self._application = scene.application
        self._cell = cell
        self._striking = striking
        self._outcome = outcome
        self._sighting: sighting.Sighting | None = None
        self._healed = False
        self._healed_at = math.inf
        self._log: sighting.Log | None = None
        self._resumed: list[int] = []
        self.succeeded_at: float | None = None
        self.recovering = ""
        self.strike_seconds = 0.0

    @property
    def struck_at(self) -> float:
        """When it was struck.

        Raises:
            strikes.NotStruckError: It was not.
        """
        assert self._sighting
        if self._sighting.error is not None:
            raise self._sighting.error
        if not self._sighting.unit:
            raise strikes.NotStruckError(f"the step did not come: {self._cell.step.what}")
        return self._sighting.time

    def refresh(self, charm: pathlib.Path, revision: str) -> None:
        """Refresh to the end."""
        self._arm()
        if self._cell.step.name == "check":
            self._check_first()
        self._take(charm)
        self._operate(lambda status: self._is_done(status, revision))

    def roll_back(self, charm: pathlib.Path, old: pathlib.Path, revision: str) -> None:
        """Refresh to the pause, and back."""
        self._take(charm)
        self._operate(lambda status: self._is_paused(status) is not None)
        self._arm()
        self._take(old)
        self._operate(lambda status: self._is_done(status, revision))

    def _arm(self) -> None:
        assert self._application.juju.model
        settings = self._application.lab.settings
        seen = self._cell.step.seen
        self._log = sighting.Log(settings, self._application.juju.model)
        log = sighting.Log(settings, self._application.juju.model)
        self._sighting = sighting.Sighting(seen, log, self._scene.machines, self._strike)
        self._sighting.start()

    def _take(self, charm: pathlib.Path) -> None:
        self._application.refresh(charm)

    def _check_first(self) -> None:
        """Run the check before; where it is cut off, run it again."""
        for _ in range(2):
            try:
                self._application.action(self._application.unit(0), "pre-refresh-check")
                return
            except (jubilant.TaskError, jubilant.CLIError, TimeoutError):
                self._outcome.commands.append("`pre-refresh-check` again")
                self._application.settle(cells.UNITS, PATIENCE)
        raise AssertionError("pre-refresh-check failed twice")

    def _strike(self, unit: str) -> None:
        assert self._sighting
        try:
            self._striking.strike(unit)
        finally:
            self.strike_seconds = time.monotonic() - self._sighting.time + self._striking.seconds
        self.recovering = self._striking.struck or unit
        self._healed_at = self._sighting.time + self._striking.seconds

    def end(self) -> None:
        """Wait no longer for what did not come."""
        if self._sighting is not None:
            self._sighting.end()

    def disturbance(self, sampler: sampling.Sampler) -> list[str]:
        """Whether a server that was to go on while the fault lasted did not."""
        if not self._striking.keeps_serving:
            return []
        reads = sampler.reads(self.recovering, self.struck_at, self.struck_at + self._striking.seconds)
        missed = [read for read in reads if read.primary is None]
        return [f"PostgreSQL of {self.recovering} was stopped meanwhile"] if missed else []

    # The operator

    def _operate(self, done: typing.Callable[[jubilant.Status], bool]) -> None:
        limit = time.monotonic() + PATIENCE + self._striking.seconds
        while True:
            self._mend()
            self._follow()
            status = self._look()
            if status is not None:
                if done(status) and self._is_over():
                    return
                self._resume(status)
            if time.monotonic() > limit:
                raise AssertionError(f"not done after {PATIENCE:g} s\n{self._shown()}")
            time.sleep(POLL)

    def _shown(self) -> str:
        try:
            return self._application.juju.cli("status")
        except jubilant.CLIError as error:
            return str(error)

    def _is_over(self) -> bool:
        """Whether the fault, if it was there, has ended."""
        armed = self._sighting is not None and bool(self._sighting.unit)
        return not armed or (self._healed and self.succeeded_at is not None)

    def _look(self) -> jubilant.Status | None:
        with contextlib.suppress(jubilant.CLIError):
            return self._application.status()
        return None

    def _mend(self) -> None:
        if not self._healed and time.monotonic() >= self._healed_at:
            self._striking.heal()
            self._healed = True

    def _follow(self) -> None:
        """Notice when a hook of the unit succeeds after the strike."""
        if self._log is None:
            return
        for line in self._log.poll():
            struck = self._sighting is not None and self._healed and self.succeeded_at is None
            if not struck or sighting.unit_of(line["entity"]) != self.recovering:
                continue
            if line["module"].endswith("uniter.operation") and _succeeded(line["message"]):
                self.succeeded_at = time.monotonic()

    def _is_done(self, status: jubilant.Status, revision: str) -> bool:
        name = self._application.application
        if status.apps[name].app_status.current != "active" or not deployment.healthy(status, name):
            return False
        if self._is_paused(status) is not None:
            return False
        return set(self._application.revisions().values()) == {revision}

    def _is_paused(self, status: jubilant.Status) -> int | None:
        """The unit to resume on, once those that the status names are healthy."""
        name = self._application.application
        pause = deployment.pause(status, name)
        if pause is None or not deployment.healthy(status, name, pause.check_from):
            return None
        return pause.unit

    def _resume(self, status: jubilant.Status) -> None:
        unit = self._is_paused(status)
        if unit is None or self._cell.life != "refresh":
            return
        sought = self._sighting
        if sought is not None and isinstance(self._cell.step.seen, cells.Asked) and not sought.unit:
            sought.come(self._application.unit(unit))
            return
        if sought is not None and sought.unit and not self._is_over() and self._striking.seconds == 0:
            return  # a person, too, waits until what has just happened is over
        if unit in self._resumed:
            self._outcome.commands.append("`resume-refresh` again")
        try:
            self._application.resume(unit)
            self._resumed.append(unit)
        except jubilant.TaskError as error:
            if error.task.status != "failed" or "Must run action" not in error.task.message:
                self._resumed.append(unit)
        except (jubilant.CLIError, TimeoutError):
            self._resumed.append(unit)


def _succeeded(message: str) -> bool:
    return message.startswith('ran "') or message.startswith('committing operation "run')


def _promotions(cell: cells.Cell, striking: strikes.Strike, before: _Before, promotions: int) -> list[str]:
    fewer, more = striking.promotions
    expected = bench.expected_switchovers(before.primary, list(before.revisions))
    least, most = expected, expected
    if cell.life == "rollback":
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
