"""version, whoami, controllers, show-controller, clouds, credentials."""

from __future__ import annotations

import platform
import typing

from lab.juju import command, flags, output, tabular
from lab.juju import version as juju_version

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}


def binary_version() -> str:
    """The version with system and architecture, as the client names itself."""
    machine = platform.machine()
    return f"{juju_version.JUJU_VERSION}-genericlinux-{_ARCHITECTURES.get(machine, machine)}"


@command.define(
    "version",
    "Print the Juju CLI client version.",
    scope=None,
    formats=("smart", "json", "yaml"),
    options=(flags.boolean("all", usage="Prints all version information"),),
)
def version(invocation: command.Invocation) -> None:
    """Print the version of Juju whose command line this is."""
    if not invocation.options.on("all"):
        invocation.show(binary_version(), smart=output.as_smart)
        return
    details = {"version": binary_version(), "git-commit": "", "git-tree-state": "", "compiler": "gc"}
    invocation.show(details, smart=output.as_yaml)


@command.define(
    "whoami",
    "Print the current controller, model and logged in user name.",
    scope=None,
    formats=("tabular", "json", "yaml"),
)
def whoami(invocation: command.Invocation) -> None:
    """Print where commands go and as whom."""
    invocation.at_most(0)
    details = {"controller": invocation.controller["name"]}
    if invocation.store.current_model:
        details["model"] = invocation.store.current_model
    details["user"] = "admin"

    def table(value: dict[str, str]) -> str:
        lines = tabular.Table()
        lines.add("Controller:", value["controller"])
        lines.add("Model:", value.get("model", "<no-current-model>"))
        lines.add("User:", value["user"])
        return lines.render()

    invocation.show(details, tabular=table)


@command.define(
    "controllers",
    "Lists all controllers.",
    scope=None,
    formats=("tabular", "json", "yaml"),
    options=(
        flags.boolean("managed", usage="Accepted: there is one controller"),
        flags.boolean("refresh", usage="Accepted: what is shown is always fresh"),
    ),
    aliases=("list-controllers",),
)
def controllers(invocation: command.Invocation) -> None:
    """List the lab's one controller."""
    invocation.at_most(0)
    controller = invocation.controller
    found = invocation.client.call("models")
    current = invocation.store.current_model
    details: dict[str, typing.Any] = {
        **({"current-model": current} if current else {}),
        "user": "admin",
        "access": "superuser",
        "uuid": controller["uuid"],
        "api-endpoints": invocation.store.api_endpoints,
        "cloud": controller["cloud"],
        "region": controller["region"],
        "agent-version": controller["version"],
        "model-count": len(found),
        "machine-count": sum(len(model.get("machines", {})) for model in found),
    }
    value = {"controllers": {controller["name"]: details}, "current-controller": controller["name"]}
    invocation.show(value, tabular=_controllers_table)


def _controllers_table(value: dict[str, typing.Any]) -> str:
    table = tabular.Table(right={5, 6})
    table.heading("Controller", "Model", "User", "Access", "Cloud/Region", "Models", "Nodes", "HA", "Version")
    for name, details in value["controllers"].items():
        where = f"{details['cloud']}/{details['region']}"
        marked = name + ("*" if name == value["current-controller"] else "")
        counts = (str(details["model-count"]), str(details["machine-count"]))
        model = details.get("current-model", "-")
        table.add(marked, model, details["user"], details["access"], where, *counts, "none", details["agent-version"])
    return table.render()


@command.define(
    "show-controller",
    "Shows detailed information of a controller.",
    usage="[<controller name> ...]",
    scope=None,
    formats=("yaml", "json"),
    options=(flags.boolean("show-password", usage="Show the password of the controller's user"),),
)
def show_controller(invocation: command.Invocation) -> None:
    """Show the lab's one controller."""
    controller = invocation.controller
    for name in invocation.arguments:
        if name != controller["name"]:
            raise command.CommandError(f"controller {name} not found")
    found = invocation.client.call("models")
    current = invocation.store.current_model
    password = invocation.store.account.get("password", "") if invocation.options.on("show-password") else ""
    value = {
        controller["name"]: {
            "details": {
                "controller-uuid": controller["uuid"],
                "api-endpoints": invocation.store.api_endpoints,
                "cloud": controller["cloud"],
                "region": controller["region"],
                "agent-version": controller["version"],
                "controller-model-version": controller["version"],
            },
            "models": {model["short-name"]: {"model-uuid": model["model-uuid"]} for model in found},
            **({"current-model": f"admin/{current}"} if current else {}),
            "account": {
                "user": "admin",
                "access": "superuser",
                **({"password": password} if password else {}),
            },
        }
    }
    invocation.show(value)


@command.define(
    "clouds",
    "Lists all clouds available to Juju.",
    scope="controller",
    formats=("tabular", "json", "yaml"),
    options=(
        flags.boolean("all", usage="Show all available clouds"),
        flags.boolean("client", usage="Accepted and ignored: client and controller know the same cloud"),
    ),
    aliases=("list-clouds",),
)
def clouds(invocation: command.Invocation) -> None:
    """List the lab's one cloud."""
    controller = invocation.controller
    value = {
        controller["cloud"]: {
            "defined": "built-in",
            "type": "lab",
            "auth-types": ["empty"],
            "regions": {controller["region"]: {}},
        }
    }

    def table(found: dict[str, typing.Any]) -> str:
        lines = tabular.Table(right={1})
        lines.heading("Cloud", "Regions", "Default", "Type")
        for name, cloud in found.items():
            lines.add(name, str(len(cloud["regions"])), next(iter(cloud["regions"])), cloud["type"])
        return lines.render()

    invocation.show(value, tabular=table)


@command.define(
    "credentials",
    "Lists Juju credentials for a cloud.",
    usage="[<cloud name>]",
    scope="controller",
    formats=("tabular", "json", "yaml"),
    options=(
        flags.boolean("client", usage="Accepted and ignored: there are no credentials anywhere"),
        flags.boolean("show-secrets", usage="Accepted and ignored: there are no credentials anywhere"),
    ),
    aliases=("list-credentials",),
)
def credentials(invocation: command.Invocation) -> None:
    """Say that there are none: the lab's cloud needs no credentials."""
    invocation.at_most(1)
    if invocation.format == "tabular":
        invocation.inform("No credentials from this client or from a controller to display.")
    else:
        invocation.show({})
