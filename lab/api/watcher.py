"""Watchers of a model: at first all that there is, then what has changed, from the store's journal."""

from __future__ import annotations

import collections.abc

import lab.controller.store as store_module
from lab.api import deltas
from lab.controller import views_lookup
from lab.controller.operations_common import Json, OperationError

Delta = tuple[str, str, Json]
"""Kind of entity, `change` or `remove`, and the whole entity (if removed, as it was last)."""


class Watcher:
    """One client's watcher of one model. `next` is to be called by one thread at a time."""

    def __init__(
        self, store: store_module.Store, scope: collections.abc.Callable[[], views_lookup.Scope], identifier: str
    ) -> None:
        self.identifier = identifier
        self._store = store
        self._scope = scope
        self._sequence: int | None = None
        self._told: dict[deltas.Entity, Json] = {}

    def next(self) -> list[Delta]:
        """What is new since the last time; all of it the first time. May be nothing.

        Several changes of one entity come as one, and entities that came and went in between not at all.
        """
        with self._store.transaction():  # one state
            try:
                scope = self._scope()
            except OperationError:
                return self._gone()
            changed = self._changed(scope)
            found = [(entity, deltas.describe(scope, entity)) for entity in changed]
        return [delta for entity, form in found if (delta := self._tell(entity, form))]

    def _changed(self, scope: views_lookup.Scope) -> list[deltas.Entity]:
        if self._sequence is None:
            self._sequence = self._store.sequence
            return deltas.everything(scope)
        entities: dict[deltas.Entity, None] = {}
        while changes := self._store.changes(self._sequence):
            for change in changes:
                entities |= dict.fromkeys(deltas.affected(scope, change.kind, change.key))
            self._sequence = changes[-1].sequence
        return sorted(entities, key=lambda entity: deltas.KINDS.index(entity[0]))

    def _tell(self, entity: deltas.Entity, form: Json | None) -> Delta | None:
        before = self._told.get(entity)
        if form == before:
            return None
        if form is not None:
            self._told[entity] = form
            return entity[0], "change", form
        assert before is not None
        del self._told[entity]
        return entity[0], "remove", before

    def _gone(self) -> list[Delta]:
        """The model is no more, and nothing of it."""
        told, self._told = self._told, {}
        return [(kind, "remove", form) for (kind, _), form in reversed(told.items())]
