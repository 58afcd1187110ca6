"""status."""

from __future__ import annotations

import os
import sys
import time
import typing

from lab.juju import client, command, flags, times


@command.define(
    "status",
    "Report the status of the model, its machines, applications and units.",
    usage="[<selector> [...]]",
    formats=("tabular", "json", "yaml", "short", "line", "oneline"),
    refused_formats=("summary",),
    aliases=("show-status",),
    options=(
        command.UTC_FLAG,
        *command.COLOR_FLAGS,
        flags.boolean("relations", usage="Show relations section in tabular output"),
        flags.boolean("integrations", usage="Same as '--relations'"),
        flags.boolean("storage", usage="Show storage section in tabular output"),
        flags.number("retry-count", default=3, usage="Number of times to retry API failures"),
        flags.duration("retry-delay", default=0.1, usage="Time to wait between retry attempts"),
        flags.duration("watch", usage="Watch the status every period of time"),
    ),
)
def status(invocation: command.Invocation) -> None:
    """Show the model, or what matches a selector: names of applications, units or machines, with `*`, or a status."""
    if invocation.options.on("color") and invocation.options.on("no-color"):
        raise command.UsageError("cannot mix --no-color and --color")
    period = invocation.options.seconds("watch")
    if not period:
        _show(invocation)
        return
    while True:
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J\x1b[3J")
        _show(invocation)
        time.sleep(period)


def _show(invocation: command.Invocation) -> None:
    value = _fetch(invocation)
    plain = invocation.format != "tabular"
    if plain:
        _tell_ignored(invocation)
    utc = invocation.options.on("utc") or os.environ.get("JUJU_STATUS_ISO_TIME", "").lower() in ("1", "t", "true")
    value = times.localize(value, utc)
    value["controller"]["timestamp"] = times.timestamp(value["controller"]["timestamp"], utc)
    if plain:
        value.pop("relations")
    invocation.show(value, **_formatters(invocation))
    if not (value["machines"] or value["applications"]):
        if invocation.arguments:
            invocation.inform(f"Nothing matched specified filter{'s' if len(invocation.arguments) > 1 else ''}.")
        else:
            invocation.inform(f'\nModel "{value["model"]["controller"]}:admin/{value["model"]["name"]}" is empty.')


def _fetch(invocation: command.Invocation) -> dict[str, typing.Any]:
    for _ in range(invocation.options.number("retry-count")):
        try:
            return invocation.call("status", patterns=invocation.arguments)
        except client.NotRunning:
            time.sleep(invocation.options.seconds("retry-delay"))
    return invocation.call("status", patterns=invocation.arguments)


def _tell_ignored(invocation: command.Invocation) -> None:
    given = [name for name in ("integrations", "relations", "storage") if invocation.options.given(name)]
    if given:
        plural = "options are" if len(given) > 1 else "option is"
        invocation.inform(f"provided {', '.join(given)} {plural} always enabled in non tabular formats")


def _formatters(invocation: command.Invocation) -> dict[str, typing.Any]:
    if invocation.format in ("json", "yaml"):
        return {}
    from lab.juju import status_tables  # late: what polls status asks for JSON

    options = invocation.options

    def table(value: dict[str, typing.Any]) -> str:
        relations = options.on("relations") or options.on("integrations")
        return status_tables.tabular_status(
            value, color=invocation.color, relations=relations, storage=options.on("storage")
        )

    return {"tabular": table, **dict.fromkeys(("short", "line", "oneline"), status_tables.oneline)}
