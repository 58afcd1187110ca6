"""What a client may ask of storage (`--storage NAME=pool,size,count`), held against what the charm declares."""

from __future__ import annotations

import re
import typing

from lab.controller import operations_common, storage_lifecycle
from lab.controller.entities import applications, charms

Directives = dict[str, dict[str, typing.Any]]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([MGTPEZY]?)(?:i?B)?")
_MULTIPLES = "MGTPEZY"


def size(text: str | int) -> int:
    """A size such as `10G` in MiB; a bare number is MiB.

    Raises:
        OperationError: it is not one.
    """
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise operations_common.bad_request(f'cannot parse size "{text}"')
    power = _MULTIPLES.index(match[2]) if match[2] else 0
    return max(1, int(float(match[1]) * 1024**power))


def counts(described: dict[str, typing.Any]) -> tuple[int, int | None]:
    """The least and the greatest number of instances (None: no bound) that a charm's storage has."""
    multiple = described.get("multiple")
    if not multiple:
        return 1, 1
    low, dash, high = str(multiple.get("range", "0-")).rstrip("+").partition("-")
    if dash or str(multiple["range"]).endswith("+"):
        return int(low), int(high) if high else None
    return int(low), int(low)


def constraints(
    charm: charms.Charm, directives: Directives, *, attached: typing.Mapping[str, int] | None = None
) -> dict[str, applications.StorageConstraint]:
    """What each unit of an application gets, from the charm's declarations and a client's directives.

    Args:
        charm: The charm.
        directives: Pool, size (MiB) and count by storage, each of them optional.
        attached: How many existing instances are attached instead of new ones.

    Raises:
        OperationError: a storage or pool is unknown, or a count not allowed.
    """
    for name in directives:
        if name not in charm.storage:
            raise operations_common.bad_request(f'charm "{charm.name}" has no store called "{name}"')
    return {
        name: _constraint(charm, name, described, directives.get(name, {}), (attached or {}).get(name, 0))
        for name, described in charm.storage.items()
    }


def _constraint(
    charm: charms.Charm,
    name: str,
    described: dict[str, typing.Any],
    directive: dict[str, typing.Any],
    attached: int,
) -> applications.StorageConstraint:
    pool = directive.get("pool") or storage_lifecycle.DEFAULT_POOL
    if pool not in storage_lifecycle.POOLS:
        raise operations_common.OperationError("not found", f'pool "{pool}" not found')
    least = size(described.get("minimum-size", 0)) if described.get("minimum-size") else 0
    wanted = size(directive["size"]) if directive.get("size") else max(least, storage_lifecycle.DEFAULT_SIZE)
    if wanted < least:
        raise operations_common.bad_request(
            f'charm "{charm.name}" store "{name}": minimum storage size is {least}MB, {wanted}MB specified'
        )
    low, _ = counts(described)
    given = directive.get("count")
    count = (1 if directive and low == 0 else low) if given is None else int(given)
    check_count(charm, name, max(count, attached))
    return applications.StorageConstraint(pool, wanted, count)


def check_count(charm: charms.Charm, name: str, count: int) -> None:
    """Refuses a number of instances that the charm does not allow.

    Raises:
        OperationError: it does not.
    """
    low, high = counts(charm.storage[name])
    if count < low:
        raise operations_common.bad_request(
            f'charm "{charm.name}" store "{name}": {low} instances required, {count} specified'
        )
    if high is not None and count > high:
        raise operations_common.bad_request(
            f'charm "{charm.name}" store "{name}": at most {high} instances supported, {count} specified'
        )
