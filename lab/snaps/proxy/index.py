"""What the store offers: snaps, their revisions and their channels.

``index.json`` stands in the store's directory beside the files it names:

    {"snaps": {NAME: {"id", "publisher", "default-channel",
                      "channels": {ARCHITECTURE: {CHANNEL: REVISION}},
                      "revisions": {REVISION: {"file", "architecture", "sha256", "size", "released-at", "version",
                                               "type", "base", "confinement", "summary", "description", "apps",
                                               "replaces": {CHANNEL: REVISION}}}}}}

``replaces`` is what a channel served before this revision: what it serves again when the revision is withdrawn.
"""

from __future__ import annotations

import json
import pathlib
import threading
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import refusal

FILE_NAME = "index.json"
RISKS = ("stable", "candidate", "beta", "edge")
DEFAULT_CHANNEL = "latest/stable"


def full_channel(channel: str, tracking: str | None = None) -> str:
    """The complete name, TRACK/RISK[/BRANCH], of a channel as people abbreviate it.

    A risk alone keeps the track that the snap follows; a track alone means its stable risk.
    """
    parts = channel.split("/")
    if parts[0] in RISKS:
        track = tracking.split("/")[0] if tracking and len(parts) == 1 else "latest"
        return "/".join([track, *parts])
    return channel if len(parts) > 1 else f"{channel}/stable"


def short_channel(channel: str) -> str:
    """A channel's name as snapd shows it: without the default track."""
    return channel.removeprefix("latest/")


@dataclass(frozen=True)
class Revision:
    """One revision of a snap, for the architecture of this machine."""

    number: str
    file: str
    sha256: str = field(repr=False)
    size: int
    version: str
    type: str
    base: str | None
    confinement: str
    summary: str = field(repr=False)
    description: str = field(repr=False)
    released_at: str
    apps: tuple[str, ...] = field(repr=False)

    @classmethod
    def parse(cls, number: str, entry: Mapping[str, typing.Any]) -> Revision:
        """Read a revision's entry of the index."""
        return cls(
            number=number,
            file=entry["file"],
            sha256=entry["sha256"],
            size=entry["size"],
            version=entry["version"],
            type=entry.get("type", "app"),
            base=entry.get("base"),
            confinement=entry.get("confinement", "strict"),
            summary=entry.get("summary", ""),
            description=entry.get("description", ""),
            released_at=entry.get("released-at", "1970-01-01T00:00:00Z"),
            apps=tuple(entry.get("apps", ())),
        )


@dataclass(frozen=True)
class Snap:
    """A snap that the store offers to this machine's architecture."""

    name: str
    id: str
    publisher: Mapping[str, str]
    default_channel: str
    revisions: Mapping[str, Revision]
    channels: Mapping[str, str]

    @classmethod
    def parse(cls, name: str, entry: Mapping[str, typing.Any], architecture: str) -> Snap:
        """Read a snap's entry of the index, leaving out what other architectures get."""
        revisions = {
            number: Revision.parse(number, revision)
            for number, revision in entry["revisions"].items()
            if revision["architecture"] in (architecture, "all")
        }
        channels = entry.get("channels", {}).get(architecture, {})
        return cls(
            name=name,
            id=entry.get("id", ""),
            publisher=entry.get("publisher", {}),
            default_channel=entry.get("default-channel", DEFAULT_CHANNEL),
            revisions=revisions,
            channels={channel: str(number) for channel, number in channels.items() if str(number) in revisions},
        )

    def head(self, channel: str) -> Revision | None:
        """The revision that a channel serves.

        A closed channel serves what the next safer risk of its track serves; a branch falls back to its channel.
        """
        track, risk, *branch = channel.split("/")
        if risk not in RISKS:
            return None
        safer = reversed(RISKS[: RISKS.index(risk) + 1])
        for candidate in [*([channel] if branch else []), *(f"{track}/{risk}" for risk in safer)]:
            if candidate in self.channels:
                return self.revisions[self.channels[candidate]]
        return None

    def revision_of_content(self, sha256: str) -> str | None:
        """The revision whose file has this content: no two have the same."""
        return next((number for number, revision in self.revisions.items() if revision.sha256 == sha256), None)

    def require_revision(self, number: str) -> Revision:
        """A revision by number.

        Raises:
            refusal.Refusal: the store has no such revision for this architecture.
        """
        try:
            return self.revisions[number]
        except KeyError:
            raise refusal.Refusal(
                404, "snap-revision-not-available", "no snap revision available as specified", self.name
            ) from None

    def require_head(self, channel: str, action: str, architecture: str) -> Revision:
        """The revision that a channel serves.

        Raises:
            refusal.Refusal: the channel, and each safer one of its track, is closed.
        """
        head = self.head(channel)
        if head is None:
            releases = [{"architecture": architecture, "channel": open_channel} for open_channel in self.channels]
            raise refusal.Refusal(
                404,
                "snap-channel-not-available",
                "no snap revision on specified channel",
                {
                    "snap-name": self.name,
                    "action": action,
                    "channel": channel,
                    "architecture": architecture,
                    "releases": releases,
                },
            )
        return head


class IndexFile:
    """The index on disk, read again when it has changed: revisions may be published while the machine runs."""

    def __init__(self, directory: pathlib.Path, architecture: str):
        self.directory = directory
        self.architecture = architecture
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._snaps: dict[str, Snap] = {}

    def snaps(self) -> Mapping[str, Snap]:
        """All snaps on offer by name; none while there is no store."""
        with self._lock:
            try:
                status = (self.directory / FILE_NAME).stat()
            except FileNotFoundError:
                self._seen, self._snaps = None, {}
                return self._snaps
            seen = (status.st_ino, status.st_mtime_ns)
            if seen != self._seen:
                entries = json.loads((self.directory / FILE_NAME).read_text())["snaps"]
                self._snaps = {name: Snap.parse(name, entry, self.architecture) for name, entry in entries.items()}
                self._seen = seen
            return self._snaps

    def get(self, name: str) -> Snap | None:
        """A snap by name, or None where the store does not have it."""
        return self.snaps().get(name)

    def path(self, revision: Revision) -> pathlib.Path:
        """Where a revision's file is."""
        return self.directory / revision.file
