"""The process that stands behind a running machine: boots it, and boots it again when it asks for a reboot.

It is a child of the lab's init, so it outlives the controller that started it. While it lives it holds the machine's
start lock, inherited from `nspawn.NspawnMachine.start`, and keeps the layers below the root file system from being
pruned.
"""

from __future__ import annotations

import logging
import os
import pathlib
import subprocess
import sys
from collections.abc import Collection

from lab import cache, commands, settings
from lab.machines import groups, machine, mount_ids, nspawn

logger = logging.getLogger(__name__)

REBOOT = 133
"""systemd-nspawn's exit status when the machine asked for a reboot."""


def main(name: str) -> int:
    """Run a machine until it is powered off; return nspawn's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    lab_settings = settings.load()
    own = nspawn.Machines(lab_settings).get(name)
    for layer in own.layers:
        cache.hold(pathlib.Path(layer))
    while True:
        groups.clear(own.group)
        status = _boot(lab_settings, own)
        logger.info("%s ended with %d", name, status)
        if status != REBOOT:
            return status


def _boot(lab_settings: settings.Settings, own: nspawn.NspawnMachine) -> int:
    processors = os.sched_getaffinity(0)
    boot = command(lab_settings, own, processors)
    chosen = mount_ids.choose(sorted(processors))
    if chosen is not None:
        os.sched_setaffinity(0, {chosen})
    try:
        return subprocess.run(
            [commands.find("sh"), "-c", nspawn.JOIN_GROUP, f"{own.group}/cgroup.procs", *boot],
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
    finally:
        os.sched_setaffinity(0, processors)


def command(lab_settings: settings.Settings, own: nspawn.NspawnMachine, processors: Collection[int]) -> list[str]:
    """Return the command line that boots a machine, for all `processors`, and ends with it."""
    return [
        commands.find("systemd-nspawn"),
        *("--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"),
        *(f"--machine={own.name}", f"--directory={own.outside('/')}"),
        f"--network-namespace-path={own.network_namespace}",
        # snapd mounts snaps and sets up confinement: what a virtual machine's root may do.
        *("--capability=all", "--bind=/dev/fuse"),
        f"--bind={lab_settings.storage}:{machine.POOL}",
        f"--bind-ro={lab_settings.store}:{machine.STORE}",
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        # nspawn itself runs on one processor only, for the reason given in `mount_ids`.
        f"--cpu-affinity={','.join(map(str, sorted(processors)))}",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
