"""Runs `juju exec` on machines, outside of any unit's context."""

from __future__ import annotations

import collections.abc
import dataclasses
import subprocess

from lab.controller import core, tags
from lab.controller.entities import machines, models, tasks
from lab.machines import machine as machine_module

_LONGEST = 24 * 3600.0


Submit = collections.abc.Callable[[collections.abc.Callable[[], None]], object]


def step(controller: core.Controller, submit: Submit) -> None:
    """Begins what waits for machines that are there."""
    for machine in controller.store.find(machines.Machine, provisioned=1):
        for number in tasks.unfinished(controller.store, machine.model, tags.machine(machine.id)):
            _begin(controller, machine, number, submit)


def _begin(controller: core.Controller, machine: machines.Machine, number: int, submit: Submit) -> None:
    store = controller.store
    with store.transaction():
        task = store.require(tasks.Task, machine.model, number)
        if task.status is not tasks.TaskStatus.PENDING or machine.life is models.Life.DEAD:
            return
        task = dataclasses.replace(task, status=tasks.TaskStatus.RUNNING, started=controller.now())
        store.put(task)
    submit(lambda: _run(controller, machine, task))


def _run(controller: core.Controller, machine: machines.Machine, task: tasks.Task) -> None:
    timeout = float(task.parameters.get("timeout", _LONGEST))
    command = ["/bin/bash", "-c", str(task.parameters["command"])]
    status, message, results = tasks.TaskStatus.COMPLETED, "", dict[str, object]()
    try:
        done = controller.machines.get(machine.hostname).run(command, timeout=timeout, check=False)
        results = {"return-code": done.returncode}
        results |= {key: text for key, text in (("stdout", done.stdout), ("stderr", done.stderr)) if text}
    except subprocess.TimeoutExpired:
        status, message = tasks.TaskStatus.FAILED, "command timed out"
    except (machine_module.MachineError, LookupError, OSError) as error:
        status, message = tasks.TaskStatus.FAILED, str(error)
    with controller.store.transaction():
        latest = controller.store.get(tasks.Task, task.model, task.id)
        if latest is not None:
            now = controller.now()
            ended = dataclasses.replace(latest, status=status, message=message, results=results, completed=now)
            controller.store.put(ended)
