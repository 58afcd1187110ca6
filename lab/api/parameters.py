"""Reading the parameters of calls.

Juju decodes them as Go does: names match whatever their case, what is missing is empty. Tags name entities.
"""

from __future__ import annotations

import collections.abc
import typing

from lab.api import errors
from lab.controller import operations_common, tags
from lab.controller.operations_common import Json

_NANOSECONDS = 1_000_000_000

Item = typing.TypeVar("Item")


def pick(parameters: Json, name: str, default: typing.Any = None) -> typing.Any:
    """A parameter of this name in any case; the default where it is missing or null."""
    found = parameters.get(name)
    if found is None:
        wanted = name.lower()
        found = next((value for key, value in parameters.items() if key.lower() == wanted), None)
    return default if found is None else found


def text(parameters: Json, name: str) -> str:
    """A parameter that must be there.

    Raises:
        OperationError: it is missing, empty, or no text.
    """
    found = pick(parameters, name)
    if not isinstance(found, str) or not found:
        raise operations_common.bad_request(f'parameter "{name}" is {found!r}: a text is wanted')
    return found


def items(parameters: Json, name: str) -> list[typing.Any]:
    """A list, empty if it is missing.

    Raises:
        OperationError: it is something else.
    """
    found = pick(parameters, name, [])
    if not isinstance(found, list):
        raise operations_common.bad_request(f'parameter "{name}" is {found!r}: a list is wanted')
    return found


def entity(tag: typing.Any, kind: str) -> str:
    """The name of the entity that a tag of this kind stands for: `pg/0` for `unit-pg-0`.

    Raises:
        OperationError: it is no such tag.
    """
    if not isinstance(tag, str) or tags.kind(tag) != kind or not tags.name(tag).strip("/"):
        raise operations_common.bad_request(f'"{tag}" is not a valid {kind} tag')
    if kind == "storage":
        return storage(tag)
    return tags.name(tag)


def storage(tag: str) -> str:
    """The identifier of a storage instance behind its tag: `data/0` for `storage-data-0`.

    A slash where the last hyphen should be is let through, as by Juju: python-libjuju makes its tags so.
    """
    suffix = tag.removeprefix("storage-")
    name, _, number = suffix.rpartition("/" if "/" in suffix else "-")
    return f"{name}/{number}"


def storage_tag(identifier: str) -> str:
    """The tag of a storage instance: `storage-data-0` for `data/0`."""
    return f"storage-{identifier.replace('/', '-')}"


def entities(parameters: Json, kind: str, name: str = "entities") -> list[str]:
    """The names of the entities that a list `[{"tag": ...}]` stands for.

    Raises:
        OperationError: a tag is not of this kind.
    """
    return [entity(pick(item, "tag"), kind) for item in items(parameters, name)]


def seconds(nanoseconds: float | None) -> float | None:
    """A Go duration in seconds; None stays None."""
    return None if nanoseconds is None else nanoseconds / _NANOSECONDS


def removal(parameters: Json) -> Json:
    """How something is to be removed: by force, and if so without waiting (a `max-wait` of 0)."""
    force = bool(pick(parameters, "force", False))
    return {"force": force, "no_wait": force and pick(parameters, "max-wait") == 0}


def results(given: collections.abc.Iterable[Item], function: collections.abc.Callable[[Item], Json]) -> Json:
    """A bulk call's results: what the function makes of each item, or its error."""
    found: list[Json] = []
    for item in given:
        try:
            found.append(function(item))
        except Exception as error:  # each item has an answer of its own
            found.append(errors.in_result(errors.from_exception(error)))
    return {"results": found}
