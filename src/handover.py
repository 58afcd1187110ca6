"""Who takes over from the primary. Pure: the cluster in, a candidate or the reason why there is none out.

Invariant: a candidate streams, on the primary's timeline, nearly without lag and with little to replay, and in
synchronous mode has every acknowledged transaction. So a hand-over to it loses nothing, and is short.
"""

import collections.abc
import dataclasses

from workload import cluster

MAXIMUM_LAG_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Refused:
    """No hand-over, and why, in words for the operator."""

    reason: str


def choose(
    view: cluster.ClusterView | None,
    *,
    synchronous: bool,
    preferred: collections.abc.Container[str] | None = None,
    required: collections.abc.Container[str] | None = None,
) -> cluster.Member | Refused:
    """The member that should take over from the primary.

    synchronous: whether the cluster runs in synchronous mode.
    preferred: names of members to take first, if one of them can.
    required: names of members of which one must be taken; None: any.
    """
    if view is None:
        return Refused("the cluster does not answer")
    if view.paused:
        return Refused("Patroni is paused; run `sudo charmed-postgresql.patronictl resume`")
    if view.primary is None:
        return Refused("there is no primary to take over from")
    standbys = [member for member in view.members if not member.is_primary]
    if required is not None:
        standbys = [member for member in standbys if member.name in required]
    if not standbys:
        return Refused("there is no other member")
    reasons = [(member, unfit(member, view, synchronous=synchronous)) for member in standbys]
    fit = [member for member, reason in reasons if reason is None]
    if not fit:
        return Refused("; ".join(str(reason) for _, reason in reasons))
    # Highest number first: it is the one that a refresh reaches first.
    return max(fit, key=lambda member: (preferred is not None and member.name in preferred, _number(member.name)))


def unfit(member: cluster.Member, view: cluster.ClusterView, *, synchronous: bool) -> str | None:
    """Why this standby must not take over; None if it may."""
    if not member.is_running:
        return f"{member.name} is {member.state}, not streaming"
    if synchronous and not member.is_synchronous:
        return f"{member.name} is not a synchronous standby"
    # Patroni updates the lag once a loop: None means not known yet. What is left of a small one is sent while the
    # primary stops.
    if member.lag is None or (member.lag > MAXIMUM_LAG_BYTES and not synchronous):
        return f"{member.name} lags by {'an unknown amount' if member.lag is None else f'{member.lag} bytes'}"
    if member.replays_late:
        return f"{member.name} has {member.replay_lag} bytes still to replay"
    primary = view.primary
    if primary is not None and member.timeline is not None and member.timeline != primary.timeline:
        return f"{member.name} is on timeline {member.timeline}, the primary on {primary.timeline}"
    return None


def _number(name: str) -> int:
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1
