"""Tools for the state that the controller keeps for a unit."""

from __future__ import annotations

import json

from lab.controller.tools import errors, flags, registry, relations

LONGEST_KEY = 256
LONGEST_VALUE = 65536
"""Juju's default quota of one key and one value, in bytes."""


@registry.tool(
    "state-get",
    "Print server-side-state value.",
    "[<key>]",
    flags.Option(("strict",), "Return an error if the requested key does not exist", switch=True),
    formats=registry.SMART,
)
def state_get(invocation: registry.Invocation) -> dict[str, str] | str:
    """All of the state, or one value: empty if there is no such key."""
    key = (invocation.only(1) or ["-"])[0]
    state = invocation.context.state
    if key in ("-", ""):
        return dict(state)
    if key not in state and invocation.options.get("strict"):
        raise errors.ToolError(f"{json.dumps(key)} not found")
    return state.get(key, "")


@registry.tool(
    "state-set",
    "Set server-side-state values.",
    "<key>=<value> [<key>=<value> ...]",
    flags.Option(("file",), "file containing key-value pairs"),
)
def state_set(invocation: registry.Invocation) -> None:
    """Stage values."""
    values = relations.settings_from(invocation)
    for key, value in values.items():
        if len(key.encode(errors="surrogateescape")) > LONGEST_KEY:
            raise errors.ToolError(f"max allowed key length ({LONGEST_KEY}) exceeded")
        if len(value.encode(errors="surrogateescape")) > LONGEST_VALUE:
            raise errors.ToolError(f"max allowed value length ({LONGEST_VALUE}) exceeded")
    invocation.context.set_state(values)


@registry.tool("state-delete", "Delete server-side-state key value pairs.", "<key>")
def state_delete(invocation: registry.Invocation) -> None:
    """Stage the deletion of a key; a missing one is no error."""
    (key,) = invocation.only(1, least=1, missing="missing key")
    invocation.context.delete_state(key)
