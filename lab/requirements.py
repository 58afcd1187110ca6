"""What the host must have before a lab can start, and what to do about what is missing."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator

from lab import commands, namespaces, settings
from lab.image import mirror

# Command: the Debian and Ubuntu package that has it.
_COMMANDS = {
    "apt-get": "apt",
    "chroot": "coreutils",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "mksquashfs": "squashfs-tools",
    "mount": "mount",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
_KEYRING_PACKAGES = {"Debian": "debian-archive-keyring", "Ubuntu": "ubuntu-keyring"}
_FILE_SYSTEMS = ("overlay", "squashfs", "ext4", "cgroup2")
_FREE_BYTES = 8 * 2**30


@dataclasses.dataclass(frozen=True)
class Missing:
    """Something that is missing, what helps, and the package that has it if it is in one."""

    what: str
    remedy: str
    package: str | None = None


def missing(lab_settings: settings.Settings) -> list[Missing]:
    """Return what keeps a lab from running on this host; nothing if all is well."""
    found = [item for check in (_process, _packages, _kernel) for item in check(lab_settings)]
    # These try things out, which makes sense only where nothing is known to be missing.
    return found or [item for check in (_disk, _namespaces) for item in check(lab_settings)]


def packages(items: list[Missing]) -> list[str]:
    """Return the packages to install, sorted."""
    return sorted({item.package for item in items if item.package})


def _process(_: settings.Settings) -> Iterator[Missing]:
    if sys.platform != "linux":
        yield Missing(f"this is {sys.platform}, not Linux", "use a virtual machine with Debian or Ubuntu")
        return
    if os.geteuid() != 0:
        yield Missing("this is not root, who alone may make namespaces and mounts", "run it as root")
    if mirror.architecture() not in ("amd64", "arm64"):
        yield Missing(f"the processor is {platform.machine()}", "use a host of x86_64 or aarch64")


def _packages(lab_settings: settings.Settings) -> Iterator[Missing]:
    for command, package in _COMMANDS.items():
        try:
            commands.find(command)
        except commands.CommandError:
            yield Missing(f"the command {command}", f"apt-get install {package}", package)
    try:
        distribution = mirror.distribution(lab_settings)
    except mirror.MirrorError as error:
        yield Missing(str(error), "use Debian 12 or later, or Ubuntu 24.04 or later")
        return
    if not pathlib.Path(distribution.keyring).exists():
        package = _KEYRING_PACKAGES[distribution.origin]
        yield Missing(f"the keys of {distribution.origin}'s archive", f"apt-get install {package}", package)


def _kernel(_: settings.Settings) -> Iterator[Missing]:
    known = pathlib.Path("/proc/filesystems").read_text().split()
    for name in _FILE_SYSTEMS:
        if name not in known and not _loads(name):
            yield Missing(f"the kernel's file system {name}", f"load it with `modprobe {name}`, or use another kernel")
    try:
        namespaces.unified_hierarchy()
    except namespaces.NamespacesError as error:
        yield Missing(str(error), "mount it: `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified`")
    for device, module in (("/dev/loop-control", "loop"), ("/dev/fuse", "fuse")):
        if not pathlib.Path(device).exists() and not _loads(module):
            yield Missing(f"the device {device}", f"load it with `modprobe {module}`, or use another kernel")


def _disk(lab_settings: settings.Settings) -> Iterator[Missing]:
    for directory in dict.fromkeys((lab_settings.cache, lab_settings.state)):
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if free < _FREE_BYTES:
            yield Missing(f"{free / 2**30:.1f} GiB are free in {existing}", f"make {_FREE_BYTES >> 30} GiB free there")


def _namespaces(lab_settings: settings.Settings) -> Iterator[Missing]:
    """Make namespaces as a lab does, and in them the mount that a machine's root file system is."""
    isolated = ("unshare", "--mount", "--propagation", "slave", "--pid", "--net", "--cgroup", "--mount-proc", "--fork")
    try:
        commands.run(*isolated, "--kill-child", "true")
    except commands.CommandError as error:
        yield Missing(f"namespaces cannot be made: {error}", "run on a host, or in a virtual machine")
        return
    parent = lab_settings.state.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as trial:
            lower, upper, work, root = (pathlib.Path(trial) / name for name in ("lower", "upper", "work", "root"))
            for directory in (lower, upper, work, root):
                directory.mkdir()
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            # The mount goes with its namespace, that is, before the directory is removed.
            commands.run(*isolated, "--kill-child", "mount", "-t", "overlay", "overlay", "-o", options, str(root))
    except (commands.CommandError, OSError) as error:
        yield Missing(
            f"overlayfs cannot write to {parent}: {error}", "set LAB_STATE to a directory on a file system such as ext4"
        )


def _loads(module: str) -> bool:
    try:
        commands.run("modprobe", "--quiet", module)
    except commands.CommandError:
        return False
    return True
