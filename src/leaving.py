"""How a unit leaves.

The primary goes to another member, Raft forgets this one, and PostgreSQL stops cleanly, so that its storage can be
kept.
"""

import dataclasses
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
    if known.machine.address is not None and known.passwords is not None:
        _leave_raft(workload.raft(known.passwords.raft), raft.node_address(known.machine.address), known)
    _stop(workload, known)
    workload.forget_membership()
    workload.forget_configuration()


def _hand_over(workload: machine.Workload, known: facts.Facts) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while known.cluster is not None and len(known.cluster.members) > 1 and known.is_primary:
        try:
            switchover.choose_and_hand_over(workload, known, synchronous=known.is_synchronous)
            return True
        except switchover.HandOverError as error:
            logger.warning("The primary was not handed over: %s", error)
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
        known = dataclasses.replace(known, cluster=_view(workload, known))
    # A unit alone: a checkpoint makes its stop short, and Patroni stops PostgreSQL cleanly.
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


def _leave_raft(nodes: raft.Raft, own: str, known: facts.Facts) -> None:
    view = nodes.view(own) if known.machine.patroni_running else None
    if view is not None:
        others = sorted(view.connected) or sorted(view.members - {own})
    else:
        others = sorted(raft.node_address(address) for address in known.peer_addresses)
    for attempt in range(ATTEMPTS if others else 0):
        via = others[attempt % len(others)]
        if view is not None and view.leader == own:
            # Removing the leader fails whoever is asked.
            nodes.transfer_leadership(own, via)
            time.sleep(POLL_SECONDS)
        if nodes.remove(via, own):
            logger.info("%s has left the Raft cluster", own)
            return
        seen = nodes.view(via)
        if seen is not None and own not in seen.members:
            return
        time.sleep(POLL_SECONDS)
        view = nodes.view(own)


def _stop(workload: machine.Workload, known: facts.Facts) -> None:
    try:
        if workload.snap.state().revision is not None:
            workload.snap.stop(disable=True)
    except snap.SnapOperationError:
        if known.machine.patroni_running:
            raise
