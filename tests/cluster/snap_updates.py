"""Updates of the snaps that the workload stands on, as the store brings them and as the units take them."""

from __future__ import annotations

import contextlib
import json
import pathlib
import threading
import time
import typing
from collections.abc import Iterator

import application
import lab_world

from lab.image import mirror
from lab.snaps import squashfs
from rehearsal import deployment, events

BASE, SNAPD, READER = "core24", "snapd", "log-reader"
"""What the workload stands on: its base, snapd itself, and a snap that is connected to it."""
TICK_SECONDS = 15.0

_AGE = """
import datetime, json, pathlib, sys
path = pathlib.Path(".snap-refresh.json")
content = json.loads(path.read_text())
for holders in content["gating"].values():
    for hold in holders.values():
        first = datetime.datetime.fromisoformat(hold["first-held"]) - datetime.timedelta(hours=float(sys.argv[1]))
        hold["first-held"] = first.isoformat()
path.write_text(json.dumps(content))
"""

_RECONCILE = """
import json, socket, sys, time
import charm, ops
from snap_refresh import execution, observation, planner, statuses
from workload import snapd

requests, spent, depth = [], 0.0, 0

def timed(owner, name, outcome=lambda found: found):
    function = getattr(owner, name)
    def wrapper(*arguments, **named):
        global spent, depth
        depth, begun = depth + 1, time.perf_counter()
        try:
            return outcome(function(*arguments, **named))
        finally:
            depth -= 1
            spent += 0 if depth else time.perf_counter() - begun
    setattr(owner, name, wrapper)

def count(self, method, path, *arguments, request=snapd.Snapd._request, **named):
    requests.append(f"{method} {path}")
    return request(self, method, path, *arguments, **named)

snapd.Snapd._request = count
timed(observation, "observe")
timed(planner, "steps", list)
for name in ("__init__", "gate"):
    timed(execution.Executor, name)
for name in ("under_way", "notes", "application_note"):
    timed(statuses, name)
charm.prepare()
ops.main(charm.PostgresqlCharm)
print(json.dumps([requests, spent]), file=sys.stderr)
"""


class Snaps:
    """The snaps of an application's machines."""

    def __init__(self, applied: application.Application, lab: lab_world.Lab, scratch: pathlib.Path) -> None:
        self.applied = applied
        self._lab = lab
        self._scratch = scratch
        self._readers = 0

    def release(self, *names: str) -> dict[str, str]:
        """Let the store have a newer revision of each; return these by name."""
        return {name: self._lab.release(self._reader() if name == READER else name) for name in names}

    def _reader(self) -> str:
        """A new version of a snap that may read the workload's logs; return its file."""
        self._readers += 1
        tree = self._scratch / str(self._readers)
        (tree / "logs").mkdir(parents=True)
        description = {"name": READER, "version": str(self._readers), "base": BASE, "confinement": "strict"}
        plugs = {"logs": {"interface": "content", "content": "logs", "target": "$SNAP/logs"}}
        squashfs.write_metadata(tree, description | {"architectures": [mirror.architecture()], "plugs": plugs})
        squashfs.pack(tree, tree.with_suffix(".snap"))
        return str(tree.with_suffix(".snap"))

    def connect_reader(self) -> None:
        """Have the snap that reads the workload's logs on each machine."""
        self.release(READER)
        for unit in self.applied.units():
            self.shell(unit, f"snap install {READER} && snap connect {READER}:logs {deployment.SNAP}:logs")

    def shell(self, unit: str, script: str) -> str:
        """Run a script on a unit's machine, past Juju."""
        return self._lab.shell(self.applied.hostname(unit), script)

    def tick(self, check: bool = True) -> str:
        """Let all machines' snapd do at once what its scheduler does by itself; return what it says."""
        machines = [self.applied.hostname(unit) for unit in self.applied.units()]
        return self._lab.tick(*machines, check=check)

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        """Let it do so again and again. That it finds a refresh of the charm's in progress is no error."""
        ended = threading.Event()

        def go_on() -> None:
            while not ended.wait(TICK_SECONDS):
                self.tick(check=False)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def listed(self, unit: str) -> dict[str, tuple[str, bool]]:
        """Return the revision of each snap on a unit's machine, and whether it is held, as `snap list` shows them."""
        return self.listed_on(self.applied.hostname(unit))

    def listed_on(self, machine: str) -> dict[str, tuple[str, bool]]:
        """Return the same for a machine, past Juju."""
        lines = [line.split() for line in self._lab.run(machine, "snap", "list").splitlines()[1:]]
        return {line[0]: (line[2], "held" in line[5].split(",")) for line in lines}

    def revisions(self, *names: str) -> dict[str, dict[str, str]]:
        """Return the revisions of these snaps on each unit."""
        return {unit: {name: self.listed(unit)[name][0] for name in names} for unit in self.applied.units()}

    def refreshes(self, unit: str, since: float) -> list[events.Change]:
        """Return the refreshes that snapd has carried out on a unit's machine, oldest first."""
        return self.refreshes_on(self.applied.hostname(unit), since)

    def refreshes_on(self, machine: str, since: float) -> list[events.Change]:
        """Return the same for a machine, past Juju."""
        ask = ["curl", "--silent", "--unix-socket", "/run/snapd.socket", "http://localhost/v2/changes?select=all"]
        told = events.changes(machine, json.loads(self._lab.run(machine, *ask))["result"])
        return [
            change for change in told if change.kind == "refresh-snap" and change.start >= since and not change.failed
        ]

    def look(self, unit: str) -> dict[str, typing.Any]:
        """Have a unit ask the store now, and return what it tells of its snaps."""
        return json.loads(self.applied.action(unit, "get-snap-refresh-status", format="json")["status"])

    def look_all(self) -> None:
        """Have each unit ask the store now."""
        for unit in self.applied.units():
            self.look(unit)

    def age(self, unit: str, hours: float) -> None:
        """Have a unit's engine believe that it has held its updates for so much longer, and leave all clocks alone.

        The engine's state is a file of known format in the charm's directory. No hook runs meanwhile.
        """
        self.applied.juju.exec("python3", "-c", _AGE, str(hours), unit=unit)

    def reconcile(self, unit: str) -> tuple[list[str], float]:
        """Run update-status once more on a unit; return the requests that its snaps cost, and the seconds.

        The request for the installed snaps is the workload's, and made in any case.
        """
        variables = ("JUJU_DISPATCH_PATH=hooks/update-status", "PYTHONPATH=lib:src")
        command = ["env", "-u", "JUJU_ACTION_NAME", "-u", "JUJU_ACTION_UUID", *variables]
        done = self.applied.juju.exec(*command, "venv/bin/python", "-c", _RECONCILE, unit=unit)
        requests, seconds = json.loads(done.stderr.splitlines()[-1])
        return requests, seconds

    def await_revisions(self, wanted: dict[str, str], *units: str, seconds: float = application.PATIENCE) -> None:
        """Wait until these units (without any: all) have these revisions."""
        chosen = units or tuple(self.applied.units())

        def there() -> bool:
            found = self.revisions(*wanted)
            return all(found[unit] == wanted for unit in chosen)

        self.applied.until(f"{wanted} on {', '.join(chosen)}", there, seconds)

    def await_quiet(self) -> None:
        """Wait until no unit has anything to tell of its snaps, and all are held again."""

        def quiet() -> bool:
            texts = [self.applied.message(unit)[1] for unit in self.applied.units()]
            return not any("held" in text or "efresh" in text for text in texts)

        self.applied.until("no unit tells of its snaps", quiet)
        for unit in self.applied.units():
            assert all(held for _, held in self.listed(unit).values()), self.listed(unit)


def span(done: list[events.Change]) -> tuple[float, float]:
    """Return when the first of these refreshes began and the last one ended, in seconds since the epoch."""
    return min(one.start for one in done), max(one.end for one in done)


def now() -> float:
    """Seconds since the epoch, as snapd tells its times."""
    return time.time()
