"""The rehearsal itself: deploy, refresh halfway, roll back, refresh, and prove that nothing was lost.

The rollback comes while the first refresh is under way, since that is when charm-refresh allows one: a refresh that
every unit has completed is the new state, and going back from there is a downgrade, which it refuses.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import pathlib
import subprocess
import time
from collections.abc import Callable, Iterator

import jubilant

from rehearsal import charms, deployment, history, load, progress, readback, report

POLL = 1.0
"""Seconds between two looks at the status."""

FAILURES = (
    deployment.UnitError,
    jubilant.CLIError,
    LookupError,
    RuntimeError,
    TimeoutError,
    subprocess.SubprocessError,
)
"""What may go wrong in a rehearsal and is then its result."""


@dataclasses.dataclass(frozen=True)
class Charm:
    """A packed charm and what it pins."""

    path: pathlib.Path
    version: charms.Version


@dataclasses.dataclass(frozen=True)
class Options:
    """How a rehearsal is done."""

    units: int = 3
    undisturbed: float = 5.0
    """Seconds of writing before the first refresh and after the last."""
    patience: float = 600.0
    """Seconds that a step may take."""


class Rehearsal:
    """One rehearsal on one application, which does not exist at the beginning."""

    def __init__(
        self,
        application: deployment.Deployment,
        shown: progress.Progress,
        client: Callable[[], contextlib.AbstractContextManager[load.Load]],
        options: Options,
    ) -> None:
        """Rehearse on `application`, showing the way; `client` makes its client once it is active."""
        self._application = application
        self._shown = shown
        self._client = client
        self._options = options
        self._load: load.Load | None = None
        self._steps: list[report.Step] = []

    def run(self, old: Charm, new: Charm) -> report.Result:
        """Do all of it and return what was found, also where something failed on the way."""
        problems: list[str] = []
        copies: list[readback.Copy] = []
        with contextlib.ExitStack() as stack:
            try:
                self._deploy(old)
                self._load = stack.enter_context(self._client())
                self._load.start()
                stack.callback(self._load.stop)
                self._write()
                self._refreshes(old, new)
                self._write()
            except FAILURES as error:
                problems.append(f"{self._steps[-1].name}: {text(error)}")
            if self._load:
                self._load.stop()
                try:
                    copies = self._read_back()
                except FAILURES as error:
                    problems.append(f"read back: {text(error)}")
            recorded = self._load.history if self._load else history.History()
        return report.conclude(self._steps, recorded, copies, [*problems, *self._unwell()])

    def _deploy(self, charm: Charm) -> None:
        with self._step(f"deploy {charm.version.charm}", written=False) as step:
            self._application.deploy(charm.path, self._options.units)
            self._settle(step, charm, resume=False)

    def _write(self) -> None:
        with self._step("write, undisturbed"):
            end = time.monotonic() + self._options.undisturbed
            while time.monotonic() < end:
                self._look()
                time.sleep(min(POLL, max(end - time.monotonic(), 0)))

    def _refreshes(self, old: Charm, new: Charm) -> None:
        if self._options.units > 1:
            with self._step(f"refresh to {new.version.charm}, halfway") as step:
                self._application.refresh(new.path)
                self._halfway(step)
            with self._step(f"roll back to {old.version.charm}") as step:
                self._application.refresh(old.path)
                self._settle(step, old)
        # A single unit has refreshed as soon as it has begun to: there is no half to go back from.
        with self._step(f"refresh to {new.version.charm}") as step:
            self._application.refresh(new.path)
            self._settle(step, new)

    def _read_back(self) -> list[readback.Copy]:
        assert self._load
        with self._step("read back and verify", written=False):
            return self._load.read_back()

    def _halfway(self, step: report.Step) -> None:
        """Go on until the second unit has refreshed; of two units, until the first has."""
        for status in self._statuses():
            asked = self._asked(status)
            if asked is None:
                continue
            if self._options.units == 2 or self._resume(step, asked):
                step.revisions = list(self._application.revisions().values())
                return

    def _settle(self, step: report.Step, charm: Charm, *, resume: bool = True) -> None:
        """Go on until every unit is active on the charm's snap, doing what the statuses ask for."""
        name = self._application.application
        for status in self._statuses():
            asked = self._asked(status) if resume else None
            if asked is not None:
                self._resume(step, asked)
                continue
            if name not in status.apps or len(status.apps[name].units) != self._options.units:
                continue
            if status.apps[name].app_status.current != "active" or not deployment.healthy(status, name):
                continue
            # Until its units have noticed the new charm, the application looks as settled as it was before.
            step.revisions = list(self._application.revisions().values())
            if set(step.revisions) == {charm.version.revision}:
                return

    def _asked(self, status: jubilant.Status) -> int | None:
        """Return the unit to run `resume-refresh` on, once the units that the status names are healthy."""
        name = self._application.application
        if name not in status.apps:
            return None
        pause = deployment.pause(status, name)
        if pause is None or not deployment.healthy(status, name, pause.check_from):
            return None
        return pause.unit

    def _resume(self, step: report.Step, unit: int) -> bool:
        """Run `resume-refresh`, looking on meanwhile; return whether the refresh went on."""
        self._shown.say(f"resume-refresh on unit {unit}")
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            resumed = executor.submit(self._application.resume, unit)
            while not concurrent.futures.wait([resumed], timeout=POLL).done:
                self._look()
        try:
            self._shown.say(resumed.result())
        except jubilant.TaskError as error:
            # The status lags behind the units, as it does for a person: look again.
            self._shown.say(f"resume-refresh on unit {unit}: {error.task.message}")
            return False
        step.resumed.append(unit)
        return True

    def _statuses(self) -> Iterator[jubilant.Status]:
        """Give the status again and again.

        Raises:
            TimeoutError: The step's time is over.
        """
        limit = time.monotonic() + self._options.patience
        while time.monotonic() < limit:
            begun = time.monotonic()
            yield self._look()
            time.sleep(max(begun + POLL - time.monotonic(), 0))
        raise TimeoutError(f"not done after {self._options.patience:g} s")

    def _look(self) -> jubilant.Status:
        status = self._application.status()
        self._shown.show(status, self._load.history if self._load else None)
        if self._load:
            self._load.check()
        if self._application.application in status.apps:
            deployment.raise_on_error(status, self._application.application)
        return status

    def _unwell(self) -> list[str]:
        """Return what is wrong with the units at the very end."""
        try:
            status = self._application.status()
        except jubilant.CLIError as error:
            return [text(error)]
        if self._application.application not in status.apps:
            return ["there is no application"]
        return [
            f"{name} is not active: {unit.workload_status.current}: {unit.workload_status.message}"
            for name, unit in status.apps[self._application.application].units.items()
            if unit.workload_status.current != "active"
        ]

    @contextlib.contextmanager
    def _step(self, name: str, *, written: bool = True) -> Iterator[report.Step]:
        step = report.Step(name, started=time.monotonic(), ended=0, written=written)
        self._steps.append(step)
        self._shown.begin(name)
        try:
            yield step
        finally:
            step.ended = time.monotonic()
            self._shown.end()


def text(error: Exception) -> str:
    """Return an error in one line, with what a command said."""
    said = getattr(error, "stderr", None)
    return f"{error}".strip().splitlines()[0] + (f": {said.strip()}" if isinstance(said, str) and said.strip() else "")
