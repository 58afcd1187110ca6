"""integrate, remove-relation."""

from __future__ import annotations

import re

from lab.juju import command, flags, names


def _endpoint(word: str) -> str:
    """Check `application[:endpoint]`.

    Raises:
        UsageError: It is not one.
    """
    application, colon, endpoint = word.partition(":")
    if names.is_application(application) and (not colon or re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_-]*", endpoint)):
        return word
    if "." in word or "/" in word:
        message = f'"{word}" is in another model: the lab does not have cross-model relations'
        raise command.UsageError(message)
    raise command.UsageError(f'invalid endpoint "{word}"')


@command.define(
    "integrate",
    "Integrate two applications.",
    usage="<application>[:<endpoint>] <application>[:<endpoint>]",
    aliases=("relate",),
    options=(flags.text("via", usage="Refused: the lab does not have cross-model relations"),),
)
def integrate(invocation: command.Invocation) -> None:
    """Relate two applications; endpoints are needed only where there are several ways."""
    if invocation.options.text("via"):
        raise command.UsageError("the --via option can only be used when relating to offers in a different model")
    if len(invocation.arguments) != 2:
        raise command.UsageError("an integration must involve two applications")
    invocation.call("integrate", endpoints=[_endpoint(word) for word in invocation.arguments])


@command.define(
    "remove-relation",
    "Removes an existing relation between two applications.",
    usage="<application1>[:<endpoint name1>] <application2>[:<endpoint name2>] | <relation-id>",
    options=(flags.boolean("force", usage="Force remove a relation"),),
)
def remove_relation(invocation: command.Invocation) -> None:
    """Remove a relation, named by its two ends or by its number."""
    force = invocation.options.on("force")
    if len(invocation.arguments) == 1:
        if not invocation.arguments[0].isdigit():
            raise command.UsageError(f'relation ID "{invocation.arguments[0]}" not valid')
        invocation.call("remove_relation", relation=int(invocation.arguments[0]), force=force)
        return
    if len(invocation.arguments) != 2:
        raise command.UsageError("a relation must involve two applications")
    invocation.call("remove_relation", endpoints=[_endpoint(word) for word in invocation.arguments], force=force)
