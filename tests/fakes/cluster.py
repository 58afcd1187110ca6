"""A fake of Patroni on Raft: who belongs, who leads, who streams. Its rules are those that the charm relies on.

Sources: Patroni documentation ("Replication modes", "REST API"); pysyncobj's answers to its utility commands.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import typing

from tests.fakes import answers, datafiles
from tests.fakes.process import TTL_SECONDS, Process
from workload import scram

if typing.TYPE_CHECKING:
    from tests.fakes import world

CLONE_SECONDS = 3.0

Json = dict[str, typing.Any]


class HttpError(Exception):
    """Patroni's answer is an error."""

    def __init__(self, status: int, text: str):
        super().__init__(f"answered {status}: {text}")
        self.status = status


@dataclasses.dataclass
class RaftCluster:
    """The nodes that share Patroni's state, and that state."""

    world: world.World
    identity: str
    scope: str
    members: set[str]
    password: str
    raft_leader: str | None = None
    system_identifier: str | None = None
    leader: str | None = None
    leader_seen: float = 0.0
    released: bool = False
    configuration: Json | None = None
    synchronous: set[str] = dataclasses.field(default_factory=set)
    paused: bool = False
    timeline: int = 0
    history: list[list[typing.Any]] = dataclasses.field(default_factory=list)
    """As Patroni's REST API tells it."""
    told: Json | None = None
    """The last answer to GET /cluster."""
    stopped: dict[str, tuple[Process, float]] = dataclasses.field(default_factory=dict)
    """Members that have stopped and are still shown for a while."""
    told_by: dict[str, tuple[Json, float]] = dataclasses.field(default_factory=dict)
    """What each member has last told of itself, and until when it counts: also when the member has died."""

    def alive(self) -> list[Process]:
        """Members that run and are reached."""
        found = [each for each in self.world.processes() if each.raft is self and each.node in self.members]
        return sorted((each for each in found if each.reachable), key=lambda each: each.name)

    def running(self) -> set[str]:
        """Members that run, whether or not they are reached at the address under which they are members."""
        return self.members & {each.node for each in self.world.processes() if each.raft is self}

    def has_quorum(self) -> bool:
        """Whether more than half of the members are there."""
        return len(self.alive()) * 2 > len(self.members)

    def is_late(self, process: Process) -> bool:
        """Whether what it tells has expired at once.

        A key carries when it expires by the clock of who writes it, and expires by that of Raft's leader (Patroni's
        dcs/raft.py).
        """
        leader = next((each for each in self.alive() if each.node == self.raft_leader), process)
        return leader.machine.clock_offset - process.machine.clock_offset >= TTL_SECONDS

    def ghosts(self) -> list[Json]:
        """Members that have died and are still shown, as they were."""
        gone = {name for name in self.told_by if self.member(name) is None and name not in self.stopped}
        return [self.told_by[name][0] for name in sorted(gone)]

    def member(self, name: str) -> Process | None:
        """A member that is there."""
        return next((each for each in self.alive() if each.name == name), None)

    @property
    def primary(self) -> Process | None:
        """The primary, if it is there."""
        return self.member(self.leader) if self.leader and self.has_quorum() else None

    @property
    def database(self) -> world.Database:
        """What is in the database."""
        assert self.system_identifier is not None
        return self.world.databases[self.system_identifier]

    def loop(self) -> None:
        """What all its Patronis do in a second."""
        alive = self.alive()
        self.stopped = {
            name: (process, until)
            for name, (process, until) in self.stopped.items()
            if until > self.world.now and self.member(name) is None
        }
        self.told_by = {name: each for name, each in self.told_by.items() if each[1] > self.world.now}
        if not self.has_quorum():
            return
        if self.raft_leader not in {each.node for each in alive}:
            self.raft_leader = min(each.node for each in alive)
        if self.configuration is None:
            self.configuration = copy.deepcopy(alive[0].settings["bootstrap"]["dcs"])
        if self.primary is not None and not self.is_late(self.primary):
            self.leader_seen = self.world.now
            if self.primary.state == "starting" and self.primary.data is not None:
                # It has come back before its lock has expired.
                self._lead(self.primary)
        elif self.leader is None or self.world.now - self.leader_seen > TTL_SECONDS:
            self._elect(alive)
        self._follow()
        self._choose_synchronous()
        self._write()
        for member in answers.cluster(self)["members"]:
            if self.member(member["name"]) is not None:
                self.told_by[member["name"]] = (member, self.world.now + TTL_SECONDS)

    def _elect(self, alive: list[Process]) -> None:
        if self.paused:
            return
        if self.system_identifier is None:
            self._bootstrap(alive[0])
            return
        fit = [each for each in alive if each.data is not None and each.state != "creating replica"]
        fit = [each for each in fit if not self.is_late(each)]
        fit = [each for each in fit if each.data and each.data.system_identifier == self.system_identifier]
        if self.synchronous_mode and (self.synchronous or self.leader):
            fit = [each for each in fit if each.name in self.synchronous or each.name == self.leader]
        if fit:
            self.promote(max(fit, key=lambda each: (each.data.position if each.data else 0, each.name)))

    @property
    def synchronous_mode(self) -> bool:
        """Whether a transaction waits for standbys."""
        return bool(self.configuration and self.configuration.get("synchronous_mode"))

    def _bootstrap(self, process: Process) -> None:
        if process.data is None:
            process.data = datafiles.Data(
                process.machine.paths.data_directory, self.world.new_system_identifier(), timeline=0
            )
            roles = {
                entry["username"]: scram.verifier(entry["password"], iterations=1)
                for entry in process.settings["postgresql"]["authentication"].values()
            }
            database = self.world.databases.setdefault(process.data.system_identifier, _database())
            database.roles.update(roles)
            (process.machine.paths.wal_directory).mkdir(parents=True, exist_ok=True)
        self.system_identifier = process.data.system_identifier
        self.world.databases.setdefault(self.system_identifier, _database())
        self.timeline = process.data.timeline
        self._lead(process)

    def promote(self, process: Process) -> None:
        """Make it the primary, on a new timeline."""
        self.world.promotions.append(process.name)
        if process.data is not None and process.data.position < self.database.acknowledged:
            self.world.violations.append(f"{process.name} was promoted without every acknowledged transaction")
        created = datetime.datetime.fromtimestamp(self.world.now, datetime.UTC).isoformat()
        self.history.append([self.timeline, 25623960, "no recovery target specified", created, process.name])
        self._lead(process)

    def _lead(self, process: Process) -> None:
        assert process.data is not None
        self.timeline += 1
        process.data.timeline = self.timeline
        process.data.save()
        process.state = "running"
        self.leader, self.leader_seen, self.released = process.name, self.world.now, False
        for other in self.alive():
            if other is not process and other.state in ("streaming", "running"):
                other.state, other.since = "starting", self.world.now
        self.synchronous.discard(process.name)

    def _follow(self) -> None:
        primary = self.primary
        if primary is None or primary.data is None:
            return
        for process in self.alive():
            if process is primary:
                continue
            if process.awaits_resume and not self.paused:
                process.state, process.since, process.awaits_resume = "starting", self.world.now, False
            waited = self.world.now - process.since
            if process.data is None:
                self._clone(process)
            elif process.data.system_identifier != self.system_identifier:
                self.world.violations.append(f"{process.name} was started on the data of another cluster")
                process.state = "stopped"
            elif (process.state in ("starting", "running") and waited >= 1 and self.world.now >= process.comes_up) or (
                process.state == "creating replica" and waited >= CLONE_SECONDS
            ):
                # A connection that stands goes on; a new one must be admitted.
                process.state = "streaming" if primary.admits(process) else "running"
            if process.state == "streaming" and process.data is not None:
                process.data.timeline = self.timeline

    def _clone(self, process: Process) -> None:
        password = process.settings["postgresql"]["authentication"]["replication"]["password"]
        if not self.database.accepts("replication", password):
            process.state = "starting"
            return
        primary = self.primary
        assert primary is not None and primary.data is not None and self.system_identifier is not None
        process.state, process.since = "creating replica", self.world.now
        process.data = datafiles.Data(
            process.machine.paths.data_directory, self.system_identifier, self.timeline, primary.data.position
        )
        process.data.save()

    def _choose_synchronous(self) -> None:
        if not self.synchronous_mode or self.configuration is None:
            self.synchronous = set()
            return
        streaming = [each.name for each in self.alive() if each.streams and not each.renounces_synchronous]
        kept = [name for name in streaming if name in self.synchronous]
        others = [name for name in streaming if name not in self.synchronous]
        chosen = (kept + others)[: int(self.configuration.get("synchronous_node_count", 1))]
        # Patroni leaves the list as it is while nobody streams and the primary is gone.
        if chosen or self.primary is not None:
            self.synchronous = set(chosen)

    def _write(self) -> None:
        """One transaction a second: acknowledged once the synchronous standbys have it."""
        primary = self.primary
        if primary is None or primary.data is None or primary.state != "running":
            return
        primary.data.position += 1
        for process in self.alive():
            if process.streams and process.data is not None and (process.name in self.synchronous or process.lag == 0):
                process.data.position = primary.data.position
        self.database.acknowledged = primary.data.position

    # REST API and Raft's commands

    def patch(self, patch: Json) -> None:
        """PATCH /config."""
        assert self.configuration is not None
        _merge(self.configuration, patch)

    def switchover(self, leader: str, candidate: str) -> str:
        """POST /switchover."""
        fault = self.world.switchover_fault
        if fault == "lost":
            raise HttpError(503, "Switchover status unknown")
        target = self.member(candidate)
        if self.leader != leader or target is None or self.primary is None:
            raise HttpError(412, "leader name does not match")
        if not target.streams or (self.synchronous_mode and candidate not in self.synchronous) or fault == "refuse":
            raise HttpError(412, "candidate name does not match with sync_standby")
        self.world.switchovers.append((leader, candidate))
        self.synchronous.add(leader)
        self.promote(target)
        if fault == "unknown":
            raise HttpError(503, "Switchover status unknown")
        return f'Successfully switched over to "{candidate}"'

    def command(self, at: str, command: list[str]) -> object:
        """What pysyncobj's utility would answer."""
        match command:
            case ["status"]:
                return answers.status(self, at)
            case ["add", node]:
                if self.has_quorum():
                    self.members.add(node)
                    return f"SUCCESS ADD {node}"
            case ["remove", node]:
                if self.has_quorum() and node != self.raft_leader and node in self.members:
                    self.members.discard(node)
                    return f"SUCCESS REMOVE {node}"
            case ["transfer", node]:
                if at == self.raft_leader and node in {each.node for each in self.alive()}:
                    self.raft_leader = node
                    return f"SUCCESS TRANSFER {node}"
        return f"FAIL {command[0].upper()} {command[-1]}"


def _database() -> world.Database:
    from tests.fakes import world

    return world.Database()


def _merge(into: Json, patch: Json) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            below = into.setdefault(key, {})
            _merge(below, value)
        else:
            into[key] = value
