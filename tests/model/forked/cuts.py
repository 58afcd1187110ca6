"""Where a hook ends before its time."""

from __future__ import annotations

import os
import signal
import typing


class Cut(typing.TypedDict):
    """Where a hook ends before its time: at its `at`-th hook tool or change of the world, killed or by an exception."""

    at: int
    how: typing.Literal["kill", "raise"]


class CutOffError(Exception):
    """What a cut raises: nothing that the charm or its libraries expect."""


class Points:
    """Counts the places at which a hook can be cut off."""

    def __init__(self, cut: Cut | None):
        self._cut = cut
        self._passed = 0

    def reach(self) -> None:
        """Pass one more, or end here."""
        self._passed += 1
        if self._cut is None or self._passed != self._cut["at"]:
            return
        if self._cut["how"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise CutOffError(f"cut off at point {self._passed}")
