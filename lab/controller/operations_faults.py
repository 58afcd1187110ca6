"""Faults on demand: what breaks a controller, its agents and its machines, for tests and rehearsals."""

from __future__ import annotations

import typing

from lab.controller import agent as agent_module
from lab.controller import faults, operations_common
from lab.controller.operations_common import OperationError


class FaultOperations(operations_common.Base):
    """Faults. They are reached in an outage too."""

    def fault_outage(self, on: bool) -> None:
        """Lets agents, hook tools and clients find the controller gone, until it is switched off again."""
        self.controller.outage = on
        for agent in list(self.controller.agents.values()):
            agent.poke()

    def fault_crash_agent(
        self,
        model: str,
        unit: str,
        point: str | None = None,
        count: int = 1,
        hook: str | None = None,
        stay_down: bool = False,
    ) -> None:
        """Kills a unit's agent, with the hook that it runs: now, or at a point to come.

        Args:
            model: Name or UUID.
            unit: The unit.
            point: `tool-call`, `before-commit`, `after-commit` or `deploy`; None is now.
            count: At the how-manieth time that the point is reached.
            hook: Only in hooks, or actions, of that name.
            stay_down: Whether the agent stays down until `fault_start_agent`.
        """
        agent = self._agent(model, unit)
        if point is None:
            agent.crash(stay_down=stay_down)
            return
        try:
            at = faults.Point(point)
        except ValueError as error:
            raise operations_common.bad_request(f"no such point: {point}") from error
        agent.runner.faults.add(faults.Fault(at, count, hook, stay_down))

    def fault_start_agent(self, model: str, unit: str) -> None:
        """Starts an agent that stays down."""
        self._agent(model, unit).start_again()

    def fault_kill_hook(self, model: str, unit: str) -> bool:
        """Kills the hook or action that a unit runs; the agent lives and sees it fail. False if none runs."""
        return self._agent(model, unit).runner.kill()

    def fault_machine(self, model: str, machine: str, action: str) -> None:
        """Lets a machine `crash`, `stop`, `start` or `reboot`; its agents go with it and come back with it."""
        found = self._model(model)
        entity = self._machine(found, machine)
        if not entity.provisioned:
            raise operations_common.bad_request(f"machine {machine} is not there yet")
        host = self.controller.machines.get(entity.hostname)
        actions: dict[str, typing.Callable[[], None]] = {
            "crash": host.crash,
            "stop": host.stop,
            "start": host.start,
            "reboot": host.reboot,
        }
        if action not in actions:
            raise operations_common.bad_request(f"no such action: {action}")
        actions[action]()
        for agent in list(self.controller.agents.values()):
            agent.poke()

    def fault_clear(self, model: str, unit: str) -> None:
        """Takes back the crashes that are still to come."""
        self._agent(model, unit).runner.faults.clear()

    def _agent(self, model: str, unit: str) -> agent_module.Agent:
        found = self._model(model)
        entity = self._unit(found, unit)
        agent = self.controller.agents.get((found.uuid, entity.name))
        if agent is None:
            raise OperationError("not found", f'agent of unit "{unit}" not found')
        return agent
