"""The timers of one agent: update-status, and the retry of a hook in error."""

from __future__ import annotations

import datetime
import random

RETRY_FIRST = 5.0
RETRY_LAST = 300.0
RETRY_FACTOR = 2
RETRY_JITTER = 0.03
"""Seconds, and the spread around each further delay: what Juju's controllers tell their agents."""

UPDATE_STATUS_SPREAD = 0.2
"""How far an update-status may come before or after its interval, as a share of it."""


class UpdateStatusTimer:
    """Counts how often an update-status has been due. The first one comes one interval after the agent's start."""

    def __init__(self) -> None:
        self.count = 0
        self.due: datetime.datetime | None = None
        self._interval = 0.0

    def tick(self, now: datetime.datetime, interval: float, chance: random.Random) -> None:
        """Fires if it is time; a changed interval starts anew."""
        if self.due is None or interval != self._interval:
            self._interval = interval
            self.due = now + self._spread(chance)
        elif now >= self.due:
            self.count += 1
            self.due = now + self._spread(chance)

    def _spread(self, chance: random.Random) -> datetime.timedelta:
        factor = chance.uniform(1 - UPDATE_STATUS_SPREAD, 1 + UPDATE_STATUS_SPREAD)
        return datetime.timedelta(seconds=self._interval * factor)


class RetryTimer:
    """Counts how often a failed hook has been due for its retry, after ever longer delays until it is reset."""

    def __init__(self) -> None:
        self.count = 0
        self.due: datetime.datetime | None = None
        self._delay = RETRY_FIRST

    def start(self, now: datetime.datetime, chance: random.Random) -> None:
        """Starts waiting, unless it waits already; the next delay will be longer."""
        if self.due is None:
            self.due = now + datetime.timedelta(seconds=self._delay)
            longer = self._delay * RETRY_FACTOR
            self._delay = min(RETRY_LAST, longer * (1 + RETRY_JITTER * chance.uniform(-1, 1)))

    def tick(self, now: datetime.datetime) -> None:
        """Fires if it is time."""
        if self.due is not None and now >= self.due:
            self.due = None
            self.count += 1

    def reset(self) -> None:
        """Stops waiting; the next failure starts with the shortest delay again."""
        self.due = None
        self._delay = RETRY_FIRST
