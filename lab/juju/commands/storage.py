"""storage, show-storage, storage-pools."""

from __future__ import annotations

import typing

from lab.juju import command, flags, names, output, storage_tables, tabular, times


@command.define(
    "storage",
    "Lists storage details.",
    usage="<filesystem|volume> ...",
    formats=("tabular", "json", "yaml"),
    aliases=("list-storage",),
    options=(
        flags.boolean("filesystem", usage="List filesystem storage (deprecated)"),
        flags.boolean("volume", usage="List volume storage (deprecated)"),
    ),
)
def storage(invocation: command.Invocation) -> None:
    """List storage instances with what is behind them."""
    filesystem, volume = invocation.options.on("filesystem"), invocation.options.on("volume")
    if filesystem and volume:
        raise command.UsageError("--filesystem and --volume can not be used together")
    if invocation.arguments and not (filesystem or volume):
        raise command.UsageError("specifying IDs only supported with --filesystem and --volume options")
    found = times.localize(invocation.call("storage"))
    if filesystem or volume:
        kind = "filesystems" if filesystem else "volumes"
        chosen = {
            key: value
            for key, value in found.get(kind, {}).items()
            if not invocation.arguments or key in invocation.arguments
        }
        found = {kind: chosen} if chosen else {}
    if not found:
        if invocation.format == "tabular":
            invocation.inform("No storage to display.")
        return
    invocation.show(found, tabular=lambda value: _table(invocation, value))


def _table(invocation: command.Invocation, value: dict[str, typing.Any]) -> str:
    if "storage" in value:
        return storage_tables.storage_list(value, color=invocation.color)
    kind = next(iter(value))
    table = tabular.Table(color=invocation.color)
    table.heading("Machine", "Unit", "Storage ID", "ID", "Provider ID", "Mountpoint", "Size", "State", "Message")
    for identifier, one in value[kind].items():
        units = one.get("attachments", {}).get("units") or {"": {}}
        for unit, attachment in units.items():
            status = tabular.status_cell(one["status"]["current"])
            size, location = storage_tables.size(one.get("size")), attachment.get("location", "")
            where = (attachment.get("machine", ""), unit, one.get("storage", ""), identifier)
            table.add(*where, one.get("provider-id", ""), location, size, status, one["status"].get("message", ""))
    return table.render()


@command.define(
    "show-storage", "Shows storage instance information.", usage="<storage ID> [...]", formats=("yaml", "json")
)
def show_storage(invocation: command.Invocation) -> None:
    """Show storage instances."""
    invocation.require(1, "must specify storage id(s)")
    for identifier in invocation.arguments:
        if not names.is_storage(identifier):
            raise command.CommandError(f"invalid storage ID {identifier}")
    invocation.show(times.localize(invocation.call("show_storage", storage=invocation.arguments)))


@command.define(
    "storage-pools",
    "List storage pools.",
    formats=("tabular", "json", "yaml"),
    aliases=("list-storage-pools",),
    options=(
        flags.words("name", usage="Only show pools with these names"),
        flags.words("provider", usage="Only show pools of these provider types"),
    ),
)
def storage_pools(invocation: command.Invocation) -> None:
    """List the storage pools."""
    invocation.at_most(0)
    wanted, providers = invocation.options.texts("name"), invocation.options.texts("provider")
    shown = {
        name: pool
        for name, pool in invocation.call("storage_pools").items()
        if (not wanted or name in wanted) and (not providers or pool["provider"] in providers)
    }

    def table(value: dict[str, typing.Any]) -> str:
        rows = tabular.Table(color=invocation.color)
        rows.heading("Name", "Provider", "Attributes")
        for name, pool in value.items():
            attributes = " ".join(
                f"{key}={output.as_smart(item).strip()}" for key, item in sorted(pool["attrs"].items())
            )
            rows.add(name, pool["provider"], attributes)
        return rows.render()

    if not shown:
        invocation.inform("No storage pools to display.")
        return
    invocation.show(shown, tabular=table)
