"""Storage instances from their creation to their end.

A pool says how an instance is kept. What is in a pool that outlives machines is detached when its unit goes, and can be
attached to another unit; what is in one that does not is destroyed with its unit.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import shutil
import subprocess
import typing

from lab.controller import core, execution
from lab.controller.entities import applications, machines, models, storage, units
from lab.machines import machine as machine_module

DEFAULT_POOL = "lab"
DEFAULT_SIZE = 1024
"""MiB, as in Juju."""

_logger = logging.getLogger(__name__)
_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Pool:
    """One storage pool: how its instances are made, and whether they outlive their machine."""

    kind: machine_module.StorageKind
    outlives_machine: bool


POOLS: dict[str, Pool] = {
    "lab": Pool("directory", outlives_machine=True),
    "image": Pool("image", outlives_machine=True),
    "rootfs": Pool("directory", outlives_machine=False),
}
"""`lab` takes the space of the host's file system, `image` enforces the size with a file system of its own."""


def create(
    controller: core.Controller, unit: units.Unit, name: str, constraint: applications.StorageConstraint
) -> storage.StorageInstance:
    """A new instance for a unit, with its attachment. It is there once the provisioner has attached it."""
    store = controller.store
    number = models.next_number(store, unit.model, "storage")
    instance = storage.StorageInstance(
        model=unit.model,
        id=f"{name}/{number}",
        name=name,
        kind="filesystem",
        pool=constraint.pool,
        size=constraint.size,
        source=f"{unit.model[-6:]}-{name}-{number}",
        created=controller.now(),
        owner=unit.name,
    )
    store.put(instance)
    attach(controller, unit, instance)
    return instance


def add(controller: core.Controller, unit: units.Unit, name: str, count: int) -> list[storage.StorageInstance]:
    """Further instances for a unit, of the pool and size that the application's others have."""
    application = controller.store.require(applications.Application, unit.model, unit.application)
    default = applications.StorageConstraint(DEFAULT_POOL, DEFAULT_SIZE, count)
    constraint = application.storage.get(name, default)
    return [create(controller, unit, name, constraint) for _ in range(count)]


def attach(controller: core.Controller, unit: units.Unit, instance: storage.StorageInstance) -> None:
    """Gives an instance to a unit, at the place that the charm names."""
    application = controller.store.require(applications.Application, unit.model, unit.application)
    described = applications.charm_of(controller.store, application).storage[instance.name]
    controller.store.put(
        dataclasses.replace(instance, owner=unit.name, status="pending"),
        storage.StorageAttachment(unit.model, instance.id, unit.name, _location(described, instance.id)),
    )


def _location(described: dict[str, typing.Any], identifier: str) -> str:
    base = described.get("location")
    if base and not described.get("multiple"):
        return str(base)
    return str(pathlib.PurePosixPath(base or "/var/lib/juju/storage") / identifier)


def provision(controller: core.Controller) -> bool:
    """Attaches what waits for it on machines that run; whether there was anything."""
    waiting = controller.store.find(storage.StorageAttachment, attached=0, life="alive")
    return any([_provision(controller, attachment) for attachment in waiting])


def _provision(controller: core.Controller, attachment: storage.StorageAttachment) -> bool:
    store = controller.store
    unit = store.require(units.Unit, attachment.model, attachment.unit)
    machine = store.get(machines.Machine, unit.model, unit.machine) if unit.machine else None
    if machine is None or not machine.provisioned:
        return False
    instance = store.require(storage.StorageInstance, attachment.model, attachment.storage)
    try:
        host = controller.machines.get(machine.hostname)
        host.attach_storage(instance.source, attachment.location, POOLS[instance.pool].kind, instance.size * _BYTES)
    except (machine_module.MachineError, LookupError, OSError, subprocess.SubprocessError) as error:
        _logger.warning("storage %s could not be attached to %s: %s", instance.id, unit.name, error)
        return False
    with store.transaction():
        if store.get(storage.StorageAttachment, attachment.model, attachment.storage, attachment.unit):
            store.put(
                dataclasses.replace(attachment, attached=True, since=controller.now()),
                dataclasses.replace(instance, status="attached"),
            )
    return True


def detach(controller: core.Controller, model: str, unit: str, identifier: str) -> None:
    """Ends an attachment. The instance stays, unless it is to be removed or its pool ends with the machine."""
    store = controller.store
    attachment = store.get(storage.StorageAttachment, model, identifier, unit)
    if attachment is None:
        return
    if attachment.attached:
        _unmount(controller, model, unit, attachment.location)
    with store.transaction():
        store.delete(attachment)
        instance = store.get(storage.StorageInstance, model, identifier)
        if instance is None:
            return
        if instance.life is not models.Life.ALIVE or not POOLS[instance.pool].outlives_machine:
            end(controller, instance)
        else:
            store.put(dataclasses.replace(instance, owner=None, status="detached"))


def _unmount(controller: core.Controller, model: str, unit: str, location: str) -> None:
    try:
        execution.machine_of(controller, model, unit).detach_storage(location)
    except (machine_module.MachineError, LookupError, OSError, subprocess.SubprocessError) as error:
        # The machine may be gone, or be about to go with what keeps the storage busy.
        _logger.warning("storage at %s of %s could not be unmounted: %s", location, unit, error)


def end(controller: core.Controller, instance: storage.StorageInstance) -> None:
    """Removes an instance that is attached nowhere from the model, with its content unless that is released."""
    release = controller.store.get(storage.StorageRelease, instance.model, instance.id)
    if release is None:
        destroy(controller, instance)
    else:
        controller.store.delete(release)
        controller.store.delete(instance)


def destroy(controller: core.Controller, instance: storage.StorageInstance) -> None:
    """Deletes an instance that is attached nowhere, with its content."""
    content = controller.state / "storage" / instance.source
    if content.is_dir():
        shutil.rmtree(content)
    for file in (content, content.with_suffix(".ext4")):
        file.unlink(missing_ok=True)
    controller.store.delete(instance)


def mark_for_destruction(controller: core.Controller, model: str, unit: str) -> None:
    """Lets all storage of a unit be destroyed when it is detached."""
    for attachment in storage.of_unit(controller.store, model, unit):
        instance = controller.store.require(storage.StorageInstance, model, attachment.storage)
        controller.store.put(dataclasses.replace(instance, life=models.Life.DYING))
