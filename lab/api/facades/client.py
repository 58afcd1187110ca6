"""Facades that show a whole model: Client, and the watcher that it starts."""

from __future__ import annotations

import asyncio

from lab.api import full_status, parameters, registry, watcher
from lab.controller.operations_common import Json, OperationError

_GATHER = 0.05
"""Seconds for which changes are gathered, so that a burst of them is told at once."""


class Client(registry.Facade, name="Client", version=8):
    """Status and watching."""

    @registry.call("FullStatus")
    def full_status(self, given: Json) -> Json:
        """The model's status, of one state."""
        return full_status.full_status(self.context.scope(self.model), parameters.items(given, "patterns"))

    @registry.call("WatchAll")
    def watch_all(self, _: Json) -> Json:
        """Starts a watcher, which AllWatcher answers for."""
        model, identifier = self.model, str(len(self.session.watchers) + 1)
        started = watcher.Watcher(self.store, lambda: self.context.scope(model), identifier)
        self.session.watchers[identifier] = started
        return {"watcher-id": identifier}


class AllWatcher(registry.Facade, name="AllWatcher", version=3):
    """The connection's watchers. Requests name one by `id`, beside their parameters."""

    def _find(self, given: Json) -> watcher.Watcher:
        found = self.session.watchers.get(str(given.get(registry.OBJECT)))
        if found is None:
            # Juju's own words, which clients look for.
            raise OperationError("stopped", "watcher was stopped")
        return found

    @registry.call("Next")
    async def next(self, given: Json) -> Json:
        """What is new; waits until something is."""
        loop = asyncio.get_running_loop()
        while True:
            changed = self.context.changes.next
            found = self._find(given)
            if deltas := await loop.run_in_executor(None, found.next):
                return {"deltas": deltas}
            await changed.wait()
            await asyncio.sleep(_GATHER)

    @registry.call("Stop")
    def stop(self, given: Json) -> Json:
        """Ends a watcher."""
        del self.session.watchers[self._find(given).identifier]
        return {}
