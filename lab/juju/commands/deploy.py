"""deploy."""

from __future__ import annotations

import pathlib
import typing

from lab.juju import command, directives, flags, names
from lab.juju.commands import settings_files


@command.define(
    "deploy",
    "Deploys a new application or bundle.",
    usage="<charm or bundle> [<application name>]",
    options=(
        flags.number("n", "num-units", default=1, usage="Number of application units to deploy for principal charms"),
        flags.repeated("config", usage="Either a path to yaml-formatted application config file or a key=value pair"),
        flags.repeated("storage", usage="Charm storage constraints"),
        flags.repeated("attach-storage", usage="Existing storage to attach to the deployed unit"),
        flags.repeated("resource", usage="Resource to be uploaded to the controller"),
        flags.boolean("trust", usage="Allows charm to run hooks that require access credentials"),
        flags.text("base", usage="The base on which to deploy"),
        flags.repeated("constraints", usage="Set application constraints"),
        flags.text("to", usage="The machine to deploy the unit in"),
        flags.text("channel", usage="Channel to use when deploying a charm from the local Charmhub"),
        flags.number("revision", default=-1, usage="The revision to deploy"),
        flags.boolean("force", usage="Allow a charm to be deployed which bypasses checks such as supported base"),
        flags.text("bind", usage="Accepted: the lab has one space, alpha"),
        flags.boolean("dry-run", usage="Just show what the deploy would do"),
        flags.repeated("overlay", usage="Refused: the lab deploys no bundles"),
        flags.text("map-machines", usage="Refused: the lab deploys no bundles"),
        flags.repeated("device", usage="Refused: the lab has no devices"),
        flags.text("series", usage="Refused: use --base"),
    ),
)
def deploy(invocation: command.Invocation) -> None:
    """Deploy a charm.

    The charm is a `.charm` file or an unpacked charm's directory (a path starting with `.` or `/`), or the name of a
    charm in the lab's local Charmhub.
    """
    request = _request(invocation)
    if invocation.options.on("dry-run"):
        invocation.inform("ignoring dry-run flag for local charms")
    text, pairs = settings_files.split(invocation, "config")
    result = invocation.call("deploy", **request, config=pairs, config_yaml=text)
    _report(invocation, result)


def _request(invocation: command.Invocation) -> dict[str, typing.Any]:
    options = invocation.options
    invocation.require(1, "no charm or bundle specified")
    invocation.at_most(2)
    _refuse(options)
    charm = invocation.arguments[0]
    application = invocation.arguments[1] if len(invocation.arguments) > 1 else ""
    if application and not names.is_application(application):
        raise command.UsageError(f'invalid application name "{application}"')
    attach = directives.attach_storage(options.texts("attach-storage"))
    if attach and options.number("n") != 1:
        raise command.UsageError("--attach-storage cannot be used with -n")
    if options.number("n") < 0:
        raise command.UsageError("--num-units must be a positive integer")
    if options.given("revision") and not options.text("channel") and not _is_path(charm):
        raise command.UsageError("when using --revision option, you must also use --channel option")
    return {
        "charm": _charm(invocation, charm),
        "application": application or None,
        "num_units": options.number("n"),
        "storage": directives.storage(options.texts("storage")),
        "attach_storage": attach,
        "resources": directives.resources(invocation, options.texts("resource")),
        "trust": options.on("trust"),
        "base": options.text("base") or None,
        "constraints": " ".join(options.texts("constraints")),
        "to": directives.placement(options.text("to")),
        "channel": options.text("channel") or None,
        "revision": options.number("revision") if options.given("revision") else None,
        "force": options.on("force"),
    }


def _refuse(options: flags.Values) -> None:
    """Refuse what Juju knows and the lab does not have."""
    if options.text("series") and options.text("base"):
        raise command.UsageError("--series and --base cannot be specified together")
    refused = {
        "the lab does not deploy bundles: --overlay and --map-machines are for bundles": (
            options.texts("overlay") or options.text("map-machines")
        ),
        "the lab has no devices: --device is for Kubernetes": options.texts("device"),
        "the lab does not take --series, which Juju calls deprecated: use --base": options.text("series"),
    }
    for reason, given in refused.items():
        if given:
            raise command.CommandError(reason)


def _is_path(charm: str) -> bool:
    return charm.startswith((".", "/", "~"))


def _charm(invocation: command.Invocation, charm: str) -> str:
    """What the controller is asked for: an absolute path, or a name of the local Charmhub."""
    if not _is_path(charm):
        if ("/" in charm and pathlib.Path(charm).exists()) or charm.endswith(".charm"):
            message = f'The charm or bundle "{charm}" is ambiguous: prefix a path with "./"'
            raise command.CommandError(message)
        return charm.removeprefix("ch:")
    path = invocation.path(charm)
    if path.suffix in (".yaml", ".yml", ".bundle") or (path / "bundle.yaml").is_file():
        raise command.CommandError(f'the lab does not deploy bundles: "{charm}" is one')
    if not path.exists():
        raise command.CommandError(f'no charm was found at "{charm}"')
    return str(path)


def _report(invocation: command.Invocation, result: dict[str, typing.Any]) -> None:
    charm = f'"{result["charm-name"]}", revision {result["revision"]}'
    base = f"{result['base']}/stable" if result.get("base") else ""
    if result["origin"] == "local":
        invocation.inform(f"Located local charm {charm}")
        invocation.inform(f'Deploying "{result["application"]}" from local charm {charm} on {base}')
        return
    channel = f" in channel {result['channel']}" if result.get("channel") else ""
    invocation.inform(f'Deployed "{result["application"]}" from charm-hub charm {charm}{channel} on {base}')
