"""What came of everything that was asked of the units: actions, and commands of observers."""

from __future__ import annotations

import re

from lab.controller.entities import tasks
from tests.model import rules, simulation

_KILLED = 128
"""Statuses above are those of processes that a signal has ended."""
_SNAP_FAULT = re.compile(r"cannot refresh: the (?:pre|post)-refresh hook failed")


class Tasks:
    """Looks at each task once, when it has ended."""

    def __init__(self, simulated: simulation.Simulation) -> None:
        self._simulation = simulated
        self._seen: set[int] = {task.id for task in simulated.store.find(tasks.Task)}

    def check(self, watching: rules.Rules) -> None:
        """None may end with a traceback, and what was not refused must be done. Raises AssertionError."""
        for task in self._simulation.store.find(tasks.Task):
            if task.id not in self._seen and task.status.ended:
                self._seen.add(task.id)
                _expect_end(task)
                if task.name == "resume-refresh" and task.status is tasks.TaskStatus.COMPLETED:
                    done = task.id in watching.resumed
                    assert done, f"resume-refresh on {task.receiver} was not refused and refreshed nothing: {task}"


def _expect_end(task: tasks.Task) -> None:
    code, error = task.results.get("return-code", 0), str(task.results.get("stderr", ""))
    on_purpose = code > _KILLED or "CutOffError" in error or _SNAP_FAULT.search(error)
    assert code == 0 or on_purpose, f"{task.name} on {task.receiver} ended with {code}: {task.message} {error}"
