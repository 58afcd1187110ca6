"""The gold layer: what snapd does at a first boot, done once for all machines.

A machine boots for a moment, in a lab of its own, and installs what snapd wants before anything else: a snap of the
name `snapd` and the base. What it wrote becomes a layer. The store's proxy goes in as files.
"""

from __future__ import annotations

import pathlib
import shutil

from lab import cache, commands, namespaces, settings
from lab.image import rootfs
from lab.machines import nspawn
from lab.snaps import base, placeholder, proxy
from lab.snaps.proxy import index

_TIMEOUT = 300.0
_MACHINE = "gold"

_PREPARE = """set -eu
snap wait system seed.loaded
snap set system store.access=offline refresh.hold=2099-01-01T00:00:00Z
for file in /var/lib/juju/storage-pool/*.snap; do snap install --dangerous "$file"; done
systemctl stop snapd.service snapd.socket
"""

_TRACKING: dict[str, str] = dict.fromkeys((placeholder.NAME, base.NAME), index.DEFAULT_CHANNEL)

_OWN = ("etc/machine-id", "etc/hostname", "etc/hosts", "etc/fstab", "var/lib/systemd/random-seed", "var/lib/dbus")
_EMPTIED = ("var/log", "var/tmp", "tmp", "run", "var/cache/snapd", "var/lib/juju", "root")


def ensure(lab_settings: settings.Settings) -> pathlib.Path:
    """Return the layer's directory; build it, and all that it needs, first if it is not there (half a minute).

    Raises:
        RuntimeError: the machine that makes it failed; the message has the end of its log. As well as what
            `rootfs.ensure` and the snaps' `ensure` raise.
    """
    image = rootfs.ensure(lab_settings)
    snaps = [placeholder.ensure(lab_settings), base.ensure(lab_settings)]
    inputs: dict[str, cache.Input] = {
        "image": image.name,
        "prepare": _PREPARE,
        "tracking": repr(_TRACKING),
        "left out": " ".join((*_OWN, *_EMPTIED)),
        "proxy": pathlib.Path(proxy.__file__).parent,
        **{f"snap {number}": snap.parent.name for number, snap in enumerate(snaps)},
    }
    return cache.ensure(lab_settings.cache, "gold", inputs, lambda path: _build(lab_settings, path, image, snaps))


def layers(lab_settings: settings.Settings) -> list[pathlib.Path]:
    """Return what machines lie on."""
    return [ensure(lab_settings), rootfs.ensure(lab_settings)]


def _build(lab_settings: settings.Settings, path: pathlib.Path, image: pathlib.Path, snaps: list[pathlib.Path]) -> None:
    # Beside the layer, for the machine's directory becomes the layer by renaming.
    scratch = path.with_suffix(".lab")
    cache.remove_tree(scratch)
    own = settings.Settings(name=_MACHINE, state=scratch / _MACHINE, cache=lab_settings.cache)
    try:
        own.storage.mkdir(parents=True)
        for number, snap in enumerate(snaps):
            shutil.copy(snap, own.storage / f"{number}-{snap.name}")
        command = commands.module("lab.image.gold")
        if namespaces.run(own, command, layers=[image], timeout=_TIMEOUT):
            raise RuntimeError(f"the gold layer's machine failed: {_log(own)}")
        upper = own.machines / _MACHINE / "upper"
        _reduce(upper)
        proxy.install(upper, _TRACKING)
        _mark_updated(upper)
        upper.chmod(0o755)
        path.rmdir()
        upper.rename(path)
    finally:
        cache.remove_tree(scratch)


def _reduce(upper: pathlib.Path) -> None:
    """Take out what belongs to one machine, or to one boot."""
    for name in _OWN:
        if (upper / name).is_dir():
            shutil.rmtree(upper / name)
        else:
            (upper / name).unlink(missing_ok=True)
    for name in _EMPTIED:
        shutil.rmtree(upper / name, ignore_errors=True)


def _mark_updated(upper: pathlib.Path) -> None:
    """Tell systemd that /etc and /var fit /usr (see systemd-update-done.service(8)), which each boot would check."""
    for name in ("etc", "var"):
        (upper / name / ".updated").unlink(missing_ok=True)
        (upper / name / ".updated").touch()


def _log(own: settings.Settings) -> str:
    texts = []
    for file in (own.log / "command.log", own.machines / _MACHINE / "console.log"):
        if file.exists():
            texts.append(file.read_text(errors="replace")[-2000:])
    return "\n".join(texts)


def _inside() -> None:
    """Make the machine, in the namespaces of its lab."""
    machine = nspawn.Machines(settings.load()).create(_MACHINE)
    machine.start()
    machine.run(["sh", "-c", _PREPARE], timeout=_TIMEOUT)
    machine.stop()


if __name__ == "__main__":
    _inside()
