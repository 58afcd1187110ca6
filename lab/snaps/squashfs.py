"""Snap files: squashfs images with their description in meta/snap.yaml."""

from __future__ import annotations

import pathlib
import typing

import yaml

from lab import commands

# Read far more often than written, and by machines that share one host's page cache: a low level is small enough.
_COMPRESSION = ("-comp", "zstd", "-Xcompression-level", "3")


def pack(tree: pathlib.Path, snap: pathlib.Path) -> None:
    """Pack a directory into a snap file. All of it belongs to root there.

    Raises:
        commands.CommandError: mksquashfs is missing or failed.
    """
    commands.run(
        "mksquashfs",
        str(tree),
        str(snap),
        *("-noappend", "-all-root", "-no-xattrs", "-no-progress", "-quiet"),
        *_COMPRESSION,
        timeout=600,
    )


def metadata(snap: pathlib.Path) -> dict[str, typing.Any]:
    """What a snap file says of itself: its meta/snap.yaml.

    Raises:
        commands.CommandError: unsquashfs is missing, or the file is no snap.
    """
    return yaml.safe_load(commands.run("unsquashfs", "-cat", str(snap), "meta/snap.yaml").stdout)


def write_metadata(tree: pathlib.Path, description: typing.Mapping[str, typing.Any]) -> None:
    """Write a snap's description into the directory that will be packed."""
    (tree / "meta").mkdir(exist_ok=True)
    (tree / "meta" / "snap.yaml").write_text(yaml.safe_dump(dict(description), sort_keys=False))
