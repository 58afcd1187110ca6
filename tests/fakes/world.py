"""Several machines with a fake snapd, Patroni, Raft and PostgreSQL each, in one process and with a clock of its own.

Files are real, below each machine's root. What the charm must never do is noted in `World.violations`.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import random
import shutil
import typing

import yaml

from tests.fakes import cluster, datafiles, snapd
from workload import datadir, paths, scram, snap

GIBIBYTE = 1024**3
SNAP_BYTES = 120 * 1024**2
STORAGES = ("data", "logs", "archive", "temp")


class World:
    """All machines, and the clusters that run on them."""

    def __init__(self, directory: pathlib.Path, seed: int = 0):
        self.directory = directory
        self.random = random.Random(seed)  # noqa: S311  repeatable, not secret
        self.now = 1_700_000_000.0
        self.machines: list[Machine] = []
        self.rafts: dict[str, cluster.RaftCluster] = {}
        self.databases: dict[str, Database] = {}
        self.violations: list[str] = []
        self.switchovers: list[tuple[str, str]] = []
        """(old primary, new primary) of each switchover that was asked for and done."""
        self.woken: list[str] = []
        """Each member whose Patroni was asked to look at once."""
        self.promotions: list[str] = []
        """Each member that became the primary of a cluster that existed."""
        self.switchover_fault: str | None = None
        """refuse: 412 and nothing happens; unknown: 503 although it happens; lost: 503 and nothing happens."""
        self.store: dict[str, tuple[str, str]] = {}
        """Revision and version of each snap that the store has an update for."""
        self.snap_refreshes: list[tuple[str, str]] = []
        """(machine, snap) of each refresh of a snap beside the workload's, in order."""
        self._identifiers = itertools.count(7_300_000_000_000_000_001, 97)
        self._rafts = itertools.count(1)

    def machine(self, name: str, address: str | None = None) -> Machine:
        """A new machine."""
        number = len(self.machines)
        made = Machine(self, name, self.directory / name, address or f"10.0.0.{10 + number}")
        self.machines.append(made)
        return made

    def at(self, address: str) -> Machine | None:
        """The machine that answers at that address: the latest, as one that was removed may have had it before."""
        return next((each for each in reversed(self.machines) if each.up and each.address == address), None)

    def offered(self, snap_name: str) -> str | None:
        """The revision that the store has of a snap, where it has a newer one."""
        return self.store.get(snap_name, (None, ""))[0]

    def new_system_identifier(self) -> str:
        """What initdb would choose."""
        return str(next(self._identifiers))

    def new_raft(self, node: str, process: cluster.Process) -> cluster.RaftCluster:
        """Found a Raft cluster of one node."""
        for other in self.rafts.values():
            if other.scope == process.scope and any(each.raft is other for each in self.processes()):
                self.violations.append(f"{process.name} founded a second cluster beside a running one")
        made = cluster.RaftCluster(self, f"raft-{next(self._rafts)}", process.scope, {node}, process.raft_password)
        self.rafts[made.identity] = made
        return made

    def processes(self) -> list[cluster.Process]:
        """Every Patroni that runs."""
        return [each.patroni for each in self.machines if each.up and each.patroni is not None]

    def advance(self, seconds: float) -> None:
        """Let time pass, a second at a time."""
        left = seconds
        while left > 0:
            self.now += min(left, 1.0)
            left -= 1.0
            for process in self.processes():
                process.connect()
            for raft in list(self.rafts.values()):
                raft.loop()

    def accept_loss(self) -> None:
        """Count no more on transactions that no machine has which is up."""
        for identity, database in self.databases.items():
            copies = [each.patroni.data if each.patroni else each.data for each in self.machines if each.up]
            positions = [data.position for data in copies if data is not None and data.system_identifier == identity]
            database.acknowledged = min(database.acknowledged, max(positions, default=0))

    @property
    def raft(self) -> cluster.RaftCluster:
        """The cluster that runs, where there is one only."""
        running = {process.raft.identity: process.raft for process in self.processes() if process.raft is not None}
        (found,) = running.values()
        return found

    @property
    def primary(self) -> Machine | None:
        """The machine of the primary, where there is one cluster only."""
        leaders = [process.machine for process in self.processes() if process.is_leader]
        assert len(leaders) < 2, "two primaries"
        return leaders[0] if leaders else None


@dataclasses.dataclass
class Database:
    """What is in a database cluster, and so on each of its copies."""

    roles: dict[str, str] = dataclasses.field(default_factory=dict)
    """Password verifiers by role."""
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    functions: set[str] = dataclasses.field(default_factory=set)
    tablespaces: dict[str, str] = dataclasses.field(default_factory=dict)
    acknowledged: int = 0
    """Transactions that clients were told to be safe."""
    checkpoints: int = 0
    activity: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    """Values of sql.Activity that are not those of an idle database."""

    def accepts(self, role: str, password: str | None) -> bool:
        """Whether the role may log in with that password."""
        return password is not None and scram.matches(self.roles.get(role), password)


class Machine:
    """One machine: a fake snapd with systemd, storages, and the workload that runs on it."""

    def __init__(self, world: World, name: str, root: pathlib.Path, address: str):
        self.world = world
        self.name = name
        self.root = root
        self.paths = paths.Paths(root)
        self.address: str | None = address
        self.up = True
        self.architecture = "x86_64"
        self.memory_bytes = 8 * GIBIBYTE
        self.start_seconds = 1.0
        """How long its PostgreSQL takes to come up, as one that replays much."""
        self.clock_offset = 0.0
        self.ports_taken: set[int] = set()
        self.free: dict[str, int] = dict.fromkeys(STORAGES, 50 * GIBIBYTE)
        self.free_for_snap = 10 * GIBIBYTE
        self.snapd_running = True
        self.store_reachable = True
        self.revision: str | None = None
        self.held = False
        self.disabled = False
        self.refresh_fault: str | None = None
        """store: it refuses the revision; unchanged: snapd does; changed: it fails with the new revision in place."""
        self.installs: list[str] = []
        """Revisions in the order in which they were installed."""
        self.stops = 0
        self.enabled = False
        self.sql_fault = False
        self.activity: dict[str, typing.Any] = {}
        """Values of sql.Activity, while this machine's PostgreSQL is a standby, that are not those of an idle one."""
        self.patroni: cluster.Process | None = None
        self.snaps = snapd.Snaps(self)
        self.services: dict[str, str] = {}
        """Systemd services beside the snap's: name to running or disabled."""
        self.paths.systemd_units.mkdir(parents=True)
        self.mount()

    def mount(self) -> None:
        """Make the places of the storages, empty."""
        for place in self.storage_places().values():
            place.mkdir(parents=True, exist_ok=True)

    def storage_places(self) -> dict[str, pathlib.Path]:
        """Where each storage is mounted."""
        common = self.paths.common
        return {
            "data": self.paths.data_storage,
            "logs": common / "data/logs",
            "archive": common / "data/archive",
            "temp": common / "data/temp",
        }

    def take_storage(self, destination: pathlib.Path) -> pathlib.Path:
        """Detach all storages and keep them."""
        for name, place in self.storage_places().items():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(place, destination / name)
        return destination

    def give_storage(self, source: pathlib.Path) -> None:
        """Attach storages that were kept."""
        for name, place in self.storage_places().items():
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(source / name, place)

    @property
    def data(self) -> datafiles.Data | None:
        """The database cluster on this machine."""
        return datafiles.Data.load(self.paths.data_directory)

    def put_data(self, system_identifier: str, major: str = "16") -> None:
        """Put the data of some cluster on the storage."""
        datafiles.Data(self.paths.data_storage / major / "main", system_identifier).save()

    def settings(self) -> dict[str, typing.Any]:
        """Patroni's configuration as it is on disk."""
        return yaml.load(self.paths.patroni_configuration.read_text(), yaml.CSafeLoader)

    # snapd and systemd

    def state(self) -> snap.SnapState:
        """What snapd tells."""
        self._ask_snapd()
        return snap.SnapState(self.revision, self.held, not self.disabled)

    def _ask_snapd(self) -> None:
        if not self.snapd_running:
            raise snap.SnapOperationError("snapd does not answer: connection refused")

    @property
    def kept(self) -> list[str]:
        """The revisions that snapd has: the current one and the one before."""
        return list(dict.fromkeys(reversed(self.installs)))[:2]

    def ask_store(self, revision: str) -> int:
        """Ask for a revision; its size."""
        if not self.store_reachable:
            raise snap.SnapOperationError("cannot reach the store")
        if self.refresh_fault == "store":
            raise snap.SnapOperationError(f"cannot refresh: the store does not serve revision {revision}")
        return SNAP_BYTES

    def install(self, revision: str) -> None:
        """Install the snap from the store."""
        self._ask_snapd()
        self.ask_store(revision)
        if self.revision is not None:
            self.world.violations.append(f"{self.name}: installed twice")
        self._install(revision)

    def _install(self, revision: str) -> None:
        self.installs.append(revision)
        self.revision = revision
        if not self.paths.revision_data.exists():
            self.paths.revision_data.with_name("revision").mkdir()
            self.enable_snap()

    def disable_snap(self) -> None:
        """What `snap disable` does: the snap is there, and nothing of it can be used."""
        self.stop(disable=False)
        self.disabled = True
        self.paths.revision_data.unlink()

    def enable_snap(self) -> None:
        """What `snap enable` does."""
        self.disabled = False
        self.paths.revision_data.symlink_to("revision")

    def refresh(self, revision: str) -> None:
        """Refresh the snap; fails as `refresh_fault` says."""
        self._ask_snapd()
        self._require_enabled()
        if self.patroni is not None:
            self.world.violations.append(f"{self.name}: the snap was refreshed while Patroni ran")
        if revision not in self.kept:
            self.ask_store(revision)
        if self.refresh_fault == "unchanged":
            raise snap.SnapOperationError("cannot refresh: the pre-refresh hook failed")
        self._install(revision)
        if self.refresh_fault == "changed":
            raise snap.SnapOperationError("cannot refresh: the post-refresh hook failed")
        # snapd starts a service that is enabled, whoever has stopped it before.
        if self.enabled and self.patroni is None:
            self.patroni = cluster.Process(self)

    def _require_enabled(self) -> None:
        if self.disabled:
            self.world.violations.append(f"{self.name}: a snap that is disabled was refreshed or started")
            raise snap.SnapOperationError('snap "charmed-postgresql" is disabled')

    def start(self) -> None:
        """Start Patroni's service and enable it."""
        self._ask_snapd()
        if self.revision is None:
            raise snap.SnapOperationError('snap "charmed-postgresql" is not installed')
        self._require_enabled()
        self.enabled = True
        if self.patroni is None:
            self.patroni = cluster.Process(self)

    def stop(self, disable: bool) -> None:
        """Stop Patroni's service, which releases the leader lock. Never while it is the primary of others."""
        self._ask_snapd()
        self.stops += 1
        if disable:
            self.enabled = False
        if self.patroni is None:
            return
        if self.patroni.is_leader and self.patroni.reachable and self.patroni.others_stream():
            self.world.violations.append(f"{self.name}: stopped while it was the primary of others")
        self.patroni.stop()
        self.patroni = None

    def crash(self) -> None:
        """The machine loses power."""
        self.up = False
        if self.patroni is not None:
            self.patroni.save()
        self.patroni = None

    def boot(self) -> None:
        """The machine starts; services that are enabled start with it."""
        self.up = True
        if self.enabled and self.revision is not None:
            self.patroni = cluster.Process(self)

    def has_raft_state(self) -> bool:
        """Whether Raft has kept anything here."""
        directory = self.paths.raft_directory
        return directory.is_dir() and any(directory.iterdir())

    def inspect(self) -> datadir.DataDirectory:
        """What the charm would find in the data directory."""
        return datadir.inspect(self.paths.data_directory)
