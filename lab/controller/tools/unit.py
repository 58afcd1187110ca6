"""Tools about the unit, its application and its model: configuration, leadership, goal, version, log, reboot."""

from __future__ import annotations

import json

from lab.controller.tools import errors, flags, registry

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@registry.tool(
    "config-get",
    "Print application configuration.",
    "[<key>]",
    flags.Option(("all", "a"), "Print all keys", switch=True),
    formats=registry.SMART,
)
def config_get(invocation: registry.Invocation) -> object:
    """All options that have a value (all there are, with ``--all``), or one."""
    arguments = invocation.only(1)
    if arguments and invocation.options.get("all"):
        raise errors.UsageError("cannot use argument --all together with key")
    config = invocation.context.config()
    if arguments and arguments[0]:
        return config.get(arguments[0])
    return {name: value for name, value in config.items() if value is not None or invocation.options.get("all")}


@registry.tool("is-leader", "Print application leadership status.", formats=registry.SMART)
def is_leader(invocation: registry.Invocation) -> bool:
    """Whether the unit leads its application now."""
    invocation.only(0)
    return invocation.context.is_leader()


@registry.tool("leader-get", "Print application leadership settings.", "[<key>]", formats=registry.SMART)
def leader_get(invocation: registry.Invocation) -> object:
    """What the leader has shared, or one value of it."""
    arguments = invocation.only(1) or ["-"]
    if "=" in arguments[0]:
        raise errors.UsageError(f"invalid key {json.dumps(arguments[0])}")
    settings = invocation.context.leader_settings()
    return settings if arguments[0] in ("-", "") else settings.get(arguments[0])


@registry.tool("leader-set", "Write application leadership settings.", "<key>=<value> [...]")
def leader_set(invocation: registry.Invocation) -> None:
    """Share settings with the other units; at once."""
    settings = flags.key_values(invocation.arguments)
    try:
        invocation.context.write_leader_settings(settings)
    except errors.ToolError as error:
        raise errors.ToolError(f"cannot write leadership settings: {error}") from None


@registry.tool("goal-state", "Print the status of the charm's peers and related units.", formats=registry.YAML)
def goal_state(invocation: registry.Invocation) -> object:
    """The units and relations that the model is to have, with their statuses."""
    invocation.only(0)
    return invocation.context.goal_state()


@registry.tool("application-version-set", "Specify which version of the application is deployed.", "<new-version>")
def application_version_set(invocation: registry.Invocation) -> None:
    """Show a workload version; at once."""
    (version,) = invocation.only(1, least=1, missing="no version specified")
    invocation.context.set_workload_version(version)


@registry.tool(
    "juju-log",
    "Write a message to the juju log.",
    "<message>",
    flags.Option(("debug",), "log at debug level", switch=True),
    flags.Option(("log-level", "l"), "Send log message at the given level"),
    flags.Option(("format",), "deprecated format flag"),
)
def juju_log(invocation: registry.Invocation) -> None:
    """Log a message; at once."""
    if not invocation.arguments:
        raise errors.UsageError("no message specified")
    context = invocation.context
    wanted = "DEBUG" if invocation.options.get("debug") else invocation.options.get("log-level") or "INFO"
    level = {"WARN": "WARNING"}.get(wanted.upper(), wanted.upper())
    if level not in LEVELS:
        context.log("WARNING", f"Specified log level of {json.dumps(wanted)} is not valid")
        level = "INFO"
    prefix = f"{context.hook_relation.key}: " if context.hook_relation else ""
    context.log(level, prefix + " ".join(invocation.arguments))


@registry.tool(
    "juju-reboot",
    "Reboot the host machine.",
    "",
    flags.Option(("now",), "reboot immediately, killing the invoking process", switch=True),
)
def juju_reboot(invocation: registry.Invocation) -> None:
    """Ask for a reboot of the machine after this hook, or now."""
    invocation.only(0)
    if invocation.context.action is not None:
        raise errors.ToolError("juju-reboot is not supported when running an action.")
    invocation.context.request_reboot(now=invocation.options.get("now", False))


@registry.tool("credential-get", "Access cloud credentials.", formats=registry.SMART)
def credential_get(invocation: registry.Invocation) -> object:
    """The cloud, for applications that are trusted with it."""
    invocation.only(0)
    return invocation.context.cloud()
