"""The controller as a process: a thread a unit, one that works, a few that make machines, and the servers.

All that matters is in the store: killed at any moment, it goes on where it was when it starts again, and hooks that ran
are treated as failed.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import signal
import threading

from lab.api import server as api_server
from lab.api import session as api_session
from lab.controller import agent as agent_module
from lab.controller import core, operations, server, views, views_lookup, worker
from lab.controller.entities import models, units

MACHINES_AT_ONCE = 8
LONGEST_WAIT = 1.0
"""Seconds after which threads look around even if nothing has woken them."""

PAUSE = 0.02
"""Seconds for which changes are gathered before the worker looks at them."""

_logger = logging.getLogger(__name__)


class Daemon:
    """Runs a controller until it is told to stop."""

    def __init__(self, controller: core.Controller, name: str = "lab") -> None:
        self.controller = controller
        self._stop = threading.Event()
        self._executor = concurrent.futures.ThreadPoolExecutor(MACHINES_AT_ONCE, "machines")
        self._worker = worker.Worker(controller, self._executor)
        self._threads: dict[tuple[str, str], threading.Thread] = {}
        identity = self._identity(name)
        described = views_lookup.Controller(identity.name, identity.uuid, core.JUJU_VERSION)
        shown = views.Views(controller.store, controller.clock, described)
        asked = operations.Operations(controller)
        dispatcher = server.Dispatcher(asked, shown)
        self._server = server.Server(controller.state / "controller.socket", dispatcher)
        self._api = api_server.Server(api_session.Context(controller, asked, shown, described))

    def _identity(self, name: str) -> models.ControllerIdentity:
        store = self.controller.store
        with store.transaction():
            found = next(iter(store.find(models.ControllerIdentity)), None)
            identity = found or models.ControllerIdentity(name, self.controller.identifiers.uuid())
            store.put(identity)
        return identity

    def run(self) -> None:
        """Serves until `stop`, or a signal to terminate."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        # No agent lives at first, whatever the store says of the time before a crash.
        for unit in self.controller.store.find(units.Unit, agent_alive=1):
            self.controller.store.put(dataclasses.replace(unit, agent_alive=False))
        self.controller.store.subscribe(self._wake)
        self._api.start()
        self._server.start()
        _logger.info("serving at %s", self.controller.state / "controller.socket")
        try:
            while not self._stop.is_set():
                self._step()
        finally:
            self._end()

    def stop(self) -> None:
        """Lets `run` return soon."""
        self._stop.set()

    def _wake(self) -> None:
        for agent in list(self.controller.agents.values()):
            agent.wake()

    def _step(self) -> None:
        store = self.controller.store
        sequence = store.sequence
        try:
            self._worker.step()
            self._update_agents()
        except Exception:
            _logger.exception("the worker failed; it goes on")
            self._stop.wait(LONGEST_WAIT)
        if store.wait_until(lambda: self._stop.is_set() or store.sequence != sequence, LONGEST_WAIT / 4):
            # Changes come in bursts.
            self._stop.wait(PAUSE)

    def _update_agents(self) -> None:
        agents = self.controller.agents
        for unit in self.controller.store.find(units.Unit):
            key = (unit.model, unit.name)
            if key not in agents:
                agent = agents[key] = agent_module.Agent(self.controller, *key)
                thread = threading.Thread(target=self._run_agent, args=(agent,), name=unit.name, daemon=True)
                self._threads[key] = thread
                thread.start()
        for key, agent in list(agents.items()):
            if agent.gone:
                self._threads.pop(key).join()
                del agents[key]

    def _run_agent(self, agent: agent_module.Agent) -> None:
        while not self._stop.is_set() and not agent.gone:
            try:
                if not agent.step():
                    agent.wait(LONGEST_WAIT)
            except Exception:
                _logger.exception("the agent of %s failed; it starts again", agent.unit)
                agent.crash()
                self._stop.wait(LONGEST_WAIT)

    def _end(self) -> None:
        self._server.stop()
        self._api.stop()
        for agent in list(self.controller.agents.values()):
            agent.crash(stay_down=True)
        for thread in self._threads.values():
            thread.join(10)
        for agent in self.controller.agents.values():
            agent.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self.controller.store.close()
        _logger.info("stopped")
