"""Bringing an application's resources into the machine of a unit."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import typing

from lab.controller import tags
from lab.controller.entities import applications, charms, units
from lab.controller.tools import errors

if typing.TYPE_CHECKING:
    from lab.controller import core


def fetch(controller: core.Controller, model: str, unit: str, name: str) -> str:
    """Copy the current file of a resource into the unit's machine, unless it is there.

    Returns:
        Its path in the machine.

    Raises:
        ToolError: the charm has no such resource, nobody has uploaded it, or the unit has no machine.
    """
    store = controller.store
    described = store.require(units.Unit, model, unit)
    resource = store.get(applications.Resource, model, described.application, name)
    if resource is None:
        raise errors.ToolError(f"resource {json.dumps(name)} not found")
    if resource.path is None or described.machine is None:
        raise errors.ToolError(f"resource {json.dumps(name)} has no file: not found")
    machine = controller.machine(model, described.machine)
    file = f"/var/lib/juju/agents/{tags.unit(unit)}/resources/{name}/{_filename(controller, described, resource)}"
    target = machine.outside(file)
    source = pathlib.Path(resource.path)
    if not target.is_file() or _digest(target) != _digest(source):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
    return machine.inside(file)


def _filename(controller: core.Controller, unit: units.Unit, resource: applications.Resource) -> str:
    """The name that the charm's metadata gives to the file, else that of what was uploaded."""
    charm = controller.store.get(charms.Charm, unit.model, unit.charm_url) if unit.charm_url else None
    declared = (charm.resources if charm else {}).get(resource.name) or {}
    return pathlib.PurePath(declared.get("filename") or resource.filename or resource.name).name


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
