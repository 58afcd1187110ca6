"""One life of an application: an operator refreshes it, or goes back, and cells befall it on the way."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable, Sequence

import application
import cells
import jubilant
import sighting
import stillness
import trial

from rehearsal import deployment

PATIENCE = 900.0
"""Seconds that a refresh may take, the faults' own time not counted. The host may be busy with other things."""
POLL = 2.0
CHECKS = 6
"""How often the operator runs the check before a refresh, if what it answers may pass."""


class Life:
    """Goes through trials in their order; the operator does what the statuses ask for."""

    def __init__(
        self, applied: application.Application, machines: dict[str, sighting.Machine], trials: Sequence[trial.Trial]
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
        before = [each for each in self._trials if each.cell.life == "refresh"]
        self._operate(lambda status: self._asked(status) is not None and all(each.is_over for each in before))
        for each in self._trials:
            if each not in before:
                each.arm(self._application, self._machines)
        self._application.refresh(old)
        self._operate(lambda status: self._is_done(status, revision))

    def end(self) -> None:
        """Leave nothing behind."""
        with contextlib.ExitStack() as stack:
            for each in self._trials:
                stack.callback(each.end)

    def _begin(self, charm: pathlib.Path) -> None:
        self._arm_next()
        if self._trials[0].cell.step.name == "check":
            self._check(self._trials[0])
        self._application.refresh(charm)

    def _check(self, present: trial.Trial) -> None:
        """Run the check first, on the leader; where it is cut off, or finds what may pass, run it again."""
        for _ in range(CHECKS):
            try:
                self._application.action(f"{self._application.application}/leader", "pre-refresh-check")
            except (jubilant.TaskError, jubilant.CLIError, TimeoutError) as error:
                present.outcome.failures.append(f"pre-refresh-check: {answer(error)}")
                present.outcome.commands.append("`pre-refresh-check` again")
                self._application.settle(cells.UNITS, PATIENCE)
            else:
                present.follow()
                present.acted(self._application.leader())
                break
        else:
            raise AssertionError(f"the check fails again and again: {present.outcome.failures}")
        self._until_over(present)

    def _until_over(self, present: trial.Trial) -> None:
        limit = time.monotonic() + PATIENCE
        while not present.is_over:
            present.follow()
            if present.is_healed and not present.is_over:
                self._probe(present)
            if time.monotonic() > limit:
                raise AssertionError(f"{present.cell.name} is not over after {PATIENCE:g} s")
        self._arm_next()

    def _probe_what_waits(self, status: jubilant.Status) -> None:
        """Once no unit has anything to do, nothing more comes by itself for minutes."""
        if not deployment.healthy(status, self._application.application):
            return
        resumes = self._asked(status) is not None
        for each in self._trials:
            if each.is_healed and not each.is_over and not (each.cell.step.is_action and resumes):
                self._probe(each)

    def _probe(self, present: trial.Trial) -> None:
        """Give the unit an event: whether it can take one."""
        with contextlib.suppress(jubilant.TaskError, jubilant.CLIError, TimeoutError):
            self._application.juju.exec(stillness.UPDATE_STATUS, unit=present.recovering, wait=60)
            present.acted(present.recovering)

    # The operator

    def _operate(self, done: Callable[[jubilant.Status], bool]) -> None:
        limit = time.monotonic() + PATIENCE + sum(each.striking.seconds for each in self._trials)
        while True:
            for each in self._trials:
                each.follow()
            self._arm_next()
            status = self._look()
            if status is not None:
                self._probe_what_waits(status)
                # What was given an event may be over by it: the next one is looked out for before anybody resumes.
                self._arm_next()
                if all(each.is_over for each in self._trials if each.is_struck) and done(status):
                    return
                self._at_pause(status)
            if time.monotonic() > limit:
                raise AssertionError(f"not done after {PATIENCE:g} s: {self._shown()}")
            time.sleep(POLL)

    def _arm_next(self) -> None:
        """Look out for the next step of the refresh once the trial before is over."""
        for each in self._trials:
            if each.is_armed and each.is_over:
                continue
            if not each.is_armed and each.cell.life == "refresh":
                each.arm(self._application, self._machines)
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
        present = next((each for each in self._trials if each.is_armed and not each.is_over), None)
        if present is not None and present.cell.life == "refresh" and not self._goes_on(present, status, unit):
            return
        if not any(each.cell.life == "rollback" for each in self._trials):
            self._resume(unit)

    def _goes_on(self, present: trial.Trial, status: jubilant.Status, unit: int) -> bool:
        """Whether the operator resumes now, with a trial that is not over."""
        step = present.cell.step
        if not present.is_struck:
            if isinstance(step.seen, cells.Asked):
                present.come(self._application.unit(unit))
                return False
            if step.seen.unit == cells.HIGHEST:
                present.missed()
                return False
            return True
        if present.striking.seconds:
            # What lasts may need the resume to end.
            return True
        # A person, too, waits until what has just happened is over; an action that was cut off is run again.
        return step.is_action and deployment.healthy(status, self._application.application)

    def _resume(self, unit: int) -> None:
        struck = [each for each in self._trials if each.is_struck]
        told = (struck[-1] if struck else self._trials[0]).outcome
        if unit in self._resumed:
            told.commands.append("`resume-refresh` again")
        try:
            self._application.resume(unit)
        except (jubilant.TaskError, jubilant.CLIError, TimeoutError) as error:
            # The status lags behind the units, as it does for a person: look again.
            if "Must run action" in answer(error):
                return
            # The action itself may be what the fault befalls: then it is that one's.
            struck = [each for each in self._trials if each.is_struck]
            told = (struck[-1] if struck else self._trials[0]).outcome
            told.failures.append(f"resume-refresh: {answer(error)}")
        else:
            for each in self._trials:
                each.follow()
                each.acted(self._application.unit(unit))
        self._resumed.append(unit)


def answer(error: Exception) -> str:
    """Return what a failed command has told, on one line."""
    if isinstance(error, jubilant.TaskError):
        told = error.task.message or error.task.stderr or error.task.status
    elif isinstance(error, jubilant.CLIError):
        told = error.stderr or str(error)
    else:
        told = str(error)
    return " ".join(told.split())
