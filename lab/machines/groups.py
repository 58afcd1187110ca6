"""A machine's control group: what nspawn makes of it, and who is in it.

nspawn splits the group it is started in: `supervisor` is for itself, `payload` is the machine's own hierarchy.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time

from lab.image import rootfs

_FREEZE_TIMEOUT = 10.0
_BOOT_ID = "proc/sys/kernel/random/boot_id"


def leader(group: pathlib.Path) -> int | None:
    """Return the process identifier, in our numbers, of the PID 1 of the machine that runs in `group`."""
    # Where systemd starts, and where it moves itself soon.
    for directory in (group / "payload" / "init.scope", group / "payload"):
        with contextlib.suppress(OSError):
            for process in (directory / "cgroup.procs").read_text().split():
                if _innermost_id(process) == "1":
                    return int(process)
    return None


def boot_id(group: pathlib.Path) -> str:
    """Return the identifier of the machine's present boot; empty before its systemd has begun."""
    try:
        found = pathlib.Path(f"/proc/{leader(group)}/root/{_BOOT_ID}").read_text()
    except OSError:
        return ""
    # nspawn gives a machine its own identifier, just before its systemd starts.
    return "" if found == pathlib.Path("/", _BOOT_ID).read_text() else found.strip()


def agent(group: pathlib.Path) -> pathlib.Path:
    """Return the group of the machine's agent, which is there once systemd inside has started its service."""
    return group / "payload" / "system.slice" / rootfs.AGENT_SERVICE


def for_commands(group: pathlib.Path) -> pathlib.Path | None:
    """Return the group for commands that the lab runs in the machine; None where its systemd has not made it yet.

    systemd inside must know a process as one of its own, or it refuses to make scopes (as for snaps) for it.
    """
    candidates = (agent(group), group / "payload" / "init.scope")
    return next((each for each in candidates if each.exists()), None)


def clear(group: pathlib.Path) -> None:
    """Remove the empty groups below `group`. Those that are in use stay."""
    for directory, _, _ in os.walk(group, topdown=False):
        if pathlib.Path(directory) != group:
            with contextlib.suppress(OSError):
                pathlib.Path(directory).rmdir()


def freeze(group: pathlib.Path, frozen: bool) -> None:
    """Stop all processes of a machine in their tracks, or let them go on; return when it is done.

    Raises:
        TimeoutError: a process does not stop, for instance since it waits for a disk.
    """
    payload = group / "payload"
    (payload / "cgroup.freeze").write_text("1" if frozen else "0")
    deadline = time.monotonic() + _FREEZE_TIMEOUT
    while f"frozen {frozen:d}" not in (payload / "cgroup.events").read_text():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{group.name} does not {'freeze' if frozen else 'thaw'}")
        time.sleep(0.005)


def _innermost_id(process: str) -> str:
    """Return what a process is called in the innermost PID namespace that it belongs to; empty if it has ended."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return line.split()[-1]
    return ""
