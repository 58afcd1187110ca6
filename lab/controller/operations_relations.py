"""Operations on relations."""

from __future__ import annotations

import itertools
import typing

from lab.controller import operations_common, removal
from lab.controller.entities import applications, charms, models, relations
from lab.controller.operations_common import Json, OperationError

_JUJU_INFO = charms.Endpoint("juju-info", "provider", "juju-info")


class RelationOperations(operations_common.Base):
    """Relations."""

    def integrate(self, model: str, endpoints: typing.Sequence[str]) -> Json:
        """Relates two applications, each named alone or as `application:endpoint`.

        Raises:
            OperationError: their endpoints do not match, match in several ways, or are related already.

        Returns:
            The relation's number and key, and its endpoints' names by application.
        """
        with self.store.transaction():
            found = self._living_model(model)
            first, second = self._infer(found, endpoints)
            key = _key(first, second)
            for relation in relations.of_application(self.store, found.uuid, first.application):
                if relation.key == key:
                    raise OperationError("already exists", f'cannot add relation "{key}": relation already exists')
            self._check_limits(found, first, second)
            number = models.next_number(self.store, found.uuid, "relation")
            self.store.put(relations.Relation(found.uuid, number, key, [first, second]))
        return {"id": number, "key": key, "endpoints": {end.application: end.name for end in (first, second)}}

    def remove_relation(
        self,
        model: str,
        endpoints: typing.Sequence[str] = (),
        relation: int | None = None,
        force: bool = False,
    ) -> None:
        """Begins the removal of a relation, named by its ends or its number; with `force` it ends at once.

        Raises:
            OperationError: there is none, or it is among peers.
        """
        with self.store.transaction():
            found = self._model(model)
            entity = self._by_number(found, relation) if relation is not None else self._by_ends(found, endpoints)
            if entity.peer:
                raise operations_common.bad_request(f'cannot destroy relation "{entity.key}": is a peer relation')
            if force:
                removal.remove_relation(self.controller, entity)
            else:
                removal.destroy_relation(self.controller, entity)

    def _by_number(self, model: models.Model, number: int) -> relations.Relation:
        found = self.store.get(relations.Relation, model.uuid, number)
        if found is None:
            raise OperationError("not found", f"relation {number} not found")
        return found

    def _by_ends(self, model: models.Model, words: typing.Sequence[str]) -> relations.Relation:
        first, second = words
        left, right = first.partition(":"), second.partition(":")
        self._application(model, left[0])
        self._application(model, right[0])
        matching = [
            relation
            for relation in relations.of_application(self.store, model.uuid, left[0])
            if not relation.peer and _has_ends(relation, left, right)
        ]
        if not matching:
            raise OperationError("not found", f'relation "{first} {second}" not found')
        if len(matching) > 1:
            listed = ", ".join(f'"{relation.key}"' for relation in matching)
            raise operations_common.bad_request(f"ambiguous relation, could be one of {listed}")
        return matching[0]

    def _infer(
        self, model: models.Model, words: typing.Sequence[str]
    ) -> tuple[relations.RelationEndpoint, relations.RelationEndpoint]:
        if len(words) != 2:
            raise operations_common.bad_request("an integration must involve two applications")
        candidates = [
            (one, other)
            for one, other in itertools.product(self._ends(model, words[0]), self._ends(model, words[1]))
            if _match(one, other)
        ]
        # Juju offers the implicit juju-info only where nothing else matches.
        explicit = [pair for pair in candidates if "juju-info" not in (pair[0].interface, pair[1].interface)]
        candidates = explicit or candidates
        if not candidates:
            raise operations_common.bad_request("no relations found")
        if len(candidates) > 1:
            listed = "".join(f'\n  "{_key(*pair)}"' for pair in candidates)
            raise operations_common.bad_request(f'ambiguous relation: "{words[0]} {words[1]}" could refer to{listed}')
        return candidates[0]

    def _ends(self, model: models.Model, word: str) -> list[relations.RelationEndpoint]:
        name, _, wanted = word.partition(":")
        application = self._application(model, name)
        if application.life is not models.Life.ALIVE:
            raise operations_common.bad_request(f'application "{name}" is not alive')
        charm = applications.charm_of(self.store, application)
        offered = {**charm.endpoints, "juju-info": _JUJU_INFO}
        if wanted and wanted not in offered:
            raise OperationError("not found", f'application "{name}" has no "{wanted}" relation')
        return [
            relations.RelationEndpoint(name, end.name, end.role, end.interface, end.scope)
            for end in offered.values()
            if end.role != "peer" and wanted in ("", end.name)
        ]

    def _check_limits(
        self, model: models.Model, first: relations.RelationEndpoint, second: relations.RelationEndpoint
    ) -> None:
        for end in (first, second):
            application = self._application(model, end.application)
            described = applications.charm_of(self.store, application).endpoints.get(end.name)
            if described is None or described.limit is None:
                continue
            mine = relations.of_application(self.store, model.uuid, end.application)
            if sum(1 for relation in mine if end in relation.endpoints) >= described.limit:
                raise OperationError(
                    "quota limit exceeded",
                    f'cannot add relation "{_key(first, second)}": establishing a new relation for '
                    f"{end.application}:{end.name} would exceed its maximum relation limit of {described.limit}",
                )


def _match(one: relations.RelationEndpoint, other: relations.RelationEndpoint) -> bool:
    return one.interface == other.interface and {one.role, other.role} == {"provider", "requirer"}


def _key(one: relations.RelationEndpoint, other: relations.RelationEndpoint) -> str:
    """Juju's key of a relation: the requirer comes first."""
    ends = sorted((one, other), key=lambda end: end.role != "requirer")
    return " ".join(f"{end.application}:{end.name}" for end in ends)


def _has_ends(relation: relations.Relation, left: tuple[str, str, str], right: tuple[str, str, str]) -> bool:
    def fits(end: relations.RelationEndpoint, wanted: tuple[str, str, str]) -> bool:
        return end.application == wanted[0] and wanted[2] in ("", end.name)

    one, other = relation.endpoints
    return (fits(one, left) and fits(other, right)) or (fits(one, right) and fits(other, left))
