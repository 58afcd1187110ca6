"""The entities of a model as watchers tell of them.

Every form is a function of one state of the store; who calls holds a transaction. Statuses have `current` and `message`
here, whereas FullStatus has `status` and `info`.
"""

from __future__ import annotations

import collections.abc

from lab.api import forms
from lab.controller import model_config, tags, views_lookup, views_status
from lab.controller.entities import (
    annotations,
    applications,
    charms,
    machines,
    models,
    relations,
    tasks,
    units,
)
from lab.controller.operations_common import Json

Entity = tuple[str, str]
"""A kind of entity and its identifier, as watchers use them."""

KINDS = ("model", "charm", "application", "machine", "unit", "relation", "action", "annotation")
"""The kinds of entities that watchers tell of, in the order in which new ones come."""


def describe(scope: views_lookup.Scope, entity: Entity) -> Json | None:
    """What a watcher tells of an entity; None if it is gone."""
    kind, identifier = entity
    return _DESCRIPTIONS[kind](scope, identifier)


def everything(scope: views_lookup.Scope) -> list[Entity]:
    """All entities of a model, in the order of `KINDS`."""
    store, uuid = scope.store, scope.uuid
    return [
        ("model", uuid),
        *(("charm", charm.url) for charm in store.find(charms.Charm, model=uuid)),
        *(("application", application.name) for application in store.find(applications.Application, model=uuid)),
        *(("machine", machine.id) for machine in store.find(machines.Machine, model=uuid)),
        *(("unit", unit.name) for unit in store.find(units.Unit, model=uuid)),
        *(("relation", str(relation.id)) for relation in store.find(relations.Relation, model=uuid)),
        *(("action", str(task.id)) for task in store.find(tasks.Task, model=uuid)),
        *(("annotation", found.entity) for found in store.find(annotations.Annotations, model=uuid)),
    ]


def affected(scope: views_lookup.Scope, table: str, key: tuple[str | int, ...]) -> list[Entity]:
    """The entities that may look different after a row of a table was written or deleted."""
    if not key or key[0] != scope.uuid:
        return []
    find = _AFFECTED.get(table)
    return find(scope, str(key[1]) if len(key) > 1 else "") if find else []


# What rows show in


def _unit(scope: views_lookup.Scope, name: str) -> list[Entity]:
    return [("unit", name), ("application", name.partition("/")[0])]


def _machine(scope: views_lookup.Scope, identifier: str) -> list[Entity]:
    hosted = machines.units_on(scope.store, scope.uuid, identifier)
    return [("machine", identifier), *(("unit", unit.name) for unit in hosted)]


def _status(scope: views_lookup.Scope, entity: str) -> list[Entity]:
    kind, _, rest = entity.partition("-")
    if kind in ("unit", "agent"):
        return _unit(scope, tags.name(f"unit-{rest}"))
    if kind == "instance":
        return [("machine", rest)]
    return [(kind, rest)] if kind in ("application", "machine", "model") else []


def _application(scope: views_lookup.Scope, name: str) -> list[Entity]:
    return [("application", name)]


_AFFECTED: dict[str, collections.abc.Callable[[views_lookup.Scope, str], list[Entity]]] = {
    "models": lambda scope, _: [("model", scope.uuid)],
    "charms": lambda _, url: [("charm", url)],
    "applications": _application,
    "settings": _application,
    "machines": _machine,
    "units": _unit,
    "ports": lambda _, unit: [("unit", unit)],
    "statuses": _status,
    "relations": lambda _, number: [("relation", number)],
    "tasks": lambda _, number: [("action", number)],
    "annotations": lambda _, tag: [("annotation", tag)],
}


# Forms


def _describe_model(scope: views_lookup.Scope, _: str) -> Json | None:
    model = scope.store.get(models.Model, scope.uuid)
    if model is None:
        return None
    state = views_status.model_view(scope)["model-status"]
    own = {"name": model.name, "uuid": model.uuid, "type": "lab", "agent-version": scope.controller.version}
    return {
        "model-uuid": model.uuid,
        "name": model.name,
        "life": str(model.life),
        "owner": model.owner,
        "controller-uuid": scope.controller.uuid,
        "is-controller": False,
        "config": model_config.DEFAULTS | own | model.config,
        "status": forms.status(state),
        "constraints": forms.constraints(model.constraints),
        "sla": {"level": "unsupported", "owner": ""},
    }


def _describe_charm(scope: views_lookup.Scope, url: str) -> Json | None:
    charm = scope.store.get(charms.Charm, scope.uuid, url)
    if charm is None:
        return None
    return {
        "model-uuid": scope.uuid,
        "charm-url": url,
        "charm-version": charm.version,
        "life": "alive",
        "profile": None,
        "config": {name: option.get("default") for name, option in charm.options.items()},
    }


def _describe_application(scope: views_lookup.Scope, name: str) -> Json | None:
    application = scope.store.get(applications.Application, scope.uuid, name)
    if application is None:
        return None
    own = scope.status(tags.application(name))
    members = applications.units_of(scope.store, scope.uuid, name)
    return {
        "model-uuid": scope.uuid,
        "name": name,
        "exposed": application.exposed,
        "charm-url": application.charm_url,
        "owner-tag": "",
        "life": str(application.life),
        "min-units": 0,
        "constraints": forms.constraints(application.constraints),
        "config": applications.settings(scope.store, scope.uuid, name, application.charm_url),
        "subordinate": False,
        "status": forms.status(views_lookup.status_info(own, "unset")),
        "workload-version": next((unit.workload_version for unit in reversed(members) if unit.workload_version), ""),
    }


def _describe_machine(scope: views_lookup.Scope, identifier: str) -> Json | None:
    machine = scope.store.get(machines.Machine, scope.uuid, identifier)
    if machine is None:
        return None
    shown = views_status.machine_view(scope, machine)
    address = {"value": machine.address, "type": "ipv4", "scope": "local-cloud", "space-name": views_lookup.SPACE}
    return {
        "model-uuid": scope.uuid,
        "id": identifier,
        "instance-id": machine.hostname if machine.provisioned else "",
        "agent-status": forms.status(shown["juju-status"]),
        "instance-status": forms.status(shown["machine-status"]),
        "life": str(machine.life),
        "base": f"{machine.base}/stable",
        "series": forms.series(machine.base),
        "container-type": "",
        "supported-containers": [],
        "supported-containers-known": True,
        "hardware-characteristics": {"arch": forms.architecture()},
        "jobs": ["JobHostUnits"],
        "addresses": [address] if machine.address else [],
        "has-vote": False,
        "wants-vote": False,
        "hostname": machine.hostname if machine.provisioned else "",
    }


def _describe_unit(scope: views_lookup.Scope, name: str) -> Json | None:
    unit = scope.store.get(units.Unit, scope.uuid, name)
    application = scope.store.get(applications.Application, scope.uuid, name.partition("/")[0])
    if unit is None or application is None:
        return None
    workload, agent = views_status.unit_statuses(scope, unit)
    machine = scope.store.get(machines.Machine, scope.uuid, unit.machine) if unit.machine is not None else None
    address = machine.address if machine else ""
    return {
        "model-uuid": scope.uuid,
        "name": name,
        "application": unit.application,
        "base": f"{application.base}/stable",
        "series": forms.series(application.base),
        "charm-url": unit.charm_url or application.charm_url,
        "life": str(unit.life),
        "public-address": address,
        "private-address": address,
        "machine-id": unit.machine or "",
        "ports": [],
        "port-ranges": [_port_range(text) for text in views_status.open_ports(scope, name)],
        "principal": "",
        "subordinate": False,
        "workload-status": forms.status(workload),
        "agent-status": forms.status(agent),
    }


def _port_range(text: str) -> Json:
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    number = int(first) if first.isdigit() else 0
    return {"from-port": number, "to-port": int(last or number), "protocol": protocol or text}


def _describe_relation(scope: views_lookup.Scope, number: str) -> Json | None:
    relation = scope.store.get(relations.Relation, scope.uuid, int(number))
    if relation is None:
        return None
    return {
        "model-uuid": scope.uuid,
        "key": relation.key,
        "id": relation.id,
        "endpoints": [
            {"application-name": end.application, "relation": endpoint(scope, end)} for end in relation.endpoints
        ],
    }


def endpoint(scope: views_lookup.Scope, end: relations.RelationEndpoint) -> Json:
    """One end of a relation, with what the charm says of it."""
    application = scope.store.get(applications.Application, scope.uuid, end.application)
    declared = scope.charm(application).endpoints.get(end.name) if application else None
    return {
        "name": end.name,
        "role": end.role,
        "interface": end.interface,
        "optional": declared.optional if declared else False,
        "limit": (declared.limit if declared else None) or 0,
        "scope": end.scope,
    }


def _describe_action(scope: views_lookup.Scope, number: str) -> Json | None:
    task = scope.store.get(tasks.Task, scope.uuid, int(number))
    if task is None:
        return None
    return {
        "model-uuid": scope.uuid,
        "id": number,
        "receiver": tags.name(task.receiver),
        "name": task.name,
        "parameters": task.parameters,
        "status": str(task.status),
        "message": task.message,
        "results": task.results,
        "enqueued": views_lookup.time(task.enqueued),
        "started": views_lookup.time(task.started),
        "completed": views_lookup.time(task.completed),
    }


def _describe_annotation(scope: views_lookup.Scope, tag: str) -> Json | None:
    found = scope.store.get(annotations.Annotations, scope.uuid, tag)
    return {"model-uuid": scope.uuid, "tag": tag, "annotations": found.values} if found else None


_DESCRIPTIONS: dict[str, collections.abc.Callable[[views_lookup.Scope, str], Json | None]] = {
    "model": _describe_model,
    "charm": _describe_charm,
    "application": _describe_application,
    "machine": _describe_machine,
    "unit": _describe_unit,
    "relation": _describe_relation,
    "action": _describe_action,
    "annotation": _describe_annotation,
}
