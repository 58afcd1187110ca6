"""What the controller does by itself, besides the units' agents: machines, storage, leases, removals that are due."""

from __future__ import annotations

import collections.abc
import concurrent.futures
import dataclasses
import logging
import subprocess
import threading

from lab.controller import core, leases, machine_tasks, purge, removal, storage_lifecycle, tags
from lab.controller.entities import machines, models, statuses
from lab.machines import machine as machine_module

_logger = logging.getLogger(__name__)

PROVISIONING_ERRORS = (machine_module.MachineError, OSError, LookupError, ValueError, subprocess.SubprocessError)

Submit = collections.abc.Callable[[collections.abc.Callable[[], None]], object]


def _now(function: collections.abc.Callable[[], None]) -> None:
    function()


class Worker:
    """One step does all that is due. Creating machines may be handed to threads, so that it happens in parallel."""

    def __init__(self, controller: core.Controller, executor: concurrent.futures.Executor | None = None) -> None:
        self._controller = controller
        self._submit: Submit = executor.submit if executor else _now
        self._under_way: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._boot_ids: dict[str, str] = {}

    def step(self) -> None:
        """Does what is due."""
        if self._controller.outage:
            return
        for machine in self._controller.store.find(machines.Machine):
            if machine.life is models.Life.DEAD:
                self._begin(machine, self._destroy)
            elif not machine.provisioned:
                self._begin(machine, self._create)
        machine_tasks.step(self._controller, self._submit)
        self._watch_machines()
        storage_lifecycle.provision(self._controller)
        leases.step(self._controller)
        removal.force_cleanups(self._controller)
        purge.step(self._controller)

    def _watch_machines(self) -> None:
        """Notices new addresses, and machines that have gone down or come up."""
        for machine in self._controller.store.find(machines.Machine, provisioned=1, life="alive"):
            try:
                host = self._controller.machines.get(machine.hostname)
            except LookupError:
                continue
            if host.address != machine.address:
                self._controller.store.put(dataclasses.replace(machine, address=host.address))
            boot_id = host.boot_id
            if boot_id != self._boot_ids.get(machine.hostname):
                self._boot_ids[machine.hostname] = boot_id
                for unit in machines.units_on(self._controller.store, machine.model, machine.id):
                    if agent := self._controller.agents.get((unit.model, unit.name)):
                        agent.poke()

    def _begin(self, machine: machines.Machine, work: collections.abc.Callable[[machines.Machine], None]) -> None:
        key = (machine.model, machine.id)
        with self._lock:
            if key in self._under_way:
                return
            self._under_way.add(key)

        def run() -> None:
            try:
                work(machine)
            except PROVISIONING_ERRORS as error:
                _logger.exception("machine %s", machine.hostname)
                self._set_status(machine, "provisioning error", str(error))
            finally:
                with self._lock:
                    self._under_way.discard(key)

        self._submit(run)

    def _set_status(self, machine: machines.Machine, status: str, message: str = "") -> None:
        controller = self._controller
        present = statuses.get(controller.store, machine.model, statuses.instance(machine.id))
        if present is None or (present.status, present.message) != (status, message):
            entity = statuses.instance(machine.id)
            statuses.set_status(controller.store, controller.now(), machine.model, entity, status, message)

    def _create(self, machine: machines.Machine) -> None:
        controller, store = self._controller, self._controller.store
        self._set_status(machine, "allocating", "Creating container")
        try:
            host = controller.machines.get(machine.hostname)
        except LookupError:
            host = controller.machines.create(machine.hostname)
        host.start()
        with store.transaction():
            present = store.get(machines.Machine, machine.model, machine.id)
            if present is None:
                return
            self._set_status(machine, "running", "Running")
            now, entity = controller.now(), tags.machine(machine.id)
            statuses.set_status(store, now, machine.model, entity, "started")
            store.put(dataclasses.replace(present, provisioned=True, address=host.address))
            for unit in machines.units_on(store, machine.model, machine.id):
                statuses.set_status(store, now, machine.model, unit.tag, "waiting", "installing agent")

    def _destroy(self, machine: machines.Machine) -> None:
        try:
            self._controller.machines.get(machine.hostname).destroy()
        except LookupError:
            _logger.info("machine %s was never made", machine.hostname)
        store = self._controller.store
        with store.transaction():
            statuses.forget(store, machine.model, tags.machine(machine.id), statuses.instance(machine.id))
            store.delete(machine)
