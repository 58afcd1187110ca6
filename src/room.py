"""What a refresh needs room for, and which units lack it.

Each unit tells in its databag, under `short-of-room`, what it lacks room for: a JSON list of storages and of `snap`,
none where there is room for all. So the unit that checks knows it of all, above all of the primary, which keeps the
write-ahead log for standbys that are away.
"""

import collections.abc
import dataclasses
import json

KEY = "short-of-room"
SNAP = "snap"
LOGS = "logs"
MEBIBYTE = 1024 * 1024
# The snap is unpacked by mounting it; snapd keeps the old revision, and copies the small versioned data.
MINIMUM_FREE_BYTES_FOR_SNAP = 512 * MEBIBYTE
# What a primary keeps for a standby that is away: twice what it keeps anyway (wal_keep_size), at least.
MINIMUM_FREE_BYTES_FOR_WAL = 512 * MEBIBYTE


@dataclasses.dataclass(frozen=True)
class Room:
    """Free bytes on a unit's machine; None where that cannot be told."""

    snap: int | None = None
    """Where snapd keeps its snaps."""
    wal: int | None = None
    """On the storage of the write-ahead log."""

    @property
    def lacks_snap(self) -> bool:
        """Whether a new snap may not fit."""
        return self.snap is not None and self.snap < MINIMUM_FREE_BYTES_FOR_SNAP

    @property
    def lacks_wal(self) -> bool:
        """Whether what a primary keeps for a standby that is away may not fit."""
        return self.wal is not None and self.wal < MINIMUM_FREE_BYTES_FOR_WAL


def lacking(room: Room, storages_full: collections.abc.Iterable[str]) -> frozenset[str]:
    """What there is no room for: storages, and the snap."""
    found = set(storages_full)
    if room.lacks_wal:
        found.add(LOGS)
    if room.lacks_snap:
        found.add(SNAP)
    return frozenset(found)


def dump(lacks: collections.abc.Iterable[str]) -> str:
    """For the databag; empty where nothing is lacking."""
    return json.dumps(sorted(lacks)) if lacks else ""


def parse(text: str | None) -> frozenset[str]:
    """From the databag. What cannot be read tells of nothing."""
    try:
        content = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(map(str, content)) if isinstance(content, list) else frozenset()
