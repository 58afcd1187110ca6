"""The cluster as Patroni tells it: typed, immutable, without I/O."""

import collections.abc
import dataclasses
import enum
import typing


class Role(enum.Enum):
    """A member's role, by Patroni's names in GET /cluster."""

    PRIMARY = "leader"
    SYNCHRONOUS_STANDBY = "sync_standby"
    STANDBY = "replica"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> "Role":
        return cls.SYNCHRONOUS_STANDBY if value == "quorum_standby" else cls.OTHER


MAXIMUM_REPLAY_LAG_BYTES = 64 * 1024 * 1024
"""Four segments of write-ahead log: replayed within a second or two. Under load some is always still to replay."""
ROLE_NAMES = {
    Role.PRIMARY: "primary",
    Role.SYNCHRONOUS_STANDBY: "synchronous standby",
    Role.STANDBY: "standby",
    Role.OTHER: "other",
}
"""Roles in words for people."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One member of the cluster."""

    name: str
    role: Role
    state: str
    """Patroni's word: running, streaming, starting, stopped, "creating replica", "in archive recovery" ..."""
    address: str
    timeline: int | None = None
    lag: int | None = None
    """Bytes that this standby has still to receive; None where Patroni does not know, and for the primary."""
    pending_restart: bool = False
    renounces_synchronous: bool = False
    """Whether it has the tag nosync: the primary makes it no synchronous standby."""
    replay_lag: int | None = None
    """Bytes that it has still to replay, so that nobody could write while it takes over; None where not known."""

    @property
    def is_primary(self) -> bool:
        """Whether this member holds the leader lock."""
        return self.role is Role.PRIMARY

    @property
    def is_running(self) -> bool:
        """Whether PostgreSQL answers: a primary that runs, or a standby that streams from the primary."""
        return self.state == ("running" if self.is_primary else "streaming")

    @property
    def replays_late(self) -> bool:
        """Whether it has too much to replay to take over at once."""
        return self.replay_lag is not None and self.replay_lag > MAXIMUM_REPLAY_LAG_BYTES

    @property
    def is_synchronous(self) -> bool:
        """Whether each acknowledged transaction is on this standby."""
        return self.role is Role.SYNCHRONOUS_STANDBY


@dataclasses.dataclass(frozen=True)
class Condition:
    """What a member tells of its own PostgreSQL."""

    is_primary: bool
    """Whether it takes writes."""
    streams: bool
    """Whether it is a standby that streams from another member."""
    state: str
    """Patroni's word, as in Member."""

    @classmethod
    def parse(cls, answer: collections.abc.Mapping[str, typing.Any]) -> "Condition":
        """From the answer of Patroni's GET /patroni (Patroni documentation, REST API)."""
        return cls(
            is_primary=answer.get("role") == "primary",
            streams=answer.get("replication_state") == "streaming",
            state=str(answer.get("state", "unknown")),
        )


@dataclasses.dataclass(frozen=True)
class ClusterView:
    """What a member told of the cluster."""

    members: tuple[Member, ...] = ()
    paused: bool = False
    switchover_scheduled: bool = False

    @property
    def primary(self) -> Member | None:
        """The member that holds the leader lock and runs."""
        return next((member for member in self.members if member.is_primary and member.is_running), None)

    @property
    def unhealthy(self) -> tuple[Member, ...]:
        """Members that do not run as they should."""
        return tuple(member for member in self.members if not member.is_running)

    @property
    def synchronous_standbys(self) -> tuple[Member, ...]:
        """Standbys that have every acknowledged transaction and stream."""
        return tuple(member for member in self.members if member.is_synchronous and member.is_running)

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return next((member for member in self.members if member.name == name), None)

    def corrected(self, name: str, condition: Condition) -> "ClusterView":
        """The view of the member `name`, with what that member tells of itself.

        GET /cluster tells Raft's last word, and without a majority of members there is no newer one: a primary that
        has stepped down for that reason would be shown as the primary for ever.
        """
        told = self.member(name)
        if told is None or not told.is_running or condition.is_primary:
            return self
        state = "streaming" if condition.streams else condition.state
        role = Role.STANDBY if told.is_primary else told.role
        return self._with(dataclasses.replace(told, role=role, state=state))

    def without_primary(self) -> "ClusterView":
        """The view of members that have no majority: whoever was the primary is none."""
        primary = self.primary
        return self._with(dataclasses.replace(primary, role=Role.STANDBY)) if primary else self

    def _with(self, member: Member) -> "ClusterView":
        members = tuple(member if each.name == member.name else each for each in self.members)
        return dataclasses.replace(self, members=members)

    @classmethod
    def parse(cls, answer: collections.abc.Mapping[str, typing.Any]) -> "ClusterView":
        """From the answer of Patroni's GET /cluster. Unknown keys are ignored (Patroni documentation, REST API)."""
        members = tuple(_parse_member(each) for each in answer.get("members", ()))
        return cls(
            tuple(sorted(members, key=lambda member: member.name)),
            bool(answer.get("pause")),
            bool(answer.get("scheduled_switchover")),
        )


@dataclasses.dataclass(frozen=True)
class Promotion:
    """A new primary, and so a new timeline: while it took over nobody could write."""

    time: str
    """As Patroni tells it, in ISO 8601 with the offset."""
    timeline: int
    """The new one."""
    member: str | None
    """The new primary; None where Patroni does not tell."""


def parse_history(answer: object) -> tuple[Promotion, ...]:
    """From the answer of Patroni's GET /history (Patroni documentation, REST API).

    Each entry: the timeline that ended, where it did, why, and of later versions when and who the new primary was.
    Entries without a time are of timelines from before Patroni, and left out.
    """
    if not isinstance(answer, list):
        return ()
    return tuple(
        Promotion(str(entry[3]), int(entry[0]) + 1, str(entry[4]) if len(entry) > 4 and entry[4] else None)
        for entry in answer
        if isinstance(entry, list) and len(entry) > 3 and entry[3]
    )


def _parse_member(answer: collections.abc.Mapping[str, typing.Any]) -> Member:
    timeline, lag, replay_lag = answer.get("timeline"), answer.get("lag"), answer.get("replay_lag")
    return Member(
        name=answer["name"],
        role=Role(answer.get("role")),
        state=answer.get("state", "unknown"),
        address=answer.get("host", ""),
        timeline=timeline if isinstance(timeline, int) else None,
        lag=lag if isinstance(lag, int) else None,
        replay_lag=replay_lag if isinstance(replay_lag, int) else None,
        pending_restart=bool(answer.get("pending_restart")),
        renounces_synchronous=bool((answer.get("tags") or {}).get("nosync")),
    )
