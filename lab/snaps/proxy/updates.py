"""Which installed snaps have an update, and which of these a refresh of all snaps takes: snapd's own rules.

A refresh that names no snap leaves out the held ones, while the list of updates has them too. Both leave out snaps in
devmode and disabled ones.
"""

from __future__ import annotations

import datetime
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from . import index, memory


@dataclass(frozen=True)
class Update:
    """What the channel that an installed snap follows serves instead of the revision that is installed."""

    snap: index.Snap
    revision: index.Revision
    channel: str
    held: bool


def available(
    installed: Iterable[Mapping[str, typing.Any]],
    offered: index.IndexFile,
    remembered: memory.Memory,
    now: datetime.datetime,
) -> Iterator[Update]:
    """Yield the updates of snaps that snapd lists as installed."""
    for each in installed:
        snap, tracking = offered.get(each["name"]), remembered.tracking(each["name"])
        if snap is None or tracking is None or each.get("devmode") or each.get("status") == "installed":
            continue
        head = snap.head(tracking)
        if head and head.number != remembered.revision(snap.name, str(each["revision"])):
            yield Update(snap, head, tracking, _is_held(each, now))


def _is_held(installed: Mapping[str, typing.Any], now: datetime.datetime) -> bool:
    """Whether somebody's hold is in force: snapd tells of it also when it is over."""
    return "hold" in installed and _time(installed["hold"]) > now


def _time(text: str) -> datetime.datetime:
    """A time as snapd writes it, RFC 3339 with up to nine digits of a second's fraction."""
    whole, point, rest = text.partition(".")
    return datetime.datetime.fromisoformat(whole + (rest.lstrip("0123456789") if point else ""))
