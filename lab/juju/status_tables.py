"""The tabular and one-line formats of `juju status`, and the table of `juju machines`."""

from __future__ import annotations

import re
import typing

from lab.juju import ports, storage_tables, tabular

_VERSION_WIDTH = 15
_ELLIPSIS = "..."
_DIM = "90"
_EMPHASIS = "1"
_INFO = "36"


def tabular_status(value: dict[str, typing.Any], *, color: bool, relations: bool, storage: bool) -> str:
    """The sections of status that are not empty, a blank line between them."""
    sections = [_model(value, color)]
    if value["applications"]:
        sections.append(_applications(value["applications"], color))
        sections += _units(value["applications"], color)
    if value["machines"]:
        sections.append(machines(value["machines"], color=color))
    if relations and value["relations"]:
        sections.append(_relations(value["relations"], color))
    if storage and value["storage"].get("storage"):
        sections.append(storage_tables.status_storage(value["storage"], color=color))
    return "\n".join(sections)


def _model(value: dict[str, typing.Any], color: bool) -> str:
    model = value["model"]
    table = tabular.Table(color=color)
    message = model["model-status"].get("message", "")
    notes = ["Notes"] if message else []
    table.heading("Model", "Controller", "Cloud/Region", "Version", "SLA", "Timestamp", *notes)
    where = f"{model['cloud']}/{model['region']}"
    timestamp = value["controller"]["timestamp"]
    last = [message] if message else []
    table.add(model["name"], model["controller"], where, model["version"], model["sla"], timestamp, *last)
    return table.render()


def _applications(applications: dict[str, typing.Any], color: bool) -> str:
    table = tabular.Table(right={3, 6}, color=color)
    table.heading("App", "Version", "Status", "Scale", "Charm", "Channel", "Rev", "Exposed", "Message")
    for name in sorted(applications, key=tabular.natural_key):
        application = applications[name]
        status = application["application-status"]
        table.add(
            name,
            _version(application.get("version", "")),
            tabular.status_cell(status["current"]),
            _scale(application),
            application["charm-name"],
            application.get("charm-channel", ""),
            str(application["charm-rev"]),
            "yes" if application["exposed"] else "no",
            tabular.Cell(status.get("message", ""), _DIM),
        )
    return table.render()


def _version(version: str) -> str:
    first = version.partition("\n")[0]
    return first if len(first) <= _VERSION_WIDTH else first[: _VERSION_WIDTH - len(_ELLIPSIS)] + _ELLIPSIS


def _scale(application: dict[str, typing.Any]) -> str:
    """How many units there are; `2/3` where agents of some are not up."""
    members = application.get("units", {}).values()
    up = sum(unit["juju-status"]["current"] not in ("allocating", "error", "lost", "failed") for unit in members)
    return str(up) if up == len(members) else f"{up}/{len(members)}"


def _units(applications: dict[str, typing.Any], color: bool) -> list[str]:
    units = {name: unit for application in applications.values() for name, unit in application.get("units", {}).items()}
    if not units:
        return []
    table = tabular.Table(color=color)
    table.heading("Unit", "Workload", "Agent", "Machine", "Public address", "Ports", "Message")
    for name in sorted(units, key=tabular.natural_key):
        unit = units[name]
        table.add(
            name + ("*" if unit.get("leader") else ""),
            tabular.status_cell(unit["workload-status"]["current"]),
            tabular.status_cell(unit["juju-status"]["current"]),
            unit.get("machine", ""),
            tabular.Cell(unit.get("public-address", ""), _INFO),
            tabular.Cell(ports.summary(unit.get("open-ports", [])), _EMPHASIS),
            tabular.Cell(_unit_message(unit), _DIM),
        )
    return [table.render()]


def _unit_message(unit: dict[str, typing.Any]) -> str:
    workload, agent = unit["workload-status"], unit["juju-status"]
    message = workload.get("message", "")
    if agent["current"] == "allocating" and not message:
        message = agent.get("message", "")
    doing = _doing(agent)
    return f"({doing}) {message}" if doing else message


def _doing(agent: dict[str, typing.Any]) -> str:
    if agent["current"] != "executing":
        return ""
    match = re.search(r"running (\S+) hook|running action (.*)", agent.get("message", ""))
    return (match[1] or match[2]) if match else ""


def machines(found: dict[str, typing.Any], *, color: bool) -> str:
    """The table of machines."""
    table = tabular.Table(color=color)
    table.heading("Machine", "State", "Address", "Inst id", "Base", "AZ", "Message")
    for number in sorted(found, key=tabular.natural_key):
        machine = found[number]
        zone = re.search(r"availability-zone=(\S+)", machine.get("hardware", ""))
        table.add(
            number,
            tabular.status_cell(machine["juju-status"]["current"]),
            machine.get("dns-name", ""),
            machine.get("instance-id", ""),
            f"{machine['base']['name']}@{machine['base']['channel']}",
            zone[1] if zone else "",
            machine["machine-status"].get("message", ""),
        )
    return table.render()


def _relations(relations: list[dict[str, str]], color: bool) -> str:
    table = tabular.Table(color=color)
    table.heading("Integration provider", "Requirer", "Interface", "Type", "Message")
    for relation in sorted(relations, key=lambda one: (one["provider"], one["requirer"])):
        state = "" if relation["status"] == "joined" else relation["status"]
        table.add(relation["provider"], relation["requirer"], relation["interface"], relation["type"], state)
    return table.render()


def oneline(value: dict[str, typing.Any]) -> str:
    """A line a unit."""
    lines: list[str] = []
    for application in sorted(value["applications"], key=tabular.natural_key):
        units = value["applications"][application].get("units", {})
        for name in sorted(units, key=tabular.natural_key):
            unit = units[name]
            states = f"agent:{unit['juju-status']['current']}, workload:{unit['workload-status']['current']}"
            opened = ports.summary(unit.get("open-ports", []))
            line = f"- {name}: {unit.get('public-address', '')} ({states})"
            lines.append(f"{line} {opened}" if opened else line)
    return "".join(f"{line}\n" for line in lines)
