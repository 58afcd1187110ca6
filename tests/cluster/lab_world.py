"""The lab that the clusters of these tests run in, and what a person would do in it by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing
from collections.abc import Collection, Mapping, Sequence

from lab import settings
from lab.image import mirror
from lab.juju import client
from lab.snaps import store
from lab.snaps.proxy import index
from rehearsal import load

COMMAND_SECONDS = 120


class Lab:
    """A running lab."""

    def __init__(self) -> None:
        self.settings = settings.load()

    def up(self) -> None:
        """Start it, unless it runs; what it is built from is made first where it is not there."""
        self._lab("up", seconds=1800)

    def down(self) -> None:
        """End it with all its machines."""
        self._lab("down", seconds=300)

    def call(self, method: str, **parameters: typing.Any) -> typing.Any:
        """Ask the controller for what no client of Juju can: faults."""
        connection = client.Client(self.settings.controller_socket)
        try:
            return connection.call(method, **parameters)
        finally:
            connection.close()

    def outage(self, on: bool) -> None:
        """Let the controller be gone, or back."""
        self.call("fault_outage", on=on)

    def store_faults(self, *rules: Mapping[str, typing.Any]) -> None:
        """Let the snap store fail by these rules; without any, let it serve."""
        store.set_faults(self.settings.store, rules)

    def release(self, snap: str, channel: str | None = None) -> str:
        """Let the store have a newer revision of a snap, or a snap's file; return the revision."""
        return self._lab("store-release", snap, *([f"--channel={channel}"] if channel else [])).split()[-1]

    def withdraw(self, before: Mapping[str, Collection[str]]) -> None:
        """Take from the store what was released after it had these revisions."""
        for name, revisions in self.offered().items():
            for revision in sorted(set(revisions) - set(before.get(name, ())), key=int, reverse=True):
                store.withdraw(self.settings.store, name, int(revision))

    def offered(self) -> dict[str, list[str]]:
        """Return the revisions of each snap that the store has."""
        snaps = index.IndexFile(self.settings.store, mirror.architecture()).snaps()
        return {name: list(snap.revisions) for name, snap in snaps.items()}

    def tick(self, *machines: str, check: bool = True) -> str:
        """Let these machines' snapd do at once what its scheduler does by itself; return what it says."""
        return self._lab("snapd-tick", *machines, check=check, seconds=300)

    def readdress(self, machine: str, address: str | None = None) -> None:
        """Give a machine another address, a free one if none is named."""
        self._lab("readdress", machine, *([address] if address else []))

    def run(self, machine: str, *command: str, check: bool = True, input: str | None = None) -> str:
        """Run a command in a machine as root, past Juju; return what it prints."""
        return self._lab("exec", machine, "--", *command, check=check, input=input)

    def shell(self, machine: str, script: str, check: bool = True) -> str:
        """Run a shell script in a machine as root, past Juju; return what it prints."""
        return self.run(machine, "sh", "-c", script, check=check)

    def inside(self, code: str, *arguments: str, input: str | None = None) -> typing.Any:
        """Run Python in the network of the machines; return the JSON that it prints, None for nothing."""
        printed = self._lab("enter", "--", sys.executable, "-c", code, *arguments, input=input)
        return json.loads(printed) if printed.strip() else None

    def _lab(
        self, *arguments: str, seconds: float = COMMAND_SECONDS, check: bool = True, input: str | None = None
    ) -> str:
        completed = subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            cwd=load.TREE,
            env=os.environ,
            input=input or "",
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and completed.returncode:
            command: Sequence[str] = arguments[:6]
            raise RuntimeError(f"lab {' '.join(command)}: {completed.stderr.strip()[-2000:]}")
        return completed.stdout
