"""A fake machine's other snaps, the store that updates them, and snapd's requests for them."""

from __future__ import annotations

import dataclasses
import datetime
import typing

from workload import paths, snap, snapd, snapd_requests

if typing.TYPE_CHECKING:
    from tests.fakes import world

REFRESH_SECONDS = 20.0
"""How long a refresh takes."""
DRIFT = datetime.timedelta(microseconds=312)
"""What snapd adds to the end of a hold: it counts from its own now."""


@dataclasses.dataclass
class Installed:
    """A snap that is installed."""

    name: str
    revision: str = "1"
    type: str = "app"
    base: str = ""
    refreshed: float = 0.0
    """Seconds before the world began."""
    hold: datetime.datetime | None = None


class Snaps:
    """The snaps of one machine beside the workload's."""

    def __init__(self, machine: world.Machine):
        self._machine = machine
        self.snaps = {each.name: each for each in (Installed("core24", type="base"), Installed("snapd", type="snapd"))}
        self.connections: list[tuple[str, str, str]] = []
        self.requests: list[str] = []
        self.changes: list[str] = []
        """Summaries of changes that are in progress, as a test says."""
        self._begun: dict[str, float] = {}
        """Refreshes in progress: name of the snap, and when it ends."""
        self.store_fault: str | None = None
        self.refresh_fault: str | None = None
        self.interrupts = False
        """Whether a refresh restarts the workload. snapd starts no service anew for an update of a base."""

    def add(self, name: str) -> None:
        """Install another snap."""
        self.snaps[name] = Installed(name)

    def now(self) -> datetime.datetime:
        """The world's time."""
        return datetime.datetime.fromtimestamp(self._machine.world.now, datetime.UTC)

    def answer(self) -> list[dict[str, typing.Any]]:
        """GET /v2/snaps."""
        self.in_progress()
        found = [self._entry(each) for each in self.snaps.values()]
        if self._machine.revision is not None:
            workload = Installed(paths.SNAP, self._machine.revision, base="core24")
            if self._machine.held:
                workload.hold = datetime.datetime(2317, 1, 1, tzinfo=datetime.UTC)
            found.append(self._entry(workload) | {"tracking-channel": "16/stable"})
        return found

    @staticmethod
    def _entry(each: Installed) -> dict[str, typing.Any]:
        refreshed = datetime.datetime.fromtimestamp(1_699_900_000 - each.refreshed, datetime.UTC)
        entry = {"name": each.name, "revision": each.revision, "type": each.type, "base": each.base}
        entry["install-date"] = refreshed.isoformat()
        return entry if each.hold is None else entry | {"hold": each.hold.isoformat()}

    def held(self, name: str) -> bool:
        """Whether the snap is held now."""
        hold = self.snaps[name].hold
        return hold is not None and hold >= self.now()

    def refresh(self, name: str) -> None:
        """Begin to refresh it to what the store has. Slow: it is begun and stays so."""
        if name in self.in_progress():
            raise snap.SnapOperationError(f'snap "{name}" has "refresh-snap" change in progress')
        if self._machine.world.offered(name) in (None, self.snaps[name].revision):
            raise snapd_requests.NoUpdateError("snap has no updates available")
        seconds = float("inf") if self.refresh_fault == "slow" else REFRESH_SECONDS
        self._begun[name] = self._machine.world.now + seconds

    def in_progress(self) -> list[str]:
        """The snaps whose refresh goes on; what has ended by now takes effect."""
        for name in [name for name, end in self._begun.items() if end <= self._machine.world.now]:
            del self._begun[name]
            if self.refresh_fault is None:
                self._finish(name)
        return list(self._begun)

    def end(self) -> None:
        """Have what is slow end without effect."""
        self._begun.clear()

    def _finish(self, name: str) -> None:
        self.snaps[name].revision = self._machine.world.store[name][0]
        self._machine.world.snap_refreshes.append((self._machine.name, name))
        if self.interrupts and self._machine.patroni is not None:
            self._machine.stop(disable=False)
            self._machine.start()

    def tick(self) -> list[str]:
        """What snapd does by its own schedule: refresh all that has an update and is not held; their names."""
        pending = [
            name for name, each in self.snaps.items() if self._machine.world.offered(name) not in (None, each.revision)
        ]
        free = [name for name in pending if not self.held(name) and name not in self.in_progress()]
        for name in free:
            self._finish(name)
        return free


class Snapd(snapd.Snapd):
    """snapd's requests on a fake machine."""

    def __init__(self, on: world.Machine):
        super().__init__("/nowhere")
        self._machine = on

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: typing.Any = None,
        timeout: float = snapd_requests.TIMEOUT_SECONDS,
    ) -> dict[str, typing.Any]:
        self._machine.state()
        on = self._machine.snaps
        in_progress = [f'Refresh "{name}" snap' for name in on.in_progress()]
        on.requests.append(f"{method} {path}")
        match method, path:
            case "GET", "/v2/find":
                assert query == {"select": "refresh"}
                return {"result": self._updates()}
            case "GET", "/v2/snaps":
                assert query == {"select": "all", "snaps": paths.SNAP}
                return {"result": [{"revision": each} for each in self._machine.kept]}
            case "POST", "/v2/download":
                assert body["snap-name"] == paths.SNAP
                assert body["header-peek"] is True
                return {"size": self._machine.ask_store(body["revision"])}
            case "GET", "/v2/connections":
                assert query == {"snap": paths.SNAP}
                ends = [
                    {"interface": each, "plug": {"snap": plug}, "slot": {"snap": slot}}
                    for each, plug, slot in on.connections
                ]
                return {"result": {"established": ends}}
            case "GET", "/v2/changes":
                changes = [{"summary": each, "kind": "refresh-snap"} for each in (*on.changes, *in_progress)]
                return {"result": [*changes, {"summary": "Install", "kind": "install-snap"}]}
            case "POST", "/v2/snaps":
                for name in body["snaps"]:
                    until = datetime.datetime.fromisoformat(body["time"]) + DRIFT if body["action"] == "hold" else None
                    assert (body["action"] == "unhold") is (until is None)
                    on.snaps[name].hold = until
                return {}
        assert (method, body) == ("POST", {"action": "refresh"}), path
        on.refresh(path.removeprefix("/v2/snaps/"))
        return {}

    def _updates(self) -> list[dict[str, typing.Any]]:
        on = self._machine
        if on.snaps.store_fault is not None:
            raise snap.SnapOperationError(on.snaps.store_fault)
        installed = {each.name: each.revision for each in on.snaps.snaps.values()} | {paths.SNAP: on.revision}
        return [
            {"name": name, "revision": revision, "version": version, "channel": "stable"}
            for name, (revision, version) in on.world.store.items()
            if installed.get(name) not in (None, revision)
        ]
