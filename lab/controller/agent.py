"""One unit's agent: looks at what the model wants, decides with the resolver, and does one operation a step."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import selectors
import shutil
import socket
import weakref

from lab.controller import (
    core,
    execution,
    faults,
    hooks,
    model_config,
    process,
    relation_view,
    removal,
    resolver,
    runs,
    secrets_events,
    snapshot,
    task_runs,
    timers,
    tools,
    transitions,
)
from lab.controller import remote as remote_module
from lab.controller.entities import leadership, machines, models, relations, statuses, units
from lab.controller.entities.uniter import Kind, UniterState
from lab.machines import machine as machine_module

_NO_CONTEXT = "ERROR bad request: no hook is running\n"


class Agent:
    """The agent of one unit.

    `step` belongs to one thread; `crash`, `stop`, `start_again` and `poke` may be called from any.
    """

    def __init__(self, controller: core.Controller, model: str, unit: str) -> None:
        self.controller = controller
        self.model = model
        self.unit = unit
        self.runner = runs.Runner(controller, model, unit)
        self.gone = False
        self._down = False
        self._crashed = False
        self._socket: process.AgentSocket | None = None
        self._machine: machine_module.Machine | None = None
        self._seen = -1
        self._due: datetime.datetime | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self._wake)
        self._forget()

    def _forget(self) -> None:
        """Loses what an agent has in memory."""
        store = self.controller.store
        self.local = store.get(UniterState, self.model, self.unit) or UniterState(self.model, self.unit)
        self.memory = resolver.Memory()
        self.view = relation_view.RelationView(store, self.model, self.unit)
        self.update_status = timers.UpdateStatusTimer()
        self.retry = timers.RetryTimer()

    # What other threads may call

    def poke(self) -> None:
        """Lets the agent look again at everything, and at once."""
        self._seen = -1
        self.wake()

    def wake(self) -> None:
        """Ends its waiting, to look whether anything has changed."""
        os.eventfd_write(self._wake, 1)

    def crash(self, *, stay_down: bool = False) -> None:
        """Kills the agent, in the midst of what it does. Unless it is to stay down it starts again by itself."""
        self._down = stay_down
        if not self.runner.crash():
            self._crashed = True
        self.poke()

    def start_again(self) -> None:
        """Starts an agent that stays down."""
        self._down = False
        self.poke()

    # The loop

    def step(self) -> bool:
        """Does one operation, if there is one to do and it can be done; False if there was none."""
        controller = self.controller
        if controller.outage or self.gone or (self._down and self._socket is None):
            return False
        if controller.store.sequence == self._seen and (self._due is None or controller.now() < self._due):
            return bool(self.runner.commands.waiting()) and self._step()
        return self._step()

    def _step(self) -> bool:
        try:
            return self._operate()
        except faults.AgentCrash as crash:
            self._down = self._down or crash.stay_down
            self._die()
            return not self._down

    def _operate(self) -> bool:
        store = self.controller.store
        sequence = store.sequence
        unit = store.get(units.Unit, self.model, self.unit)
        if unit is None:
            self._end()
            return False
        if self._crashed:
            self._crashed = False
            self._die()
        if self._down or not self._ready(unit):
            self._seen, self._due = sequence, None
            return False
        remote = self._look(unit)
        operation = resolver.next_operation(self.local, self.memory, remote, self.controller.identifiers.random)
        if operation is None or isinstance(operation, resolver.Wait):
            self._idle()
            self._seen, self._due = sequence, self._next_due()
            return False
        self._execute(operation, remote)
        return True

    def _ready(self, unit: units.Unit) -> bool:
        """Whether the agent runs on a running machine; starts or ends it as the machine does."""
        entity = self.controller.store.get(machines.Machine, self.model, unit.machine) if unit.machine else None
        if entity is None or not entity.provisioned:
            return False
        if self._machine is None:
            self._machine = self.controller.machines.get(entity.hostname)
        boot_id = self._machine.boot_id
        if self._socket is not None and boot_id != self.local.boot_id:
            self._die()
        if boot_id and self._socket is None:
            self._start(boot_id)
        return bool(boot_id)

    def _start(self, boot_id: str) -> None:
        assert self._machine is not None
        self._forget()
        directory = self._machine.outside(execution.agent_directory(self.unit))
        self.runner.end_left_over(self._machine)
        tools.install(self._machine.outside(execution.tools_directory(self.unit)))
        hooks.install_exec(self._machine)
        self._socket = process.AgentSocket(directory / "agent.socket")
        self.memory.reboot_detected = self.local.started and self.local.boot_id != boot_id
        with self.controller.store.transaction():
            self.save(dataclasses.replace(self.local, boot_id=boot_id))
            unit = self.controller.store.require(units.Unit, self.model, self.unit)
            self.controller.store.put(dataclasses.replace(unit, agent_alive=True))
            if self.local.kind is Kind.INSTALL:
                self.set_workload_status("waiting", "agent initialising")
        self.log("INFO", "juju.worker.uniter", f'unit "{self.unit}" started')

    def _die(self) -> None:
        """The agent's process is gone; what is in the store stays as it is."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.runner.commands.close()
        unit = self.controller.store.get(units.Unit, self.model, self.unit)
        if unit is not None and unit.agent_alive:
            self.controller.store.put(dataclasses.replace(unit, agent_alive=False))
        self._forget()

    def _end(self) -> None:
        """The unit is no longer in the model: leave nothing behind on its machine."""
        machine = self._machine
        self._die()
        self.gone = True
        if machine is not None and machine.outside(execution.AGENTS).is_dir():
            for path in (execution.agent_directory(self.unit), execution.tools_directory(self.unit)):
                shutil.rmtree(machine.outside(path), ignore_errors=True)

    def close(self) -> None:
        """Ends the agent in an orderly stop of the controller; its `step` does nothing afterwards."""
        self._die()
        self.gone = True

    def wait(self, timeout: float) -> None:
        """Waits until something may be to do: a poke, a call of `juju-exec`, or a timer."""
        if self._due is not None:
            timeout = max(0.0, min(timeout, (self._due - self.controller.now()).total_seconds()))
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            if self._socket is not None:
                self._socket.register(selector)
            for key, _ in selector.select(timeout):
                if key.data is None:
                    os.eventfd_read(self._wake)
                elif (request := key.data.receive(key.fileobj, selector)) is not None:
                    self._answer(*request)

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        asked = json.loads(request.decode(errors="surrogateescape"))
        if asked["tool"] == "juju-exec":
            self.runner.commands.add(connection, asked["arguments"])
        else:
            process.reply(connection, tools.encode(tools.Answer(err=_NO_CONTEXT, code=1)))

    # What there is to do

    def _look(self, unit: units.Unit) -> remote_module.Remote:
        now, chance = self.controller.now(), self.controller.identifiers.random
        interval = str(self.controller.model_config(self.model, "update-status-hook-interval"))
        self.update_status.tick(now, model_config.duration(interval), chance)
        if not self.local.in_error:
            self.retry.reset()
        self.retry.tick(now)
        self._synchronize_scopes(unit)
        fired = snapshot.Timers(self.update_status.count, self.retry.count, self.runner.commands.waiting())
        return snapshot.remote(self.controller.store, now, unit, self.local, fired)

    def _synchronize_scopes(self, unit: units.Unit) -> None:
        """Enters the relations that are there for the unit, and forgets those that are no longer."""
        if not self.local.installed or self.local.kind is not Kind.CONTINUE:
            return
        found = snapshot.relations_of(self.controller.store, unit)
        with self.controller.store.transaction():
            gone = set(self.local.relations) - {relation.id for relation in found}
            if gone:
                self.save(transitions.forgot_relations(self.local, gone))
            for relation in found:
                alive = relation.life is models.Life.ALIVE and unit.life is models.Life.ALIVE
                if alive and relation.implemented and relation.id not in self.local.relations:
                    self._enter(unit, relation.id)

    def _enter(self, unit: units.Unit, relation: int) -> None:
        store = self.controller.store
        machine = store.require(machines.Machine, self.model, unit.machine or "")
        settings = relations.settings(store, self.model, relation, self.unit)
        settings |= execution.addresses(machine.address)
        relations.write(store, self.model, relation, self.unit, settings)
        store.put(relations.Membership(self.model, relation, self.unit))
        self.save(transitions.entered_scope(self.local, relation))

    def _idle(self) -> None:
        if self.local.in_error:
            hooks.report_error(self)
            if self.controller.model_config(self.model, "automatically-retry-hooks"):
                self.retry.start(self.controller.now(), self.controller.identifiers.random)
        elif self.local.installed:
            self.set_agent_status("idle")

    def _next_due(self) -> datetime.datetime | None:
        now = self.controller.now()
        leader = leadership.is_leader(self.controller.store, self.model, self.unit, now)
        secret = secrets_events.next_due(self.controller.store, self.model, self.unit, leader=leader)
        times = [time for time in (self.update_status.due, self.retry.due, secret) if time is not None and time > now]
        return min(times, default=None)

    def _execute(self, operation: resolver.AgentOperation, remote: remote_module.Remote) -> None:
        match operation:
            case resolver.RunHook() | resolver.SkipHook() | resolver.Deploy() | resolver.DropStorage():
                hooks.execute(self, operation, remote)
            case resolver.RunTask() | resolver.FailTask() | resolver.RunCommand():
                task_runs.execute(self, operation)
            case resolver.AcceptLeadership():
                self.save(transitions.accepted_leadership(self.local))
            case resolver.ResignLeadership():
                self.save(transitions.resigned_leadership(self.local))
            case resolver.Terminate():
                unit = self.controller.store.require(units.Unit, self.model, self.unit)
                removal.remove_unit(self.controller, unit)
            case resolver.Wait():
                pass

    # What the operations use

    @property
    def machine(self) -> machine_module.Machine:
        """The machine that the agent runs on."""
        assert self._machine is not None
        return self._machine

    @property
    def machine_identifier(self) -> str:
        """The number of the machine in its model."""
        return self.controller.store.require(units.Unit, self.model, self.unit).machine or ""

    @property
    def socket(self) -> process.AgentSocket:
        """Where the hook tools call."""
        assert self._socket is not None
        return self._socket

    def save(self, local: UniterState) -> None:
        """Changes what the agent remembers."""
        self.local = local
        self.controller.store.put(local)

    def log(self, level: str, module: str, message: str) -> None:
        """Logs on behalf of the unit."""
        self.controller.log_unit(self.model, self.unit, level, module, message)

    def log_operation(self, step: str, operation: str) -> None:
        """Logs that a step of an operation begins, as Juju does: `executing operation "run install hook" for pg/0`."""
        self.log("DEBUG", "juju.worker.uniter.operation", f'{step} operation "{operation}" for {self.unit}')

    def set_agent_status(self, status: str, message: str = "", data: dict[str, object] | None = None) -> None:
        """Sets the agent's own status, unless it is that already."""
        present = statuses.get(self.controller.store, self.model, statuses.agent(self.unit))
        if present is None or (present.status, present.message) != (status, message):
            now = self.controller.now()
            entity = statuses.agent(self.unit)
            statuses.set_status(self.controller.store, now, self.model, entity, status, message, data)

    def set_workload_status(self, status: str, message: str = "") -> None:
        """Sets the unit's workload status."""
        now, entity = self.controller.now(), f"unit-{self.unit.replace('/', '-')}"
        statuses.set_status(self.controller.store, now, self.model, entity, status, message)
