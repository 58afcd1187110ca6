"""add-unit, remove-unit, show-unit."""

from __future__ import annotations

import typing

from lab.juju import client, command, directives, flags, names, output, prompts


@command.define(
    "add-unit",
    "Adds one or more units to a deployed application.",
    usage="<application name>",
    options=(
        flags.number("n", "num-units", default=1, usage="Number of units to add"),
        flags.text("to", usage="The machine to deploy the unit in"),
        flags.repeated("attach-storage", usage="Existing storage to attach to the deployed unit"),
    ),
)
def add_unit(invocation: command.Invocation) -> None:
    """Add units to an application."""
    options = invocation.options
    invocation.require(1, "no application specified")
    invocation.at_most(1)
    if options.number("n") < 1:
        raise command.UsageError("--num-units must be a positive integer")
    attach = directives.attach_storage(options.texts("attach-storage"))
    if attach and options.number("n") != 1:
        raise command.UsageError("--attach-storage cannot be used with -n")
    invocation.call(
        "add_unit",
        application=invocation.arguments[0],
        num_units=options.number("n"),
        attach_storage=attach,
        to=directives.placement(options.text("to")),
    )


@command.define(
    "remove-unit",
    "Remove application units from the model.",
    usage="<unit> [...] | <application>",
    options=(
        command.NO_PROMPT_FLAG,
        flags.boolean("dry-run", usage="Print what this command would remove without removing"),
        flags.number("num-units", usage="Number of units to remove (k8s models only)"),
        flags.boolean("destroy-storage", usage="Destroy storage attached to the unit"),
        flags.boolean("force", usage="Completely remove an unit and all its dependencies"),
        flags.boolean("no-wait", usage="Rush through unit removal without waiting for each individual step"),
    ),
)
def remove_unit(invocation: command.Invocation) -> None:
    """Remove units, and machines on which nothing is left."""
    if invocation.options.number("num-units"):
        raise command.UsageError("--num-units for non k8s models not valid")
    invocation.require(1, "no units specified")
    for name in invocation.arguments:
        if not names.is_unit(name):
            raise command.UsageError(f'invalid unit name "{name}"')
    prompts.check_no_wait(invocation)
    asks = invocation.prompts
    if invocation.options.on("dry-run") or asks:
        invocation.warn(prompts.ACTIONS)
        _remove_each(invocation, dry_run=True, tell=True)
        if invocation.options.on("dry-run"):
            return
        invocation.confirm("unit removal")
    _remove_each(invocation, dry_run=False, tell=not asks)


def _remove_each(invocation: command.Invocation, *, dry_run: bool, tell: bool) -> None:
    options = invocation.options
    failed = False
    for name in invocation.arguments:
        try:
            info = invocation.call(
                "remove_unit",
                unit=name,
                destroy_storage=options.on("destroy-storage"),
                force=options.on("force"),
                no_wait=options.on("no-wait"),
                dry_run=dry_run,
            )
        except client.RemoteError as error:
            invocation.fail(f"removing unit {name} failed: {error.message}")
            failed = True
            continue
        if tell:
            invocation.write(prompts.removal("unit", name, info or {}))
    if failed:
        raise command.CommandError


@command.define(
    "show-unit",
    "Displays information about a unit.",
    usage="<unit name>",
    formats=("yaml", "json", "smart"),
    options=(
        flags.boolean("app", usage="Only show application relation data"),
        flags.text("endpoint", usage="Only show relation data for the specified endpoint"),
        flags.text("related-unit", usage="Only show relation data for the specified unit"),
    ),
)
def show_unit(invocation: command.Invocation) -> None:
    """Show units in detail, with the databags of their relations; one without any data only where it is asked for."""
    invocation.require(1, "an unit name must be supplied")
    related = invocation.options.text("related-unit")
    if related and not names.is_unit(related):
        raise command.UsageError(f"related unit name {related} not valid")
    wrong = [name for name in invocation.arguments if not names.is_unit(name)]
    if wrong:
        raise command.UsageError(f"unit name{'s' if len(wrong) > 1 else ''} {', '.join(wrong)} not valid")
    found = invocation.call("show_unit", units=invocation.arguments)
    for name, details in found.items():
        infos = [_relation(invocation, name, info) for info in details.pop("relation-info", [])]
        if shown := [info for info in infos if info is not None]:
            details["relation-info"] = shown
    invocation.show(found, smart=output.as_yaml)


def _relation(invocation: command.Invocation, unit: str, info: dict[str, typing.Any]) -> dict[str, typing.Any] | None:
    """What is shown of a unit's relation; None where that is nothing."""
    options = invocation.options
    endpoint, only = options.text("endpoint"), options.text("related-unit")
    if endpoint and info["endpoint"] != endpoint:
        return None
    shown = {key: value for key, value in info.items() if key not in ("local-unit", "related-units")}
    bags = {} if options.on("app") else {unit: info["local-unit"], **info.get("related-units", {})}
    bags = {name: bag for name, bag in bags.items() if not only or name == only}
    own = bags.pop(unit, {"in-scope": False, "data": None})
    # Go leaves an empty structure out of YAML, but not out of JSON.
    if invocation.format == "json" or own["in-scope"] or own["data"]:
        shown["local-unit"] = own
    if bags:
        shown["related-units"] = bags
    kept = options.on("app") or endpoint or info["application-data"] or bags or own["data"]
    return shown if kept else None
