"""How a unit leaves.

The primary goes to another member, PostgreSQL stops cleanly, so that its storage can be kept, and Raft forgets the
member.
"""

import collections.abc
import dataclasses
import itertools
import logging
import time

import draining
import facts
import switchover
from workload import cluster, machine, raft, snap

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
POLL_SECONDS = 1.0
ATTEMPTS = 5
ATTEMPTS_WHILE_RUNNING = 20


def leave(workload: machine.Workload, known: facts.Facts) -> None:
    """Leave the cluster. Everything is bounded.

    What does not succeed in time is left to the remaining units, which remove dead members.

    Raises SnapOperationError where Patroni cannot be stopped: then nothing is deleted.
    """
    if known.machine.patroni_running:
        known = draining.drain(workload, known)
        if known.is_primary and _hand_over(workload, known):
            _await_following(workload, known)
            draining.drain(workload, dataclasses.replace(known, cluster=_view(workload, known)))
    if known.machine.address is None or known.passwords is None:
        _stop(workload, known)
    else:
        _stop_and_leave_raft(workload, known, workload.raft(known.passwords.raft))
    workload.forget_membership()
    workload.forget_configuration()


def _stays(known: facts.Facts, number: int | None) -> bool:
    """Whether another unit does not leave, too: only such a one can take over what this one has."""
    return number != known.number and (known.planned is None or number in known.planned)


def _hand_over(workload: machine.Workload, known: facts.Facts) -> bool:
    members = known.cluster.members if known.cluster else ()
    staying = {member.name for member in members if _stays(known, known.number_of(member))}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while staying and known.is_primary:
        try:
            switchover.choose_and_hand_over(workload, known, staying)
            return True
        except switchover.HandOverError as error:
            logger.warning("The primary was not handed over: %s", error)
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
        known = dataclasses.replace(known, cluster=_view(workload, known))
    # Nobody stays: Patroni stops PostgreSQL cleanly.
    return False


def _view(workload: machine.Workload, known: facts.Facts) -> cluster.ClusterView | None:
    return workload.patroni(known.machine.address or "").cluster()


def _await_following(workload: machine.Workload, known: facts.Facts) -> None:
    """Wait until this member, no longer the primary, follows the new one.

    Patroni that is cut off from Raft in the midst of it does not end in time, and is killed with its PostgreSQL.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        view = _view(workload, known)
        member = view.member(known.member_name) if view else None
        if member is not None and not member.is_primary and member.is_running:
            return
        time.sleep(POLL_SECONDS)


def _stop_and_leave_raft(workload: machine.Workload, known: facts.Facts, nodes: raft.Raft) -> None:
    """Stop Patroni, and let those that stay take its node out.

    Patroni whose node is out may wait for Raft until it is killed, with its PostgreSQL: so it stops before. Only where
    those that stay have no majority without its vote (of two members, each is needed to let one go) its node goes
    first. Others that leave at the same time do not count: they may stop at any moment.
    """
    own = raft.node_address(known.machine.address or "")
    view = nodes.view(own) if known.machine.patroni_running else None
    leaving = _leaving_nodes(known)
    if view is None:
        others = frozenset(raft.node_address(address) for address in known.peer_addresses) - leaving
    else:
        others = (view.connected - leaving) or (view.members - {own} - leaving)
    stops_first = view is None or not others or view.are_majority(view.connected - leaving)
    if stops_first:
        _resign(nodes, own, view, others)
        _stop(workload, known)
    _leave_raft(nodes, own, others, view=None if stops_first else view)
    if not stops_first:
        _stop(workload, known)


def _leaving_nodes(known: facts.Facts) -> frozenset[str]:
    """Raft's nodes of the other units that leave at the same time."""
    members = known.cluster.members if known.cluster else ()
    units = [(peer.number, peer.address) for peer in known.peers]
    units += [(known.number_of(member), member.address) for member in members]
    found = {address for number, address in units if number != known.number and not _stays(known, number)}
    return frozenset(raft.node_address(address) for address in found if address)


def _leave_raft(
    nodes: raft.Raft, own: str, others: collections.abc.Collection[str], view: raft.RaftView | None
) -> None:
    """Ask the others in turn to take this node out. view: what it sees itself, while it runs.

    While it runs its vote may be what the others need to let it go, so it is more patient then.
    """
    attempts = ATTEMPTS if view is None else ATTEMPTS_WHILE_RUNNING
    for via in itertools.islice(itertools.cycle(sorted(others)), attempts):
        _resign(nodes, own, view, [via])
        if nodes.remove(via, own):
            logger.info("%s has left the Raft cluster", own)
            return
        seen = nodes.view(via)
        if seen is not None and own not in seen.members:
            return
        time.sleep(POLL_SECONDS)
        view = nodes.view(own) if view is not None else None


def _resign(nodes: raft.Raft, own: str, view: raft.RaftView | None, others: collections.abc.Collection[str]) -> None:
    """Let another node lead, if this one does: to remove the leader fails whoever is asked."""
    if view is not None and view.leader == own and others:
        nodes.transfer_leadership(own, min(others))
        time.sleep(POLL_SECONDS)


def _stop(workload: machine.Workload, known: facts.Facts) -> None:
    try:
        if workload.snap.state().revision is not None:
            workload.snap.stop(disable=True)
    except snap.SnapOperationError:
        if known.machine.patroni_running:
            raise
