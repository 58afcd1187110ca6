"""`juju storage` and its kin: storage instances, and the file systems behind them."""

from __future__ import annotations

import collections.abc
import typing

from lab.controller import operations_common, storage_lifecycle, views_lookup
from lab.controller.entities import storage, units


def pools() -> dict[str, typing.Any]:
    """The storage pools, by name, each with its kind of provider and whether it outlives machines."""
    return {
        name: {"provider": pool.kind, "attrs": {"outlives-machine": pool.outlives_machine}}
        for name, pool in sorted(storage_lifecycle.POOLS.items())
    }


def combined(scope: views_lookup.Scope) -> dict[str, typing.Any]:
    """All storage: instances and file systems, each left out when there are none."""
    found = sorted(
        scope.store.find(storage.StorageInstance, model=scope.uuid), key=lambda instance: _number(instance.id)
    )
    shown = {instance.id: instance_view(scope, instance) for instance in sorted(found, key=lambda one: one.id)}
    filesystems = {
        str(number): filesystem_view(scope, instance)
        for number, instance in enumerate(one for one in found if one.kind == "filesystem")
    }
    volumes = {
        str(number): filesystem_view(scope, instance)
        for number, instance in enumerate(one for one in found if one.kind == "block")
    }
    return views_lookup.compact({"storage": shown, "filesystems": filesystems, "volumes": volumes})


def details(scope: views_lookup.Scope, identifiers: collections.abc.Sequence[str]) -> dict[str, typing.Any]:
    """The named storage instances.

    Raises:
        OperationError: One of them does not exist.
    """
    result: dict[str, typing.Any] = {}
    for identifier in identifiers:
        instance = scope.store.get(storage.StorageInstance, scope.uuid, identifier)
        if instance is None:
            raise operations_common.OperationError("not found", f'storage instance "{identifier}" not found')
        result[identifier] = instance_view(scope, instance)
    return {identifier: result[identifier] for identifier in sorted(result)}


def instance_view(scope: views_lookup.Scope, instance: storage.StorageInstance) -> dict[str, typing.Any]:
    """One storage instance with the units it is attached to."""
    attachments = scope.store.find(storage.StorageAttachment, model=scope.uuid, storage=instance.id)
    shown = {
        attachment.unit: views_lookup.compact(
            {
                "machine": _machine_of(scope, attachment.unit),
                "location": attachment.location if attachment.attached else "",
                "life": views_lookup.life(attachment.life),
            }
        )
        for attachment in attachments
    }
    return {
        "kind": instance.kind,
        **views_lookup.compact({"life": views_lookup.life(instance.life)}),
        "status": {"current": instance.status, "since": views_lookup.time(_since(instance, attachments))},
        "persistent": storage_lifecycle.POOLS[instance.pool].outlives_machine,
        **({"attachments": {"units": shown}} if shown else {}),
    }


def filesystem_view(scope: views_lookup.Scope, instance: storage.StorageInstance) -> dict[str, typing.Any]:
    """The file system (or volume) behind a storage instance."""
    attachments = scope.store.find(storage.StorageAttachment, model=scope.uuid, storage=instance.id)
    on_machines: dict[str, typing.Any] = {}
    on_units: dict[str, typing.Any] = {}
    for attachment in attachments:
        machine = _machine_of(scope, attachment.unit)
        life = {"life": str(attachment.life)}
        if machine:
            on_machines[machine] = {"mount-point": attachment.location, "read-only": False, **life}
        on_units[attachment.unit] = views_lookup.compact({"machine": machine, "location": attachment.location, **life})
    return views_lookup.compact(
        {
            "provider-id": instance.source,
            "storage": instance.id,
            "attachments": {"machines": on_machines, "units": on_units} if on_units else {},
            "pool": instance.pool,
            "size": instance.size,
            "life": str(instance.life),
            "status": {"current": instance.status, "since": views_lookup.time(_since(instance, attachments))},
        }
    )


def _since(instance: storage.StorageInstance, attachments: list[storage.StorageAttachment]) -> typing.Any:
    return max((one.since for one in attachments if one.since), default=instance.created)


def _machine_of(scope: views_lookup.Scope, unit: str) -> str:
    found = scope.store.get(units.Unit, scope.uuid, unit)
    return (found.machine or "") if found else ""


def _number(identifier: str) -> int:
    return int(identifier.rpartition("/")[2])
