"""Runs the charm's code, or a command line, for one execution: process, hook tools, output, faults."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import socket
import threading
import time
import typing

from lab.controller import context as context_module
from lab.controller import core, execution, faults, process, tools
from lab.machines import machine as machine_module

_DISPATCH = "hook dispatching script: dispatch"
_BESPOKE = "explicit, bespoke hook script"
_OUTAGE = "ERROR connection is shut down\n"


@dataclasses.dataclass
class Outcome:
    """What became of a run.

    `handler` is what ran, in Juju's words; `found` is False if the charm has nothing for this. `code` is the exit
    status, negative if a signal ended it.
    """

    handler: str
    found: bool = True
    code: int = 0
    stdout: list[str] = dataclasses.field(default_factory=list)
    stderr: list[str] = dataclasses.field(default_factory=list)

    @property
    def error(self) -> str:
        """How it failed, as Juju words it; empty if it did not."""
        if self.code < 0:
            return "signal: killed" if self.code == -9 else f"signal: {-self.code}"
        return f"exit status {self.code}" if self.code else ""


@dataclasses.dataclass
class _Handler:
    argv: list[str]
    description: str


class Commands:
    """The `juju-exec` calls on the machine that wait for the agent."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[socket.socket, list[str]]] = {}
        self._number = 0

    def add(self, connection: socket.socket, arguments: list[str]) -> None:
        """Takes a call on; it is answered when the agent has run it."""
        self._number += 1
        self._waiting[str(self._number)] = (connection, arguments)

    def waiting(self) -> tuple[str, ...]:
        """The identifiers of the calls, oldest first."""
        return tuple(self._waiting)

    def arguments(self, command: str) -> list[str]:
        """The command line of a call."""
        return self._waiting[command][1]

    def answer(self, command: str, answer: tools.Answer) -> None:
        """Answers a call, which is then done with."""
        connection, _ = self._waiting.pop(command)
        process.reply(connection, tools.encode(answer))

    def close(self) -> None:
        """Ends all calls without an answer."""
        while self._waiting:
            process.refuse(self._waiting.popitem()[1][0])


class Runner:
    """Runs for one unit, one after the other. `kill` and `crash` may be called from other threads."""

    def __init__(self, controller: core.Controller, model: str, unit: str) -> None:
        self._controller = controller
        self._model = model
        self._unit = unit
        # Held while a process is started: whoever finds none knows that none is about to be there.
        self._lock = threading.RLock()
        self._process: process.HookProcess | None = None
        self._crash = False
        self._number = 0
        self.faults = faults.Faults()
        self.commands = Commands()
        self.task: int | None = None

    def identifier(self, name: str) -> str:
        """A new context identifier."""
        self._number += 1
        return f"{self._unit}-{name}-{self._controller.identifiers.random.getrandbits(63)}"

    def kill(self) -> bool:
        """Kills what runs now, which thereby fails; False if nothing runs."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
            return self._process is not None

    def crash(self) -> bool:
        """Lets the agent die in what runs now; False if nothing runs."""
        with self._lock:
            self._crash = self._process is not None
            return self.kill()

    def charm(
        self,
        machine: machine_module.Machine,
        run: execution.Execution,
        context: context_module.HookContext,
        agent_socket: process.AgentSocket,
        path: str,
    ) -> Outcome:
        """Runs the charm's code for `hooks/NAME` or `actions/NAME`.

        Raises:
            AgentCrash: a fault struck.
            MachineError: the machine does not run.
        """
        handler = self._find(machine, path)
        if handler is None:
            return Outcome("none", found=False)
        environment = execution.environment(self._controller, run, path)
        directory = machine.inside(execution.charm_directory(self._unit))
        outcome = Outcome(handler.description)
        self._start(machine, handler.argv, environment, directory)
        self._serve(outcome, context, agent_socket, path.partition("/")[2])
        return outcome

    def command(
        self,
        machine: machine_module.Machine,
        run: execution.Execution,
        context: context_module.HookContext,
        agent_socket: process.AgentSocket,
        script: str,
        timeout: float | None,
    ) -> Outcome:
        """Runs a command line in the unit's context. Raises as `charm` does.

        Raises:
            TimeoutError: it took longer than `timeout` seconds and was killed.
        """
        environment = execution.environment(self._controller, run, "")
        directory = machine.inside(execution.charm_directory(self._unit))
        outcome = Outcome("command")
        self._start(machine, ["/bin/bash", "-s"], environment, directory, script)
        deadline = None if timeout is None else time.monotonic() + timeout
        self._serve(outcome, context, agent_socket, "juju-exec", deadline)
        if deadline is not None and outcome.code < 0 and time.monotonic() >= deadline:
            raise TimeoutError
        return outcome

    def _start(
        self,
        machine: machine_module.Machine,
        argv: list[str],
        environment: dict[str, str],
        directory: str,
        script: str | None = None,
    ) -> None:
        with self._lock:
            self._process = process.HookProcess(machine, argv, environment, directory, script)
            # An agent that starts after a crash of the controller ends what is written down here.
            process.write_record(self._record(machine), self._process.pid)

    def _record(self, machine: machine_module.Machine) -> pathlib.Path:
        return machine.outside(f"{execution.agent_directory(self._unit)}/run.pid")

    def end_left_over(self, machine: machine_module.Machine) -> None:
        """Ends the process of a run that a crash of the controller cut off."""
        process.kill_recorded(self._record(machine))

    def _find(self, machine: machine_module.Machine, path: str) -> _Handler | None:
        charm = execution.charm_directory(self._unit)
        for name, description in (("dispatch", _DISPATCH), (path, _BESPOKE)):
            if os.access(machine.outside(f"{charm}/{name}"), os.X_OK):
                return _Handler([machine.inside(f"{charm}/{name}")], description)
        return None

    def _serve(
        self,
        outcome: Outcome,
        context: context_module.HookContext,
        agent_socket: process.AgentSocket,
        name: str,
        deadline: float | None = None,
    ) -> None:
        assert self._process is not None

        def on_request(connection: socket.socket, request: bytes) -> None:
            self._answer(connection, request, context, name)

        def on_output(error: bool, line: str) -> None:
            (outcome.stderr if error else outcome.stdout).append(line)
            level = "WARNING" if error else "DEBUG"
            self._controller.log_unit(self._model, self._unit, level, f"unit.{self._unit}.{name}", line)

        try:
            outcome.code = self._process.run(agent_socket, on_request, on_output, deadline)
        finally:
            with self._lock:
                self._process = None
                crashed, self._crash = self._crash, False
        if crashed:
            raise faults.AgentCrash

    def _answer(
        self, connection: socket.socket, request: bytes, context: context_module.HookContext, name: str
    ) -> None:
        asked: dict[str, typing.Any] = json.loads(request.decode(errors="surrogateescape"))
        if asked["tool"] == "juju-exec":
            self.commands.add(connection, asked["arguments"])
            return
        if (fault := self.faults.reach(faults.Point.TOOL_CALL, name)) is not None:
            # The hook must not live to see its tool fail.
            self.kill()
            process.refuse(connection)
            raise faults.AgentCrash(fault.stay_down)
        if self._controller.outage:
            process.reply(connection, tools.encode(tools.Answer(err=_OUTAGE, code=1)))
            return
        # With files it is the same call again, which had to be told what is in them.
        if asked["tool"] in tools.NAMES and not asked["files"]:
            line = f'running hook tool "{asked["tool"]}" for {asked["context"]}'
            self._controller.log_unit(self._model, self._unit, "DEBUG", "jujuc", line)
        answer = tools.respond(request, lambda identifier: context if identifier == context.execution.id else None)
        process.reply(connection, answer)
        if context.reboot == "now" and self._process is not None:
            self._process.kill()
