"""The steps for the snaps below the workload. Pure."""

import collections.abc

import facts
from snap_refresh import decision, model
from steps import AnyStep, HandOver, Publish, Record, Step


def steps(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    """The steps that are due, in order: holds first, so that what follows can only let go."""
    seen, decided = known.snap_refresh, decision.decide(known)
    if seen is None or decided is None:
        return
    yield Step.GATE_SNAPS
    wish = decision.wish(known, decided)
    if (seen.published or "") != wish:
        yield Publish(model.WISH, wish)
    if known.leader:
        turn = decision.next_turn(known, decided)
        if turn != seen.turn:
            yield Record(model.TURN, "" if turn is None else str(turn))
    if decided.candidate is not None:
        yield HandOver(decided.candidate)
    elif decided.refresh:
        yield Step.REFRESH_SNAPS
