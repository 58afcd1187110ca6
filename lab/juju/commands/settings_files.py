"""`--config` and the like: YAML files and `key=value` pairs on one option."""

from __future__ import annotations

import typing

from lab.juju import command


def split(invocation: command.Invocation, option: str) -> tuple[str, dict[str, str]]:
    """The text of the one YAML file, and the pairs, of a repeated option; `key=@file` takes the file's content.

    Raises:
        CommandError: There is more than one file, or one that cannot be read.
    """
    files: list[str] = []
    pairs: dict[str, str] = {}
    for word in invocation.options.texts(option):
        key, equals, value = word.partition("=")
        if equals and key:
            pairs[key] = value_of(invocation, value)
        else:
            files.append(word)
    if len(files) > 1:
        raise command.CommandError(f"only a single config YAML file can be specified, got {len(files)}")
    return (invocation.read(files[0]) if files else ""), pairs


def value_of(invocation: command.Invocation, value: str) -> str:
    """A value as given, or for `@path` the content of the file.

    Raises:
        CommandError: The file cannot be read.
    """
    return invocation.read(value[1:]) if value.startswith("@") else value


def mapping(text: str) -> dict[str, typing.Any]:
    """The mapping that a YAML text holds; nothing for an empty text.

    Raises:
        CommandError: It holds something else, or is no YAML.
    """
    import yaml  # late: few runs read YAML

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise command.CommandError(f"yaml: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise command.CommandError(f"yaml: expected a mapping, got {type(content).__name__}")
    return content
