"""The store's directory: what machines may install.

A lab has one, which its machines see read-only. Snaps may be published while machines run: each looks at the index
again when it has changed. Its format stands in `lab.snaps.proxy.index`, that of faults in `lab.snaps.proxy.faults`.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import typing
from collections.abc import Iterator, Sequence

from lab import settings
from lab.snaps import base, charmed_postgresql, placeholder, squashfs
from lab.snaps.proxy import faults, index

PUBLISHER = {"id": "lab", "username": "lab", "display-name": "Lab", "validation": "unproven"}

LATEST = (index.DEFAULT_CHANNEL,)


def ensure(lab_settings: settings.Settings) -> pathlib.Path:
    """Return the lab's store with all that the lab builds itself; build and publish what is not there.

    A revision that has been built anew replaces the one that was published under its number.

    Raises:
        commands.CommandError: a command of the host is missing or failed.
        mirror.MirrorError: no package archive offers the machines' release.
        chroot.ChrootError: packages could not be installed or fetched.
    """
    store = lab_settings.store
    built: list[tuple[pathlib.Path, int, Sequence[str]]] = [
        (placeholder.ensure(lab_settings), placeholder.REVISION, LATEST),
        (base.ensure(lab_settings), base.REVISION, LATEST),
    ]
    for revision in charmed_postgresql.revisions():
        built.append((charmed_postgresql.build(lab_settings, revision), revision.number, revision.channels))
    for snap, number, channels in built:
        if not _is_published(store, snap):
            withdraw(store, snap.name.partition("_")[0], number)
            publish(store, snap, number, channels)
    return store


def withdraw(store: pathlib.Path, name: str, revision: int) -> None:
    """Offer a revision no longer. Machines that have it keep it.

    Channels that served it serve again what they served before, or are closed where that is not there any more either.
    """
    with _locked(store) as entries:
        entry = entries.get(name, {"revisions": {}})
        withdrawn = entry["revisions"].pop(str(revision), None)
        if withdrawn is not None:
            channels = entry["channels"][withdrawn["architecture"]]
            for channel in [channel for channel, served in channels.items() if served == str(revision)]:
                before = withdrawn.get("replaces", {}).get(channel)
                if before in entry["revisions"]:
                    channels[channel] = before
                else:
                    del channels[channel]
            (store / withdrawn["file"]).unlink(missing_ok=True)


def publish(
    store: pathlib.Path,
    snap: pathlib.Path,
    revision: int,
    channels: Sequence[str] = (),
) -> None:
    """Offer a snap's file as a revision, and let channels serve it. What is published already changes nothing.

    Args:
        store: the store's directory; made if it is not there.
        snap: the snap's file, which says itself what it is.
        revision: number of the revision.
        channels: complete names (TRACK/RISK[/BRANCH]) that serve this revision from now on, on its architecture. The
            first one ever published is what is installed where no channel is asked for.

    Raises:
        ValueError: that revision, or another revision with the same content, has been published with other content.
        commands.CommandError: the file is no snap.
    """
    with _locked(store) as entries:
        description = squashfs.metadata(snap)
        name = description["name"]
        entry = entries.setdefault(name, {"id": _identifier(name), "publisher": PUBLISHER, "revisions": {}})
        entry.setdefault("default-channel", channels[0] if channels else LATEST[0])
        architecture = description.get("architectures", ["all"])[0]
        content = _sha256(snap)
        _require_new_content(entry, name, str(revision), content)
        if str(revision) not in entry["revisions"]:
            file = f"{name}_{revision}.snap"
            _place(snap, store / file)
            entry["revisions"][str(revision)] = _describe(description, architecture) | {
                "file": file,
                "sha256": content,
                "size": snap.stat().st_size,
                "released-at": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        served = entry.setdefault("channels", {}).setdefault(architecture, {})
        replaces = entry["revisions"][str(revision)].setdefault("replaces", {})
        for channel in channels:
            if served.get(channel, str(revision)) != str(revision):
                replaces[channel] = served[channel]
            served[channel] = str(revision)


def set_faults(store: pathlib.Path, rules: Sequence[typing.Mapping[str, typing.Any]]) -> None:
    """Let the store fail as rules of `lab.snaps.proxy.faults` say, from the next request on; without rules, no more."""
    path = store / faults.FILE_NAME
    if rules:
        _write(path, list(rules))
    else:
        path.unlink(missing_ok=True)


def _is_published(store: pathlib.Path, snap: pathlib.Path) -> bool:
    """Whether this very file is published: publishing links it, so that nothing needs to be read."""
    published = store / snap.name
    return published.exists() and published.samefile(snap)


def _require_new_content(entry: typing.Mapping[str, typing.Any], name: str, revision: str, content: str) -> None:
    """Machines tell revisions apart by content alone."""
    for number, published in entry["revisions"].items():
        if (number == revision) != (published["sha256"] == content):
            raise ValueError(f"{name}: revision {number} is published with {published['sha256']}, not {content}")


def _describe(description: typing.Mapping[str, typing.Any], architecture: str) -> dict[str, typing.Any]:
    return {
        "architecture": architecture,
        "version": str(description["version"]),
        "type": description.get("type", "app"),
        "base": description.get("base"),
        "confinement": description.get("confinement", "strict"),
        "summary": description.get("summary", ""),
        "description": description.get("description", ""),
        "apps": sorted(description.get("apps", {})),
    }


def _identifier(name: str) -> str:
    """A snap's identifier: 32 characters that never change."""
    return hashlib.sha256(f"lab {name}".encode()).hexdigest()[:32]


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(snap: pathlib.Path, target: pathlib.Path) -> None:
    replacement = target.with_suffix(".new")
    replacement.unlink(missing_ok=True)
    try:
        replacement.hardlink_to(snap)
    except OSError:  # another file system
        shutil.copyfile(snap, replacement)
    replacement.replace(target)


@contextlib.contextmanager
def _locked(store: pathlib.Path) -> Iterator[dict[str, typing.Any]]:
    """The index's snaps, to be changed in place: one publisher at a time, and readers see the old or the new."""
    store.mkdir(parents=True, exist_ok=True)
    path = store / index.FILE_NAME
    descriptor = os.open(store / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        content = path.read_text() if path.exists() else '{"snaps": {}}'
        entries = json.loads(content)["snaps"]
        yield entries
        if json.loads(content)["snaps"] != entries:
            _write(path, {"snaps": entries})
    finally:
        os.close(descriptor)


def _write(path: pathlib.Path, content: object) -> None:
    replacement = path.with_suffix(".new")
    replacement.write_text(json.dumps(content, indent=1) + "\n")
    replacement.replace(path)
