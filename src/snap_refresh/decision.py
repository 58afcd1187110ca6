"""Whether this unit's snaps may refresh now. Pure: facts in, one decision out.

Invariants:
- The snaps below the workload are held before an update is there, so that none comes in unseen.
- One unit at a time refreshes: a unit acts in its turn only (turns.py), and while no other one is at it. The primary
  hands over before its snaps refresh.
- No unit begins while the cluster is not healthy, or outside of the window.
- Nothing is held beyond the engine's limits: when they are reached the holds end, whatever the cluster does.
- A hold that the administrator has set is left alone, and so is the update that it holds.
"""

import collections.abc
import dataclasses
import datetime
import enum
import typing

import facts
import handover
import problems
from gating import affected, engine
from snap_refresh import model
from workload import paths, snap

Time = datetime.datetime

STANDING_HOLD = datetime.timedelta(hours=48)
"""How long the snaps stay held should the charm fall silent."""
WARNING = datetime.timedelta(hours=12)
"""How long before the limit the status tells of it."""
REPORT_RESTORED = datetime.timedelta(hours=24)
REQUEST_COUNTS = datetime.timedelta(hours=1)
"""How long a request of the operator's goes past the window."""
MAXIMUM_ATTEMPTS = 3
"""How often snapd is asked for one update; then it waits for the limit, and for snapd's own schedule."""
ATTEMPT_SPACING = datetime.timedelta(minutes=30)
"""From one attempt to the next: what is wrong with a store or a disk takes its time."""
REFRESH_TIME = datetime.timedelta(hours=2)
"""A unit whose snaps have refreshed for longer keeps nobody waiting."""


class Verdict(enum.Enum):
    """What becomes of the updates."""

    NOTHING = "nothing is pending"
    HOLD = "hold"
    HAND_OVER = "hand over first"
    PROCEED = "proceed"
    RELEASED = "no longer held"


@dataclasses.dataclass(frozen=True)
class Decision:
    """What this unit does with its snaps now."""

    verdict: Verdict
    reason: str
    updates: dict[str, affected.Candidate]
    """What waits, as far as the administrator does not hold it."""
    limit: Time | None
    """When the holds end whatever the cluster does, or have ended."""
    overdue: bool
    gating: dict[str, typing.Any]
    """The engine's new state."""
    holds: dict[str, Time]
    """The holds that snapd must have, by snap."""
    refresh: tuple[str, ...] = ()
    """What snapd is to be asked for."""
    candidate: str | None = None
    """The member to hand over to."""


def decide(known: facts.Facts) -> Decision | None:
    """The decision; None where there is nothing to decide on (the unit leaves, is not installed, snapd is silent)."""
    seen = known.snap_refresh
    if seen is None:
        return None
    updates = {name: each for name, each in seen.updates.items() if name not in administrator(seen)}
    gating, limit, overdue = _limit(seen, updates)
    verdict, reason, candidate = _verdict(known, seen, updates, overdue)
    held = verdict in (Verdict.NOTHING, Verdict.HOLD, Verdict.HAND_OVER) and not overdue
    wanted = {name: limit for name in updates if limit is not None and held}
    for name in seen.foundation - updates.keys() - administrator(seen).keys():
        wanted[name] = _standing(seen, name)
    refresh: tuple[str, ...] = ()
    if verdict is Verdict.PROCEED and not seen.busy:
        refresh = tuple(name for name, update in updates.items() if _is_due(seen, update))
    return Decision(verdict, reason, updates, limit, overdue, gating, wanted, refresh, candidate)


def administrator(seen: model.SnapRefresh) -> dict[str, Time]:
    """Holds in force on the workload's foundation that are not the charm's own: they are somebody's will."""
    foreign = seen.foundation & (seen.holds.keys() - seen.own_holds.keys())
    return {name: seen.holds[name] for name in foreign if seen.holds[name] > seen.now}


def removed(seen: model.SnapRefresh) -> set[str]:
    """Snaps whose hold by the charm somebody has taken away before its time, the workload's own (for ever) included."""
    gone = set()
    for name, until in seen.remembered.holds.items():
        current = seen.holds.get(name)
        shortened = name == model.WORKLOAD and current is not None and current < until
        if until > seen.now and name in seen.revisions and (current is None or shortened):
            gone.add(name)
    return gone


def _limit(
    seen: model.SnapRefresh, updates: collections.abc.Collection[str]
) -> tuple[dict[str, typing.Any], Time | None, bool]:
    """The engine's new state, when the limit is, and whether it has been reached. All updates wait together or none."""
    refreshed = {name: snap.last_refresh for name, snap in seen.system.snaps.items()}
    gating = engine.Gating(refreshed, seen.remembered.gating)
    gating.prune(updates)
    reached = [time for name, time in seen.remembered.overdue.items() if name in updates]
    if reached:
        gating.proceed(model.WORKLOAD)
        return gating.state, min(reached), True
    if not updates:
        return gating.state, None, False
    try:
        left = gating.hold(model.WORKLOAD, None, *sorted(updates), now=seen.now, atomic=True)
    except engine.HoldError:
        return gating.state, seen.now, True
    return gating.state, (seen.now + left).replace(microsecond=0), False


def _standing(seen: model.SnapRefresh, name: str) -> Time:
    """Kept as it is for the first half of its time, so that not every hook sets it anew."""
    current = seen.own_holds.get(name)
    if current is not None and STANDING_HOLD / 2 < current - seen.now <= STANDING_HOLD:
        return current
    return (seen.now + STANDING_HOLD).replace(microsecond=0)


def exhausted(seen: model.SnapRefresh, update: affected.Candidate) -> bool:
    """Whether snapd has failed too often to refresh to this revision."""
    before = seen.remembered.attempts.get(update.name)
    return before is not None and before.revision == update.revision and before.tries >= MAXIMUM_ATTEMPTS


def _is_due(seen: model.SnapRefresh, update: affected.Candidate) -> bool:
    before = seen.remembered.attempts.get(update.name)
    if before is None or before.revision != update.revision:
        return True
    # Also where the clock was put back.
    spaced = not datetime.timedelta() <= seen.now - before.last < ATTEMPT_SPACING
    return before.tries < MAXIMUM_ATTEMPTS and spaced


def _verdict(
    known: facts.Facts, seen: model.SnapRefresh, updates: dict[str, affected.Candidate], overdue: bool
) -> tuple[Verdict, str, str | None]:
    if not updates:
        return Verdict.NOTHING, _nothing(seen), None
    if overdue:
        return _overdue(known, seen)
    if all(exhausted(seen, each) for each in updates.values()):
        names = ", ".join(updates)
        return Verdict.HOLD, f"snapd failed {MAXIMUM_ATTEMPTS} times to refresh {names}; see `snap changes`", None
    window = None if requested(seen) else seen.now
    against = _against_turn(known, seen) or against_cluster(known, window) or against_others(known, seen)
    against = against or against_backup(seen)
    if against is not None:
        return Verdict.HOLD, against, None
    if not known.is_primary or len(known.numbers) == 1:
        # A unit alone has nobody to hand over to: it is never a better time than now.
        return Verdict.PROCEED, "it is this unit's turn", None
    candidate = hand_over(known)
    if isinstance(candidate, handover.Refused):
        return Verdict.HOLD, f"this unit is the primary, and {candidate.reason}", None
    return Verdict.HAND_OVER, "this unit is the primary", candidate.name


def _nothing(seen: model.SnapRefresh) -> str:
    held = held_by_administrator(seen)
    if held:
        return f"held by the administrator: {', '.join(held)}"
    return "snapd finishes a refresh" if seen.busy else "no update is pending"


def held_by_administrator(seen: model.SnapRefresh) -> list[str]:
    """Snaps whose update waits since the administrator wants it so."""
    return sorted(seen.updates.keys() & administrator(seen).keys())


def requested(seen: model.SnapRefresh) -> bool:
    """Whether the operator has asked for the updates, a short time ago."""
    at = seen.remembered.requested
    return at is not None and datetime.timedelta() <= seen.now - at < REQUEST_COUNTS


def _overdue(known: facts.Facts, seen: model.SnapRefresh) -> tuple[Verdict, str, str | None]:
    """The holds end; but this unit asks snapd only in its turn, and still hands over where somebody can take over."""
    reason = "the longest time to hold them is over"
    if seen.turn != known.number:
        return Verdict.RELEASED, reason, None
    candidate = hand_over(known) if known.is_primary and len(known.numbers) > 1 else None
    if candidate is not None and not isinstance(candidate, handover.Refused):
        return Verdict.HAND_OVER, reason, candidate.name
    return Verdict.PROCEED, reason, None


def hand_over(known: facts.Facts) -> typing.Any:
    """Who takes over from this primary: a member, or the handover.Refused that says why nobody does."""
    return handover.choose(known.cluster, synchronous=known.is_synchronous)


def _against_turn(known: facts.Facts, seen: model.SnapRefresh) -> str | None:
    if seen.turn == known.number:
        return None
    if seen.turn in seen.wishes:
        return f"it is the turn of {facts.unit_name(known.application, typing.cast(int, seen.turn))}"
    against = against_cluster(known, seen.now)
    if against is None and known.is_primary and len(known.numbers) > 1:
        return "this unit is the primary, whose turn is the last"
    return against or "this unit waits for its turn"


def refreshing(wishes: collections.abc.Mapping[int, model.Wish], now: Time) -> list[int]:
    """The units whose snaps refresh now."""
    begun = {number: each.refreshing for number, each in wishes.items()}
    return sorted(number for number, since in begun.items() if since is not None and now - since < REFRESH_TIME)


def against_others(known: facts.Facts, seen: model.SnapRefresh) -> str | None:
    """Whether another unit's snaps refresh now, in its turn or by force."""
    at_it = refreshing(seen.wishes, seen.now)
    return f"the snaps of {facts.unit_name(known.application, at_it[0])} refresh" if at_it else None


def against_cluster(known: facts.Facts, now: Time | None) -> str | None:
    """Why no unit's snaps may refresh now; None if they may. now: with regard to the window; None: without."""
    if known.refresh is None or known.refresh.in_progress:
        return "a refresh of the charm is in progress"
    unhealthy = problems.unhealthy(known)
    if unhealthy is not None:
        return f"the cluster is not healthy: {unhealthy}"
    if known.cluster is not None and known.cluster.switchover_scheduled:
        return "a switchover is scheduled"
    if known.config is None:
        return "the configuration is not right"
    window = known.config.snap_refresh_window
    if now is not None and window is not None and not window.includes(now):
        return f"the window {window.text} opens {window.opens(now):%a %d %b %H:%M}"
    return None


def against_backup(seen: model.SnapRefresh) -> str | None:
    """Whether a backup runs that a refresh would disturb."""
    if seen.backup_running is None:
        return "the primary cannot be asked for backups"
    return "a backup is running" if seen.backup_running else None


def remembered(seen: model.SnapRefresh, decided: Decision) -> model.Remembered:
    """What this unit remembers after it has carried the decision out."""
    before = seen.remembered
    overdue = dict.fromkeys(decided.updates, decided.limit) if decided.overdue and decided.limit else {}
    attempts = {name: each for name, each in before.attempts.items() if name in decided.updates}
    gone = removed(seen)
    restored = {name: at for name, at in before.restored.items() if seen.now - at < REPORT_RESTORED}
    restored |= dict.fromkeys(gone & {*decided.holds, model.WORKLOAD}, seen.now)
    own = seen.holds.get(model.WORKLOAD)
    holds = decided.holds if own is None or own.year < snap.FAR_YEAR else {**decided.holds, model.WORKLOAD: own}
    since = {name: before.since[name] for name in before.since.keys() & holds.keys() - gone}
    return dataclasses.replace(
        before,
        gating=decided.gating,
        holds=holds,
        since={**dict.fromkeys(holds, seen.now), **since},
        overdue=overdue,
        attempts=attempts,
        restored=restored,
        requested=before.requested if decided.updates and requested(seen) else None,
    )


def after_asking(seen: model.SnapRefresh, update: affected.Candidate) -> model.Attempts:
    """How often snapd was asked for that update, with this time."""
    before = seen.remembered.attempts.get(update.name)
    tries = before.tries if before is not None and before.revision == update.revision else 0
    return model.Attempts(update.revision, tries + 1, seen.now)


def superseded(known: facts.Facts) -> affected.Candidate | None:
    """A newer revision of the workload's own snap than the one that the charm pins."""
    seen = known.snap_refresh
    update = seen.available.get(model.WORKLOAD) if seen else None
    if update is None or known.refresh is None or update.version.partition(".")[0] != paths.MAJOR_VERSION:
        return None
    newer = update.revision.isdigit() and int(update.revision) > int(known.refresh.pinned_revision or 0)
    return update if newer else None


def held_for_too_long(known: facts.Facts) -> bool:
    """Whether the workload's own snap has not been refreshed for as long as a snap may hold itself."""
    seen = known.snap_refresh
    snap = seen.system.snaps.get(model.WORKLOAD) if seen else None
    if seen is None or snap is None or snap.refreshed is None:
        return False
    refreshed = {model.WORKLOAD: snap.last_refresh}
    return engine.Gating(refreshed).left(model.WORKLOAD, model.WORKLOAD, seen.now) <= datetime.timedelta()
