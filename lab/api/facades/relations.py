"""The calls of the facade Application on relations."""

from __future__ import annotations

from lab.api import deltas, parameters, registry
from lab.controller.entities import relations
from lab.controller.operations_common import Json


class RelationCalls(registry.Facade):
    """Relations."""

    @registry.call("AddRelation")
    def add_relation(self, given: Json) -> Json:
        """Relates two applications; tells which of their endpoints."""
        made = self.operations.integrate(self.model, parameters.items(given, "endpoints"))
        scope = self.context.scope(self.model)
        relation = self.store.require(relations.Relation, self.model, made["id"])
        return {"endpoints": {end.application: deltas.endpoint(scope, end) for end in relation.endpoints}}

    @registry.call("DestroyRelation")
    def destroy_relation(self, given: Json) -> Json:
        """Begins the removal of a relation, by its ends or its number."""
        ends = parameters.items(given, "endpoints")
        number = None if ends else parameters.pick(given, "relation-id")
        force = bool(parameters.pick(given, "force", False))
        self.operations.remove_relation(self.model, ends, number, force)
        return {}
