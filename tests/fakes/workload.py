"""The charm's workload on a fake machine: files are handled by the real code, all else goes to the world."""

from __future__ import annotations

import collections.abc
import json
import pathlib
import typing

from tests.fakes import answers, cluster, snapd, world
from workload import files, machine, paths, patroni, raft, snap, sql, write_ahead_log


class Snap(snap.Snap):
    """snapd on a fake machine."""

    def __init__(self, on: world.Machine):
        super().__init__()
        self._machine = on

    def state(self) -> snap.SnapState:
        return self._machine.state()

    def all_installed(self) -> list[dict[str, typing.Any]]:
        return self._machine.snaps.answer()

    def install(self, revision: str) -> None:
        self._machine.install(revision)

    def refresh(self, revision: str) -> None:
        self._machine.refresh(revision)

    def hold(self) -> None:
        self._machine.state()
        self._machine.held = True

    def start(self) -> None:
        self._machine.start()

    def stop(self, disable: bool = False) -> None:
        self._machine.stop(disable)

    def is_running(self) -> bool:
        return self._machine.patroni is not None


class Client(patroni.Client):
    """Patroni's REST API in the world: who answers, who may change what."""

    def __init__(self, on: world.Machine, address: str, password: str | None = None):
        super().__init__(address, password)
        self._machine = on

    def _request(
        self, method: str, path: str, body: object = None, timeout: float = patroni.TIMEOUT_SECONDS
    ) -> dict[str, typing.Any]:
        # As it would go over the wire.
        sent = None if body is None else json.loads(json.dumps(body))
        try:
            return json.loads(json.dumps(self._answer(method, path, sent)))
        except cluster.HttpError as error:
            kind = patroni.PatroniRefused if error.status == 412 else patroni.PatroniError
            raise kind(f"Patroni at {self._address} {error}") from error

    def _answer(self, method: str, path: str, body: typing.Any) -> object:
        found = self._machine.world.at(self._address)
        process = found.patroni if found else None
        # Patroni opens its REST API once it is connected to Raft (its __main__.py).
        if process is None or not process.reachable or process.raft is None:
            raise patroni.PatroniUnreachable(f"Patroni at {self._address} does not answer: connection refused")
        shared = process.raft
        if path == "/liveness":
            return {}
        if path != "/reload" and shared.configuration is None:
            raise cluster.HttpError(503, "no cluster yet")
        if method == "GET":
            return self._tell(process, shared, path)
        self._authorise(process)
        match method, path:
            case "PATCH", "/config":
                shared.patch(body)
                # Patroni then looks at once, also where nothing was to change.
                self._machine.world.woken.append(process.name)
                return shared.configuration
            case "POST", "/reload":
                process.reload()
                return {"message": "reload scheduled"}
            case "POST", "/switchover":
                return {"message": shared.switchover(body["leader"], body["candidate"])}
        raise cluster.HttpError(404, path)

    def _tell(self, process: cluster.Process, shared: cluster.RaftCluster, path: str) -> object:
        match path:
            case "/cluster":
                return answers.cluster(shared)
            case "/patroni":
                return answers.condition(process)
            case "/history":
                return shared.history
            case "/config":
                return shared.configuration
        raise cluster.HttpError(404, path)

    def _authorise(self, process: cluster.Process) -> None:
        settings = process.settings["restapi"]
        if self._machine.address not in settings["allowlist"]:
            raise cluster.HttpError(403, "Access is denied")
        if settings["authentication"]["password"] != self._password:
            raise cluster.HttpError(401, "not authenticated")


class Raft(raft.Raft):
    """pysyncobj's utility in the world."""

    def __init__(self, on: world.Machine, password: str):
        super().__init__(password)
        self._machine = on

    def _execute(self, node: str, command: list[str]) -> object:
        # It listens at all addresses of its machine, and is asked whoever it takes itself for.
        machine = self._machine.world.at(node.rpartition(":")[0])
        process = machine.patroni if machine is not None else None
        if process is None or process.raft is None or process.raft_password != self._password:
            return None
        return process.raft.command(process.node, command)


class Sql(sql.Sql):
    """SQL in the world: what the roles, tablespaces and sessions are."""

    def __init__(self, on: world.Machine, address: str | None, password: str | None):
        super().__init__(pathlib.Path(), address, password)
        self._machine = on

    def _database(self, *, write: bool = False) -> world.Database:
        found = self._machine.world.at(self._address) if self._address else self._machine
        process = found.patroni if found else None
        if found is None or process is None or process.raft is None or found.sql_fault:
            raise sql.SqlError("OperationalError: connection refused")
        if process.state not in ("running", "streaming"):
            raise sql.SqlError("OperationalError: the database system is starting up")
        database = process.raft.database
        if self._address and not database.accepts(sql.SUPERUSER, self._password):
            raise sql.SqlError("OperationalError: password authentication failed")
        if write and not process.is_leader:
            raise sql.SqlError("ReadOnlySqlTransaction: cannot execute in a read-only transaction")
        return database

    def role_verifiers(self, names: collections.abc.Collection[str]) -> dict[str, str | None]:
        database = self._database()
        return {name: database.roles[name] for name in names if name in database.roles}

    def set_role(self, name: str, attributes: str, verifier: str) -> None:
        database = self._database(write=True)
        database.roles[name], database.attributes[name] = verifier, attributes

    def grant_functions(self, name: str, signatures: collections.abc.Iterable[str]) -> None:
        self._database(write=True).functions.update(signatures)

    def has_temporary_tablespace(self) -> bool:
        return sql.TEMPORARY_TABLESPACE in self._database().tablespaces

    def create_temporary_tablespace(self, directory: pathlib.Path) -> None:
        database = self._database(write=True)
        if not directory.is_dir():
            raise sql.SqlError(f"UndefinedFile: directory {directory} does not exist")
        database.tablespaces[sql.TEMPORARY_TABLESPACE] = str(directory)

    def checkpoint(self) -> None:
        self._database().checkpoints += 1

    def synchronous_standbys(self) -> frozenset[str]:
        self._database()
        found = self._machine.world.at(self._address) if self._address else self._machine
        assert found is not None
        assert found.patroni is not None
        assert found.patroni.raft is not None
        return frozenset(found.patroni.raft.synchronous)

    def activity(self) -> sql.Activity:
        idle: dict[str, typing.Any] = {
            "longest_transaction_seconds": 0.0,
            "prepared_transactions": 0,
            "temporary_bytes": 0,
            "backup_running": False,
            "archiver_failing": False,
        }
        database = self._database()
        on = self._machine.world.at(self._address) if self._address else self._machine
        assert on is not None
        assert on.patroni is not None
        return sql.Activity(**(idle | (database.activity if on.patroni.is_leader else on.activity)))


class Workload(machine.Workload):
    """The workload of a fake machine."""

    def __init__(self, on: world.Machine):
        super().__init__(paths.Paths(on.root))
        self._machine = on
        self.snap = Snap(on)
        self.snapd = snapd.Snapd(on)

    def patroni(self, address: str, password: str | None = None) -> patroni.Client:
        return Client(self._machine, address, password)

    def raft(self, password: str) -> raft.Raft:
        return Raft(self._machine, password)

    def sql(self, address: str | None = None, password: str | None = None) -> sql.Sql:
        return Sql(self._machine, address, password)

    def last_record(self) -> write_ahead_log.Position | None:
        data = self._machine.data
        if self._machine.patroni is not None:
            self._machine.world.violations.append(f"{self._machine.name}: its log was read while PostgreSQL ran")
        return None if data is None else write_ahead_log.Position(data.timeline, data.position)

    @property
    def architecture(self) -> str:
        return self._machine.architecture

    @property
    def memory_bytes(self) -> int:
        return self._machine.memory_bytes

    def free_bytes(self, storage: str) -> int | None:
        # The place must exist: what is on it is the machine's to say.
        assert files.free_bytes(self.paths.storages()[storage]) is not None
        return self._machine.free[storage]

    def ports_taken(self) -> tuple[int, ...]:
        own = {paths.POSTGRESQL_PORT, paths.PATRONI_PORT, paths.RAFT_PORT} if self._machine.patroni else set()
        return tuple(sorted(self._machine.ports_taken | own))

    def clock_skew_seconds(self, address: str) -> float | None:
        other = self._machine.world.at(address)
        return None if other is None else abs(other.clock_offset - self._machine.clock_offset)
