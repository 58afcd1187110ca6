"""A fake of one Patroni with its PostgreSQL, as a member of the fake cluster (cluster.py)."""

from __future__ import annotations

import json
import typing

import yaml

from tests.fakes import datafiles

if typing.TYPE_CHECKING:
    from tests.fakes import world
    from tests.fakes.cluster import RaftCluster

TTL_SECONDS = 20.0
"""How long what a member tells of itself counts."""
JOURNAL = "journal"

Json = dict[str, typing.Any]


class Process:
    """One Patroni that runs, with its PostgreSQL."""

    def __init__(self, machine: world.Machine):
        self.machine = machine
        self.settings: Json = {}
        self.reload()
        self.node: str = self.settings["raft"]["self_addr"]
        self.raft: RaftCluster | None = None
        self.state = "starting"
        self.since = machine.world.now
        self.comes_up = self.since + machine.start_seconds
        self.data: datafiles.Data | None = machine.data
        self.lag: int | None = 0
        self.pending_restart = False
        self.replay_lag: int | None = None
        self.awaits_resume = False
        self.connect()
        if self.raft is not None and self.raft.paused and self.data is not None:
            # A paused Patroni starts no PostgreSQL.
            self.state, self.awaits_resume = "stopped", True

    def reload(self) -> None:
        """Read the configuration file."""
        self.settings = yaml.load(self.machine.paths.patroni_configuration.read_text(), yaml.CSafeLoader)

    @property
    def name(self) -> str:
        """The member's name."""
        return self.settings["name"]

    @property
    def scope(self) -> str:
        """The cluster's name."""
        return self.settings["scope"]

    @property
    def raft_password(self) -> str:
        """What Raft's nodes share."""
        return self.settings["raft"]["password"]

    @property
    def host(self) -> str:
        """The address that this Patroni tells the others."""
        return self.node.rpartition(":")[0]

    @property
    def reachable(self) -> bool:
        """Whether the others reach it."""
        return self.machine.up and self.machine.address == self.host

    @property
    def is_leader(self) -> bool:
        """Whether it is the primary."""
        return self.raft is not None and self.raft.leader == self.name and self.raft.has_quorum()

    @property
    def streams(self) -> bool:
        """Whether it is a standby that streams."""
        return not self.is_leader and self.state == "streaming"

    @property
    def renounces_synchronous(self) -> bool:
        """Whether it has the tag nosync."""
        return bool(self.settings.get("tags", {}).get("nosync"))

    def admits(self, other: Process) -> bool:
        """Whether its PostgreSQL lets the other one replicate, as its pg_hba was read last."""
        return f"host replication replication {other.host}/32 scram-sha-256" in self.settings["postgresql"]["pg_hba"]

    def others_stream(self) -> bool:
        """Whether another member could take over."""
        return self.raft is not None and any(each.streams for each in self.raft.alive())

    def connect(self) -> None:
        """Find the Raft cluster: the one of the journal, or that of a partner, or (without partners) a new one."""
        if self.raft is not None:
            return
        directory = self.machine.paths.raft_directory
        if self.machine.has_raft_state():
            identity = json.loads((directory / JOURNAL).read_text())["raft"]
            self.raft = self.machine.world.rafts[identity]
        elif not self.settings["raft"]["partner_addrs"]:
            self.raft = self.machine.world.new_raft(self.node, self)
        else:
            self.raft = self._join()
        if self.raft is None:
            return
        if self.node not in self.raft.members and self.raft.has_quorum():
            self.raft.members.add(self.node)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / JOURNAL).write_text(json.dumps({"raft": self.raft.identity}))

    def save(self) -> None:
        """What has been written is on the disk."""
        if self.data is not None:
            self.data.save()

    def _join(self) -> RaftCluster | None:
        for partner in self.settings["raft"]["partner_addrs"]:
            for other in self.machine.world.processes():
                same = other.node == partner and other.raft_password == self.raft_password
                if same and other.reachable and other.raft is not None and other.raft.has_quorum():
                    return other.raft
        return None

    def stop(self) -> None:
        """Stop cleanly: the leader lock is released, and the others are told."""
        self.save()
        raft = self.raft
        if raft is None:
            return
        if raft.leader == self.name:
            raft.leader, raft.released = None, True
        raft.stopped[self.name] = (self, self.machine.world.now + TTL_SECONDS)
