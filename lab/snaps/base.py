"""The base snap, made of the machines' own root file system.

It has the name of the base that snaps of these days name, so that theirs stays true. What a snap runs in it finds the
same Python, libraries and tools as the machine has; what only a whole system needs is left out.
"""

from __future__ import annotations

import pathlib
import shutil
import tempfile

from lab import cache, commands, settings
from lab.image import mirror, rootfs
from lab.snaps import squashfs

NAME = "core24"
REVISION = 1

# A squashfs cannot take new mount points, so these must exist: snap-confine's own, and those of common layouts.
MOUNT_POINTS = (
    *("dev", "etc/alternatives", "etc/ssl", "home", "lib/firmware", "lib/modules", "media", "meta", "mnt", "opt"),
    *("proc", "root", "run", "snap", "sys", "tmp", "usr/lib/snapd", "usr/src", "usr/share/gdb", "var/cache"),
    *("var/lib/extrausers", "var/lib/snapd", "var/log", "var/snap", "var/tmp"),
)
NOT_NEEDED = (
    *("boot", "etc/systemd", "lib/firmware", "lib/modules", "usr/lib/snapd", "usr/lib/systemd", "usr/lib/udev"),
    *("usr/share/bash-completion", "usr/share/doc", "usr/share/info", "usr/share/lintian", "usr/share/locale"),
    *("usr/share/man", "usr/share/python-wheels", "usr/lib/python3/dist-packages/pip", "var/cache", "var/lib/apt"),
    *("var/lib/dpkg", "var/log", "var/lib/snapd"),
)


def ensure(lab_settings: settings.Settings) -> pathlib.Path:
    """Return the base's file; build it, and the image that it is made of, first if they are not there.

    Raises:
        commands.CommandError: a command of the host is missing or failed.
        mirror.MirrorError: no package archive offers the machines' release.
        chroot.ChrootError: the image's packages could not be installed.
    """
    image = rootfs.ensure(lab_settings)
    inputs: dict[str, cache.Input] = {"image": image.name, "recipe": pathlib.Path(__file__)}

    def build(entry: pathlib.Path) -> None:
        # Beside the image, since hard links do not cross file systems.
        with tempfile.TemporaryDirectory(prefix="base-", dir=lab_settings.cache) as directory:
            tree = pathlib.Path(directory) / "root"
            commands.run("cp", "--archive", "--link", str(image), str(tree), timeout=300)
            _reduce(tree)
            squashfs.pack(tree, entry / _file_name())

    return cache.ensure(lab_settings.cache, "snap-base", inputs, build) / _file_name()


def _reduce(tree: pathlib.Path) -> None:
    """Make a base of a root file system. Its files are hard links: they may be removed, but never written."""
    for name in NOT_NEEDED:
        shutil.rmtree(tree / name, ignore_errors=True)
    for name in MOUNT_POINTS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in ("etc/machine-id", "etc/resolv.conf"):
        if not (tree / name).exists():
            (tree / name).touch()
    # Hooks call snapctl by this name; snap-confine mounts the machine's snapd over the directory.
    (tree / "usr/bin/snapctl").unlink(missing_ok=True)
    (tree / "usr/bin/snapctl").symlink_to("../lib/snapd/snapctl")
    squashfs.write_metadata(
        tree,
        {
            "name": NAME,
            "version": "1",
            "type": "base",
            "summary": "Runtime of the machines' own release",
            "description": "Made of the root file system that the machines run.",
            "architectures": [mirror.architecture()],
            "confinement": "strict",
            "grade": "stable",
        },
    )


def _file_name() -> str:
    return f"{NAME}_{REVISION}.snap"
