"""Tools for the statuses of the unit and its application."""

from __future__ import annotations

import json
import typing

from lab.controller.tools import errors, flags, registry

if typing.TYPE_CHECKING:
    from lab.controller.entities import statuses

SETTABLE = ("maintenance", "blocked", "waiting", "active")


@registry.tool(
    "status-set",
    "Set status information.",
    "<maintenance | blocked | waiting | active> [message]",
    flags.Option(
        ("application",),
        "set this status for the application to which the unit belongs if the unit is the leader",
        switch=True,
    ),
)
def status_set(invocation: registry.Invocation) -> None:
    """Set a status; at once, whatever becomes of the hook."""
    if not invocation.arguments:
        raise errors.UsageError("invalid args, require <status> [message]")
    status, *rest = invocation.arguments
    if status not in SETTABLE:
        known = f"[{' '.join(SETTABLE)}]"
        raise errors.UsageError(f"invalid status {json.dumps(status)}, expected one of {known}")
    flags.no_more(rest[1:])
    message = rest[0] if rest else ""
    if invocation.options.get("application"):
        invocation.context.set_application_status(status, message)
    else:
        invocation.context.set_unit_status(status, message)


@registry.tool(
    "status-get",
    "Print status information.",
    "[--include-data] [--application]",
    flags.Option(("include-data",), "print all status data", switch=True),
    flags.Option(
        ("application",),
        "print status for all units of this application if this unit is the leader",
        switch=True,
    ),
    formats=registry.SMART,
)
def status_get(invocation: registry.Invocation) -> object:
    """The unit's status, or the application's with those of all its units."""
    invocation.only(0)
    include_data = invocation.options.get("include-data", False)
    bare = not include_data and invocation.options.get("format", "smart") == "smart"
    if not invocation.options.get("application"):
        status = invocation.context.unit_status()
        return status.status if bare else _details(status, include_data)
    try:
        application, units = invocation.context.application_status()
    except errors.ToolError as error:
        raise errors.ToolError(f"finding application status: {error}") from None
    if bare:
        return application.status
    details = _details(application, include_data)
    details["units"] = {name: _details(status, include_data) for name, status in units.items()}
    return {"application-status": details}


def _details(status: statuses.Status, include_data: bool) -> dict[str, object]:
    details: dict[str, object] = {"status": status.status}
    if include_data:
        details["message"] = status.message
        details["status-data"] = dict(status.data)
    return details
