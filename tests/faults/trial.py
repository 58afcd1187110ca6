"""One cell of a life: when it befalls the unit, whether it has, and how the unit recovered."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Collection

import application
import cells
import evidence
import sampling
import sighting
import strike
import strikes

STOPS_WITHIN = 10.0
"""Seconds after a strike within which a server that stops answering is taken to stop because of it."""
HAND_OVER_SECONDS = 20.0
"""How long a hand-over that was begun may be under way."""


@dataclasses.dataclass
class Outcome:
    """What became of a cell."""

    recovery: float | None = None
    """Seconds from the strike until the unit's server answers and the unit has taken an event: a hook or an action."""
    seconds: float = 0.0
    """The whole life."""
    gap: float = 0.0
    """Longest time without an acknowledged write from the strike on to the next one, in seconds."""
    promotions: int = 0
    """In the whole life."""
    commands: list[str] = dataclasses.field(default_factory=list)
    """What the operator had to run beside what every refresh asks for, each as often as it was run."""
    failures: list[str] = dataclasses.field(default_factory=list)
    """What the operator's actions answered that failed."""
    problems: list[str] = dataclasses.field(default_factory=list)


class Trial:
    """One cell of a life."""

    def __init__(self, cell: cells.Cell, scene: strike.Scene) -> None:
        self.cell = cell
        self.striking = strikes.STRIKES[cell.fault](scene)
        self.outcome = Outcome()
        self.recovering = ""
        """The unit whose recovery counts."""
        self._acted_at: float | None = None
        self._strike_seconds = 0.0
        self._healed_at = math.inf
        self._healed = False
        self._log: sighting.Log | None = None
        self._lines: list[dict[str, str]] = []
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
    def is_healed(self) -> bool:
        """Whether the fault has ended."""
        return self._healed

    @property
    def is_over(self) -> bool:
        """Whether the fault has ended and the unit has succeeded in something since; or the step did not come."""
        return bool(self.outcome.problems) or (self._healed and self.succeeded_at is not None)

    @property
    def struck_at(self) -> float:
        """When it befell the unit; never, if it did not."""
        return self._sighting.time if self._sighting is not None and self.is_struck else math.inf

    @property
    def succeeded_at(self) -> float | None:
        """When a hook, or what was run on the unit, succeeded first after the fault had ended."""
        hook = evidence.succeeded_at(self._lines, self.recovering, self._healed_at)
        return min((each for each in (hook, self._acted_at) if each is not None), default=None)

    def arm(self, applied: application.Application, machines: dict[str, sighting.Machine]) -> None:
        """Look out for the step from now on."""
        assert applied.juju.model
        self._log = sighting.Log(applied.lab.settings, applied.juju.model)
        log = sighting.Log(applied.lab.settings, applied.juju.model)
        self.striking.arm(self.cell.step)
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
            done = self.striking.done or time.monotonic()
            self._healed_at = max(done, self._sighting.time + self.striking.seconds)

    def follow(self) -> None:
        """Mend what is due; read what the log tells."""
        if self._sighting is not None and self._sighting.error is not None and not self.outcome.problems:
            self.outcome.problems.append(f"{type(self._sighting.error).__name__}: {self._sighting.error}")
        if not self._healed and time.monotonic() >= self._healed_at:
            if self.striking.seconds:
                self._healed_at = time.monotonic()
            self.striking.heal()
            self._healed = True
        if self._log is not None:
            self._lines += self._log.poll()

    def acted(self, unit: str) -> None:
        """An action, or an event that it was given, has just succeeded on that unit."""
        if self._healed and unit == self.recovering and self._acted_at is None:
            self._acted_at = time.monotonic()

    def missed(self) -> None:
        """The step is past and was not seen."""
        if self.is_struck or self.outcome.problems:
            return
        if self._sighting is None:
            self.outcome.problems.append("not played: the life was over before its turn")
        else:
            self._sighting.end()
            self.outcome.problems.append(f"the step did not come: {self.cell.step.what}")

    def end(self) -> None:
        """Leave nothing behind."""
        if self._sighting is not None:
            self._sighting.end()
        self.striking.clear()

    # What it has come to

    def conclude(self, sampler: sampling.Sampler, until: float) -> None:
        """Find out from the log and the samples up to `until` whether it befell the unit, and how that recovered."""
        if not self.is_struck:
            return
        self.follow()
        self.outcome.problems += [problem for problem in (self._unproved(), self.striking.unproved()) if problem]
        reads = sampler.reads(self.recovering, self.struck_at - 2, until)
        answered = sampling.answers_again(reads, self.struck_at, STOPS_WITHIN + self._strike_seconds)
        succeeded = self.succeeded_at
        if answered is None or succeeded is None:
            self.outcome.problems.append(f"{self.recovering} did not recover")
        else:
            self.outcome.recovery = max(answered, succeeded) - self.struck_at
        if self.striking.keeps_serving:
            lasted = self.struck_at + self.striking.seconds
            if any(read.primary is None for read in reads if self.struck_at <= read.sent <= lasted):
                self.outcome.problems.append(f"PostgreSQL of {self.recovering} was stopped meanwhile")

    def _unproved(self) -> str:
        if self.striking.fails:
            match evidence.ending(self._lines, self.recovering, self.struck_at):
                case evidence.Ending.FAILED:
                    return ""
                case evidence.Ending.COMMANDS:
                    return "" if self._event_failed() else "the observer's event did not fail of it"
                case found:
                    return f"the hook or action did not fail of it: {found.value}"
        if self.striking.hampers and not self.outcome.failures:
            failed = evidence.any_failed(self._lines, self.recovering, self.struck_at)
            return "" if failed else "no hook failed of it, and no action was refused"
        return ""

    def _event_failed(self) -> bool:
        """Whether the observer tells that an event which it gave the unit since then did not go through."""
        since = time.time() - (time.monotonic() - self.struck_at)
        service = f"{self.recovering.replace('/', '-')}-observer.service"
        script = f"journalctl --unit {service} --since @{int(since)} --output cat"
        return "did not go through" in self.striking.shell(self.recovering, script)

    def promotions(self, primaries: Collection[str]) -> tuple[int, int]:
        """Return how many promotions fewer and more it may have led to. primaries: those when it befell the unit."""
        if not self.is_struck:
            return 0, 0
        start, end = self.struck_at - HAND_OVER_SECONDS, self.struck_at + STOPS_WITHIN
        concerned = {*primaries, *evidence.candidates(self._lines, start, end)}
        return self.striking.promotions if self.recovering in concerned else (0, 0)
