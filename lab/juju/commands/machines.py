"""machines, show-machine, add-machine, remove-machine."""

from __future__ import annotations

import typing

from lab.juju import client, command, flags, names, prompts, status_tables, times


@command.define(
    "machines",
    "Lists machines in a model.",
    formats=("tabular", "json", "yaml"),
    aliases=("list-machines",),
    options=(command.UTC_FLAG, *command.COLOR_FLAGS),
)
def machines(invocation: command.Invocation) -> None:
    """List the model's machines."""
    invocation.at_most(0)
    _show(invocation, [])


@command.define(
    "show-machine",
    "Show a machine's status.",
    usage="<machineID> ...",
    formats=("yaml", "json", "tabular"),
    options=(command.UTC_FLAG, *command.COLOR_FLAGS),
)
def show_machine(invocation: command.Invocation) -> None:
    """Show machines in detail."""
    _show(invocation, invocation.arguments)


def _show(invocation: command.Invocation, wanted: list[str]) -> None:
    found = invocation.call("show_machine", machines=wanted)
    value = {"model": invocation.model, "machines": times.localize(found, invocation.options.on("utc"))}

    def table(shown: dict[str, typing.Any]) -> str:
        return status_tables.machines(shown["machines"], color=invocation.color)

    invocation.show(value, tabular=table)


@command.define(
    "add-machine",
    "Provision a new machine or assign one to the model.",
    usage="[<container-type>[:<machine-id>] | ssh:[<user>@]<host> | <placement>] | <private-key> | <public-key>",
    options=(
        flags.number("n", default=1, usage="The number of machines to add"),
        flags.text("base", usage="The operating system base to install on the new machine(s)"),
        flags.repeated("constraints", usage="Machine constraints that overwrite those available from the model"),
        flags.text("disks", usage="Refused: machines of the lab have one disk"),
    ),
)
def add_machine(invocation: command.Invocation) -> None:
    """Add machines without units."""
    options = invocation.options
    if invocation.arguments:
        raise command.UsageError(f'the lab makes its machines itself: "{invocation.arguments[0]}" is not supported')
    if options.text("disks"):
        raise command.UsageError("--disks is not supported by the lab")
    if options.number("n") < 1:
        raise command.UsageError("the number of machines to add must be a positive integer")
    base, constraints = options.text("base") or None, " ".join(options.texts("constraints"))
    added = invocation.call("add_machine", count=options.number("n"), base=base, constraints=constraints)
    for number in added:
        invocation.inform(f"created machine {number}")


@command.define(
    "remove-machine",
    "Removes one or more machines from a model.",
    usage="<machine number> ...",
    options=(
        command.NO_PROMPT_FLAG,
        flags.boolean("dry-run", usage="Print what this command would be removed without removing"),
        flags.boolean("force", usage="Completely remove a machine and all its dependencies"),
        flags.boolean("keep-instance", usage="Refused: a machine of the lab does not exist without it"),
        flags.boolean("no-wait", usage="Rush through machine removal without waiting for each individual step"),
    ),
)
def remove_machine(invocation: command.Invocation) -> None:
    """Remove machines; `--force` with the units on them."""
    options = invocation.options
    if options.on("keep-instance"):
        raise command.UsageError("--keep-instance is not supported by the lab")
    prompts.check_no_wait(invocation)
    invocation.require(1, "no machines specified")
    for number in invocation.arguments:
        if not names.is_machine(number):
            raise command.UsageError(f'invalid machine id "{number}"')
    asks = invocation.prompts
    if options.on("dry-run") or asks:
        invocation.warn(prompts.ACTIONS)
        _remove_each(invocation, dry_run=True, tell=True)
        if options.on("dry-run"):
            return
        invocation.confirm("machine removal")
    _remove_each(invocation, dry_run=False, tell=not asks)


def _remove_each(invocation: command.Invocation, *, dry_run: bool, tell: bool) -> None:
    options = invocation.options
    failed = False
    for number in invocation.arguments:
        try:
            info = invocation.call(
                "remove_machine",
                machine=number,
                force=options.on("force"),
                no_wait=options.on("no-wait"),
                dry_run=dry_run,
            )
        except client.RemoteError as error:
            invocation.fail(f"removing machine {number} failed: {error.message}")
            failed = True
            continue
        if tell:
            invocation.write(prompts.removal("machine", number, info or {}))
    if failed:
        raise command.CommandError
