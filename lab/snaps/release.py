"""Releases of the store on demand: a newer revision of a snap, so that machines have something to refresh to."""

from __future__ import annotations

import pathlib
import tempfile

from lab import commands, settings
from lab.image import mirror
from lab.snaps import squashfs, store
from lab.snaps.proxy import index


def release(lab_settings: settings.Settings, snap: str, channel: str | None = None) -> tuple[str, int, str]:
    """Let a channel serve a new revision; return the snap's name, the revision and the channel.

    Args:
        lab_settings: of the lab whose store it is.
        snap: the name of a snap in the store, whose content is released anew with a version of its own; or the path of
            a snap's file, ending in `.snap`, which is released as it is.
        channel: TRACK/RISK[/BRANCH]; by default the one that is installed from where nobody asks for a channel.

    Raises:
        LookupError: the store has no such snap, the channel serves no revision of it, or there is no such file.
        ValueError: the file has been released already.
        commands.CommandError: the file is no snap, or a command of the host is missing.
    """
    if snap.endswith(".snap"):
        return _release_file(lab_settings.store, pathlib.Path(snap), channel)
    offered = _offered(lab_settings.store, snap)
    channel = index.full_channel(channel, offered.default_channel) if channel else offered.default_channel
    head = offered.head(channel)
    if head is None:
        raise LookupError(f"{channel} serves no revision of {snap}; channels: {', '.join(sorted(offered.channels))}")
    with tempfile.TemporaryDirectory(prefix="release-", dir=lab_settings.cache) as directory:
        number = _next(offered)
        file = _again(lab_settings.store / head.file, number, pathlib.Path(directory))
        store.publish(lab_settings.store, file, number, [channel])
    return snap, number, channel


def withdraw(lab_settings: settings.Settings, name: str) -> int:
    """Take the newest revision of a snap back; return its number. Machines that have it keep it.

    Raises:
        LookupError: the store has no such snap, or no other revision of it.
    """
    offered = _offered(lab_settings.store, name)
    if len(offered.revisions) == 1:
        raise LookupError(f"the store has one revision of {name} only, which stays")
    newest = max(map(int, offered.revisions))
    store.withdraw(lab_settings.store, name, newest)
    return newest


def _release_file(directory: pathlib.Path, file: pathlib.Path, channel: str | None) -> tuple[str, int, str]:
    if not file.is_file():
        raise LookupError(f"there is no file {file}")
    name = squashfs.metadata(file)["name"]
    offered = index.IndexFile(directory, mirror.architecture()).get(name)
    default = offered.default_channel if offered else index.DEFAULT_CHANNEL
    channel = index.full_channel(channel, default) if channel else default
    number = _next(offered)
    store.publish(directory, file, number, [channel])
    return name, number, channel


def _offered(directory: pathlib.Path, name: str) -> index.Snap:
    snaps = index.IndexFile(directory, mirror.architecture()).snaps()
    if name not in snaps:
        raise LookupError(f"the store has no snap {name}; it has: {', '.join(sorted(snaps))}")
    return snaps[name]


def _next(offered: index.Snap | None) -> int:
    return max(map(int, offered.revisions), default=0) + 1 if offered else 1


def _again(file: pathlib.Path, number: int, scratch: pathlib.Path) -> pathlib.Path:
    """Pack a snap's content again, with the number in its version: machines tell revisions apart by content."""
    tree, packed = scratch / "root", scratch / "packed.snap"
    commands.run("unsquashfs", "-no-progress", "-quiet", "-dest", str(tree), str(file), timeout=600)
    description = squashfs.metadata(file)
    description["version"] = f"{str(description['version']).partition('+')[0]}+{number}"
    squashfs.write_metadata(tree, description)
    squashfs.pack(tree, packed)
    return packed
