"""A small snap store for machines without one: it stands in front of the real snapd's socket.

The package runs inside machines with the distribution's own Python, so it needs the standard library only. Requests to
install or refresh a snap at a revision or from a channel of the store become side-loads of its files, or refreshes to a
revision that the machine has; snapd's answers are told in the store's revisions. Everything else passes through.
"""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Mapping

from . import memory

STORE_DIRECTORY = "/var/lib/lab/store"
"""Where machines see the store's directory. The unit names it too."""

_HERE = pathlib.Path(__file__).parent
_PACKAGE = "usr/local/lib/store-proxy/store_proxy"
_MEMORY = "var/lib/store-proxy/memory.json"  # the unit names it too
_UNITS = "etc/systemd/system"


def install(root: pathlib.Path, tracking: Mapping[str, str]) -> None:
    """Put the proxy and its units into a root file system, or a layer of one, that is not running.

    tracking: the channels that its snaps follow, by name; snapd knows of none, since they came from files.
    """
    package = root / _PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    for module in _HERE.glob("*.py"):
        shutil.copyfile(module, package / module.name)
    units = root / _UNITS
    for unit in (_HERE / "units").iterdir():
        target = units / ("snapd.socket.d" if unit.suffix == ".conf" else "") / unit.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(unit, target)
    enabled = units / "sockets.target.wants" / "store-proxy.socket"
    enabled.parent.mkdir(parents=True, exist_ok=True)
    enabled.unlink(missing_ok=True)
    enabled.symlink_to("../store-proxy.socket")
    (root / STORE_DIRECTORY.lstrip("/")).mkdir(parents=True, exist_ok=True)
    memory.write(root / _MEMORY, memory.Contents(tracking=dict(tracking)))
