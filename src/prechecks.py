"""What must hold before a refresh starts. Pure and read-only.

Facts in, the reasons against it out, the most important first. Each says what is wrong and what mends it, in at most 64
characters: that is what charm-refresh has room for (its documentation, "Pre-refresh checks").
"""

import collections.abc
import dataclasses

import facts
import handover
import problems
from workload import cluster, sql

MAXIMUM_LENGTH = 64
MAXIMUM_TRANSACTION_SECONDS = 60.0
MEBIBYTE = 1024 * 1024
# The snap is unpacked by mounting it; snapd keeps the old revision, and copies the small versioned data.
MINIMUM_FREE_BYTES_FOR_SNAP = 512 * MEBIBYTE
# What a primary keeps for a standby that is away: twice what it keeps anyway (wal_keep_size), at least.
MINIMUM_FREE_BYTES_FOR_WAL = 512 * MEBIBYTE


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a refresh must not start."""

    problem: str
    remedy: str

    @property
    def text(self) -> str:
        """Both, in at most 64 characters: of a problem that is too long the last words are left out."""
        text = f"{self.problem}; {self.remedy}"
        words = self.problem.split()
        while len(text) > MAXIMUM_LENGTH and len(words) > 1:
            words.pop()
            text = f"{' '.join(words)} …; {self.remedy}"
        return text


@dataclasses.dataclass(frozen=True)
class Room:
    """Free bytes on this unit's machine; None where that cannot be told."""

    snap: int | None
    """Where snapd keeps its snaps."""
    wal: int | None
    """On the storage of the write-ahead log."""


def reasons(
    known: facts.Facts, activity: sql.Activity | None, room: Room, clocks: collections.abc.Mapping[int, float]
) -> tuple[Reason, ...]:
    """All reasons why a refresh must not start now.

    activity: what goes on in the database; None where the primary could not be asked.
    clocks: by how many seconds this machine's differs from that of each other unit that answers, by number.
    """
    # Clocks first: a unit that is late enough is no member (Patroni's keys expire), and to wait mends nothing.
    found = [*_clocks(clocks), *_cluster(known), *_raft(known), *_configuration(known), *_space(known, room)]
    # Without a primary that is what has to be told, not that it cannot be asked.
    if activity is not None or not found:
        found += _activity(activity)
    return tuple(found)


def _cluster(known: facts.Facts) -> collections.abc.Iterator[Reason]:
    view = known.cluster
    if not known.machine.patroni_running:
        yield Reason("Patroni is down on this unit", "see `juju debug-log`")
    elif view is None:
        yield Reason("Patroni does not answer on this unit", "see `juju debug-log`")
    elif view.primary is None:
        yield Reason("The cluster has no primary", "run get-cluster-status")
    else:
        yield from _members(known, view)
    if view is not None and view.paused:
        yield Reason("Patroni is paused", "run `patronictl resume`")


def _members(known: facts.Facts, view: cluster.ClusterView) -> collections.abc.Iterator[Reason]:
    for member in view.members:
        yield from _member(_name(known, member), member)
    members = {known.number_of(member) for member in view.members}
    for number in sorted(known.numbers - members):
        yield Reason(f"Unit {number} is not a member", "wait, or remove that unit")
    # A unit that is behind on events may take itself for the highest, and refresh beside the one that is.
    for number in sorted(members - known.numbers - {None}, key=str):
        yield Reason(f"Unit {number} is a member, but not yet met here", "wait some seconds")
    if len(view.members) > 1 and known.is_synchronous and not view.synchronous_standbys:
        yield Reason("No synchronous standby", "wait, or run get-cluster-status")


def _member(name: str, member: cluster.Member) -> collections.abc.Iterator[Reason]:
    if not member.is_running:
        yield Reason(f"{name} is {problems.state(member)}", "wait until it streams")
    elif member.is_primary or member.is_synchronous:
        return
    elif member.lag is None:
        yield Reason(f"{name}'s lag is not known yet", "wait some seconds")
    elif member.lag > handover.MAXIMUM_LAG_BYTES:
        yield Reason(f"{name} lags by {member.lag // MEBIBYTE} MiB", "wait until it has caught up")


def _name(known: facts.Facts, member: cluster.Member) -> str:
    number = known.number_of(member)
    return "A member that is no unit" if number is None else f"Unit {number}"


def _raft(known: facts.Facts) -> collections.abc.Iterator[Reason]:
    view = known.raft
    if view is None:
        return
    # The node that tells is in touch with itself; one node out of touch with the rest is one that a refresh may not add
    # another one to.
    reachable, members = len(view.connected & view.members) + 1, len(view.members)
    if not view.has_quorum:
        yield Reason(f"No Raft majority: {reachable} of {members} nodes", "start the other units")
    elif reachable < members:
        yield Reason(f"Raft: {reachable} of {members} nodes connected", "start the other units")


def _clocks(clocks: collections.abc.Mapping[int, float]) -> collections.abc.Iterator[Reason]:
    for number, skew in sorted(clocks.items()):
        if skew > problems.MAXIMUM_CLOCK_SKEW_SECONDS:
            yield Reason(f"Clock differs by {skew:.0f} s from unit {number}'s", "check `timedatectl`")


def _configuration(known: facts.Facts) -> collections.abc.Iterator[Reason]:
    if known.config_error is not None:
        yield Reason(known.config_error.partition(";")[0], "use `juju config`")


def _space(known: facts.Facts, room: Room) -> collections.abc.Iterator[Reason]:
    if known.machine.storages_full:
        yield Reason(f"Storage nearly full: {', '.join(known.machine.storages_full)}", "make room")
    elif room.wal is not None and room.wal < MINIMUM_FREE_BYTES_FOR_WAL:
        yield Reason(f"{room.wal // MEBIBYTE} MiB free on storage logs, 512 needed", "make room")
    if room.snap is not None and room.snap < MINIMUM_FREE_BYTES_FOR_SNAP:
        yield Reason(f"{room.snap // MEBIBYTE} MiB free for the snap, 512 needed", "make room")


def _activity(activity: sql.Activity | None) -> collections.abc.Iterator[Reason]:
    if activity is None:
        yield Reason("The primary cannot be asked", "see `juju debug-log`")
        return
    if activity.backup_running:
        yield Reason("A backup is running", "wait for its end")
    if activity.prepared_transactions:
        yield Reason(f"{activity.prepared_transactions} prepared transactions", "see pg_prepared_xacts")
    if activity.longest_transaction_seconds > MAXIMUM_TRANSACTION_SECONDS:
        yield Reason(f"A transaction is open for {activity.longest_transaction_seconds:.0f} s", "see pg_stat_activity")
    if activity.temporary_bytes:
        yield Reason(f"{activity.temporary_bytes // 1024} KiB in temporary tablespace", "wait for the query")
    if activity.archiver_failing:
        yield Reason("Archiving of WAL fails", "see pg_stat_archiver")
