"""add-storage, attach-storage, detach-storage, remove-storage."""

from __future__ import annotations

from lab.juju import client, command, directives, flags, names


@command.define("add-storage", "Adds storage to a unit after it has been deployed.", usage="<unit> <storage-directive>")
def add_storage(invocation: command.Invocation) -> None:
    """Add storage instances to a unit: `NAME[=pool,size,count]`."""
    invocation.require(2, "add-storage requires a unit and a storage directive")
    unit, *words = invocation.arguments
    if not names.is_unit(unit):
        raise command.UsageError(f'unit name "{unit}" not valid')
    failed = False
    for name, directive in sorted(directives.storage(words, need_value=False).items()):
        try:
            added = invocation.call("add_storage", unit=unit, storage=name, **directive)
        except client.RemoteError as error:
            invocation.inform(f'failed to add storage "{name}" to {unit}: {error.message}')
            failed = True
            continue
        for identifier in added:
            invocation.inform(f"added storage {identifier} to {unit}")
    if failed:
        raise command.CommandError


@command.define("attach-storage", "Attaches existing storage to a unit.", usage="<unit> <storage> [<storage> ...]")
def attach_storage(invocation: command.Invocation) -> None:
    """Attach detached storage to a unit of an application that has storage of this name."""
    invocation.require(2, "attach-storage requires a unit ID and at least one storage ID")
    unit, *identifiers = invocation.arguments
    if not names.is_unit(unit):
        raise command.UsageError(f'unit name "{unit}" not valid')
    _check(identifiers)
    failed = False
    for identifier in identifiers:
        try:
            invocation.call("attach_storage", unit=unit, storage=identifier)
            invocation.inform(f"attaching {identifier} to {unit}")
        except client.RemoteError as error:
            invocation.inform(f"failed to attach {identifier} to {unit}: {error.message}")
            failed = True
    if failed:
        raise command.CommandError


@command.define(
    "detach-storage",
    "Detaches storage from units.",
    usage="<storage> [<storage> ...]",
    options=(
        flags.boolean("force", usage="Forcefully detach storage"),
        flags.boolean("no-wait", usage="Rush through detaching without waiting for each individual step"),
    ),
)
def detach_storage(invocation: command.Invocation) -> None:
    """Detach storage from its unit; it stays in the model."""
    invocation.require(1, "detach-storage requires at least one storage ID")
    options = invocation.options
    if options.on("no-wait") and not options.on("force"):
        raise command.CommandError("--no-wait without --force not valid")
    _check(invocation.arguments)
    failed = False
    for identifier in invocation.arguments:
        try:
            invocation.call("detach_storage", storage=identifier, force=options.on("force"))
            invocation.inform(f"detaching {identifier}")
        except client.RemoteError as error:
            invocation.inform(f"failed to detach {identifier}: {error.message}")
            failed = True
    if failed:
        raise command.CommandError


@command.define(
    "remove-storage",
    "Removes storage from the model.",
    usage="<storage> [<storage> ...]",
    options=(
        flags.boolean("force", usage="Remove storage even if it is currently attached"),
        flags.boolean("no-destroy", usage="Remove the storage without destroying it"),
    ),
)
def remove_storage(invocation: command.Invocation) -> None:
    """Remove storage, and its content unless `--no-destroy` is given."""
    invocation.require(1, "remove-storage requires at least one storage ID")
    _check(invocation.arguments)
    options = invocation.options
    failed = False
    for identifier in invocation.arguments:
        try:
            invocation.call(
                "remove_storage", storage=identifier, force=options.on("force"), destroy=not options.on("no-destroy")
            )
            invocation.inform(f"{'releasing' if options.on('no-destroy') else 'removing'} {identifier}")
        except client.RemoteError as error:
            invocation.inform(f"failed to remove {identifier}: {error.message}")
            failed = True
    if failed:
        raise command.CommandError


def _check(identifiers: list[str]) -> None:
    for identifier in identifiers:
        if not names.is_storage(identifier):
            raise command.UsageError(f'storage ID "{identifier}" not valid')
