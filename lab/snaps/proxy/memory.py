"""What the proxy remembers about a machine's snaps, kept in one file.

snapd numbers a side-loaded snap x1, x2, ... Which revision of the store that is follows from the content of its file,
so that the loss of this memory costs no more than the channels that snaps follow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import threading
import typing
from dataclasses import dataclass, field

from . import index, snapd

SNAPS = pathlib.Path("/var/lib/snapd/snaps")
CHANGES_KEPT = 200


@dataclass
class Change:
    """A change of snapd's that the proxy asked for in a client's stead."""

    name: str
    action: str
    channel: str | None = None
    revision: str | None = None
    local_revision: str | None = None
    outcome: str | None = None
    all_of: list[str] = field(default_factory=list)  # the snaps of a refresh that named none; the others stay empty


@dataclass
class Contents:
    """Everything that is remembered. Unknown keys in the file are ignored, missing ones are empty."""

    tracking: dict[str, str] = field(default_factory=dict)  # snap: the channel it follows
    channels: dict[str, dict[str, str]] = field(default_factory=dict)  # snap: local revision: the channel it came from
    expected: dict[str, dict[str, str]] = field(default_factory=dict)  # snap: local revision: the store's revision
    digests: dict[str, list[typing.Any]] = field(default_factory=dict)  # file: [inode, size, modified, sha256]
    changes: dict[str, Change] = field(default_factory=dict)  # by snapd's number


def write(path: pathlib.Path, contents: Contents) -> None:
    """Keep it, so that a crash leaves the old contents or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replacement = path.with_suffix(".new")
    with replacement.open("w") as file:
        json.dump(dataclasses.asdict(contents), file)
        file.flush()
        os.fsync(file.fileno())
    replacement.replace(path)


class Memory:
    """The machine's snaps as the store knows them. Safe to use from several threads."""

    def __init__(self, path: pathlib.Path, offered: index.IndexFile, daemon: snapd.Snapd, snaps: pathlib.Path = SNAPS):
        self._path = path
        self._index = offered
        self._snapd = daemon
        self._snaps = snaps
        self._lock = threading.RLock()
        self._contents = self._load()

    def tracking(self, name: str) -> str | None:
        """The channel that a snap follows."""
        with self._lock:
            return self._contents.tracking.get(name)

    def channel(self, name: str, local_revision: str) -> str | None:
        """The channel that a local revision came from; where that is not known, the one that the snap follows."""
        with self._lock:
            return self._contents.channels.get(name, {}).get(local_revision) or self.tracking(name)

    def change(self, number: str) -> Change | None:
        """What a change of snapd's was asked for."""
        with self._lock:
            return self._contents.changes.get(number)

    def revision(self, name: str, local_revision: str) -> str:
        """The store's revision that a local one (x1, x2, ...) is; the local one itself where it is not the store's."""
        snap = self._index.get(name)
        if snap is None or not local_revision.startswith("x"):
            return local_revision
        with self._lock:
            expected = self._contents.expected.get(name, {}).get(local_revision)
            digest = self._digest(self._snaps / f"{name}_{local_revision}.snap")
        if digest is None:  # the file is still on its way
            return expected or local_revision
        return snap.revision_of_content(digest) or local_revision

    def local_revisions(self, name: str) -> dict[str, str]:
        """What the machine has of a snap: local revisions, and the store's that each is."""
        return {local: self.revision(name, local) for local in self._snapd.local_revisions(name)}

    def expect(self, name: str, local_revision: str, revision: str) -> None:
        """Remember what a local revision will be, before its file is there."""
        with self._lock:
            self._contents.expected.setdefault(name, {})[local_revision] = revision
            self._save()

    def begin(self, number: str, change: Change) -> None:
        """Remember a change that snapd has accepted."""
        with self._lock:
            self._contents.changes[number] = change
            for old in sorted(self._contents.changes, key=int)[:-CHANGES_KEPT]:
                del self._contents.changes[old]
            self._save()

    def settle(self) -> None:
        """Take over the effects of the changes that have ended since."""
        with self._lock:
            pending = [(number, change) for number, change in self._contents.changes.items() if change.outcome is None]
            for number, change in pending:
                state = self._snapd.get(f"/v2/changes/{number}") or {"ready": True, "status": "Unknown"}
                if state["ready"]:
                    change.outcome = state["status"]
                    if change.outcome == "Done":
                        self._apply(change)
                    self._save()

    def _apply(self, change: Change) -> None:
        contents = self._contents
        if change.action == "remove":
            for table in (contents.tracking, contents.channels, contents.expected):
                table.pop(change.name, None)
        elif change.channel is not None:
            contents.tracking[change.name] = change.channel
            if change.local_revision is not None:
                contents.channels.setdefault(change.name, {})[change.local_revision] = change.channel

    def _digest(self, path: pathlib.Path) -> str | None:
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        identity = [status.st_ino, status.st_size, status.st_mtime_ns]
        known = self._contents.digests.get(str(path))
        if known is None or known[:3] != identity:
            with path.open("rb") as file:
                known = [*identity, hashlib.file_digest(file, "sha256").hexdigest()]
            self._contents.digests[str(path)] = known
            self._save()
        return known[3]

    def _load(self) -> Contents:
        try:
            stored = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return Contents()
        contents = Contents(
            **{key: stored[key] for key in ("tracking", "channels", "expected", "digests") & stored.keys()}
        )
        known = {attribute.name for attribute in dataclasses.fields(Change)}
        for number, change in stored.get("changes", {}).items():
            contents.changes[number] = Change(**{key: value for key, value in change.items() if key in known})
        return contents

    def _save(self) -> None:
        write(self._path, self._contents)
