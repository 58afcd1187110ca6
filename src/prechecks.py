"""What must hold before a refresh starts. Pure and read-only.

Facts in, the reasons against it out, the most important first. Each says what is wrong and what mends it, in at most 64
characters: that is what charm-refresh has room for (its documentation, "Pre-refresh checks").
"""

import collections.abc
import dataclasses

import facts
import handover
import problems
import room
from workload import cluster, sql

MAXIMUM_LENGTH = 64
MAXIMUM_TRANSACTION_SECONDS = 60.0
MEBIBYTE = room.MEBIBYTE


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


def reasons(
    known: facts.Facts,
    activities: collections.abc.Mapping[str, sql.Activity],
    free: room.Room,
    clocks: collections.abc.Mapping[int, float],
) -> tuple[Reason, ...]:
    """All reasons why a refresh must not start now.

    activities: what goes on in the PostgreSQL of each member that could be asked, by its name.
    free: what there is on this unit's machine.
    clocks: by how many seconds this machine's differs from that of each other unit that answers, by number.
    """
    # Clocks first: a unit that is late enough is no member (Patroni's keys expire), and to wait mends nothing.
    found = [*_clocks(clocks), *_cluster(known), *_raft(known), *_configuration(known), *_space(known, free)]
    primary = known.cluster.primary if known.cluster else None
    # Without a primary that is what has to be told, not that it cannot be asked.
    if primary is not None and primary.name in activities:
        found += _activity(activities[primary.name])
    elif not found:
        found.append(Reason("The primary cannot be asked", "see `juju debug-log`"))
    for member in known.cluster.members if known.cluster else ():
        if member is not primary and member.name in activities:
            found += _standby_activity(_name(known, member), activities[member.name])
    return tuple(found)


def _cluster(known: facts.Facts) -> collections.abc.Iterator[Reason]:
    view = known.cluster
    if problems.snap_disabled(known) is not None:
        yield Reason("Snap disabled on this unit", "`snap enable charmed-postgresql`")
    elif not known.machine.patroni_running:
        yield Reason("Patroni is down on this unit", "see `juju debug-log`")
    elif view is None:
        yield Reason("Patroni does not answer on this unit", "see `juju debug-log`")
    elif view.primary is None:
        yield Reason("The cluster has no primary", "run get-cluster-status")
    else:
        yield from _members(known, view)
    if view is not None and view.paused:
        yield Reason("Patroni is paused", "run `charmed-postgresql.patronictl resume`")


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
    elif member.replays_late:
        yield Reason(f"{name} has {(member.replay_lag or 0) // MEBIBYTE} MiB to replay", "wait until it has caught up")
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


def _space(known: facts.Facts, free: room.Room) -> collections.abc.Iterator[Reason]:
    if known.machine.storages_full:
        yield Reason(f"Storage nearly full: {', '.join(known.machine.storages_full)}", "make room")
    elif free.lacks_wal:
        yield Reason(f"{(free.wal or 0) // MEBIBYTE} MiB free on storage logs, 512 needed", "make room")
    if free.lacks_snap:
        yield Reason(f"{(free.snap or 0) // MEBIBYTE} MiB free for the snap, 512 needed", "make room")
    for peer in known.peers:
        if storages := sorted(peer.short_of_room - {room.SNAP}):
            yield Reason(f"Unit {peer.number}: storage nearly full: {', '.join(storages)}", "make room")
        if room.SNAP in peer.short_of_room:
            yield Reason(f"Unit {peer.number}: no room for the snap", "make room")


def _standby_activity(name: str, activity: sql.Activity) -> collections.abc.Iterator[Reason]:
    if activity.backup_running:
        yield Reason(f"{name}: a backup is running", "wait for its end")
    if activity.longest_transaction_seconds > MAXIMUM_TRANSACTION_SECONDS:
        seconds = f"{activity.longest_transaction_seconds:.0f} s"
        yield Reason(f"{name}: a transaction is open for {seconds}", "see pg_stat_activity")


def _activity(activity: sql.Activity) -> collections.abc.Iterator[Reason]:
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
