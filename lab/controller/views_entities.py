"""`juju show-unit`, `show-application`, `show-model`, `models`, `resources`, `actions` and the history of statuses."""

from __future__ import annotations

import collections.abc
import typing

from lab.controller import operations_common, tags, views_lookup, views_status
from lab.controller.entities import applications, leadership, machines, relations, statuses, units


def show_unit(scope: views_lookup.Scope, name: str) -> tuple[str, dict[str, typing.Any]]:
    """A unit's name (the leader's for `pg/leader`) and its details with its relations' databags."""
    unit = scope.unit(name)
    application = scope.application(unit.application)
    machine = scope.store.get(machines.Machine, scope.uuid, unit.machine) if unit.machine is not None else None
    charm = scope.charm(application)
    infos = [
        relation_info(scope, unit, relation)
        for relation in relations.of_application(scope.store, scope.uuid, unit.application)
    ]
    optional = views_lookup.compact({"workload-version": unit.workload_version, "machine": unit.machine})
    details = {
        **optional,
        "opened-ports": views_status.open_ports(scope, unit.name),
        **views_lookup.compact({"public-address": machine.address if machine else ""}),
        "charm": unit.charm_url or charm.url,
        "leader": leadership.holder(scope.store, scope.uuid, unit.application) == unit.name,
        "life": str(unit.life),
        **views_lookup.compact({"relation-info": infos}),
    }
    return unit.name, details


def relation_info(scope: views_lookup.Scope, unit: units.Unit, relation: relations.Relation) -> dict[str, typing.Any]:
    """One relation as a unit sees it: committed databags only."""
    own, remote = relation.endpoint(unit.application), relation.remote(unit.application)
    entered = {member.unit for member in scope.store.find(relations.Membership, model=scope.uuid, relation=relation.id)}

    def unit_data(name: str) -> dict[str, typing.Any]:
        settings = relations.settings(scope.store, scope.uuid, relation.id, name)
        return {"in-scope": name in entered, "data": dict(sorted(settings.items()))}

    related = {
        name: unit_data(name)
        for name in sorted(entered, key=units.sort_key)
        if name.partition("/")[0] == remote.application and name != unit.name
    }
    application_data = relations.settings(scope.store, scope.uuid, relation.id, remote.application)
    return {
        "relation-id": relation.id,
        "endpoint": own.name,
        "related-endpoint": remote.name,
        "application-data": dict(sorted(application_data.items())),
        "local-unit": unit_data(unit.name),
        **views_lookup.compact({"related-units": related}),
    }


def show_application(scope: views_lookup.Scope, name: str) -> dict[str, typing.Any]:
    """One application's details."""
    application = scope.application(name)
    charm = scope.charm(application)
    return {
        "charm": charm.name,
        "base": application.base,
        **views_lookup.compact({"channel": application.channel}),
        "constraints": constraints(application.constraints),
        "principal": not charm.metadata.get("subordinate", False),
        "exposed": application.exposed,
        "remote": False,
        "life": str(application.life),
        "endpoint-bindings": views_status.endpoint_bindings(charm),
    }


def constraints(text: str) -> dict[str, str]:
    """`cores=2 mem=4G` as a mapping."""
    return dict(part.split("=", 1) for part in text.split() if "=" in part)


def show_model(scope: views_lookup.Scope) -> dict[str, typing.Any]:
    """One model's details, as `show-model` and `models` have them."""
    model = scope.model
    found = sorted(scope.store.find(machines.Machine, model=model.uuid), key=lambda machine: int(machine.id))
    count = len(scope.store.find(units.Unit, model=model.uuid))
    return {
        "name": f"{model.owner}/{model.name}",
        "short-name": model.name,
        "model-uuid": model.uuid,
        "model-type": "iaas",
        "controller-uuid": scope.controller.uuid,
        "controller-name": scope.controller.name,
        "is-controller": False,
        "owner": model.owner,
        "cloud": scope.controller.cloud,
        "region": scope.controller.region,
        "type": "lab",
        "life": str(model.life),
        "status": views_status.model_view(scope)["model-status"],
        "users": {model.owner: {"access": "admin", "last-connection": "just now"}},
        **views_lookup.compact({"machines": {machine.id: {"cores": 0} for machine in found}, "unit-count": count}),
        "sla": "unsupported",
        "agent-version": scope.controller.version,
    }


def resources(scope: views_lookup.Scope, name: str) -> dict[str, typing.Any]:
    """The resources that an application's charm declares, with what is there of each."""
    application = scope.application(name)
    charm = scope.charm(application)
    stored = {one.name: one for one in scope.store.find(applications.Resource, model=scope.uuid, application=name)}
    shown: list[dict[str, typing.Any]] = []
    for resource, declared in sorted(charm.resources.items()):
        found = stored.get(resource)
        shown.append(
            {
                "resourceid": f"{name}/{resource}",
                "name": resource,
                "applicationID": name,
                "type": declared.get("type", "file"),
                "path": declared.get("filename", ""),
                "description": declared.get("description", ""),
                "revision": str(max(found.revision, 0)) if found else "0",
                "fingerprint": found.fingerprint if found else "",
                "size": found.size if found else 0,
                "origin": (found.origin if found else "upload"),
                "used": str(found is not None and found.path is not None).lower(),
                "timestamp": views_lookup.time(found.uploaded if found else None),
                "username": found.username if found else "",
            }
        )
    return {"resources": shown}


def actions(scope: views_lookup.Scope, name: str) -> dict[str, typing.Any]:
    """The actions of an application's charm: description and JSON schema of the parameters, by name."""
    charm = scope.charm(scope.application(name))
    return {action: action_schema(action, declared or {}) for action, declared in sorted(charm.actions.items())}


def action_schema(name: str, declared: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """One action of `actions.yaml` as Juju understands it: what is not one of its own keys belongs to the schema."""
    own = {"description", "params", "parallel", "execution-group"}
    description = declared.get("description", "No description")
    schema: dict[str, typing.Any] = {key: value for key, value in declared.items() if key not in own}
    schema.setdefault("additionalProperties", False)
    properties = declared.get("params") or {}
    schema |= {"title": name, "description": description, "type": "object", "properties": properties}
    return {"description": description, "schema": schema}


_HISTORIES: dict[str, collections.abc.Callable[[str], list[tuple[str, str]]]] = {
    "unit": lambda name: [(statuses.agent(name), "juju-unit"), (tags.unit(name), "workload")],
    "juju-unit": lambda name: [(statuses.agent(name), "juju-unit")],
    "workload": lambda name: [(tags.unit(name), "workload")],
    "application": lambda name: [(tags.application(name), "application")],
    "juju-machine": lambda name: [(tags.machine(name), "juju-machine")],
    "machine": lambda name: [(statuses.instance(name), "machine")],
    "model": lambda name: [(tags.model(name), "model")],
}


def status_log(scope: views_lookup.Scope, kind: str, name: str, limit: int) -> list[dict[str, str]]:
    """The latest past statuses of an entity, oldest first.

    Raises:
        OperationError: There is no such kind of status.
    """
    if kind not in _HISTORIES:
        raise operations_common.OperationError("bad request", f'unexpected status type "{kind}"')
    if kind in ("unit", "juju-unit", "workload"):
        name = scope.unit(name).name
    found = [
        (line, shown)
        for entity, shown in _HISTORIES[kind](scope.uuid if kind == "model" else name)
        for line in statuses.history(scope.store, scope.uuid, entity)
    ]
    found.sort(key=lambda pair: (pair[0].since, pair[0].sequence or 0))
    return [
        {
            "status": line.status,
            "message": line.message,
            "since": views_lookup.time(line.since),
            "type": shown,
        }
        for line, shown in found[-limit:]
    ]
