"""Stops PostgreSQL for a refresh: never as the primary of others, and without a commit that waits for it."""

import collections.abc
import dataclasses
import logging
import time

import draining
import facts
import handover
import switchover
from workload import cluster, machine, sql

logger = logging.getLogger(__name__)

FOLLOW_SECONDS = 15.0
POLL_SECONDS = 1.0
# Patroni's words for a standby on its way to streaming.
FOLLOWING_STATES = ("starting", "running")


def is_following(known: facts.Facts) -> bool:
    """Whether a member is about to stream."""
    return known.cluster is not None and any(member.state in FOLLOWING_STATES for member in known.cluster.unhealthy)


def stop_gracefully(
    workload: machine.Workload, known: facts.Facts, require: collections.abc.Callable[[facts.Facts], None]
) -> None:
    """Stop PostgreSQL, never as the primary of others.

    require: is given the facts as they are once nobody waits for this unit any more, and raises what keeps it running.

    The hand-over before the unit's turn may have been undone by a failover.

    Raises HandOverError, with nothing stopped, where other members run and none of them can take over without loss;
    SnapOperationError where snapd does not stop it.
    """
    known = _await_standbys(workload, draining.drain(workload, known))
    require(known)
    others = [member for member in known.cluster.members if member.name != known.member_name] if known.cluster else []
    if known.is_primary and any(member.is_running for member in others):
        candidate = successor(known)
        if isinstance(candidate, handover.Refused):
            raise switchover.HandOverError(candidate.reason)
        switchover.hand_over(workload, known, candidate.name)
    elif known.is_primary:
        try:
            workload.sql().checkpoint()
        except sql.SqlError as error:
            logger.warning("No checkpoint before the stop: %s", error)
    workload.snap.stop()


def successor(known: facts.Facts) -> cluster.Member | handover.Refused:
    """Who takes over from this unit: if possible one whose turn will not come any more, so that it can stay."""
    refreshed = {facts.member_name(known.application, peer.number) for peer in known.peers if peer.refreshed}
    return handover.choose(known.cluster, synchronous=known.is_synchronous, preferred=refreshed)


def _await_standbys(workload: machine.Workload, known: facts.Facts) -> facts.Facts:
    """Where this unit has just become the primary, give the others the seconds that they need to follow it."""
    deadline = time.monotonic() + FOLLOW_SECONDS
    while known.is_primary and is_following(known) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        view = workload.patroni(known.machine.address or "").cluster()
        known = dataclasses.replace(known, cluster=view or known.cluster)
    return known
