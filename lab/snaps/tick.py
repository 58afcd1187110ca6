"""What snapd's scheduler does a few times a day, now and on all machines at the same time: a refresh of all snaps.

`snap refresh` in each machine: what has an update and is not held. It differs from an automatic refresh in that

- it comes when asked, where snapd's own comes at a random moment within each of the windows of `refresh.timer`;
- holds of all snaps at once (`snap refresh --hold`, `refresh.hold`) do not count, and the lab itself sets one so that
  snapd's own scheduler stays silent: snapd would ask a store that is not there. Holds that name a snap count;
- snapd asks no `gate-auto-refresh` hooks, and so no snap holds another: only its own automatic refresh does that;
- a snap that was reverted may be refreshed to the revision that it was reverted from.
"""

from __future__ import annotations

import concurrent.futures
import subprocess
from collections.abc import Sequence

from lab.machines import machine

_SECONDS = 600.0


def tick(machines: Sequence[machine.Machine]) -> dict[str, str]:
    """Refresh on all machines at once; return what `snap refresh` says on each, by the machine's name.

    Raises:
        machine.MachineError: some machine's snapd refused or failed. The others have refreshed.
    """
    with concurrent.futures.ThreadPoolExecutor(max(len(machines), 1)) as executor:
        begun = {each.name: executor.submit(_refresh, each) for each in machines}
    said: dict[str, str] = {}
    failed: list[str] = []
    for name, future in begun.items():
        try:
            said[name] = future.result()
        except (machine.MachineError, subprocess.TimeoutExpired) as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise machine.MachineError("; ".join(failed))
    return said


def _refresh(one: machine.Machine) -> str:
    completed = one.run(["snap", "refresh"], timeout=_SECONDS, check=False)
    if completed.returncode:
        raise machine.MachineError(f"`snap refresh` failed: {completed.stderr.strip()}")
    # What was refreshed goes to the output, that there was nothing to the errors.
    return (completed.stdout or completed.stderr).strip()
