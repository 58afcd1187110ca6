"""Where a refresh stands: its state, and that of each unit in it. Pure: what is seen in, plain values out."""

import collections.abc
import dataclasses
import enum

import facts
import handover
import planner
import prechecks
import problems
import refresh_facts
import refresh_history
from workload import cluster

CHECKED = "being checked"
"""Of a unit that has been refreshed, is well, and has still to allow the next one."""


class State(enum.Enum):
    """Where the refresh stands."""

    IDLE = "idle"
    REFUSED = "refused"
    """This charm's code must not follow the one before it."""
    UNKNOWN = "unknown"
    """The units have not met yet, or this one leaves."""
    DETERMINING = "determining"
    """Not every unit has told which charm it runs."""
    INCOMPATIBLE = "incompatible"
    CHECKS_FAILED = "checks failed"
    PAUSED = "paused"
    REFRESHING = "refreshing"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is known beside the facts."""

    build: refresh_facts.Build
    """This unit's charm."""
    original: refresh_facts.Build | None
    """What all units ran before."""
    units: collections.abc.Mapping[int, refresh_facts.UnitState]
    """What each unit tells, this one among them."""
    pause: str
    """The option pause-after-unit-refresh."""
    awaited: int | None
    """The unit that needs a confirmation for a reason of the charm's own (confirmation.py)."""
    compatible: bool
    failed: frozenset[int]
    """Numbers of the units whose last hook failed."""
    blockers: tuple[prechecks.Reason, ...]
    """What stands against starting a refresh now."""
    history: tuple[refresh_history.Entry, ...]
    promotions: tuple[cluster.Promotion, ...] | None
    """None where nobody could be asked."""
    unaware: frozenset[int] = frozenset()
    """Numbers of the units that have not told that they run this unit's charm: Juju may not have told them."""
    backup: bool = False
    """Whether a backup is taken from the unit whose turn it is, which its stop would cut off."""
    held: str | None = None
    """Why the unit whose turn it is must not be stopped now (refresh_gate.py)."""

    @property
    def order(self) -> list[int]:
        """The units, first to be refreshed first."""
        return sorted(self.units, reverse=True)

    @property
    def following(self) -> int | None:
        """The unit whose turn it is; None where all have the wanted snap."""
        return next((number for number in self.order if not self.is_refreshed(number)), None)

    @property
    def is_rollback(self) -> bool:
        """Whether the units go back to what they ran before."""
        return refresh_facts.is_rollback(self.build, self.original)

    @property
    def started(self) -> bool:
        """Whether the checks have passed, or were skipped."""
        return self.is_rollback or any(unit.started and unit.url == self.build.url for unit in self.units.values())

    @property
    def outages(self) -> list[int]:
        """The units during whose refresh nobody can write: one alone, or each of two, as two votes are a majority."""
        return self.order if len(self.order) <= 2 else []

    def is_refreshed(self, number: int) -> bool:
        """Whether the unit has the wanted snap."""
        return self.units[number].snap_revision == self.build.snap_revision

    def pauses_before(self, number: int) -> bool:
        """Whether the unit refreshes only when it is confirmed."""
        index = self.order.index(number)
        if self.pause == "none" or number == self.awaited:
            return number == self.awaited
        return index == 1 if self.pause == "first" else index > 0


def state(known: facts.Facts, seen: Seen) -> State:
    """Where the refresh stands."""
    if known.refused is not None:
        return State.REFUSED
    if known.refresh is None:
        return State.UNKNOWN
    if not known.refresh.in_progress:
        return State.IDLE
    following = seen.following
    if following is None:
        return State.DETERMINING
    if not seen.started:
        return _not_started(seen)
    waits = seen.pauses_before(following) and not unready(known, seen, following)
    return State.PAUSED if waits else State.REFRESHING


def _not_started(seen: Seen) -> State:
    if not seen.compatible:
        return State.INCOMPATIBLE
    return State.CHECKS_FAILED if seen.blockers else State.REFRESHING


def unready(known: facts.Facts, seen: Seen, following: int) -> list[int]:
    """Units that have been refreshed and have not yet found themselves healthy."""
    before = seen.order[: seen.order.index(following)]
    return [number for number in before if not _has_allowed(known, seen, number)]


def _has_allowed(known: facts.Facts, seen: Seen, number: int) -> bool:
    if number == known.number and known.refresh is not None:
        return known.refresh.next_unit_allowed
    return seen.units[number].next_unit_allowed


def member(known: facts.Facts, number: int) -> cluster.Member | None:
    """The unit's member, where the cluster knows it."""
    return known.cluster.member(facts.member_name(known.application, number)) if known.cluster else None


def health(known: facts.Facts, seen: Seen, number: int) -> str:
    """How the unit is, in a word or two."""
    found = member(known, number)
    if number in seen.failed:
        return "hook failed"
    if known.cluster is None:
        return "unknown"
    if found is None:
        return "not a member"
    if not found.is_running:
        return found.state
    in_progress = known.refresh is not None and known.refresh.in_progress
    if in_progress and seen.is_refreshed(number) and not _has_allowed(known, seen, number):
        return CHECKED
    return "healthy"


def waits_for(known: facts.Facts, seen: Seen, number: int) -> str | None:
    """Why that unit, which has been refreshed, does not allow the next one.

    None where that is the unit's own health, and where nothing can be seen.
    """
    paused = known.cluster is not None and known.cluster.paused
    if health(known, seen, number) != CHECKED and not paused:
        return None
    own = as_seen_by(known, seen, number)
    own = dataclasses.replace(own, backup_running=own.backup_running or seen.backup)
    refused = planner.next_unit_hand_over(own)
    return problems.unhealthy(own) or (refused.reason if isinstance(refused, handover.Refused) else None)


def as_seen_by(known: facts.Facts, seen: Seen, number: int) -> facts.Facts:
    """The facts as another unit, which has been refreshed, would have them: each decides by its own place."""
    if number == known.number:
        return known
    peers = [*known.peers, facts.Peer(known.number, known.machine.address)]
    progress = known.refresh and dataclasses.replace(known.refresh, next_unit_allowed=False)
    return dataclasses.replace(
        known,
        number=number,
        peers=tuple(
            dataclasses.replace(peer, refreshed=peer.number in seen.units and seen.is_refreshed(peer.number))
            for peer in peers
            if peer.number != number
        ),
        # That unit's service cannot be seen from here; its member can.
        machine=dataclasses.replace(known.machine, patroni_running=True),
        refresh=progress,
    )
