"""The refreshes that there were: which builds, when, and how each ended. Pure.

The leader keeps them in the application's databag (`refresh-history`), the newest last and no more than ten. What they
cost is not kept but seen: each new primary is in PostgreSQL's timeline history, which Patroni tells with its times.
"""

import collections.abc
import dataclasses
import datetime
import enum
import json
import typing

import refresh_facts

KEY = "refresh-history"
MAXIMUM_ENTRIES = 10


class Outcome(enum.Enum):
    """How a refresh ended."""

    COMPLETED = "completed"
    ROLLED_BACK = "rolled back"
    REPLACED = "replaced"
    """Another one was started before it had ended."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One refresh."""

    old: refresh_facts.Build
    new: refresh_facts.Build
    started: str
    """When its charm came to the leader; ISO 8601, UTC, whole seconds."""
    units: int
    ended: str | None = None
    outcome: Outcome | None = None
    """None: it is in progress."""


def timestamp(seconds: float) -> str:
    """A time as it is kept. seconds: since the epoch."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def updated(
    history: tuple[Entry, ...],
    *,
    original: refresh_facts.Build | None,
    build: refresh_facts.Build,
    in_progress: bool,
    started: float,
    now: float,
    units: int,
) -> tuple[Entry, ...]:
    """The history as it is now: the same if nothing has begun or ended.

    original: what the units ran before. build: this charm's. started, now: when this charm came, and the time now, in
    seconds since the epoch.
    """
    running = history[-1] if history and history[-1].outcome is None else None
    fresh = None if original is None else Entry(original, build, timestamp(started), units)
    if running is not None:
        outcome = _outcome(running, build, in_progress)
        if outcome is None:
            return history
        history = (*history[:-1], dataclasses.replace(running, ended=timestamp(now), outcome=outcome))
        if outcome is not Outcome.REPLACED:
            return history
    if fresh is None or fresh.old.charm == fresh.new.charm:
        return history
    if not in_progress:
        # Of charm code only, and this unit was the last to get it.
        fresh = dataclasses.replace(fresh, ended=timestamp(now), outcome=Outcome.COMPLETED)
    return (*history, fresh)[-MAXIMUM_ENTRIES:]


def _outcome(running: Entry, build: refresh_facts.Build, in_progress: bool) -> Outcome | None:
    if build.charm == running.old.charm:
        return None if in_progress else Outcome.ROLLED_BACK
    if build.charm == running.new.charm and build.url == running.new.url:
        return None if in_progress else Outcome.COMPLETED
    return Outcome.REPLACED


def dump(history: collections.abc.Iterable[Entry]) -> str:
    """As it is kept in the databag."""
    return json.dumps(
        [{**dataclasses.asdict(each), "outcome": each.outcome and each.outcome.value} for each in history]
    )


def parse(text: str | None) -> tuple[Entry, ...]:
    """From the databag: what is absent or cannot be read is left out. Unknown keys are ignored."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return ()
    parsed = (_parse(each) for each in found) if isinstance(found, list) else ()
    return tuple(entry for entry in parsed if entry is not None)


def _parse(found: typing.Any) -> Entry | None:
    try:
        return Entry(
            old=_build(found["old"]),
            new=_build(found["new"]),
            started=str(found["started"]),
            units=int(found["units"]),
            ended=found.get("ended"),
            outcome=Outcome(found["outcome"]) if found.get("outcome") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _build(found: typing.Any) -> refresh_facts.Build:
    return refresh_facts.Build(
        **{field.name: str(found[field.name]) for field in dataclasses.fields(refresh_facts.Build)}
    )
