"""FullStatus: one state of a model, from the view that `juju status` shows."""

from __future__ import annotations

import collections.abc

from lab.api import forms
from lab.controller import views_lookup, views_status
from lab.controller.entities import relations, units
from lab.controller.operations_common import Json


def full_status(scope: views_lookup.Scope, patterns: collections.abc.Sequence[str] = ()) -> Json:
    """The status of a model, or of what matches one of the patterns."""
    with scope.store.transaction():  # one state
        shown = views_status.status(scope, patterns, with_storage=False)
        return {
            "model": _model(shown["model"]),
            "machines": {name: _machine(name, view) for name, view in shown["machines"].items()},
            "applications": {name: _application(scope, name, view) for name, view in shown["applications"].items()},
            "remote-applications": {},
            "offers": {},
            "relations": [
                _relation(relation)
                for relation in scope.store.find(relations.Relation, model=scope.uuid)
                if any(end.application in shown["applications"] for end in relation.endpoints)
            ],
            "controller-timestamp": shown["controller"]["timestamp"],
            "branches": {},
            "filesystems": [],
            "storage": [],
            "volumes": [],
        }


def _model(view: Json) -> Json:
    return {
        "name": view["name"],
        "type": view["type"],
        "cloud-tag": f"cloud-{view['cloud']}",
        "region": view["region"],
        "version": view["version"],
        "available-version": "",
        "model-status": forms.detailed_status(view["model-status"]),
        "meter-status": {"color": "", "message": ""},
        "sla": view["sla"],
    }


def _machine(name: str, view: Json) -> Json:
    return {
        "id": name,
        "agent-status": forms.detailed_status(view["juju-status"]),
        "instance-status": forms.detailed_status(view["machine-status"]),
        "modification-status": forms.detailed_status(view["modification-status"]),
        "hostname": view.get("hostname", ""),
        "dns-name": view.get("dns-name", ""),
        "ip-addresses": view.get("ip-addresses", []),
        "instance-id": view.get("instance-id", ""),
        "display-name": "",
        "base": _base(view["base"]),
        "containers": {},
        "constraints": view.get("constraints", ""),
        "hardware": view.get("hardware", ""),
        "network-interfaces": {},
        "jobs": ["JobHostUnits"],
        "has-vote": False,
        "wants-vote": False,
    }


def _base(view: Json) -> Json:
    return {"name": view["name"], "channel": f"{view['channel']}/stable"}


def _application(scope: views_lookup.Scope, name: str, view: Json) -> Json:
    application = scope.application(name)
    related = {end: [one["related-application"] for one in ones] for end, ones in view.get("relations", {}).items()}
    return {
        "charm": application.charm_url,
        "charm-version": view.get("charm-version", ""),
        "charm-channel": view.get("charm-channel", ""),
        "charm-profile": "",
        "base": _base(view["base"]),
        "exposed": view["exposed"],
        "life": view.get("life", ""),
        "relations": related,
        "can-upgrade-to": "",
        "subordinate-to": [],
        "units": {unit: _unit(scope, unit, shown) for unit, shown in view.get("units", {}).items()},
        "meter-statuses": {},
        "status": forms.detailed_status(view["application-status"]),
        "workload-version": view.get("version", ""),
        "endpoint-bindings": view.get("endpoint-bindings", {}),
        "public-address": "",
    }


def _unit(scope: views_lookup.Scope, name: str, view: Json) -> Json:
    unit = scope.store.require(units.Unit, scope.uuid, name)
    return {
        "agent-status": forms.detailed_status(view["juju-status"]),
        "workload-status": forms.detailed_status(view["workload-status"]),
        "workload-version": unit.workload_version,
        "machine": view.get("machine", ""),
        "opened-ports": view.get("open-ports", []),
        "public-address": view.get("public-address", ""),
        "charm": view.get("upgrading-from", ""),
        "subordinates": {},
        "leader": view.get("leader", False),
    }


def _relation(relation: relations.Relation) -> Json:
    return {
        "id": relation.id,
        "key": relation.key,
        "interface": relation.endpoints[0].interface,
        "scope": relation.endpoints[0].scope,
        "endpoints": [
            {"application": end.application, "name": end.name, "role": end.role, "subordinate": False}
            for end in relation.endpoints
        ],
        "status": forms.detailed_status({"current": "joined"}),
    }
