"""Charm URLs: `local:NAME-0`, `ch:amd64/NAME-5`, with a series between in what older clients send."""

from __future__ import annotations

import dataclasses
import re

from lab.api import parameters
from lab.controller import operations_common
from lab.controller.operations_common import Json

_URL = re.compile(r"(?:(?P<schema>[a-z]+):)?(?:[a-z0-9]+/){0,2}(?P<name>[a-z][a-z0-9-]*?)(?:-(?P<revision>\d+))?")


@dataclasses.dataclass(frozen=True)
class CharmUrl:
    """A charm's URL and its parts; without a schema it means Charmhub."""

    text: str
    local: bool
    name: str
    revision: int | None


def parse(text: str) -> CharmUrl:
    """The parts of a URL.

    Raises:
        OperationError: it is none, or of a store that is no more.
    """
    match = _URL.fullmatch(text)
    if match is None or match["schema"] not in (None, "local", "ch"):
        raise operations_common.bad_request(f'cannot parse charm URL "{text}"')
    revision = int(match["revision"]) if match["revision"] else None
    return CharmUrl(text, match["schema"] == "local", match["name"], revision)


def channel(origin: Json) -> str | None:
    """The channel that a charm's origin names; None for none."""
    track, risk = parameters.pick(origin, "track"), parameters.pick(origin, "risk")
    return f"{track or 'latest'}/{risk}" if risk else None
