"""Tools for actions: their parameters, results, progress and failure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from lab.controller.tools import errors, registry

KEY = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
RESERVED = ("stdout", "stdout-encoding", "stderr", "stderr-encoding")
"""Results that the agent sets itself."""

NO_REASON = "action failed without reason given, check action for errors"


@registry.tool("action-get", "Get action parameters.", "[<key>[.<key>.<key>...]]", formats=registry.SMART)
def action_get(invocation: registry.Invocation) -> object:
    """All parameters, or the one that a dotted key leads to; nothing if it leads nowhere."""
    arguments = invocation.only(1)
    value: object = invocation.context.require_action().parameters
    for key in arguments[0].split(".") if arguments else ():
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


@registry.tool("action-set", "Set action results.", "<key>=<value> [<key>=<value> ...]")
def action_set(invocation: registry.Invocation) -> None:
    """Set results; dotted keys make nested maps."""
    results: list[tuple[list[str], str]] = []
    for argument in invocation.arguments:
        path, equals, value = argument.partition("=")
        if not equals:
            raise errors.UsageError(f"argument {json.dumps(argument)} must be of the form key...=value")
        keys = path.split(".")
        for key in keys:
            _check_key(key)
        results.append((keys, value))
    action = invocation.context.require_action()
    for keys, value in results:
        action.set_result(keys, value)


def _check_key(key: str) -> None:
    if not KEY.fullmatch(key):
        raise errors.UsageError(
            f"key {json.dumps(key)} must start and end with lowercase alphanumeric, "
            "and contain only lowercase alphanumeric, hyphens and periods"
        )
    if key in RESERVED:
        raise errors.UsageError(f'cannot set reserved action key "{key}"')


@registry.tool("action-fail", "Set action fail status with message.", '["<failure message>"]')
def action_fail(invocation: registry.Invocation) -> None:
    """Mark the action as failed; what it has changed is kept if it exits with status 0."""
    arguments = invocation.only(1)
    action = invocation.context.require_action()
    action.failed = True
    action.message = arguments[0] if arguments and arguments[0] else NO_REASON


@registry.tool("action-log", "Record a progress message for the current action.", "<message>")
def action_log(invocation: registry.Invocation) -> None:
    """Show a message to whoever waits for the action; at once."""
    if not invocation.arguments:
        raise errors.UsageError("no message specified")
    invocation.context.require_action()
    invocation.context.log_action(" ".join(invocation.arguments))
