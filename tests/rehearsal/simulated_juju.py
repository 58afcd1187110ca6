"""An application on Juju, simulated: refreshes from the highest unit down and pauses as charm-refresh says it does."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import time
import typing

import jubilant

from rehearsal import charms, deployment, history, load, operate, readback, records

OLD = operate.Charm(pathlib.Path("old.charm"), charms.Version("16/1.0.0", "16.14", {"x86_64": "366", "aarch64": "366"}))
NEW = operate.Charm(pathlib.Path("new.charm"), charms.Version("16/1.1.0", "16.15", {"x86_64": "416", "aarch64": "416"}))

PINNED = {"old.charm": OLD.version.revision, "new.charm": NEW.version.revision}

LOOKS = 2


class Application(deployment.Deployment):
    """Each look at the status lets one unit take one step."""

    def __init__(self) -> None:
        super().__init__(jubilant.Juju(), "database")
        self.installed: list[str] = []
        self.looks: list[int] = []
        """How many looks each unit still needs until it has settled."""
        self.pinned = ""
        self.resumed: set[int] = set()
        self.actions: list[str] = []
        self.broken: int | None = None
        self.stuck = False
        self.snapd_is_silent = False
        self.pauses = True
        self.primary = 0

    def deploy(self, charm: pathlib.Path, units: int) -> None:
        self.pinned = PINNED[charm.name]
        self.installed = [self.pinned] * units
        self.looks = [LOOKS] * units
        self.actions.append(f"deploy {charm.name}")

    def refresh(self, charm: pathlib.Path) -> None:
        self.pinned = PINNED[charm.name]
        self.resumed.clear()
        self.noticed = False
        self.actions.append(f"refresh {charm.name}")

    def resume(self, unit: int) -> str:
        refusal = self._refusal(unit)
        if refusal:
            self.actions.append(f"refused {unit}")
            raise jubilant.TaskError(jubilant.Task("1", "failed", message=refusal))
        self.actions.append(f"resume {unit}")
        self.resumed.add(unit)
        self._refresh(unit)
        return f"Refresh resumed. Unit {unit} has refreshed"

    def revisions(self) -> dict[str, str]:
        return {f"database/{number}": revision for number, revision in enumerate(self.installed)}

    def revision(self, unit: str) -> str:
        return self.installed[deployment.number(unit)]

    def addresses(self) -> dict[str, str]:
        return {f"database/{number}": f"10.0.0.{number + 1}" for number in range(len(self.installed))}

    def never_pause(self) -> None:
        self.pauses = False

    def switch_over(self, old: str, new: str) -> None:
        assert deployment.number(old) == self.primary
        self.actions.append(f"switch over {old} {new}")
        self.primary = deployment.number(new)

    def service(self, unit: str, command: str) -> None:
        self.actions.append(f"{command} {unit}")
        if command == "stop" and deployment.number(unit) == self.primary:
            self.primary = (self.primary + 1) % len(self.installed)

    def agent_group(self, unit: str) -> str:
        return f"/agent-{unit}"

    def processor_seconds(self, unit: str, group: str) -> float:
        assert group == f"/agent-{unit}"
        return float(len(self.actions))

    def log_hooks(self) -> None:
        self.actions.append("log hooks")

    def log(self) -> list[dict[str, str]]:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        about = {"timestamp": now, "entity": "unit-database-0", "module": "juju.worker.uniter.operation"}
        return [
            {**about, "message": 'executing operation "run update-status hook" for database/0'},
            {**about, "message": 'ran "update-status" hook (via hook dispatching script: dispatch)'},
        ]

    def snap_changes(self, unit: str) -> list[dict[str, typing.Any]]:
        if self.snapd_is_silent:
            raise jubilant.CLIError(1, "juju ssh", stderr="no answer")
        now = datetime.datetime.now(datetime.UTC).isoformat()
        return [{"kind": "refresh-snap", "summary": "Refresh", "status": "Done", "spawn-time": now, "ready-time": now}]

    def status(self) -> jubilant.Status:
        found = jubilant.Status._from_dict(self._status())
        if not self.stuck:
            self._step()
        return found

    def _next(self) -> int | None:
        behind = [number for number, revision in enumerate(self.installed) if revision != self.pinned]
        return max(behind, default=None)

    def _refusal(self, unit: int) -> str:
        if self._next() != unit:
            return f"Must run action on unit {self._next()}"
        return "" if not any(self.looks[unit + 1 :]) else f"Unit {unit + 1} is unhealthy. Refresh will not resume."

    def _step(self) -> None:
        if busy := [number for number, looks in enumerate(self.looks) if looks]:
            self.looks[busy[0]] -= 1
            return
        unit = self._next()
        highest = len(self.installed) - 1
        if unit is not None and (not self.pauses or unit == highest or unit < highest - 1 or unit in self.resumed):
            self._refresh(unit)

    def _refresh(self, unit: int) -> None:
        if unit == self.primary:
            self.primary = (unit + 1) % len(self.installed)
        self.installed[unit] = self.pinned
        self.looks[unit] = LOOKS

    def _message(self) -> tuple[str, str]:
        unit = self._next()
        highest = len(self.installed) - 1
        if unit is None or not highest:
            return ("active", "") if not any(self.looks) else ("maintenance", "settling")
        if self.pauses and unit >= highest - 1:
            return (
                "blocked",
                f"Refreshing. Check units >={highest} are healthy & run `resume-refresh` on unit {unit}. "
                "To rollback, `juju refresh --revision None`",
            )
        return "maintenance", "Refreshing. To pause refresh, run `juju config database pause-after-unit-refresh=all`"

    def _status(self) -> dict:
        state, message = self._message()
        units = {
            f"database/{number}": {
                "workload-status": {"current": self._unit_state(number), "message": self._role(number)},
                "juju-status": {"current": "executing" if looks else "idle"},
                "machine": str(number),
            }
            for number, looks in enumerate(self.looks)
        }
        model = {
            "name": "rehearsal",
            "type": "iaas",
            "controller": "lab",
            "cloud": "lab",
            "version": "3.6.12",
            "model-status": {"current": "available"},
        }
        application = {
            "charm": "local:database-0",
            "charm-origin": "charmhub",
            "charm-name": "database",
            "charm-rev": 0,
            "exposed": False,
            "application-status": {"current": state, "message": message},
            "units": units,
        }
        return {"model": model, "machines": {}, "applications": {"database": application} if self.installed else {}}

    def _role(self, number: int) -> str:
        return "Primary" if number == self.primary else "Synchronous standby"

    def _unit_state(self, number: int) -> str:
        if number == self.broken:
            return "error"
        return "maintenance" if self.looks[number] else "active"


@dataclasses.dataclass
class Client:
    """Stands in for `load.Load`: writes once each time that somebody looks, and every copy has everything."""

    recorded: history.History = dataclasses.field(default_factory=history.History)
    missing: set[int] = dataclasses.field(default_factory=set)
    dies: bool = False
    reading: bool = False
    hosts: int = 3
    silent: bool = False
    stopped: bool = False

    @property
    def history(self) -> history.History:
        return self.recorded

    def start(self) -> None:
        self.recorded.add(records.Connection(0.0, "10.0.0.1", 1))

    def start_reading(self) -> None:
        self.reading = True

    def check(self) -> None:
        if self.dies:
            raise RuntimeError("the writer ended by itself: no memory")
        if self.silent:
            return
        now = time.monotonic()
        sequence = len(self.recorded.writes) + 1
        self.recorded.add(records.Write(sequence, now, now, records.Outcome.ACKNOWLEDGED))
        if self.reading:
            for n in range(1, self.hosts + 1):
                self.recorded.add(records.Read(f"10.0.0.{n}", now, now, n == 1, "16.14"))

    def stop(self) -> None:
        self.stopped = True

    def read_back(self) -> list[readback.Copy]:
        written = [write.sequence for write in self.recorded.writes]
        return [
            readback.Copy(
                f"10.0.0.{n}",
                n == 1,
                1,
                list(readback.ranges(s for s in written if n == 1 or s not in self.missing)),
                1,
            )
            for n in (1, 2, 3)
        ]


def as_load(client: Client) -> load.Load:
    """Let the type checker take the stand-in for what it stands in for."""
    return client  # type: ignore[return-value]
