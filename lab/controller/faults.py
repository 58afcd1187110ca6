"""Faults that can be laid out for agents: where in a run an agent is to crash, and what happens then.

A point is reached when its counter runs out. After a crash the hook's processes are dead, nothing more is committed,
and what the agent only knew in memory is lost.
"""

from __future__ import annotations

import dataclasses
import enum
import threading


class AgentCrash(BaseException):
    """The agent has died. Nothing on the way up may handle it as an ordinary error."""

    def __init__(self, stay_down: bool = False) -> None:
        super().__init__(stay_down)
        self.stay_down = stay_down


class Point(enum.StrEnum):
    """Where an agent can crash."""

    TOOL_CALL = "tool-call"  # before the k-th hook-tool call is answered
    BEFORE_COMMIT = "before-commit"  # the hook has succeeded, nothing is committed
    AFTER_COMMIT = "after-commit"  # what the hook wrote is committed, the agent has not noted it
    DEPLOY = "deploy"  # in the midst of putting the charm's files in place


@dataclasses.dataclass
class Fault:
    """One crash to come: at the `count`-th time that `point` is reached, in hooks of that name only if one is given.

    An agent that crashes starts again at once, or only when it is told to (`stay_down`).
    """

    point: Point
    count: int = 1
    hook: str | None = None
    stay_down: bool = False


class Faults:
    """The faults of one agent. May be laid out from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Lays out one more."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Takes all of them back."""
        with self._lock:
            self._faults.clear()

    def reach(self, point: Point, hook: str) -> Fault | None:
        """Tells that a point was reached in a hook; the fault that happens now, if any."""
        with self._lock:
            for fault in self._faults:
                if fault.point is not point or fault.hook not in (None, hook):
                    continue
                fault.count -= 1
                if fault.count <= 0:
                    self._faults.remove(fault)
                    return fault
        return None
