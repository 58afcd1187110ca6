"""Settings on command lines: YAML files and `key=value` pairs, on one option or beside `--file` and `--reset`."""

from __future__ import annotations

import typing

from lab.juju import command, names


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


class Wishes(typing.NamedTuple):
    """What `juju config` or `juju model-config` is to do, in Juju's order: what is typed overrides the file."""

    file: str
    reset: list[str]
    keys: list[str]
    values: dict[str, str]


def wishes(invocation: command.Invocation, words: list[str]) -> Wishes:
    """Read the command line, given its words without an application's name.

    Raises:
        UsageError: It asks for what does not go together.
    """
    assignments = [word for word in words if "=" in word]
    wanted = Wishes(
        invocation.options.text("file"),
        [key for word in invocation.options.texts("reset") for key in word.strip(",").split(",")],
        [word for word in words if "=" not in word],
        _values(assignments),
    )
    for key in wanted.reset:
        if "=" in key:
            raise command.UsageError(f'--reset accepts a comma delimited set of keys "a,b,c", received: "{key}"')
    told = ("use --file flag", "use --reset flag", "get value", "set key=value pairs")
    asked = [text for text, given in zip(told, wanted, strict=True) if given]
    if wanted.keys and len(asked) > 1:
        raise command.UsageError(f"cannot {', '.join(asked[:-1])} and {asked[-1]} simultaneously")
    if len(wanted.keys) > 1:
        raise command.UsageError("cannot specify multiple keys to get")
    for key in wanted.reset:
        if key in wanted.values:
            raise command.UsageError(f'cannot set and reset key "{key}" simultaneously')
    return wanted


def _values(assignments: list[str]) -> dict[str, str]:
    for word in assignments:
        key = word.partition("=")[0]
        if sum(other.startswith(f"{key}=") for other in assignments) > 1:
            raise command.UsageError(f'key "{key}" specified more than once')
    try:
        return names.pairs(assignments)
    except ValueError as error:
        raise command.UsageError(str(error)) from error
