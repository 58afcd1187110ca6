"""The rehearsal itself: deploy, refresh halfway, roll back, refresh, and prove that nothing was lost.

The rollback comes while the first refresh is under way, since that is when charm-refresh allows one: a refresh that
every unit has completed is the new state, and going back from there is a downgrade, which it refuses.
"""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

import jubilant

from rehearsal import deployment, events, history, load, operate, progress, readback, report, timeline

FAILURES = (
    deployment.UnitError,
    jubilant.CLIError,
    LookupError,
    RuntimeError,
    TimeoutError,
    subprocess.SubprocessError,
)
"""What may go wrong in a rehearsal and is then its result."""

UNDISTURBED = "write, undisturbed"
READ_BACK = "read back and verify"


@dataclasses.dataclass(frozen=True)
class Options:
    """How a rehearsal is done."""

    units: int = 3
    undisturbed: float = 5.0
    """Seconds of writing before the first refresh and after the last."""
    patience: float = 600.0
    """Seconds that a step may take."""


def plan(old: operate.Charm, new: operate.Charm, units: int) -> list[str]:
    """Return the names of a rehearsal's steps, in order."""
    # A single unit has refreshed as soon as it has begun to: there is no half to go back from.
    back = [f"refresh to {new.version.charm}, halfway", f"roll back to {old.version.charm}"] if units > 1 else []
    to_new = f"refresh to {new.version.charm}"
    return [f"deploy {old.version.charm}", UNDISTURBED, *back, to_new, UNDISTURBED, READ_BACK]


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
        self._operator = operate.Operator(application, shown, units=options.units, patience=options.patience)
        self._shown = shown
        self._client = client
        self._options = options
        self._steps: list[report.Step] = []
        self._clock = timeline.Clock(time.monotonic(), time.time())

    def run(self, old: operate.Charm, new: operate.Charm) -> report.Result:
        """Do all of it and return what was found, also where something failed on the way."""
        problems: list[str] = []
        copies: list[readback.Copy] = []
        client: load.Load | None = None
        with contextlib.ExitStack() as stack:
            try:
                self._follow(plan(old, new, self._options.units), old)
                client = stack.enter_context(self._client())
                stack.callback(client.stop)
                self._start(client)
                self._write()
                self._refreshes(old, new)
                self._write()
            except FAILURES as error:
                problems.append(f"{self._steps[-1].name}: {text(error)}")
            if client:
                client.stop()
                try:
                    copies = self._read_back(client)
                except FAILURES as error:
                    problems.append(f"read back: {text(error)}")
            recorded = client.history if client else history.History()
        return report.conclude(
            self._steps,
            recorded,
            copies,
            [*problems, *self._unwell()],
            drawn=self._draw(recorded),
        )

    def _follow(self, steps: Sequence[str], old: operate.Charm) -> None:
        self._shown.plan(steps)
        with self._step(steps[0], written=False) as step:
            self._application.log_hooks()
            self._operator.deploy(step, old)

    def _start(self, client: load.Load) -> None:
        client.start()
        client.start_reading()
        self._operator.attach(client)

    def _write(self) -> None:
        with self._step(UNDISTURBED):
            end = time.monotonic() + self._options.undisturbed
            while time.monotonic() < end:
                self._operator.look()
                time.sleep(max(min(operate.POLL, end - time.monotonic()), 0))

    def _refreshes(self, old: operate.Charm, new: operate.Charm) -> None:
        *back, to_new, _, _ = plan(old, new, self._options.units)[2:]
        if back:
            halfway, roll_back = back
            with self._step(halfway) as step:
                self._operator.refresh_halfway(step, new)
            with self._step(roll_back) as step:
                self._operator.refresh(step, old)
        with self._step(to_new) as step:
            self._operator.refresh(step, new)

    def _read_back(self, client: load.Load) -> list[readback.Copy]:
        with self._step(READ_BACK, written=False):
            return client.read_back()

    def _draw(self, recorded: history.History) -> timeline.Timeline:
        """Return all of it on one axis; where the log cannot be read, without what only that tells."""
        ran: list[events.Run] = []
        changed: list[events.Change] = []
        try:
            ran = events.runs(self._application.log())
            for unit in self._operator.hosts:
                changed += events.changes(unit, self._application.snap_changes(unit))
        except (*FAILURES, ValueError) as error:
            self._shown.say(f"The report lacks hooks or snapd's changes: {text(error)}")
        return report.draw(self._clock, self._steps, recorded, self._operator.hosts, ran, changed)

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
