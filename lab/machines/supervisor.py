"""The process that stands behind a running machine: boots it, and boots it again when it asks for a reboot.

It is a child of the lab's init, so it outlives the controller that started it. While it lives it holds the machine's
start lock, inherited from `nspawn.NspawnMachine.start`, and keeps the layers below the root file system from being
pruned.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Collection

from lab import cache, commands, settings
from lab.machines import groups, machine, mount_ids, nspawn

logger = logging.getLogger(__name__)

REBOOT = 133
"""systemd-nspawn's exit status when the machine asked for a reboot."""

_BOOTS = 5
"""How often a machine is booted until the number of its mount namespace suits snaps. The second time is rare."""
_POLL = 0.005


def main(name: str) -> int:
    """Run a machine until it is powered off; return nspawn's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    lab_settings = settings.load()
    own = nspawn.Machines(lab_settings).get(name)
    for layer in own.layers:
        cache.hold(pathlib.Path(layer))
    while True:
        status = boot(lab_settings, own)
        logger.info("%s ended with %d", name, status)
        if status != REBOOT:
            return status


def boot(lab_settings: settings.Settings, own: nspawn.NspawnMachine) -> int:
    """Boot a machine in a mount namespace in which snaps work; return nspawn's exit status once it has ended."""
    processors = sorted(os.sched_getaffinity(0))
    arguments = command(lab_settings, own, processors)
    boots = 0
    while True:
        boots += 1
        groups.clear(own.group)
        with _begin(arguments, own, processors) as process:
            leader = _leader(process, own)
            if boots == _BOOTS or leader is None or mount_ids.precedes_all(leader, processors):
                break
            logger.warning("%s has a mount namespace with a number that is too great for snaps", own.name)
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, signal.SIGKILL)  # its systemd has barely begun
    return process.returncode


def _begin(arguments: list[str], own: nspawn.NspawnMachine, processors: Collection[int]) -> subprocess.Popen[bytes]:
    chosen = mount_ids.choose(processors)
    if chosen is not None:
        os.sched_setaffinity(0, {chosen})
    try:
        return subprocess.Popen(
            [commands.find("sh"), "-c", nspawn.JOIN_GROUP, f"{own.group}/cgroup.procs", *arguments],
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
        )
    finally:
        os.sched_setaffinity(0, processors)


def _leader(process: subprocess.Popen[bytes], own: nspawn.NspawnMachine) -> int | None:
    """Wait until nspawn has set a machine up, and return its PID 1 in our numbers; None if nspawn has ended before."""
    while process.poll() is None:
        leader = groups.leader(own.group)
        if leader is not None and groups.boot_id(own.group):
            return leader
        time.sleep(_POLL)
    return None


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
