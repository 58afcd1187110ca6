"""Where the controller takes time and chance from, so that tests can decide both."""

from __future__ import annotations

import datetime
import random
import typing
import uuid


class Clock(typing.Protocol):
    """Tells the time."""

    def now(self) -> datetime.datetime:
        """The present time, with time zone UTC."""
        ...


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime.datetime:
        """The present time, with time zone UTC."""
        return datetime.datetime.now(datetime.UTC)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime.datetime = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)) -> None:
        self._now = start

    def now(self) -> datetime.datetime:
        """The time that it was last moved to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves it forward."""
        self._now += datetime.timedelta(seconds=seconds)


class Identifiers:
    """Source of identifiers, order and jitter: from the system, or reproducible with a seed."""

    def __init__(self, seed: int | None = None) -> None:
        # What comes from here names things and spreads timers; nothing secret does.
        self.random = random.Random(seed)  # noqa: S311

    def uuid(self) -> str:
        """A new UUID (version 4)."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def secret(self) -> str:
        """A new bare secret identifier: 20 characters of base32hex, as Juju's."""
        return "".join(self.random.choices("0123456789abcdefghijklmnopqrstuv", k=20))
