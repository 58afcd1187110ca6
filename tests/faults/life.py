"""One life of an application: an operator refreshes it, or goes back, and cells befall it on the way."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
import time
import typing
from collections.abc import Callable, Sequence

import application
import cells
import jubilant
import sampling
import sighting
import strike
import strikes

from rehearsal import deployment

PATIENCE = 900.0
"""Seconds that a refresh may take, the faults' own time not counted. The host may be busy with other things."""
POLL = 2.0
STOPS_WITHIN = 10.0
"""Seconds after a strike within which a server that stops answering is taken to stop because of it."""


@dataclasses.dataclass
class Outcome:
    """What became of a cell."""

    recovery: float | None = None
    """Seconds from the strike until the unit's server answers and a hook has succeeded."""
    seconds: float = 0.0
    """The whole life."""
    gap: float = 0.0
    """Longest time without an acknowledged write from the strike on to the next one, in seconds."""
    promotions: int = 0
    """In the whole life."""
    commands: list[str] = dataclasses.field(default_factory=list)
    """What the operator had to run beside what every refresh asks for."""
    problems: list[str] = dataclasses.field(default_factory=list)


class Trial:
    """One cell of a life."""

    def __init__(self, cell: cells.Cell, scene: strike.Scene) -> None:
        self.cell = cell
        self.striking = strikes.STRIKES[cell.fault](scene)
        self.outcome = Outcome()
        self.recovering = ""
        """The unit whose recovery counts."""
        self.succeeded_at: float | None = None
        """When a hook of it succeeded after the fault had ended."""
        self._strike_seconds = 0.0
        self._healed_at = math.inf
        self._healed = False
        self._log: sighting.Log | None = None
        self._sighting: sighting.Sighting | None = None

    @property
    def is_armed(self) -> bool:
        """Whether its step is looked out for, or has come."""
        return self._sighting is not None

    @property
    def is_struck(self) -> bool:
        """Whether it has befallen the unit."""
        return self._sighting is not None and bool(self._sighting.unit)

    @property
    def is_over(self) -> bool:
        """Whether the fault has ended and the unit has had a hook since; or the step did not come."""
        return bool(self.outcome.problems) or (self._healed and self.succeeded_at is not None)

    @property
    def struck_at(self) -> float:
        """When it befell the unit; never, if it did not."""
        return self._sighting.time if self._sighting is not None and self.is_struck else math.inf

    def arm(self, applied: application.Application, machines: dict[str, sighting.Machine]) -> None:
        """Look out for the step from now on."""
        assert applied.juju.model
        self._log = sighting.Log(applied.lab.settings, applied.juju.model)
        log = sighting.Log(applied.lab.settings, applied.juju.model)
        self._sighting = sighting.Sighting(self.cell.step.seen, log, machines, self._strike)
        self._sighting.start()

    def come(self, unit: str) -> None:
        """The step has come, as the operator sees."""
        assert self._sighting
        self._sighting.come(unit)

    def _strike(self, unit: str) -> None:
        assert self._sighting
        try:
            self.striking.strike(unit)
        finally:
            self.recovering = self.striking.struck or unit
            self._strike_seconds = time.monotonic() - self._sighting.time + self.striking.seconds
            self._healed_at = self._sighting.time + self.striking.seconds

    def follow(self) -> None:
        """Mend what is due; notice when the unit's hooks succeed again."""
        if self._sighting is not None and self._sighting.error is not None and not self.outcome.problems:
            self.outcome.problems.append(f"{type(self._sighting.error).__name__}: {self._sighting.error}")
        if not self._healed and time.monotonic() >= self._healed_at:
            self.striking.heal()
            self._healed = True
        if self._log is None:
            return
        for line in self._log.poll():
            ours = self._healed and sighting.unit_of(line["entity"]) == self.recovering
            if ours and self.succeeded_at is None and _succeeded(line["module"], line["message"]):
                self.succeeded_at = time.monotonic()

    def missed(self) -> None:
        """The step is past and was not seen."""
        if self._sighting is not None and not self.is_struck and not self.outcome.problems:
            self._sighting.end()
            self.outcome.problems.append(f"the step did not come: {self.cell.step.what}")

    def end(self) -> None:
        """Leave nothing behind."""
        if self._sighting is not None:
            self._sighting.end()
        self.striking.clear()

    def conclude(self, sampler: sampling.Sampler, until: float) -> None:
        """Find out from the samples up to `until` how it recovered."""
        if not self.is_struck:
            return
        reads = sampler.reads(self.recovering, self.struck_at - 2, until)
        answered = sampling.answers_again(reads, self.struck_at, STOPS_WITHIN + self._strike_seconds)
        if answered is None or self.succeeded_at is None:
            self.outcome.problems.append(f"{self.recovering} did not recover")
        else:
            self.outcome.recovery = max(answered, self.succeeded_at) - self.struck_at
        if self.striking.keeps_serving:
            lasted = self.struck_at + self.striking.seconds
            if any(read.primary is None for read in reads if self.struck_at <= read.sent <= lasted):
                self.outcome.problems.append(f"PostgreSQL of {self.recovering} was stopped meanwhile")


def _succeeded(module: str, message: str) -> bool:
    return module.endswith("uniter.operation") and message.startswith(('ran "', 'committing operation "run'))


class Life:
    """Goes through trials in their order; the operator does what the statuses ask for."""

    def __init__(
        self, applied: application.Application, machines: dict[str, sighting.Machine], trials: Sequence[Trial]
    ) -> None:
        self._application = applied
        self._machines = machines
        self._trials = trials
        self._resumed: list[int] = []

    def refresh(self, charm: pathlib.Path, revision: str) -> None:
        """Refresh to the end.

        Raises:
            AssertionError: It does not come to an end.
        """
        self._begin(charm)
        self._operate(lambda status: self._is_done(status, revision))

    def roll_back(self, charm: pathlib.Path, old: pathlib.Path, revision: str) -> None:
        """Refresh to the pause, and back. Raises as `refresh` does."""
        self._begin(charm)
        before = [trial for trial in self._trials if trial.cell.life == "refresh"]
        self._operate(lambda status: self._asked(status) is not None and all(trial.is_over for trial in before))
        for trial in self._trials:
            if trial not in before:
                trial.arm(self._application, self._machines)
        self._application.refresh(old)
        self._operate(lambda status: self._is_done(status, revision))

    def end(self) -> None:
        """Leave nothing behind."""
        with contextlib.ExitStack() as stack:
            for trial in self._trials:
                stack.callback(trial.end)

    def _begin(self, charm: pathlib.Path) -> None:
        self._arm_next()
        if self._trials[0].cell.step.name == "check":
            self._check(self._trials[0])
        self._application.refresh(charm)

    def _check(self, trial: Trial) -> None:
        """Run the check first; where it is cut off, run it again."""
        try:
            self._application.action(self._application.unit(0), "pre-refresh-check")
        except (jubilant.TaskError, jubilant.CLIError, TimeoutError):
            trial.outcome.commands.append("`pre-refresh-check` again")
            self._application.settle(cells.UNITS, PATIENCE)
            self._application.action(self._application.unit(0), "pre-refresh-check")
        self._until_over(trial)

    def _until_over(self, trial: Trial) -> None:
        limit = time.monotonic() + PATIENCE
        while not trial.is_over:
            trial.follow()
            if time.monotonic() > limit:
                raise AssertionError(f"{trial.cell.name} is not over after {PATIENCE:g} s")
        self._arm_next()

    # The operator

    def _operate(self, done: Callable[[jubilant.Status], bool]) -> None:
        limit = time.monotonic() + PATIENCE + sum(trial.striking.seconds for trial in self._trials)
        while True:
            for trial in self._trials:
                trial.follow()
            self._arm_next()
            status = self._look()
            if status is not None:
                if all(trial.is_over for trial in self._trials if trial.is_struck) and done(status):
                    return
                self._at_pause(status)
            if time.monotonic() > limit:
                raise AssertionError(f"not done after {PATIENCE:g} s: {self._shown()}")
            time.sleep(POLL)

    def _arm_next(self) -> None:
        """Look out for the next step of the refresh once the trial before is over."""
        for trial in self._trials:
            if trial.is_armed and trial.is_over:
                continue
            if not trial.is_armed and trial.cell.life == "refresh":
                trial.arm(self._application, self._machines)
            return

    def _look(self) -> jubilant.Status | None:
        with contextlib.suppress(jubilant.CLIError):
            return self._application.status()
        return None

    def _shown(self) -> str:
        status = self._look()
        if status is None:
            return "no status"
        app = status.apps[self._application.application]
        units = {name: f"{u.workload_status.current} {u.workload_status.message}" for name, u in app.units.items()}
        return f"{app.app_status.current} {app.app_status.message}; {units}"

    def _is_done(self, status: jubilant.Status, revision: str) -> bool:
        name = self._application.application
        if status.apps[name].app_status.current != "active" or not deployment.healthy(status, name):
            return False
        return set(self._application.revisions().values()) == {revision}

    def _asked(self, status: jubilant.Status) -> int | None:
        """The unit to resume on, once those that the status names are healthy."""
        name = self._application.application
        pause = deployment.pause(status, name)
        if pause is None or not deployment.healthy(status, name, pause.check_from):
            return None
        return pause.unit

    def _at_pause(self, status: jubilant.Status) -> None:
        unit = self._asked(status)
        if unit is None:
            return
        present = next((trial for trial in self._trials if trial.is_armed and not trial.is_over), None)
        if present is not None and present.cell.life == "refresh":
            if present.is_struck:
                # A person, too, waits until what has just happened is over; but what lasts may need the resume.
                if present.striking.seconds == 0:
                    return
            elif isinstance(present.cell.step.seen, cells.Asked):
                present.come(self._application.unit(unit))
                return
            elif deployment.number(f"/{_unit(present.cell)}") == cells.HIGHEST:
                present.missed()
                return
        if not any(trial.cell.life == "rollback" for trial in self._trials):
            self._resume(unit)

    def _resume(self, unit: int) -> None:
        if unit in self._resumed:
            struck = [trial for trial in self._trials if trial.is_struck]
            (struck[-1] if struck else self._trials[0]).outcome.commands.append("`resume-refresh` again")
        try:
            self._application.resume(unit)
        except jubilant.TaskError as error:
            # The status lags behind the units, as it does for a person: look again.
            if "Must run action" in error.task.message:
                return
        except (jubilant.CLIError, TimeoutError):
            pass
        self._resumed.append(unit)


def _unit(cell: cells.Cell) -> int:
    seen: typing.Any = cell.step.seen
    return cells.HIGHEST if seen.unit is None else seen.unit
