"""What one unit sees of the others' databags: frozen from the first reading to the event that tells of the change.

Juju's agents cache the settings of the units they are related to. A cached databag is dropped when a hook for that unit
or application is about to run, so a charm reads new content no earlier than in the event about it. The cache lives in
memory: a restarted agent reads everything afresh. Databags of units that are not members (any more) are read afresh in
each hook.
"""

from __future__ import annotations

from lab.controller import store as store_module
from lab.controller.entities import relations


class RelationView:
    """The databags of remote units and applications, as one unit sees them."""

    def __init__(self, store: store_module.Store, model: str, unit: str) -> None:
        self._store = store
        self._model = model
        self._unit = unit
        self._cache: dict[tuple[int, str], dict[str, str]] = {}

    def settings(self, relation: int, owner: str) -> dict[str, str]:
        """The databag of a remote unit or application in a relation; a copy. Empty if it was never written."""
        key = (relation, owner)
        if key not in self._cache:
            self._cache[key] = relations.settings(self._store, self._model, relation, owner)
        return dict(self._cache[key])

    def invalidate(self, relation: int, owner: str) -> None:
        """Lets the next reading see the committed databag. Called before each hook about `owner`."""
        self._cache.pop((relation, owner), None)

    def prune(self, relation: int, members: set[str], remote_application: str) -> None:
        """Forgets what is not about these members or the remote application. Called before each hook."""
        keep = members | {remote_application}
        for key in [key for key in self._cache if key[0] == relation and key[1] not in keep]:
            del self._cache[key]
