"""The machines' root file system: a small Debian or Ubuntu with systemd and snapd."""

from __future__ import annotations

import pathlib
import subprocess

from lab import cache, commands, settings
from lab.image import chroot, mirror

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "iproute2", "iputils-ping", "e2fsprogs"),
    *("python3", "python3-venv", "sudo", "ca-certificates", "curl", "less", "netbase"),
)

LOOP_DEVICES = 256
"""Each mounted snap takes one of the host's loop devices, and its node has to be there: no udev runs in a machine."""

AGENT_SERVICE = "lab-agent.service"
"""Commands that the lab runs in a machine belong to this service's control group."""

_NOT_NEEDED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("motd-news.timer", "ua-timer.timer", "console-getty.service", "getty.target", "e2scrub_reap.service"),
    *("systemd-networkd.service", "systemd-networkd.socket", "systemd-resolved.service", "systemd-timesyncd.service"),
    *("systemd-logind.service", "snapd.recovery-chooser-trigger.service", "snapd.autoimport.service"),
    *("systemd-modules-load.service", "modprobe@.service", "dev-hugepages.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "sys-kernel-config.mount", "systemd-udev-load-credentials.service"),
)
"""Units that a machine starts by itself, and that mean nothing where it shares the host's kernel, or waste time."""

_AGENT_UNIT = """[Unit]
Description=Commands that the lab runs in this machine
[Service]
ExecStart=/bin/sleep infinity
Delegate=yes
Restart=always
OOMPolicy=continue
TimeoutStopSec=10
[Install]
WantedBy=multi-user.target
"""

_INSTALL = """set -eu
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get update
apt-get upgrade --yes
apt-get install --yes --no-install-recommends snapd
rm /usr/sbin/policy-rc.d
# As on Ubuntu's cloud images: the user that `juju ssh` logs in as, and programs of snaps below sudo.
useradd --create-home --shell /bin/bash ubuntu
cat >/etc/sudoers.d/90-ubuntu <<'END'
ubuntu ALL=(ALL) NOPASSWD:ALL
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
END
chmod 440 /etc/sudoers.d/90-ubuntu
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt /usr/share/doc/* /usr/share/man/* \
    /usr/share/info/* /usr/share/locale/*
"""


def ensure(lab_settings: settings.Settings) -> pathlib.Path:
    """Return the root file system's directory; build it first if it is not there (a minute, 400 MB).

    Raises:
        mirror.MirrorError: no package archive offers the release.
        commands.CommandError: debootstrap failed.
        chroot.ChrootError: packages could not be installed.
    """
    return cache.ensure(lab_settings.cache, "image", inputs(lab_settings), lambda path: _build(lab_settings, path))


def inputs(lab_settings: settings.Settings) -> dict[str, cache.Input]:
    """Return what the image depends on. The mirror is not part of it: they all carry the same packages."""
    wanted = mirror.distribution(lab_settings)
    return {
        "release": f"{wanted.origin} {wanted.suite} {' '.join(wanted.components)} {mirror.architecture()}",
        "packages": " ".join(PACKAGES),
        "install": _INSTALL,
        "files": "".join(f"{name}\n{content}\n" for name, content in _files().items()),
        "masked": " ".join(_NOT_NEEDED),
    }


def _build(lab_settings: settings.Settings, path: pathlib.Path) -> None:
    _debootstrap(mirror.find(lab_settings), path)
    for name in ("resolv.conf", "hostname", "machine-id", "hosts"):
        (path / "etc" / name).unlink(missing_ok=True)
        (path / "etc" / name).touch()
    chroot.run(lab_settings, [], ["/bin/sh", "-c", _INSTALL], timeout=900, upper=path)
    (path / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    for name, content in _files().items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    for name in _NOT_NEEDED:
        unit = path / "etc/systemd/system" / name
        unit.unlink(missing_ok=True)
        unit.symlink_to("/dev/null")
    wants = path / "etc/systemd/system/multi-user.target.wants" / AGENT_SERVICE
    wants.symlink_to(f"/etc/systemd/system/{AGENT_SERVICE}")
    # The journal of a machine that crashed can be read at its next boot.
    (path / "var/log/journal").mkdir(exist_ok=True)


def _debootstrap(source: mirror.Mirror, path: pathlib.Path) -> None:
    # In namespaces of its own: debootstrap mounts /proc in the target, and an interrupted one leaves it there.
    command = [
        *(commands.find("setpriv"), "--pdeathsig", "KILL"),
        *(commands.find("unshare"), "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
        "--mount-proc",
        *(commands.find("debootstrap"), "--variant=minbase", f"--keyring={source.distribution.keyring}"),
        *(f"--components={','.join(source.distribution.components)}", f"--include={','.join(PACKAGES)}"),
        *(source.distribution.suite, str(path), source.address),
    ]
    try:
        subprocess.run(command, timeout=1200, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise commands.CommandError(f"debootstrap failed: {error.stdout[-2000:]}{error.stderr[-2000:]}") from error


def _files() -> dict[str, str]:
    """Return files of the image by their path."""
    loops = [f"b! /dev/loop{number} 0660 root disk - 7:{number}" for number in range(LOOP_DEVICES)]
    return {
        "etc/tmpfiles.d/lab-loop.conf": "\n".join(["c! /dev/loop-control 0660 root disk - 10:237", *loops, ""]),
        f"etc/systemd/system/{AGENT_SERVICE}": _AGENT_UNIT,
        "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nSystemMaxUse=64M\nRateLimitIntervalSec=0\n",
        "etc/fstab": "",
        "etc/default/locale": "LANG=C.UTF-8\n",
    }
