"""Gathers the facts, once a hook. Reads only."""

import dataclasses
import itertools
import logging
import typing

import ops

import activities
import config
import facts
import forced_majority
import membership
import peers as peer_relation
import planner
import problems
import room
import verified
from workload import cluster, configuration, machine, raft, scram, snap, sql

logger = logging.getLogger(__name__)

STORAGES = ("data", "logs", "archive", "temp")


@dataclasses.dataclass(frozen=True)
class Unit:
    """What Juju tells of this unit, gathered by the charm."""

    model: ops.Model
    ready: bool
    leaving: bool
    refresh: facts.RefreshFacts | None
    refused: str | None
    refreshed: frozenset[int]
    """Numbers of the units whose snap is at the pinned revision."""
    planned: typing.Callable[[], tuple[frozenset[int], frozenset[int]]]
    """Asks Juju for the units that it wants, and for those whose last hook failed."""
    architectures: frozenset[str]
    remembered: verified.Verified | None = None
    """What need not be asked for again in this event; None: everything is."""


def observe(unit: Unit, peers: peer_relation.Peers, workload: machine.Workload) -> facts.Facts:
    """All facts of this hook."""
    parsed, config_error = _config(unit.model)
    number = peer_relation.unit_number(unit.model.unit.name)
    bootstrap = peers.application_value("bootstrap-unit")
    known = facts.Facts(
        application=unit.model.app.name,
        number=number,
        leader=unit.model.unit.is_leader(),
        ready=unit.ready and peers.relation is not None,
        leaving=unit.leaving,
        refused=unit.refused,
        peers=peers.others(unit.refreshed),
        published_address=peers.unit_value("address"),
        published_cluster_id=peers.unit_value("cluster-id"),
        published_short_of_room=peers.unit_value(room.KEY),
        cluster_id=peers.application_value("cluster-id"),
        bootstrap_unit=int(bootstrap) if bootstrap else None,
        consent=forced_majority.Consent.parse(peers.unit_value(forced_majority.KEY)),
        formed_generation=peers.formed_generation(),
        former_addresses=peers.former_addresses(),
        passwords=peers.passwords(),
        passwords_recorded=peers.application_value("system-users-secret") is not None,
        config=parsed,
        config_error=config_error,
        machine=_machine(unit, peers, workload),
        refresh=unit.refresh,
    )
    known = dataclasses.replace(known, cluster=_cluster(known, workload))
    known = _with_plan(known, unit)
    known = _with_raft(known, workload, unit.remembered)
    known = dataclasses.replace(
        known, machine=dataclasses.replace(known.machine, clock_skew_seconds=_skew(known, workload))
    )
    known = _with_database(known, workload, unit.remembered)
    return _with_backup(_with_dynamic_configuration(known, workload), workload)


def _config(model: ops.Model) -> tuple[config.Config | None, str | None]:
    try:
        return config.Config.parse(model.config), None
    except config.ConfigError as error:
        return None, str(error)


def _machine(unit: Unit, peers: peer_relation.Peers, workload: machine.Workload) -> facts.Machine:
    state, error = None, None
    try:
        state = workload.snap.state()
    except snap.SnapOperationError as failure:
        error = str(failure)
    # Without snapd it may run all the same.
    running = (state is None or state.revision is not None) and workload.snap.is_running()
    full = tuple(name for name in STORAGES if _is_full(workload.free_bytes(name)))
    free = room.Room(snap=workload.free_bytes_for_snaps, wal=workload.free_bytes(room.LOGS))
    return facts.Machine(
        architecture_supported=workload.architecture in unit.architectures,
        address=peers.address,
        storages_missing=tuple(name for name in STORAGES if not unit.model.storages[name]),
        storages_unmounted=workload.storages_unmounted(),
        storages_full=full,
        short_of_room=room.lacking(free, full),
        snap=state,
        snap_error=error,
        data=workload.data(),
        other_major_version=workload.other_major_version(),
        patroni_running=running,
        has_raft_state=workload.has_raft_state(),
        configured_address=workload.configured().address,
        ports_taken=() if running else workload.ports_taken(),
        memory_bytes=workload.memory_bytes,
    )


def _is_full(free: int | None) -> bool:
    return free is not None and free < problems.MINIMUM_FREE_BYTES


def _cluster(known: facts.Facts, workload: machine.Workload) -> cluster.ClusterView | None:
    """This unit's own view; another's where this one is no member yet, or sees no primary, as while it starts."""
    own = None
    if known.machine.patroni_running and known.machine.address:
        client = workload.patroni(known.machine.address)
        own = client.cluster()
        condition = client.condition() if own is not None else None
        if own is not None and condition is not None:
            own = own.corrected(known.member_name, condition)
        if own is not None and own.primary is not None:
            return own
    for address in sorted(known.peer_addresses) if known.cluster_id else ():
        view = workload.patroni(address).cluster()
        if view is not None and (own is None or view.primary is not None):
            return view
    return own


def _with_plan(known: facts.Facts, unit: Unit) -> facts.Facts:
    """Juju's plan, where something depends on it.

    The leader looks after the members, a unit to join looks who is before it, one that leaves looks who stays. A unit
    that is no member and that Juju does not want leaves, or has left: not every event tells so, such as one of the
    observer between two of Juju's.
    """
    joining = known.ready and not known.machine.has_raft_state and known.cluster_id is not None
    # One that has left already needs to know nobody.
    leaves = known.leaving and (known.machine.has_raft_state or known.machine.patroni_running)
    stays = not known.leaving and (joining or (known.leader and known.ready))
    if not (leaves or stays):
        return known
    planned, failed = unit.planned()
    leaving = known.leaving or (joining and known.number not in planned)
    return dataclasses.replace(known, planned=planned, failed=failed, leaving=leaving)


def _with_raft(known: facts.Facts, workload: machine.Workload, remembered: verified.Verified | None) -> facts.Facts:
    view = _raft(known, workload, remembered)
    known = dataclasses.replace(known, raft=view)
    if view is not None and not view.has_quorum and known.cluster is not None:
        # What it tells is from before: see ClusterView.corrected.
        known = dataclasses.replace(known, cluster=known.cluster.without_primary())
    return known


def _raft(known: facts.Facts, workload: machine.Workload, remembered: verified.Verified | None) -> raft.RaftView | None:
    """Raft's view, where it is needed: to mend the membership, to join or move, or to tell why there is no primary."""
    view = known.cluster
    settled = view is not None and view.primary is not None and known.member is not None and known.member.is_running
    if known.passwords is None or known.machine.address is None or known.cluster_id is None:
        return None
    looks_after = known.leader and (remembered is None or not remembered.has_members(known))
    if settled and not looks_after and not known.has_moved and not known.agreement.under_way:
        return None
    asked = workload.raft(known.passwords.raft)
    own = asked.view(raft.node_address(known.machine.address)) if known.machine.patroni_running else None
    if known.has_moved:
        return _raft_after_move(known, asked, own)
    others = sorted(known.peer_addresses)
    if own is not None and not own.has_quorum:
        # A member that has just started may see no majority where there is one; whoever it holds for the primary knows.
        others = [view.primary.address] if view is not None and view.primary is not None else []
    for found in itertools.chain([own], (asked.view(raft.node_address(address)) for address in others)):
        if found is not None and found.has_quorum:
            return _without_silent(found, known, asked)
    return own if own is None else _without_silent(own, known, asked)


def _raft_after_move(known: facts.Facts, asked: raft.Raft, own: raft.RaftView | None) -> raft.RaftView | None:
    """What another unit sees, if the others can let this one go, which has another address now.

    This unit's own Raft cannot tell: it stays connected, under the old address, with those to which it had connected,
    and knows nothing of the connections between the others. Of these only units that answer count. Where they cannot,
    the own view is given as if it saw nobody; where this unit is the only member, as it is.
    """
    old = raft.node_address(known.machine.configured_address or "")
    views = [asked.view(raft.node_address(address)) for address in sorted(known.peer_addresses)]
    answering = frozenset(view.node for view in views if view is not None)
    for view in views:
        seen = dataclasses.replace(view, connected=view.connected & answering) if view is not None else None
        if seen is not None and seen.has_quorum and seen.may_leave(old):
            return seen
    if own is None or own.members == {old}:
        return own
    return dataclasses.replace(own, has_quorum=False, connected=frozenset())


def _without_silent(view: raft.RaftView, known: facts.Facts, asked: raft.Raft) -> raft.RaftView:
    """Take connections away that only seem to be there.

    A node that accepted a connection does not notice that the other one has gone without a word (pysyncobj sets no
    keepalive on it). Only nodes that no unit claims are asked: these are the ones that may have to be removed.
    """
    doubtful = view.connected - membership.claimed(known) if known.leader else frozenset()
    silent = {node for node in doubtful if asked.view(node) is None}
    return dataclasses.replace(view, connected=view.connected - silent)


def _skew(known: facts.Facts, workload: machine.Workload) -> float:
    """Against the primary: one question, and all members are compared with the same clock.

    Without a primary against each other unit, up to the first whose clock differs: that may be why there is none.
    Patroni's keys carry the time at which they end by the clock of who writes them, and Raft's leader looks at its own.
    Not without a majority: that is reason enough, and who is away costs the whole time limit of a question.
    """
    primary = known.cluster.primary if known.cluster else None
    if primary is not None:
        asked = [] if known.is_primary or not primary.address else [primary.address]
    else:
        has_quorum = known.machine.patroni_running and known.raft is not None and known.raft.has_quorum
        asked = sorted(known.peer_addresses) if has_quorum else []
    found = 0.0
    for address in asked:
        found = max(found, workload.clock_skew_seconds(address) or 0.0)
        if found > problems.MAXIMUM_CLOCK_SKEW_SECONDS:
            break
    return found


def _with_database(known: facts.Facts, workload: machine.Workload, remembered: verified.Verified | None) -> facts.Facts:
    """What only the primary can tell, and only it can change."""
    if not known.is_primary or known.passwords is None or known.leaving:
        return known
    if remembered is not None and remembered.has_database(known):
        return known
    wanted = role_passwords(known.passwords)
    database = workload.sql()
    try:
        verifiers = database.role_verifiers(wanted)
        temporary = database.has_temporary_tablespace()
    except sql.SqlError as error:
        logger.warning("PostgreSQL cannot be asked: %s", error)
        return known
    current = all(scram.matches(verifiers.get(name), password) for name, password in wanted.items())
    return dataclasses.replace(
        known, database_seen=True, role_passwords_current=current, temporary_tablespace_exists=temporary
    )


def _with_backup(known: facts.Facts, workload: machine.Workload) -> facts.Facts:
    """Whether the hand-over that a refresh is waiting for would cut a backup off."""
    if known.cluster is None or not planner.hands_over(known):
        return known
    running = activities.has_backup(workload, known, known.cluster.primary)
    return dataclasses.replace(known, backup_running=running)


def role_passwords(passwords: configuration.Passwords) -> dict[str, str]:
    """Each database role of the system and its password."""
    return {
        sql.SUPERUSER: passwords.operator,
        configuration.REPLICATION_USER: passwords.replication,
        configuration.REWIND_USER: passwords.rewind,
    }


def _with_dynamic_configuration(known: facts.Facts, workload: machine.Workload) -> facts.Facts:
    """The configuration that all members share: the leader looks after it, who hands over may have to change it."""
    primary = known.cluster.primary if known.cluster else None
    hands_over = known.refresh is not None and known.refresh.in_progress and not known.refresh.next_unit_allowed
    if not (known.leader or hands_over) or primary is None or known.leaving:
        return known
    found = workload.patroni(primary.address).configuration()
    return dataclasses.replace(known, dynamic_configuration=found)
