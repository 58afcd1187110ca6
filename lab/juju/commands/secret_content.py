"""add-secret, update-secret: user secrets and their content."""

from __future__ import annotations

import base64
import binascii
import re

from lab.juju import command, flags
from lab.juju.commands import settings_files

_KEY = re.compile(r"[a-z](?:-?[a-z0-9]){2,}")
_CONTENT_FLAGS = (
    flags.text("info", usage="The secret description"),
    flags.text("file", usage="A YAML file containing secret key values"),
)


@command.define("add-secret", "Add a new secret.", usage="<name> [key[#base64|#file]=value...]", options=_CONTENT_FLAGS)
def add_secret(invocation: command.Invocation) -> None:
    """Create a user secret and print its URI.

    `key#file=path` takes a file's content, `key#base64=value` a value that is encoded already.
    """
    invocation.require(1, "secret name needs to be supplied as the first argument")
    name, *words = invocation.arguments
    content = _content(invocation, words)
    if not content:
        raise command.UsageError("missing secret value or filename")
    uri = invocation.call("add_secret", name=name, content=content, description=invocation.options.text("info"))
    invocation.write(f"{uri}\n")


@command.define(
    "update-secret",
    "Update an existing secret.",
    usage="<ID>|<name> [key[#base64|#file]=value...]",
    options=(
        *_CONTENT_FLAGS,
        flags.text("name", usage="The new secret name"),
        flags.boolean("auto-prune", usage="Remove revisions that no one tracks any longer"),
    ),
)
def update_secret(invocation: command.Invocation) -> None:
    """Give a user secret a new revision, or another name or description."""
    invocation.require(1, "secret URI needs to be supplied as the first argument")
    secret, *words = invocation.arguments
    options = invocation.options
    content = _content(invocation, words)
    if not content and not any(options.given(name) for name in ("info", "name", "auto-prune")):
        raise command.UsageError("specify an update to the secret")
    invocation.call(
        "update_secret",
        secret=secret,
        content=content or None,
        description=options.text("info") if options.given("info") else None,
        name=options.text("name") or None,
        auto_prune=options.on("auto-prune") if options.given("auto-prune") else None,
    )


def _content(invocation: command.Invocation, words: list[str]) -> dict[str, str]:
    """The content of files and words by key, base64-encoded as the controller keeps it."""
    content: dict[str, str] = {}
    file = invocation.options.text("file")
    if file:
        content |= {
            key: value
            for name, text in settings_files.mapping(invocation.read(file)).items()
            for key, value in [_entry(invocation, name, _as_text(text))]
        }
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise command.UsageError(f'expected "key=value", got "{word}"')
        key, value = _entry(invocation, name, text)
        content[key] = value
    return content


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _entry(invocation: command.Invocation, name: str, text: str) -> tuple[str, str]:
    key, _, form = name.partition("#")
    if not _KEY.fullmatch(key):
        raise command.UsageError(f'key "{key}" not valid')
    if form == "base64":
        try:
            base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise command.UsageError(f'value of key "{key}" is not base64: {error}') from error
        return key, text
    if form == "file":
        try:
            data = invocation.path(text).read_bytes()
        except OSError as error:
            raise command.UsageError(f"reading content for secret key {key!r}: {error}") from error
        return key, base64.b64encode(data).decode()
    if form:
        raise command.UsageError(f'key "{name}" not valid')
    return key, base64.b64encode(text.encode()).decode()
