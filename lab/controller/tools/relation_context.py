"""The part of a hook's context that is about relations: who is there, and the databags."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping

from lab.controller.entities import relations, uniter
from lab.controller.tools import errors, run, views

if typing.TYPE_CHECKING:
    from lab.controller import core, execution, relation_view


def changed(settings: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """Settings after changes; an empty value deletes a key."""
    return {key: value for key, value in {**settings, **changes}.items() if value}


class RelationContext(run.Run):
    """Relations as the hook sees them, and its staged changes of the own databags."""

    def __init__(
        self, controller: core.Controller, execution: execution.Execution, view: relation_view.RelationView
    ) -> None:
        super().__init__(controller, execution, view)
        self._view = view
        self._databags: dict[tuple[int, str], dict[str, str]] = {}
        self._own_databags: dict[tuple[int, str], dict[str, str]] = {}
        self._relations: dict[int, views.Relation] | None = None

    def relations(self) -> list[views.Relation]:
        """The relations that the unit takes part in, by number."""
        if self._relations is None:
            known = self.store.get(uniter.UniterState, self.model_uuid, self.unit)
            states = known.relations if known else {}
            self._relations = {}
            for number in sorted(states):
                relation = self.store.get(relations.Relation, self.model_uuid, number)
                if relation is not None:
                    self._relations[number] = self._relation_view(relation, set(states[number].members))
        return list(self._relations.values())

    def _relation_view(self, relation: relations.Relation, members: set[str]) -> views.Relation:
        broken = False
        if relation.id == self._hook.relation:
            broken = self._hook.kind == "relation-broken"
            remote = self._hook.remote_unit
            if remote and self._hook.kind == "relation-departed":
                members.discard(remote)
            elif remote:
                members.add(remote)
        own = relation.endpoint(self.application)
        return views.Relation(
            id=relation.id,
            endpoint=own.name,
            remote_application=relation.remote(self.application).application,
            peer=relation.peer,
            members=tuple(sorted(members)),
            broken=broken,
            tag=f"relation-{relation.key.replace(':', '.').replace(' ', '#')}",
        )

    def relation(self, number: int) -> views.Relation:
        """The relation of that number.

        Raises:
            ToolError: the unit takes part in no such relation.
        """
        for relation in self.relations():
            if relation.id == number:
                return relation
        raise errors.ToolError("relation not found")

    @property
    def hook_relation(self) -> views.Relation | None:
        """The relation that the hook is about; None if it is about none, or about one that is gone."""
        number = self.execution.relation if self._hook.relation is None else self._hook.relation
        return next((relation for relation in self.relations() if relation.id == number), None)

    @property
    def remote_unit(self) -> str:
        """The remote unit that the hook is about; empty if it is about none."""
        return self._hook.remote_unit or self.execution.remote_unit or ""

    @property
    def remote_application(self) -> str:
        """The remote application that the hook is about; empty if it is about none."""
        return self._hook.remote_application or self.execution.remote_application or ""

    def databag(self, relation: views.Relation, owner: str) -> dict[str, str]:
        """What a unit or an application says in a relation.

        The own databags with the hook's changes; those of others as they were at the event that told of them.

        Raises:
            PermissionDeniedError: the unit may not read it.
            ToolError: the unit has never taken part in the relation.
        """
        if owner == self.unit or (owner == self.application and self.is_leader()):
            committed = self._own_databag(relation.id, owner)
            return changed(committed, self._databags.get((relation.id, owner), {}))
        application, slash, _ = owner.partition("/")
        if application != relation.remote_application:
            raise errors.PermissionDeniedError
        settings = self._view.settings(relation.id, owner)
        if slash and not settings and owner not in relation.members:
            raise errors.ToolError(
                f"cannot read settings for unit {json.dumps(owner)} in relation {json.dumps(relation.key)}: "
                "settings not found"
            )
        return settings

    def _own_databag(self, relation: int, owner: str) -> dict[str, str]:
        key = (relation, owner)
        if key not in self._own_databags:
            self._own_databags[key] = relations.settings(self.store, self.model_uuid, relation, owner)
        return self._own_databags[key]

    def write_databag(self, relation: views.Relation, changes: Mapping[str, str], *, application: bool) -> None:
        """Stage changes of the own unit's or application's databag; an empty value deletes a key.

        Raises:
            PermissionDeniedError: the unit is not the leader.
        """
        if application and not self.is_leader():
            raise errors.PermissionDeniedError("cannot write relation settings")
        owner = self.application if application else self.unit
        self._databags.setdefault((relation.id, owner), {}).update(changes)

    def commit_databags(self) -> None:
        """Write the staged changes; the caller has opened a transaction.

        Raises:
            PermissionDeniedError: the application's databag was changed, and the unit is no longer the leader.
        """
        for (relation, owner), changes in self._databags.items():
            if owner == self.application and not self.is_leader():
                raise errors.PermissionDeniedError
            if self.store.get(relations.Relation, self.model_uuid, relation) is None:
                continue
            settings = relations.settings(self.store, self.model_uuid, relation, owner)
            relations.write(self.store, self.model_uuid, relation, owner, changed(settings, changes))
