"""`juju status`: one model with its machines, applications, units, relations and storage.

The keys are those of the command line's JSON; times are RFC 3339 in UTC, for each client to show in its own way. What
Juju leaves out when it is empty is left out here too.
"""

from __future__ import annotations

import collections.abc
import fnmatch
import typing

from lab.controller import tags, views_lookup, views_storage
from lab.controller.entities import applications, charms, leadership, machines, models, relations, statuses, units

_SEVERITY = {"error": 7, "blocked": 6, "maintenance": 5, "waiting": 4, "active": 3, "terminated": 2, "unknown": 1}
_LOST = "agent is not communicating with the server"


def status(
    scope: views_lookup.Scope, patterns: collections.abc.Sequence[str], with_storage: bool
) -> dict[str, typing.Any]:
    """The whole status, or what matches one of the patterns and belongs to it.

    Besides Juju's keys there is `relations`, which the tabular format shows and JSON does not.
    """
    shown_machines = {machine.id: machine_view(scope, machine) for machine in _sorted_machines(scope)}
    found = scope.store.find(relations.Relation, model=scope.uuid)
    shown_applications = {
        application.name: application_view(scope, application, found)
        for application in scope.store.find(applications.Application, model=scope.uuid)
    }
    result: dict[str, typing.Any] = {
        "model": model_view(scope),
        "machines": shown_machines,
        "applications": shown_applications,
        "relations": [view for relation in found if (view := relation_view(relation))],
        "storage": views_storage.combined(scope) if with_storage else {},
        "controller": {"timestamp": views_lookup.time(scope.now)},
    }
    return _matching(result, patterns) if patterns else result


def model_view(scope: views_lookup.Scope) -> dict[str, typing.Any]:
    """The model's own part."""
    model = scope.model
    state = scope.status(tags.model(model.uuid))
    shown = {"current": "destroying" if model.life is not models.Life.ALIVE else "available"}
    return {
        "name": model.name,
        "type": "iaas",
        "controller": scope.controller.name,
        "cloud": scope.controller.cloud,
        "region": scope.controller.region,
        "version": scope.controller.version,
        "model-status": shown | {"since": views_lookup.time(state.since if state else model.created)},
        "sla": "unsupported",
    }


def machine_view(scope: views_lookup.Scope, machine: machines.Machine) -> dict[str, typing.Any]:
    """One machine."""
    agent = scope.status(tags.machine(machine.id))
    instance = scope.status(statuses.instance(machine.id))
    version = scope.controller.version if agent and agent.status == "started" else ""
    addresses = [machine.address] if machine.address else []
    interfaces = (
        {"eth0": {"ip-addresses": addresses, "mac-address": "", "space": views_lookup.SPACE, "is-up": True}}
        if addresses
        else {}
    )
    return {
        "juju-status": views_lookup.status_info(
            agent, "pending", version=version, life=views_lookup.life(machine.life)
        ),
        **views_lookup.compact(
            {
                "hostname": machine.hostname,
                "dns-name": machine.address,
                "ip-addresses": addresses,
                "instance-id": machine.hostname if machine.provisioned else "pending",
            }
        ),
        "machine-status": views_lookup.status_info(instance, "pending"),
        "modification-status": {"current": "idle", "since": views_lookup.time(machine.created)},
        "base": views_lookup.base(machine.base),
        **views_lookup.compact(
            {
                "network-interfaces": interfaces,
                "constraints": machine.constraints,
                "hardware": "availability-zone=default" if machine.provisioned else "",
            }
        ),
    }


def _sorted_machines(scope: views_lookup.Scope) -> list[machines.Machine]:
    return sorted(scope.store.find(machines.Machine, model=scope.uuid), key=lambda machine: int(machine.id))


def application_view(
    scope: views_lookup.Scope, application: applications.Application, all_relations: list[relations.Relation]
) -> dict[str, typing.Any]:
    """One application with its units."""
    charm = scope.charm(application)
    members = applications.units_of(scope.store, scope.uuid, application.name)
    shown_units = {unit.name: unit_view(scope, unit, application) for unit in members}
    version = next((unit.workload_version for unit in reversed(members) if unit.workload_version), "")
    return {
        "charm": charm.url if charm.local else charm.name,
        "base": views_lookup.base(application.base),
        "charm-origin": "local" if charm.local else "charmhub",
        "charm-name": charm.name,
        "charm-rev": charm.revision,
        **views_lookup.compact({"charm-channel": application.channel, "charm-version": charm.version}),
        "exposed": application.exposed,
        **views_lookup.compact({"life": views_lookup.life(application.life)}),
        "application-status": application_status(scope, application, shown_units),
        **views_lookup.compact(
            {
                "relations": _relations_of(application.name, all_relations),
                "units": shown_units,
                "version": version,
                "endpoint-bindings": endpoint_bindings(charm),
            }
        ),
    }


def endpoint_bindings(charm: charms.Charm) -> dict[str, str]:
    """Every endpoint with its space, and the default under the empty name."""
    return {"": views_lookup.SPACE, **dict.fromkeys(sorted(charm.endpoints), views_lookup.SPACE)}


def application_status(
    scope: views_lookup.Scope, application: applications.Application, shown_units: dict[str, dict[str, typing.Any]]
) -> dict[str, typing.Any]:
    """What the leader has set; where it has set nothing, the worst workload status of the units."""
    own = scope.status(tags.application(application.name))
    if own is not None and own.status not in ("unset", "unknown"):
        return views_lookup.status_info(own)
    shown = [unit["workload-status"] for unit in shown_units.values()]
    if not shown:
        return views_lookup.status_info(own, "unknown")
    return dict(max(shown, key=lambda status: _SEVERITY.get(status["current"], 0)))


def _relations_of(application: str, all_relations: list[relations.Relation]) -> dict[str, list[dict[str, str]]]:
    result: dict[str, list[dict[str, str]]] = {}
    for relation in all_relations:
        if not relation.involves(application):
            continue
        own, remote = relation.endpoint(application), relation.remote(application)
        shown = {"related-application": remote.application, "interface": own.interface, "scope": own.scope}
        result.setdefault(own.name, []).append(shown)
    return {name: sorted(result[name], key=lambda shown: shown["related-application"]) for name in sorted(result)}


def unit_view(
    scope: views_lookup.Scope, unit: units.Unit, application: applications.Application
) -> dict[str, typing.Any]:
    """One unit."""
    workload, agent = unit_statuses(scope, unit)
    machine = scope.store.get(machines.Machine, scope.uuid, unit.machine) if unit.machine is not None else None
    leader = leadership.holder(scope.store, scope.uuid, unit.application) == unit.name
    former = unit.charm_url if unit.charm_url and unit.charm_url != application.charm_url else ""
    more = {
        "leader": leader,
        "upgrading-from": former,
        "machine": unit.machine,
        "open-ports": open_ports(scope, unit.name),
        "public-address": machine.address if machine else "",
    }
    return {"workload-status": workload, "juju-status": agent, **views_lookup.compact(more)}


def unit_statuses(scope: views_lookup.Scope, unit: units.Unit) -> tuple[dict[str, typing.Any], dict[str, typing.Any]]:
    """A unit's workload and agent status. A silent agent is lost, and what it last said no longer counts."""
    workload, agent = statuses.presented(scope.store, scope.uuid, unit.name)
    life = views_lookup.life(unit.life)
    shown_workload = views_lookup.status_info(workload, "waiting")
    if not _lost(unit, agent):
        alive = agent is not None and agent.status not in ("allocating", "pending")
        version = scope.controller.version if alive else ""
        return shown_workload, views_lookup.status_info(agent, "allocating", version=version, life=life)
    since = views_lookup.time(agent.since if agent else unit.created)
    shown_agent = views_lookup.compact({"current": "lost", "message": _LOST, "since": since, "life": life})
    if shown_workload["current"] not in ("error", "terminated"):
        message = f"agent lost, see 'juju show-status-log {unit.name}'"
        shown_workload = shown_workload | {"current": "unknown", "message": message}
    return shown_workload, shown_agent


def _lost(unit: units.Unit, agent: statuses.Status | None) -> bool:
    if unit.agent_alive or agent is None or agent.status in ("allocating", "rebooting", "failed"):
        return False
    return not (agent.status == "executing" and agent.message == "running install hook")


def open_ports(scope: views_lookup.Scope, unit: str) -> list[str]:
    """The ports that a unit has opened, over all endpoints, sorted."""
    ports = scope.store.get(units.Ports, scope.uuid, unit)
    found = {port for listed in ports.ranges.values() for port in listed} if ports else set[str]()
    return sorted(
        found,
        key=lambda port: (
            port.partition("/")[2],
            int(port.partition("/")[0].partition("-")[0] or 0) if port[:1].isdigit() else 0,
        ),
    )


def relation_view(relation: relations.Relation) -> dict[str, str]:
    """One relation as the tabular format lists it."""
    ends = {endpoint.role: endpoint for endpoint in relation.endpoints}
    provider = ends.get("provider") or relation.endpoints[0]
    requirer = ends.get("requirer") or relation.endpoints[-1]
    state = "" if relation.life is models.Life.ALIVE else str(relation.life)
    return {
        "id": str(relation.id),
        "provider": f"{provider.application}:{provider.name}",
        "requirer": f"{requirer.application}:{requirer.name}",
        "interface": provider.interface,
        "type": "peer" if relation.peer else "subordinate" if provider.scope == "container" else "regular",
        "status": state or "joined",
    }


# Filters


def _matching(full: dict[str, typing.Any], patterns: collections.abc.Sequence[str]) -> dict[str, typing.Any]:
    """What matches one of the patterns: applications, units or machines by name, or units by a status."""
    kept_units: set[str] = set()
    kept_applications: set[str] = set()
    for name, application in full["applications"].items():
        named = _named(name, patterns)
        members = application.get("units", {})
        matching = {unit for unit, view in members.items() if named or _unit_matches(unit, view, patterns)}
        kept_units |= matching
        if named or matching or _in_status(application["application-status"], patterns):
            kept_applications.add(name)
    machines_of_units = {
        view["machine"]
        for name in kept_applications
        for unit, view in full["applications"][name].get("units", {}).items()
        if unit in kept_units and "machine" in view
    }
    kept_machines = {number for number in full["machines"] if number in machines_of_units or _named(number, patterns)}
    return _reduced(full, kept_applications, kept_units, kept_machines)


def _unit_matches(unit: str, view: dict[str, typing.Any], patterns: collections.abc.Sequence[str]) -> bool:
    leader = f"{unit.partition('/')[0]}/leader" if view.get("leader") else ""
    named = _named(unit, patterns) or (leader in patterns if leader else False)
    on_machine = view.get("machine", "") in patterns
    return (
        named
        or on_machine
        or _in_status(view["workload-status"], patterns)
        or _in_status(view["juju-status"], patterns)
    )


def _named(name: str, patterns: collections.abc.Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _in_status(info: dict[str, typing.Any], patterns: collections.abc.Sequence[str]) -> bool:
    return info["current"] in patterns


def _reduced(
    full: dict[str, typing.Any], kept_applications: set[str], kept_units: set[str], kept_machines: set[str]
) -> dict[str, typing.Any]:
    reduced = dict(full)
    reduced["machines"] = {name: view for name, view in full["machines"].items() if name in kept_machines}
    reduced["applications"] = {}
    for name in full["applications"]:
        if name in kept_applications:
            view = dict(full["applications"][name])
            view["units"] = {unit: shown for unit, shown in view.get("units", {}).items() if unit in kept_units}
            reduced["applications"][name] = view if view["units"] else {k: v for k, v in view.items() if k != "units"}
    reduced["relations"] = [
        relation
        for relation in full["relations"]
        if {relation[end].partition(":")[0] for end in ("provider", "requirer")} & kept_applications
    ]
    return reduced
