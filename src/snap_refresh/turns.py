"""Whose snaps refresh next. Pure.

Each unit publishes what it wishes; the leader alone records whose turn it is; a unit acts only on a turn that was
recorded in an earlier hook. So one unit at a time refreshes, whoever the leader is. Replicas come before the primary. A
unit that cannot act, say since its snapd is silent, loses its turn after a time, and gets it again after the others.
"""

import collections.abc
import dataclasses
import datetime
import typing

import facts
from gating import engine
from snap_refresh import decision, model

Time = datetime.datetime
Wishes = collections.abc.Mapping[int, model.Wish]

PRIMARY_WAITS = datetime.timedelta(hours=2)
"""How long the primary has updates before its turn: time for each replica to see its own (observation.ASK_SECONDS)."""
TURN_TIME = datetime.timedelta(hours=2)
"""How long a turn lasts while others wait: time for all attempts."""


def wish(known: facts.Facts, decided: decision.Decision) -> str:
    """What this unit publishes: empty while it waits for nothing, and snapd is at nothing."""
    seen = known.snap_refresh
    if seen is None:
        return ""
    before = seen.published_wish
    since_when = None
    if seen.busy or decided.refresh:
        since_when = (before.refreshing if before else None) or seen.now
    if not decided.updates or decided.limit is None:
        # What has come in may still be worked at: the turn is over when snapd has finished.
        return dataclasses.replace(before, refreshing=since_when).text() if before and since_when else ""
    if since_when is None and all(decision.exhausted(seen, each) for each in decided.updates.values()):
        return ""
    asked_for = seen.remembered.requested if decision.requested(seen) else None
    return model.Wish(tuple(decided.updates), _since(seen, decided), decided.limit, asked_for, since_when).text()


def _since(seen: model.SnapRefresh, decided: decision.Decision) -> Time:
    """When an update was first held. Past the limit the engine has no holds: then as it was published until now."""
    gating = engine.Gating({}, decided.gating)
    holds = (gating.holders(name).get(model.WORKLOAD) for name in decided.updates)
    times = [hold.first_held for hold in holds if hold]
    before = seen.published_wish
    if before is not None and decided.updates.keys() & set(before.snaps):
        times.append(before.since)
    return min(times, default=typing.cast(Time, decided.limit))


def next_turn(known: facts.Facts, decided: decision.Decision) -> model.Turn | None:
    """The turn that the leader records: as it was, until that unit has nothing that waits, or its time is over.

    Who was asked for comes first, then replicas by the highest number, also those that will see their updates only now,
    then the primary. Where something speaks against any turn, only units whose limit is reached get one; outside of the
    window also those that were asked for.
    """
    seen = typing.cast(model.SnapRefresh, known.snap_refresh)
    own = wish(known, decided)
    wishes = {**seen.wishes, **({known.number: model.Wish.parse(own)} if own else {})}
    current = seen.recorded
    if current is not None and current.unit in wishes and not _is_over(current, wishes, seen.now):
        return current
    passed = _passed(current, wishes)
    waiting = {number: each for number, each in wishes.items() if number not in passed}
    allowed = _allowed(known, waiting, seen.now)
    primary = known.cluster.primary if known.cluster else None
    last = known.number_of(primary) if primary else None
    if last in allowed and len(known.numbers) > 1 and not _primary_may(allowed[last], len(waiting), seen.now):
        del allowed[last]
    if not allowed or decision.refreshing(wishes, seen.now):
        return None
    chosen = max(allowed, key=lambda number: (allowed[number].requested is not None, number != last, number))
    return model.Turn(chosen, seen.now, tuple(sorted(passed)))


def _is_over(current: model.Turn, wishes: Wishes, now: Time) -> bool:
    """Whether the unit had its time, and another one waits."""
    others = wishes.keys() - {current.unit}
    return bool(others) and now - current.since >= TURN_TIME and current.unit not in decision.refreshing(wishes, now)


def _passed(current: model.Turn | None, wishes: Wishes) -> frozenset[int]:
    """Units that have had their time in vain. When all have, it begins anew."""
    passed = frozenset() if current is None else frozenset({*current.passed, current.unit}) & wishes.keys()
    return frozenset() if passed == wishes.keys() else passed


def _allowed(known: facts.Facts, waiting: Wishes, now: Time) -> dict[int, model.Wish]:
    """Those that may have a turn, with regard to the cluster, the window and the limits."""
    if decision.against_cluster(known, now) is None:
        return dict(waiting)
    in_order = decision.against_cluster(known, None) is None
    return {
        number: each
        for number, each in waiting.items()
        if each.until <= now or (each.requested is not None and in_order)
    }


def _primary_may(own: model.Wish, waiting: int, now: Time) -> bool:
    """Whether the primary's turn may come: nobody else waits, or is about to; or its limit is long over."""
    return (waiting == 1 and own.since + PRIMARY_WAITS <= now) or own.until + PRIMARY_WAITS <= now
