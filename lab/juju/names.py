"""The names that command lines use: which are valid, and the small grammars around them."""

from __future__ import annotations

import collections.abc
import re

_APPLICATION = r"[a-z][a-z0-9]*(?:-[a-z0-9]*[a-z][a-z0-9]*)*"
_NUMBER = r"(?:0|[1-9][0-9]*)"
_ACTION = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def is_application(name: str) -> bool:
    """Whether this can be an application's name: `pg`, `pg-2a`, but not `pg-2`, which would read as a unit's."""
    return bool(re.fullmatch(_APPLICATION, name))


def is_unit(name: str) -> bool:
    """Whether this can be a unit's name."""
    return bool(re.fullmatch(f"{_APPLICATION}/{_NUMBER}", name))


def is_unit_or_leader(name: str) -> bool:
    """Whether this is `pg/0` or `pg/leader`."""
    return is_unit(name) or bool(re.fullmatch(f"{_APPLICATION}/leader", name))


def is_machine(name: str) -> bool:
    """Whether this can be a machine's number."""
    return bool(re.fullmatch(_NUMBER, name))


def is_tag(name: str) -> bool:
    """Whether this is the tag of a unit, a machine or an application: `unit-pg-0`, `machine-0`, `application-pg`."""
    kind, _, rest = name.partition("-")
    if kind == "unit":
        application, _, number = rest.rpartition("-")
        return is_unit(f"{application}/{number}")
    return (kind == "machine" and is_machine(rest)) or (kind == "application" and is_application(rest))


def is_storage(name: str) -> bool:
    """Whether this can be a storage instance's identifier."""
    return bool(re.fullmatch(rf"[a-z][a-z0-9]*(?:-[a-z0-9]+)*/{_NUMBER}", name))


def is_model(name: str) -> bool:
    """Whether this can be a model's name."""
    return bool(re.fullmatch(r"[a-z0-9]+[a-z0-9-]*", name))


def is_action(name: str) -> bool:
    """Whether this can be the name of an action or of one of its parameters."""
    return bool(_ACTION.fullmatch(name))


def pairs(words: collections.abc.Iterable[str]) -> dict[str, str]:
    """`key=value` words as a mapping.

    Raises:
        ValueError: A word has no `=`, or nothing before it.
    """
    result: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ValueError(f'expected "key=value", got "{word}"')
        result[key] = value
    return result
