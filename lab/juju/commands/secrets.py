"""secrets, show-secret, grant-secret, revoke-secret, remove-secret."""

from __future__ import annotations

import datetime
import re
import typing

from lab.juju import command, flags, names, tabular, times


@command.define(
    "secrets",
    "Lists secrets available in the model.",
    formats=("tabular", "json", "yaml"),
    aliases=("list-secrets",),
    options=(flags.text("owner", usage="Include secrets for the specified owner (a tag, such as unit-pg-0)"),),
)
def secrets(invocation: command.Invocation) -> None:
    """List the metadata of secrets."""
    invocation.at_most(0)
    owner = invocation.options.text("owner")
    if owner and not re.match(r"(unit|application|model)-.", owner):
        raise command.CommandError(f'invalid owner "{owner}"')
    found = invocation.call("secrets", owner=owner)
    invocation.show(found, tabular=lambda value: _table(invocation, value))


def _table(invocation: command.Invocation, found: dict[str, typing.Any]) -> str:
    table = tabular.Table(right={4}, color=invocation.color)
    table.add("ID", "Name", "Owner", "Rotation", "Revision", "Last updated")
    now = datetime.datetime.now(datetime.UTC)
    for identifier in sorted(found, key=lambda one: (found[one]["owner"], -found[one]["revision"])):
        secret = found[identifier]
        rotation = secret.get("rotation", "never")
        age = times.age(secret["updated"], now)
        name = secret.get("name", "-")
        table.add(identifier, name, secret["owner"], rotation, str(secret["revision"]), age, "")
    return table.render()


@command.define(
    "show-secret",
    "Shows details for a specific secret.",
    usage="<ID>|<name>",
    formats=("yaml", "json"),
    options=(
        flags.boolean("reveal", usage="Reveal secret values, applicable to yaml or json formats only"),
        flags.boolean("revisions", usage="Show the secret revisions metadata"),
        flags.number("r", "revision", usage="Show a specific revision (defaults to latest)"),
    ),
)
def show_secret(invocation: command.Invocation) -> None:
    """Show one secret, with its content if `--reveal` is given."""
    invocation.require(1, "secret ID is required")
    options = invocation.options
    if options.on("revisions") and options.on("reveal"):
        raise command.UsageError("specify either --revisions or --reveal but not both")
    if options.on("revisions") and options.number("r") > 0:
        raise command.UsageError("specify either --revisions or --revision but not both")
    if options.number("r") < 0:
        raise command.UsageError("revision must be a positive integer")
    invocation.at_most(1)
    found = invocation.call(
        "show_secret",
        secret=invocation.arguments[0],
        reveal=options.on("reveal"),
        revision=options.number("r"),
        revisions=options.on("revisions"),
    )
    invocation.show({key: _shown(invocation, value) for key, value in found.items()})


def _shown(invocation: command.Invocation, secret: dict[str, typing.Any]) -> dict[str, typing.Any]:
    content = secret.get("content")
    if content and invocation.format == "yaml":
        # Go's YAML inlines the data, its JSON cannot.
        return {**secret, "content": content["Data"]}
    return secret


@command.define(
    "grant-secret",
    "Grant access to a secret.",
    usage="<ID>|<name> <application>[,<application>...]",
)
def grant_secret(invocation: command.Invocation) -> None:
    """Let applications read a user secret."""
    _change_grants(invocation, "grant_secret")


@command.define(
    "revoke-secret",
    "Revoke access to a secret.",
    usage="<ID>|<name> <application>[,<application>...]",
)
def revoke_secret(invocation: command.Invocation) -> None:
    """Take the leave to read a user secret away from applications."""
    _change_grants(invocation, "revoke_secret")


def _change_grants(invocation: command.Invocation, method: str) -> None:
    invocation.require(1, "missing secret URI")
    invocation.require(2, "missing application name")
    invocation.at_most(2)
    secret, listed = invocation.arguments
    applications = listed.split(",")
    for name in applications:
        if not names.is_application(name):
            raise command.UsageError(f'application "{name}" not valid')
    invocation.call(method, secret=secret, applications=applications)


@command.define(
    "remove-secret",
    "Remove a existing secret.",
    usage="<ID>|<name>",
    options=(flags.number("revision", usage="Remove the specified revision"),),
)
def remove_secret(invocation: command.Invocation) -> None:
    """Remove a user secret, or one revision of it."""
    invocation.require(1, "missing secret URI")
    invocation.at_most(1)
    options = invocation.options
    revision = options.number("revision") if options.given("revision") else None
    if revision is not None and revision < 0:
        raise command.UsageError("revision must be a positive integer")
    invocation.call("remove_secret", secret=invocation.arguments[0], revision=revision)
