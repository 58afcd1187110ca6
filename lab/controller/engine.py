"""All of the controller in one thread: worker and agents, step by step. The daemon runs the same parts in threads."""

from __future__ import annotations

from lab.controller import agent, core, operations, worker
from lab.controller.entities import units


class Engine:
    """Drives a controller deterministically: nothing happens but in `step`."""

    def __init__(self, controller: core.Controller) -> None:
        self.controller = controller
        self.operations = operations.Operations(controller)
        self.worker = worker.Worker(controller)

    def step(self) -> bool:
        """Lets the worker and then each agent do what is due, one operation an agent; False if none had any."""
        self.worker.step()
        self.update_agents()
        busy = False
        for running in list(self.controller.agents.values()):
            busy = running.step() or busy
        return busy

    def update_agents(self) -> None:
        """Makes the agents of new units, and lets go of those whose unit is gone."""
        agents = self.controller.agents
        for unit in self.controller.store.find(units.Unit):
            if (unit.model, unit.name) not in agents:
                agents[unit.model, unit.name] = agent.Agent(self.controller, unit.model, unit.name)
        for key, running in list(agents.items()):
            if running.gone:
                running.close()
                del agents[key]

    def settle(self, limit: int = 1000) -> None:
        """Steps until nothing is left to do.

        Raises:
            TimeoutError: that is not so after `limit` steps.
        """
        sequence = -1
        for _ in range(limit):
            if not self.step() and sequence == self.controller.store.sequence:
                return
            sequence = self.controller.store.sequence
        raise TimeoutError(f"not settled after {limit} steps")

    def close(self) -> None:
        """Ends all agents in an orderly way."""
        for running in self.controller.agents.values():
            running.close()
        self.controller.agents.clear()
