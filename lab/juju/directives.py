"""What `deploy`, `refresh` and `add-unit` ask for alike: storage directives, resources, placement."""

from __future__ import annotations

import collections.abc
import math
import re
import typing

from lab.juju import command, names

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([MGTPEZY]?)(?:i?B)?", re.IGNORECASE)
_FACTORS = {"": 1, "M": 1, "G": 2**10, "T": 2**20, "P": 2**30, "E": 2**40, "Z": 2**50, "Y": 2**60}


def storage(words: collections.abc.Iterable[str], *, need_value: bool = True) -> dict[str, dict[str, typing.Any]]:
    """`NAME=pool,size,count` words as `{"pool", "size", "count"}` by name, size in MiB; what is not said is left out.

    Args:
        words: The directives, the three parts in any order.
        need_value: Whether `NAME` alone is refused.

    Raises:
        UsageError: One of them is no directive.
    """
    result: dict[str, dict[str, typing.Any]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or (need_value and not equals):
            raise command.UsageError(f'expected "name=constraints" or "name", got "{word}"')
        if name in result:
            raise command.UsageError(f'storage "{name}" specified more than once')
        result[name] = _directive(name, value)
    return result


def _directive(name: str, text: str) -> dict[str, typing.Any]:
    result: dict[str, typing.Any] = {}
    for part in filter(None, text.split(",")):
        size = _SIZE.fullmatch(part)
        if part.isdigit():
            _add(result, name, "count", int(part))
        elif size and size[2]:
            _add(result, name, "size", math.ceil(float(size[1]) * _FACTORS[size[2].upper()]))
        elif re.fullmatch(r"[a-zA-Z]+[-?a-zA-Z0-9]*", part):
            _add(result, name, "pool", part)
        else:
            message = f'cannot parse storage directives for storage "{name}": unrecognized storage directive "{part}"'
            raise command.UsageError(message)
    if result.get("count") == 0:
        raise command.UsageError(
            f'cannot parse storage directives for storage "{name}": count must be greater than zero'
        )
    return result


def _add(result: dict[str, typing.Any], name: str, key: str, value: typing.Any) -> None:
    if key in result:
        raise command.UsageError(f'cannot parse storage directives for storage "{name}": {key} specified twice')
    result[key] = value


def resources(invocation: command.Invocation, words: collections.abc.Iterable[str]) -> dict[str, typing.Any]:
    """`NAME=value` words: a revision number stays one, anything else is a file, made absolute.

    Raises:
        UsageError: A word is no pair.
        CommandError: A file does not exist.
    """
    try:
        found = names.pairs(words)
    except ValueError as error:
        raise command.UsageError(f"{error}") from error
    return {name: int(value) if value.isdigit() else resource_file(invocation, value) for name, value in found.items()}


def resource_file(invocation: command.Invocation, name: str) -> str:
    """The absolute path of a resource's file.

    Raises:
        CommandError: It does not exist.
    """
    path = invocation.path(name)
    if not path.is_file():
        raise command.CommandError(f"file {name!r} not found: open {name}: no such file or directory")
    return str(path)


def placement(text: str) -> list[str]:
    """`--to`: the machines, by comma.

    Raises:
        UsageError: A directive asks for a container or a zone, which the lab has not.
    """
    found = [word for word in text.split(",") if word]
    for word in found:
        if not names.is_machine(word):
            raise command.UsageError(
                f'unsupported placement directive "{word}": the lab places units on machines by number'
            )
    return found


def attach_storage(words: collections.abc.Iterable[str]) -> list[str]:
    """`--attach-storage`: storage identifiers, by comma, the option repeated or not.

    Raises:
        UsageError: One of them is not valid.
    """
    found = [part for word in words for part in word.split(",") if part]
    for identifier in found:
        if not names.is_storage(identifier):
            raise command.UsageError(f'storage ID "{identifier}" not valid')
    return found
