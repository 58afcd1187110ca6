"""Carries a hand-over of the primary out: checkpoint, switchover, and a look at what came of it."""

import collections.abc
import logging
import time

import facts
import handover
import wakeup
from workload import cluster, machine, patroni, sql

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 15.0
POLL_SECONDS = 0.25


class HandOverError(Exception):
    """The primary could not be handed over; the text says why and is fit for the operator."""


def hand_over(workload: machine.Workload, known: facts.Facts, candidate: str) -> None:
    """Make `candidate` the primary. Raises HandOverError.

    The checkpoint comes first: without it the old primary's stop has to write all that is dirty, while nobody can
    write. Patroni's answer may be "not known" (503): so what counts is what the cluster says afterwards, and nothing is
    asked for twice. Only where Patroni has begun nothing (412) nothing is waited for.
    """
    view, passwords = known.cluster, known.passwords
    if view is None or view.primary is None or passwords is None:
        raise HandOverError("the cluster has no primary to hand over")
    old, new = view.primary, view.member(candidate)
    if new is None:
        raise HandOverError(f"{candidate} is not a member of the cluster")
    _checkpoint(workload, known, old)
    logger.info("Handing over the primary from %s to %s", old.name, new.name)
    refusal, seconds = None, SETTLE_SECONDS
    try:
        workload.patroni(old.address, passwords.patroni).switchover(old.name, new.name)
    except patroni.PatroniError as error:
        refusal = str(error)
        if isinstance(error, patroni.PatroniRefused):
            seconds = 0.0
        logger.warning("Patroni's answer to the switchover: %s", error)
    if not _await_primary(workload, new, seconds):
        raise HandOverError(refusal or f"{new.name} did not become the primary within {SETTLE_SECONDS:.0f} s")
    logger.info("%s is the primary now", new.name)


def _checkpoint(workload: machine.Workload, known: facts.Facts, primary: cluster.Member) -> None:
    local = primary.name == known.member_name
    password = known.passwords.operator if known.passwords else None
    try:
        workload.sql(None if local else primary.address, None if local else password).checkpoint()
    except sql.SqlError as error:
        # The hand-over is right without it, only slower.
        logger.warning("No checkpoint before the switchover: %s", error)


def _await_primary(workload: machine.Workload, member: cluster.Member, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        view = workload.patroni(member.address).cluster()
        if view is not None and view.primary is not None and view.primary.name == member.name:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)


def await_followers(workload: machine.Workload, primary: cluster.Member, password: str, *, synchronous: bool) -> None:
    """Wait, in bounded time, until the others follow the new primary: before, a check would find the cluster unwell."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        view = workload.patroni(primary.address).cluster()
        if view is not None and _is_followed(view) and (view.synchronous_standbys or not synchronous):
            return
        if view is not None:
            wakeup.wake(workload, view.members, password)
        time.sleep(POLL_SECONDS)


def _is_followed(view: cluster.ClusterView) -> bool:
    standbys = [member for member in view.members if not member.is_primary]
    return not view.unhealthy and all(each.is_synchronous or each.lag is not None for each in standbys)


def choose_and_hand_over(
    workload: machine.Workload, known: facts.Facts, required: collections.abc.Container[str]
) -> str:
    """Hand over to the fittest of the required members; its name. Raises HandOverError with the reason if none is."""
    candidate = handover.choose(known.cluster, synchronous=known.is_synchronous, required=required)
    if isinstance(candidate, handover.Refused):
        raise HandOverError(candidate.reason)
    hand_over(workload, known, candidate.name)
    return candidate.name
