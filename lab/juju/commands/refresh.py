"""refresh."""

from __future__ import annotations

import typing

from lab.juju import command, directives, flags, names
from lab.juju.commands import settings_files


@command.define(
    "refresh",
    "Refresh an application's charm.",
    usage="<application>",
    options=(
        flags.text("path", usage="Refresh to a charm located at path"),
        flags.text("switch", usage="Crossgrade to a different charm"),
        flags.text("channel", usage="Channel to use when getting the charm from the local Charmhub"),
        flags.number("revision", default=-1, usage="Explicit revision of current charm"),
        flags.boolean("force", usage="Accepted: the lab has no LXD profiles"),
        flags.boolean("force-units", usage="Refresh all units immediately, even if in error state"),
        flags.boolean("force-base", "force-series", usage="Refresh even if the charm does not support the base"),
        flags.text("base", usage="Accepted: the lab's machines have one base"),
        flags.repeated("config", usage="Either a path to yaml-formatted application config file or a key=value pair"),
        flags.repeated("resource", usage="Resource to be uploaded to the controller"),
        flags.repeated("storage", usage="Charm storage constraints"),
        flags.text("bind", usage="Accepted: the lab has one space, alpha"),
        flags.boolean("trust", usage="Allows charm to run hooks that require access credentials"),
    ),
)
def refresh(invocation: command.Invocation) -> None:
    """Let an application run another revision of its charm, or another charm.

    A charm that was deployed from a path needs `--path` or `--switch`.
    """
    options = invocation.options
    invocation.require(1, "no application specified")
    name = invocation.arguments[0]
    if not names.is_application(name):
        raise command.UsageError(f'invalid application name "{name}"')
    invocation.at_most(1)
    _check_exclusive(options)
    text, pairs = settings_files.split(invocation, "config")
    result = invocation.call(
        "refresh",
        application=name,
        path=str(invocation.path(options.text("path"))) if options.text("path") else None,
        switch=_switch(invocation, options.text("switch")),
        channel=options.text("channel") or None,
        revision=options.number("revision") if options.given("revision") else None,
        force=options.on("force"),
        force_units=options.on("force-units"),
        force_base=options.on("force-base"),
        config=pairs,
        config_yaml=text,
        resources=directives.resources(invocation, options.texts("resource")),
        storage=directives.storage(options.texts("storage")),
        trust=options.on("trust") if options.given("trust") else None,
    )
    _report(invocation, result)


def _check_exclusive(options: flags.Values) -> None:
    given = [name for name in ("switch", "path", "revision") if options.given(name)]
    if len(given) > 1:
        raise command.UsageError(f"--{given[0]} and --{given[1]} are mutually exclusive")


def _switch(invocation: command.Invocation, switch: str) -> str | None:
    if switch.startswith((".", "/", "~")):
        return str(invocation.path(switch))
    return switch.removeprefix("ch:") or None


def _report(invocation: command.Invocation, result: dict[str, typing.Any]) -> None:
    if result.get("up-to-date"):
        invocation.inform(f'charm "{result["charm-name"]}": already up-to-date')
        if result.get("channel-changed"):
            invocation.inform(f'Note: all future refreshes will now use channel "{result["channel"]}"')
        if result.get("resources"):
            invocation.inform("resources to be upgraded")
        return
    channel = f" in channel {result['channel']}" if result["origin"] != "local" and result.get("channel") else ""
    origin = "local" if result["origin"] == "local" else "charm-hub"
    invocation.inform(
        f'Added {origin} charm "{result["charm-name"]}", revision {result["revision"]}{channel}, to the model'
    )
