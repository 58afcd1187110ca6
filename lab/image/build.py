"""The build layer: what charms and snaps are built with, above the machines' root file system."""

from __future__ import annotations

import pathlib

from lab import cache, settings
from lab.image import chroot, rootfs

PACKAGES = (
    *("python3-apt", "python3-pip", "python3-venv", "python3-dev", "python3-setuptools", "python3-wheel"),
    *(
        "gcc",
        "libc6-dev",
        "make",
        "pkgconf",
        "git",
        "findutils",
        "file",
        "patch",
        "xz-utils",
        "libffi-dev",
        "libpq-dev",
    ),
)

_INSTALL = """set -eu
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get update
apt-get install --yes --no-install-recommends "$@"
rm /usr/sbin/policy-rc.d
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
"""


def ensure(lab_settings: settings.Settings) -> pathlib.Path:
    """Return the layer's directory; build it, and the image below it, first if they are not there.

    Raises:
        mirror.MirrorError: no package archive offers the release.
        commands.CommandError: debootstrap failed.
        chroot.ChrootError: packages could not be installed.
    """
    image = rootfs.ensure(lab_settings)

    def build(path: pathlib.Path) -> None:
        command = ["/bin/sh", "-c", _INSTALL, "sh", *PACKAGES]
        chroot.run(lab_settings, [image], command, timeout=1200, upper=path)

    inputs: dict[str, cache.Input] = {"image": image.name, "packages": " ".join(PACKAGES), "install": _INSTALL}
    return cache.ensure(lab_settings.cache, "build", inputs, build)


def layers(lab_settings: settings.Settings) -> list[pathlib.Path]:
    """Return the layers to run builds in with `chroot.run`."""
    return [ensure(lab_settings), rootfs.ensure(lab_settings)]
