"""A snap named snapd that holds no snapd.

Before anything else snapd wants a snap of that name, which it would fetch from the store. A machine runs the
distribution's snapd; this placeholder has version 0, so that the distribution's never gives way to it.
"""

from __future__ import annotations

import pathlib
import tempfile

from lab import cache, settings
from lab.image import mirror
from lab.snaps import squashfs

NAME = "snapd"
REVISION = 1


def ensure(lab_settings: settings.Settings) -> pathlib.Path:
    """Return the placeholder's file; build it first if it is not there.

    Raises:
        commands.CommandError: mksquashfs is missing or failed.
    """
    description = {
        "name": NAME,
        "version": "0",
        "type": "snapd",
        "summary": "Placeholder for snapd",
        "description": "Stands where the store's snapd would be. The machine's own snapd is at work.",
        "architectures": [mirror.architecture()],
        "confinement": "strict",
        "grade": "stable",
    }

    def build(entry: pathlib.Path) -> None:
        with tempfile.TemporaryDirectory() as directory:
            tree = pathlib.Path(directory)
            tree.chmod(0o755)
            (tree / "usr/lib/snapd").mkdir(parents=True)
            (tree / "usr/lib/snapd/info").write_text("VERSION=0\n")
            squashfs.write_metadata(tree, description)
            squashfs.pack(tree, entry / _file_name())

    inputs: dict[str, cache.Input] = {"description": repr(description), "recipe": pathlib.Path(__file__)}
    return cache.ensure(lab_settings.cache, "snap-placeholder", inputs, build) / _file_name()


def _file_name() -> str:
    return f"{NAME}_{REVISION}.snap"
