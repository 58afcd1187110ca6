"""What a unit does next. Pure: facts in, ordered steps out.

Invariants:
- Nothing is installed or started before all units have met in the peer relations, nor by a unit that leaves.
- A data directory is never started as another cluster than the one it belongs to, and never emptied.
- Only the unit that has claimed the founding, in an earlier hook, starts a cluster of its own, and only while the
  application has none.
- Where a new majority is forced, a unit starts nothing before all have given up the old one (forced_majority.py).
- One unit at a time becomes a member: only while all members are healthy, lowest number first.
- A unit that has been a member is started again whenever it does not run.
- Raft's state is given up for a new address only where the other members have a majority, and can take the unit in.
- A charm that is refused (refusal.py) changes nothing: it only keeps running what has run, and held what was held.
- PostgreSQL's parameters are a charm's for the snap that it pins: while a refresh is in progress they change with the
  snap only.
- A refreshed unit allows the next one only while the cluster is healthy, and never a primary: it is handed over first,
  in a hook of its own.
"""

import collections.abc
import dataclasses

import confirmation
import facts
import forced_majority
import handover
import membership
import problems
import refresh_history
import refusal
import room
from snap_refresh import planner as snap_planner
from steps import AnyStep, AskForSynchronous, ChangeMembership, HandOver, Publish, Record, Step
from workload import cluster, configuration, datadir, raft

# Steps after which nothing new is to be seen in the same hook: those of each hook of a settled unit, which mostly
# change nothing, and one that takes effect later.
STANDING = frozenset(
    {Step.PREPARE_DIRECTORIES, Step.PREPARE_SERVICE, Step.CONFIGURE, Step.GATE_SNAPS, Step.WAKE_PATRONI}
)


def plan(known: facts.Facts) -> tuple[AnyStep, ...]:
    """The steps that are due and allowed now, in order."""
    if known.leaving:
        return (Step.LEAVE,) if _has_to_leave(known.machine) else ()
    # Snaps stay held also where the charm may do nothing else, or where it is refused.
    steps = (*_hold(known), *(_restart(known) if known.refused is not None else _plan(known)))
    return steps if Step.GATE_SNAPS in steps else (*steps, *snap_planner.gate(known))


def _hold(known: facts.Facts) -> collections.abc.Iterator[Step]:
    """The workload's snap is held for ever, once it is installed: only the charm's refresh moves it."""
    snap = known.machine.snap
    if snap is not None and snap.revision is not None and not snap.held:
        yield Step.HOLD_SNAP


def _has_to_leave(machine: facts.Machine) -> bool:
    """Whether there is anything of a member here; passwords are, as long as Patroni is configured."""
    return machine.has_raft_state or machine.patroni_running or machine.configured_address is not None


def _plan(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    yield from _remember(known)
    yield from _remember_majority(known)
    if known.leader and known.passwords is None and not known.passwords_recorded:
        yield Step.GENERATE_CREDENTIALS
    if known.leader and _claim_due(known):
        yield Step.CLAIM_BOOTSTRAP
    if _gives_up(known):
        yield Step.GIVE_UP_MAJORITY
        return
    if not known.ready or problems.prevent_installation(known):
        return
    yield from _install(known)
    if known.passwords is None or known.machine.address is None:
        return
    yield from _run(known)
    yield from _look_after_cluster(known)
    yield from _refresh(known)
    yield from snap_planner.steps(known)


def _remember(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    """What cannot be seen any more later, or not from elsewhere.

    Who there was when a refresh began, when it began and ended; what this machine lacks room for.
    """
    refresh = known.refresh
    if refresh is None or refresh.build is None:
        return
    order = confirmation.Order(refresh.build.url, refresh.charm_time, known.numbers, refresh.old & known.numbers)
    if refresh.in_progress and (refresh.order is None or not order.is_of_same_charm(refresh.order)):
        yield Publish(confirmation.ORDER_KEY, order.dump())
    if room.dump(known.machine.short_of_room) != (known.published_short_of_room or ""):
        yield Publish(room.KEY, room.dump(known.machine.short_of_room))
    if refresh.accepted not in (None, refresh.build.url):
        yield Publish(refusal.ACCEPTED_KEY, "")
    history = refresh_history.updated(
        refresh.history,
        original=refresh.original,
        build=refresh.build,
        in_progress=refresh.in_progress,
        started=refresh.charm_time,
        now=refresh.now,
        units=len(known.numbers),
    )
    if known.leader and history != refresh.history:
        yield Record(refresh_history.KEY, refresh_history.dump(history))


def _gives_up(known: facts.Facts) -> bool:
    """Whether this unit has to give up the old majority, of which there is nothing to be seen."""
    if known.number not in known.agreement.awaited or known.passwords is None:
        return False
    if known.raft is not None:
        return not known.raft.has_quorum
    return known.cluster is None or known.cluster.primary is None


def _remember_majority(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    """That there is a majority again, told by whoever sees it: who has formed it may go."""
    agreement, consent = known.agreement, known.consent
    told = None
    if known.number in agreement.awaited and known.raft is not None and known.raft.has_quorum:
        told = forced_majority.Consent(agreement.generation, formed=True)
    founded = agreement.founder == known.number and known.is_primary
    seen = agreement.is_formed and consent is not None and consent.generation == agreement.generation
    if consent is not None and not consent.formed and (founded or seen):
        told = dataclasses.replace(consent, formed=True)
    if told is not None:
        yield Publish(forced_majority.KEY, told.dump())
    # A unit that is told nothing by others, as one alone, would record it with its next update-status only.
    is_formed = agreement.is_formed or told is not None
    if known.leader and is_formed and known.formed_generation < agreement.generation:
        yield Record(forced_majority.KEY, str(agreement.generation))


def _claim_due(known: facts.Facts) -> bool:
    """Whether the leader should found the cluster: there is none, and nobody has claimed it who still is a unit.

    Who has claimed it may already have data: a claim is taken over only when Juju itself no longer wants that unit, not
    when this unit merely does not see it yet.
    """
    if known.cluster_id is not None:
        return False
    if known.bootstrap_unit is None:
        return True
    gone = known.planned is not None and known.bootstrap_unit not in known.planned
    return known.ready and gone and known.bootstrap_unit not in known.numbers


def _install(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    snap = known.machine.snap
    if snap is None:
        return
    if snap.revision is None:
        yield Step.INSTALL_SNAP
        yield Step.HOLD_SNAP
    yield Step.PREPARE_DIRECTORIES
    yield Step.PREPARE_SERVICE
    if known.published_address != known.machine.address:
        yield Step.PUBLISH_ADDRESS


def _run(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    if known.config is None:
        # A wrong option is no reason to leave PostgreSQL stopped: it runs with what is configured.
        yield from _restart(known)
        return
    if known.agreement.under_way and not known.machine.has_raft_state:
        if known.agreement.founder == known.number:
            yield from _start(known)
        return
    if known.has_moved and (known.machine.has_raft_state or not known.peers):
        if problems.prevent_move(known) is None:
            yield Step.MOVE
        return
    if known.machine.has_raft_state or _may_found(known) or _may_join(known):
        yield from _start(known)


def _start(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    yield Step.CONFIGURE
    if not known.machine.patroni_running and not problems.prevent_start(known):
        yield Step.START


def _restart(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    """Start what has run before, as it is configured."""
    machine = known.machine
    installed = machine.snap is not None and machine.snap.revision is not None and not problems.snap_disabled(known)
    configured = machine.has_raft_state and machine.configured_address is not None
    if installed and configured and not machine.patroni_running and not problems.prevent_start(known):
        yield Step.START


def parameters_wait(known: facts.Facts) -> bool:
    """Whether PostgreSQL's parameters stay as they are configured.

    While a refresh is in progress a unit gets new ones only between its snap's refresh and its start: so a charm's
    parameters never reach a snap that it does not pin, also not after a rollback, and changed options wait for the end.
    """
    refresh, snap = known.refresh, known.machine.snap
    if refresh is None or not refresh.in_progress or snap is None:
        return False
    return known.machine.patroni_running or snap.revision != refresh.pinned_revision


def _may_found(known: facts.Facts) -> bool:
    """Whether this unit may start the application's cluster: empty, or with the data of an earlier deployment."""
    return known.cluster_id is None and known.bootstrap_unit == known.number and known.published_address is not None


def _may_join(known: facts.Facts) -> bool:
    """Whether it is this unit's turn to become a member."""
    if known.cluster_id is None or known.cluster is None or known.cluster.primary is None or known.cluster.unhealthy:
        return False
    # Its address must have been published in an earlier hook, so that the others know the member when they see it.
    if known.published_address != known.machine.address:
        return False
    members = {known.number_of(member) for member in known.cluster.members}
    # One that is down is no member in Patroni's eyes, but one of Raft: it has had its turn.
    nodes = known.raft.members if known.raft else frozenset()
    waiting = {
        peer.number
        for peer in known.peers
        if peer.address and peer.number not in members and raft.node_address(peer.address) not in nodes
    }
    return not any(number < known.number for number in waiting - known.failed)


def _look_after_cluster(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    content = known.machine.data
    founder = known.is_primary and known.cluster_id is None and content.content is datadir.Content.CLUSTER
    if founder and known.published_cluster_id != content.system_identifier:
        yield Step.PUBLISH_CLUSTER
    if known.leader and known.cluster_id is None and founded_cluster(known) is not None:
        yield Step.RECORD_CLUSTER
    if known.is_primary and not known.role_passwords_current:
        yield Step.SET_ROLES
    if known.is_primary and not known.temporary_tablespace_exists:
        yield Step.CREATE_TEMPORARY_TABLESPACE
    if known.leader and dynamic_configuration_patch(known):
        yield Step.CHANGE_DYNAMIC_CONFIGURATION
    change = membership.due(known)
    if change is not None:
        yield ChangeMembership(change)


def founded_cluster(known: facts.Facts) -> str | None:
    """The system identifier of the cluster that the bootstrap unit has founded, once it says so.

    A unit that is both need not tell itself first: no event would follow.
    """
    if known.bootstrap_unit == known.number:
        return known.machine.data.system_identifier if known.is_primary else known.published_cluster_id
    return next((peer.cluster_id for peer in known.peers if peer.number == known.bootstrap_unit), None)


def dynamic_configuration_patch(known: facts.Facts) -> dict[str, object]:
    """What of the shared configuration must change.

    Nothing while it is not known, nor while the primary's unit leaves: what it has acknowledged must be on those that
    stay. While a refresh is in progress only what makes it safer: the synchronous mode that the operator asks for,
    without which no standby could take over.
    """
    if (
        known.dynamic_configuration is None
        or known.config is None
        or known.cluster is None
        or known.cluster.primary is None
    ):
        return {}
    if known.planned is not None and known.number_of(known.cluster.primary) not in {None, *known.planned}:
        return {}
    units = len(known.planned) if known.planned is not None else len(known.numbers)
    wanted = configuration.dynamic(known.config.synchronous_standbys(units))
    if known.refresh is not None and known.refresh.in_progress:
        mode = "synchronous_mode"
        wanted = {mode: True} if wanted[mode] else {}
    return configuration.difference(wanted, known.dynamic_configuration)


def next_unit_waits(known: facts.Facts) -> bool:
    """Whether this unit, which has been refreshed, has still to allow the next one."""
    refresh, snap = known.refresh, known.machine.snap
    return (
        refresh is not None
        and not refresh.next_unit_allowed
        and snap is not None
        and snap.revision == refresh.pinned_revision
    )


def _refresh(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    if not next_unit_waits(known):
        return
    if problems.unhealthy(known) is not None:
        yield from _wake_patroni(known)
        return
    if known.refresh is not None and known.refresh.in_progress:
        candidate = next_unit_hand_over(known)
        if isinstance(candidate, cluster.Member):
            yield HandOver(candidate.name)
        elif candidate is not None:
            yield from _ask_for_synchronous(known)
            yield from _wake_patroni(known)
        if candidate is not None:
            return
        # This unit becomes a synchronous standby while the next one prepares its stop, which has to wait for it else.
        yield from _wake_patroni(known)
    yield Step.ALLOW_NEXT_UNIT


def _wake_patroni(known: facts.Facts) -> collections.abc.Iterator[Step]:
    """Where the next unit waits for a standby that Patroni has not made a synchronous one yet, have it do so now."""
    view = known.cluster
    if view is None or view.primary is None or view.paused or not known.is_synchronous:
        return
    if any(not each.is_primary and not each.is_synchronous for each in view.members):
        yield Step.WAKE_PATRONI


def _ask_for_synchronous(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    """Let all standbys be synchronous ones where fewer are asked for: Patroni would keep those that have still to go.

    The option counts again once the refresh has ended.
    """
    key = "synchronous_node_count"
    if known.dynamic_configuration is None or known.cluster is None or not known.is_synchronous:
        return
    wanted, found = len(known.cluster.members) - 1, known.dynamic_configuration.get(key)
    if isinstance(found, int) and found < wanted:
        yield AskForSynchronous(wanted)


def hands_over(known: facts.Facts) -> bool:
    """Whether this unit, which has been refreshed, hands the primary over in this hook."""
    return any(isinstance(step, HandOver) for step in _refresh(known))


def next_unit_hand_over(known: facts.Facts) -> cluster.Member | handover.Refused | None:
    """Who takes over before the next unit refreshes: None if that unit is not the primary.

    Only a unit that has been refreshed takes over: so the primary moves once, and not to a unit whose turn is still to
    come.
    """
    primary = known.cluster.primary if known.cluster else None
    following = max(
        (peer.number for peer in known.peers if peer.number < known.number and not peer.refreshed), default=None
    )
    if primary is None or following is None or known.number_of(primary) != following:
        return None
    if known.backup_running and not (known.refresh is not None and known.refresh.is_rollback):
        return handover.Refused("a backup of the primary is running; wait for its end")
    refreshed = {facts.member_name(known.application, peer.number) for peer in known.peers if peer.refreshed}
    return handover.choose(known.cluster, synchronous=known.is_synchronous, required=refreshed | {known.member_name})
