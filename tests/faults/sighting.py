"""Sees from outside that a step has come, and calls back at once."""

from __future__ import annotations

import datetime
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import cells

from lab import namespaces, settings
from lab.juju import client

POLL_SECONDS = 0.01
LOG_SECONDS = 0.25
"""How long one question to the controller waits for a line."""
Callback = Callable[[str], None]
"""Is given the unit whose step it is."""


class Machine:
    """One of the lab's machines, as the host sees it: its processes and files, without entering it."""

    def __init__(self, lab_settings: settings.Settings, name: str) -> None:
        found = namespaces.find(lab_settings)
        assert found, "the lab does not run"
        self.name = name
        self._group = pathlib.Path(found.group) / "machines" / name / "payload"
        # The file system is mounted in the lab's namespace, which its PID 1 shows.
        self.root = pathlib.Path(f"/proc/{found.pid}/root") / (lab_settings.machines / name / "root").relative_to("/")

    def charm_processes(self) -> dict[int, str]:
        """What the agent has started, and what that has: command lines by the host's process number."""
        return dict(_commands(self._group / "system.slice/lab-agent.service"))

    def workload_processes(self) -> dict[int, str]:
        """The processes of Patroni's service and of its PostgreSQL."""
        return dict(_commands(self._group / "system.slice/snap.charmed-postgresql.patroni.service"))

    def revision(self, sizes: Mapping[int, str]) -> str:
        """Which revision of the snap is current; empty in the midst of a change.

        sizes: the store's revisions by the sizes of their files. snapd's own numbers (x1, x2...) tell only when a file
        came to the machine; that name is told where the store has no such file.
        """
        try:
            link = str((self.root / "snap/charmed-postgresql/current").readlink())
        except OSError:
            return ""
        try:
            return sizes.get((self.root / f"var/lib/snapd/snaps/charmed-postgresql_{link}.snap").stat().st_size, link)
        except OSError:
            return link


def _commands(group: pathlib.Path) -> Iterator[tuple[int, str]]:
    try:
        processes = (group / "cgroup.procs").read_text().split()
    except OSError:
        return
    for process in processes:
        try:
            words = pathlib.Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        yield int(process), b" ".join(words).decode(errors="replace").strip()


class Log:
    """Follows a model's log."""

    def __init__(self, lab_settings: settings.Settings, model: str) -> None:
        self._client = client.Client(lab_settings.controller_socket)
        self._model = model
        self._sequence = self._last()

    def _last(self) -> int:
        lines = self._client.call("debug_log", model=self._model, limit=1)
        return lines[-1]["sequence"] if lines else 0

    def poll(self) -> list[dict[str, str]]:
        """Return the lines since the last call; wait a moment if there is none. None in an outage."""
        try:
            lines = self._client.call("debug_log", model=self._model, after=self._sequence, timeout=LOG_SECONDS)
        except (client.RemoteError, client.NotRunning):
            time.sleep(LOG_SECONDS)
            return []
        if lines:
            self._sequence = lines[-1]["sequence"]
        return lines


def moment(line: Mapping[str, str]) -> float:
    """Return when a line was logged, in seconds of `time.monotonic()`."""
    logged = datetime.datetime.fromisoformat(line["time"]).timestamp()
    return logged - time.time() + time.monotonic()


def unit_of(entity: str) -> str:
    """Return the unit of a log line's entity ("unit-pg-2")."""
    application, _, number = entity.removeprefix("unit-").rpartition("-")
    return f"{application}/{number}"


class Sighting(threading.Thread):
    """Waits for a step, once. `units` are the names of all units with their machines."""

    def __init__(self, seen: cells.Seen, log: Log, units: dict[str, Machine], callback: Callback) -> None:
        super().__init__(daemon=True)
        self._seen = seen
        self._log = log
        self._units = units
        self._callback = callback
        self._ended = threading.Event()
        self.unit = ""
        """Whose step it was, once it has come."""
        self.time = 0.0
        self.error: BaseException | None = None
        """What went wrong in the callback."""

    def run(self) -> None:
        """See `threading.Thread.run`."""
        match self._seen:
            case cells.Logged():
                self._follow(self._seen)
            case cells.Ran():
                self._watch(self._seen)
            case cells.Asked():
                pass

    def _follow(self, seen: cells.Logged) -> None:
        while not self._ended.is_set():
            for line in self._log.poll():
                unit = unit_of(line["entity"])
                if seen.text in line["message"] and seen.unit in (None, _number(unit)) and unit in self._units:
                    self.come(unit, moment(line))
                    return

    def _watch(self, seen: cells.Ran) -> None:
        [(unit, machine)] = [(unit, machine) for unit, machine in self._units.items() if _number(unit) == seen.unit]
        while not self._ended.is_set():
            if any(seen.command in command.replace('"', "") for command in machine.charm_processes().values()):
                self.come(unit)
                return
            time.sleep(POLL_SECONDS)

    def come(self, unit: str, when: float | None = None) -> None:
        """It has come: call back. For a step that others have to see, they call this. when: if not just now."""
        self.time, self.unit = time.monotonic() if when is None else when, unit
        try:
            self._callback(unit)
        except BaseException as error:  # told to the thread that waits for it
            self.error = error

    def end(self) -> None:
        """Wait no longer; return when the callback has."""
        self._ended.set()
        if self.is_alive():
            self.join()


def _number(unit: str) -> int:
    return int(unit.rpartition("/")[2])
