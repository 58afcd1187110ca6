"""The steps for the snaps below the workload. Pure."""

import collections.abc

import facts
from snap_refresh import decision, model, turns
from steps import AnyStep, HandOver, Publish, Record, Step


def gate(known: facts.Facts) -> collections.abc.Iterator[Step]:
    """What is due in every event of a unit that is installed, also where its charm may do nothing else."""
    if decision.decide(known) is not None:
        yield Step.GATE_SNAPS


def steps(known: facts.Facts) -> collections.abc.Iterator[AnyStep]:
    """The steps that are due, in order: holds first, so that what follows can only let go."""
    seen, decided = known.snap_refresh, decision.decide(known)
    if seen is None or decided is None:
        return
    yield Step.GATE_SNAPS
    wish = turns.wish(known, decided)
    if (seen.published or "") != wish:
        yield Publish(model.WISH, wish)
    if known.leader:
        turn = turns.next_turn(known, decided)
        if turn != seen.recorded:
            yield Record(model.TURN, "" if turn is None else turn.text())
    if decided.candidate is not None:
        yield HandOver(decided.candidate)
    elif decided.refresh:
        yield Step.REFRESH_SNAPS
