"""config, trust, expose, unexpose, remove-application, show-application, resolved."""

from __future__ import annotations

import typing

from lab.juju import client, command, flags, names, output, prompts, tabular
from lab.juju.commands import settings_files


@command.define(
    "config",
    "Get, set, or reset configuration for a deployed application.",
    usage="<application name> [--reset <key[,key]>] [<attribute-key>][=<value>] ...]",
    formats=("yaml", "json"),
    options=(
        flags.text("file", usage="Path to yaml-formatted configuration file"),
        flags.repeated("reset", usage="Reset the provided comma delimited keys"),
        *command.COLOR_FLAGS,
    ),
)
def config(invocation: command.Invocation) -> None:
    """Show, set and reset an application's options; `key=@file` takes a file's content, and overrides `--file`."""
    if not invocation.arguments or "=" in invocation.arguments[0]:
        raise command.UsageError("no application name specified")
    name, *rest = invocation.arguments
    wanted = settings_files.wishes(invocation, rest)
    if not (wanted.file or wanted.reset or wanted.values):
        _show_config(invocation, name, wanted.keys[0] if wanted.keys else "")
        return
    if wanted.file:
        invocation.call("set_config", application=name, config_yaml=invocation.read(wanted.file))
    if wanted.reset:
        invocation.call("reset_config", application=name, keys=wanted.reset)
    if wanted.values:
        values = {key: settings_files.value_of(invocation, value) for key, value in wanted.values.items()}
        invocation.call("set_config", application=name, config=values)


def _show_config(invocation: command.Invocation, application: str, key: str) -> None:
    found = invocation.call("get_config", application=application)
    if not key:
        invocation.show(output.ordered(found))
        return
    entry = found["settings"].get(key) or found.get("application-config", {}).get(key)
    if entry is None:
        message = f'key "{key}" not found in "{application}" application config or charm settings.'
        raise command.CommandError(message)
    value = entry.get("value")
    # Go prints booleans in lower case here.
    invocation.write(f"{str(value).lower() if isinstance(value, bool) else '' if value is None else value}\n")


@command.define(
    "trust",
    "Sets the trust status of a deployed application to true.",
    usage="<application name>",
    options=(
        flags.boolean("remove", usage="Remove trusted access from a trusted application"),
        flags.text("scope", usage="k8s models only - needs to be set to 'cluster'"),
    ),
)
def trust(invocation: command.Invocation) -> None:
    """Let an application's charm read the cloud's credential."""
    invocation.require(1, "no application name specified")
    invocation.at_most(1)
    invocation.call("trust", application=invocation.arguments[0], remove=invocation.options.on("remove"))


_EXPOSE_FLAGS = (
    flags.words("endpoints", usage="Accepted: the lab has no firewall, exposing is only shown"),
    flags.words("to-spaces", usage="Accepted: the lab has one space, alpha"),
    flags.words("to-cidrs", usage="Accepted: the lab has no firewall, exposing is only shown"),
)


@command.define(
    "expose",
    "Makes an application publicly available over the network.",
    usage="<application name>",
    options=_EXPOSE_FLAGS,
)
def expose(invocation: command.Invocation) -> None:
    """Mark an application as exposed."""
    _expose(invocation, "expose")


@command.define(
    "unexpose",
    "Removes public availability over the network for an application.",
    usage="<application name>",
    options=_EXPOSE_FLAGS[:1],
)
def unexpose(invocation: command.Invocation) -> None:
    """Mark an application as not exposed."""
    _expose(invocation, "unexpose")


def _expose(invocation: command.Invocation, method: str) -> None:
    invocation.require(1, "no application name specified")
    invocation.at_most(1)
    invocation.call(method, application=invocation.arguments[0])


@command.define(
    "remove-application",
    "Remove applications from the model.",
    usage="<application> [<application>...]",
    options=(
        command.NO_PROMPT_FLAG,
        flags.boolean("dry-run", usage="Print what this command would remove without removing"),
        flags.boolean("destroy-storage", usage="Destroy storage attached to application units"),
        flags.boolean("force", usage="Completely remove an application and all its dependencies"),
        flags.boolean("no-wait", usage="Rush through application removal without waiting for each individual step"),
    ),
)
def remove_application(invocation: command.Invocation) -> None:
    """Remove applications with their units, and machines on which nothing is left."""
    invocation.require(1, "no application specified")
    for name in invocation.arguments:
        if not names.is_application(name):
            raise command.UsageError(f'invalid application name "{name}"')
    prompts.check_no_wait(invocation)
    asks = invocation.prompts
    if invocation.options.on("dry-run") or asks:
        invocation.warn(prompts.ACTIONS)
        _remove_each(invocation, dry_run=True, tell=True)
        if invocation.options.on("dry-run"):
            return
        invocation.confirm("application removal")
    _remove_each(invocation, dry_run=False, tell=not asks)


def _remove_each(invocation: command.Invocation, *, dry_run: bool, tell: bool) -> None:
    options = invocation.options
    failed = False
    for name in invocation.arguments:
        try:
            info = invocation.call(
                "remove_application",
                application=name,
                destroy_storage=options.on("destroy-storage"),
                force=options.on("force"),
                no_wait=options.on("no-wait"),
                dry_run=dry_run,
            )
        except client.RemoteError as error:
            invocation.fail(f"removing application {name} failed: {error.message}")
            failed = True
            continue
        if tell:
            invocation.write(prompts.removal("application", name, info or {}))
    if failed:
        raise command.CommandError


@command.define(
    "show-application",
    "Displays information about an application.",
    usage="<application name or alias>",
    formats=("yaml", "json", "tabular"),
)
def show_application(invocation: command.Invocation) -> None:
    """Show applications in detail."""
    invocation.require(1, "an application name must be supplied")
    for name in invocation.arguments:
        if not names.is_application(name):
            raise command.UsageError(f'application name "{name}" not valid')
    found = invocation.call("show_application", applications=invocation.arguments)
    invocation.show(found, tabular=lambda value: _applications_table(invocation, value))


def _applications_table(invocation: command.Invocation, found: dict[str, typing.Any]) -> str:
    table = tabular.Table(color=invocation.color)
    table.heading("Application", "Charm", "Base", "Channel", "Constraints", "Principal", "Exposed", "Remote", "Life")
    for name, details in found.items():
        constraints = " ".join(f"{key}={value}" for key, value in details["constraints"].items())
        booleans = (str(details[key]).lower() for key in ("principal", "exposed", "remote"))
        table.add(
            name, details["charm"], details["base"], details.get("channel", ""), constraints, *booleans, details["life"]
        )
    return table.render()


@command.define(
    "resolved",
    "Marks unit errors resolved and re-executes failed hooks.",
    usage="[<unit> ...]",
    aliases=("resolve",),
    options=(
        flags.boolean("all", usage="Marks all units in error as resolved"),
        flags.boolean("no-retry", usage="Do not re-execute failed hooks on the unit"),
    ),
)
def resolved(invocation: command.Invocation) -> None:
    """Retry the failed hook of units now, or skip it with `--no-retry`."""
    everything = invocation.options.on("all")
    if everything and invocation.arguments:
        raise command.UsageError("specifying unit names(s) with --all not supported")
    if not everything:
        invocation.require(1, "no unit specified")
    for name in invocation.arguments:
        if not names.is_unit(name):
            raise command.UsageError(f'unit name "{name}" not valid')
    invocation.call("resolved", units=invocation.arguments, all=everything, no_retry=invocation.options.on("no-retry"))
