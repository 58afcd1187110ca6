"""Tables of storage."""

from __future__ import annotations

import typing

from lab.juju import tabular


def size(mebibytes: int | None) -> str:
    """A size in the largest unit that fits: `512 MiB`, `1.0 GiB`, `20 GiB`."""
    if not mebibytes:
        return ""
    amount, unit = float(mebibytes), "MiB"
    for larger in ("GiB", "TiB", "PiB", "EiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"


def storage_list(value: dict[str, typing.Any], *, color: bool) -> str:
    """The table of `juju storage`."""
    rows = _rows(value)
    with_pool = any(row["pool"] for row in rows)
    table = tabular.Table(color=color)
    table.heading("Unit", "Storage ID", "Type", *(["Pool"] if with_pool else []), "Size", "Status", "Message")
    for row in rows:
        pool = [row["pool"]] if with_pool else []
        status = tabular.status_cell(row["status"])
        table.add(row["unit"], row["id"], row["kind"], *pool, row["size"], status, row["message"])
    return table.render()


def status_storage(value: dict[str, typing.Any], *, color: bool) -> str:
    """The storage section of status."""
    table = tabular.Table(color=color)
    table.heading("Storage Unit", "Storage ID", "Type", "Pool", "Mountpoint", "Size", "Status", "Message")
    for row in _rows(value):
        status = tabular.status_cell(row["status"])
        columns = (row["unit"], row["id"], row["kind"], row["pool"], row["location"], row["size"])
        table.add(*columns, status, row["message"])
    return table.render()


def _rows(value: dict[str, typing.Any]) -> list[dict[str, str]]:
    backing = {
        one["storage"]: one
        for kind in ("filesystems", "volumes")
        for one in value.get(kind, {}).values()
        if "storage" in one
    }
    rows: list[dict[str, str]] = []
    for identifier, instance in value.get("storage", {}).items():
        behind = backing.get(identifier, {})
        attachments = instance.get("attachments", {}).get("units") or {"": {}}
        rows += [
            {
                "unit": unit,
                "id": identifier,
                "kind": instance["kind"],
                "pool": behind.get("pool", ""),
                "location": attachment.get("location", ""),
                "size": size(behind.get("size")),
                "status": instance["status"]["current"],
                "message": instance["status"].get("message", ""),
            }
            for unit, attachment in attachments.items()
        ]
    return sorted(rows, key=lambda row: (tabular.natural_key(row["unit"]), tabular.natural_key(row["id"])))
