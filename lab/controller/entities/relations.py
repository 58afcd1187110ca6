"""Relations, who is in them, and their databags."""

from __future__ import annotations

import dataclasses

import lab.controller.store as store_module
from lab.controller.entities import models


@dataclasses.dataclass(frozen=True)
class RelationEndpoint:
    """One application's end of a relation; role is provider, requirer or peer."""

    application: str
    name: str
    role: str
    interface: str
    scope: str = "global"


@store_module.table("relations", key=("model", "id"))
@dataclasses.dataclass(frozen=True)
class Relation:
    """One relation: two endpoints, or one for peers. `key` is Juju's, such as `app:db pg:database`."""

    model: str
    id: int
    key: str
    endpoints: list[RelationEndpoint]
    life: models.Life = models.Life.ALIVE

    @property
    def peer(self) -> bool:
        """Whether the units of one application are related to each other."""
        return len(self.endpoints) == 1

    def endpoint(self, application: str) -> RelationEndpoint:
        """The application's own end. KeyError if it has none."""
        for endpoint in self.endpoints:
            if endpoint.application == application:
                return endpoint
        raise KeyError(application)

    def remote(self, application: str) -> RelationEndpoint:
        """The other end as seen from an application; for peers, and for an application related to itself, its own."""
        for endpoint in self.endpoints:
            if endpoint.application != application:
                return endpoint
        return self.endpoints[-1]

    def involves(self, application: str) -> bool:
        """Whether the application has an end in it."""
        return any(endpoint.application == application for endpoint in self.endpoints)


@store_module.table("memberships", key=("model", "relation", "unit"), indexes=("unit",))
@dataclasses.dataclass(frozen=True)
class Membership:
    """A unit that has entered a relation's scope. One that is `departing` is no longer shown to the others."""

    model: str
    relation: int
    unit: str
    departing: bool = False


@store_module.table("databags", key=("model", "relation", "owner"))
@dataclasses.dataclass(frozen=True)
class Databag:
    """What one unit or application (`owner`) says in a relation. `version` rises with each change; 0: never written."""

    model: str
    relation: int
    owner: str
    settings: dict[str, str]
    version: int = 0


def of_application(store: store_module.Store, model: str, application: str) -> list[Relation]:
    """All relations that an application has an end in, by number."""
    return [relation for relation in store.find(Relation, model=model) if relation.involves(application)]


def settings(store: store_module.Store, model: str, relation: int, owner: str) -> dict[str, str]:
    """The committed databag of a unit or application; empty if there is none."""
    databag = store.get(Databag, model, relation, owner)
    return dict(databag.settings) if databag else {}


def write(store: store_module.Store, model: str, relation: int, owner: str, settings_: dict[str, str]) -> int:
    """Replaces a databag if it differs, and returns its version, which rises only if something did change."""
    databag = store.get(Databag, model, relation, owner) or Databag(model, relation, owner, {})
    if databag.settings == settings_ and databag.version:
        return databag.version
    if not databag.settings and not settings_:
        return databag.version
    store.put(dataclasses.replace(databag, settings=settings_, version=databag.version + 1))
    return databag.version + 1


def members(store: store_module.Store, model: str, relation: Relation, unit: str) -> dict[str, int]:
    """The units that `unit` sees in the relation, with the versions of their databags."""
    application = unit.partition("/")[0]
    remote = relation.remote(application).application
    rows = store.query(
        "SELECT m.unit, coalesce(d.version, 0) FROM memberships m LEFT JOIN databags d "
        "ON d.model = m.model AND d.relation = m.relation AND d.owner = m.unit "
        "WHERE m.model = ? AND m.relation = ? AND NOT m.departing AND m.unit != ?",
        (model, relation.id, unit),
    )
    return {name: version for name, version in rows if name.partition("/")[0] == remote}
