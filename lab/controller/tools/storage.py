"""Tools for the unit's storage."""

from __future__ import annotations

import json
import re
import typing

from lab.controller.tools import errors, flags, registry

if typing.TYPE_CHECKING:
    from lab.controller import context as hook_context

STORAGE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*/(0|[1-9][0-9]*)")


def _storage_id(context: hook_context.HookContext, value: str) -> str:
    if not STORAGE.fullmatch(value):
        raise ValueError("invalid storage ID")
    context.storage(value)
    return value


@registry.tool(
    "storage-get",
    "Print information for the storage instance with the specified ID.",
    "[<key>]",
    flags.Option(("s",), "specify a storage instance by id", convert=_storage_id),
    formats=registry.SMART,
)
def storage_get(invocation: registry.Invocation) -> dict[str, str] | str:
    """Kind and location of a storage instance."""
    name = invocation.options.get("s") or invocation.context.hook_storage
    if not name:
        raise errors.UsageError("no storage instance specified")
    arguments = invocation.only(1)
    storage = invocation.context.storage(name)
    values = {"kind": storage.kind, "location": storage.location}
    if not arguments or not arguments[0]:
        return values
    if arguments[0] not in values:
        raise errors.ToolError(f"invalid storage attribute {json.dumps(arguments[0])}")
    return values[arguments[0]]


@registry.tool("storage-list", "List storage attached to the unit.", "[<storage-name>]", formats=registry.SMART)
def storage_list(invocation: registry.Invocation) -> list[str]:
    """Identifiers of the attached instances, of all storages or of one."""
    arguments = invocation.only(1)
    wanted = arguments[0] if arguments else ""
    return [name for name in invocation.context.storages() if not wanted or name.partition("/")[0] == wanted]


@registry.tool("storage-add", "Add storage instances.", "<charm storage name>[=count] ...")
def storage_add(invocation: registry.Invocation) -> None:
    """Stage the creation of further instances."""
    if not invocation.arguments:
        raise errors.UsageError("storage add requires a storage directive")
    counts: dict[str, int] = {}
    for argument in invocation.arguments:
        name, equals, count = argument.partition("=")
        if name in counts:
            raise errors.UsageError(f"storage {json.dumps(name)} specified more than once")
        if equals and not re.fullmatch(r"[0-9]+", count):
            raise errors.UsageError(f"only count can be specified for {json.dumps(name)}")
        counts[name] = int(count) if equals else 1
        if counts[name] < 1:
            raise errors.UsageError(f"cannot parse count: count must be greater than zero, got {json.dumps(count)}")
    invocation.context.add_storage(counts)
