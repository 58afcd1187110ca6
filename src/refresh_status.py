"""Where a refresh stands, what is to do next, and what refreshes there were. Pure: what is seen in, plain values out.

The report is a format: docs/reference/actions.md describes it, tests/unit/formats/ keeps an example.
"""

import collections.abc
import dataclasses
import datetime
import enum
import typing

import facts
import prechecks
import refresh_facts
import refresh_gate
import refresh_history
from workload import cluster

Report = dict[str, typing.Any]

CHECKED = "being checked"
PASSING_HEALTHS = (CHECKED, "starting", "running", "creating replica")
"""Of a unit that has just been refreshed, and will soon be well."""
# A unit may get the new charm, and hand the primary over, this much before the leader gets it.
EARLIEST_SECONDS = 60.0


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
    promotions: tuple[cluster.Promotion, ...]
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
        return self.original is not None and self.original.charm == self.build.charm

    @property
    def started(self) -> bool:
        """Whether the checks have passed, or were skipped."""
        return self.is_rollback or any(unit.started and unit.url == self.build.url for unit in self.units.values())

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
    waits = seen.pauses_before(following) and not _unready(known, seen, following)
    return State.PAUSED if waits else State.REFRESHING


def _not_started(seen: Seen) -> State:
    if not seen.compatible:
        return State.INCOMPATIBLE
    return State.CHECKS_FAILED if seen.blockers else State.REFRESHING


def _unready(known: facts.Facts, seen: Seen, following: int) -> list[int]:
    """Units that have been refreshed and have not yet found themselves healthy."""
    before = seen.order[: seen.order.index(following)]
    return [number for number in before if not _has_allowed(known, seen, number)]


def _has_allowed(known: facts.Facts, seen: Seen, number: int) -> bool:
    if number == known.number and known.refresh is not None:
        return known.refresh.next_unit_allowed
    return seen.units[number].next_unit_allowed


def report(known: facts.Facts, seen: Seen) -> Report:
    """All of it, as plain values."""
    found = state(known, seen)
    return {
        "application": known.application,
        "state": found.value,
        "rollback": found not in (State.IDLE, State.REFUSED) and seen.is_rollback,
        "from": _build(seen.original) if seen.original and seen.original != seen.build else None,
        "to": _build(seen.build),
        "refreshed": sum(seen.is_refreshed(number) for number in seen.units),
        "units": [_unit(known, seen, number) for number in seen.order],
        "plan": _plan(known, seen) if found is State.IDLE else None,
        "blockers": [dataclasses.asdict(reason) for reason in seen.blockers],
        "history": [_entry(known, seen, index) for index in range(len(seen.history))],
        "next": following_step(known, seen),
    }


def _build(build: refresh_facts.Build) -> Report:
    return {
        "charm-version": build.charm,
        "charm-revision": build.revision,
        "workload-version": build.workload,
        "snap-revision": build.snap_revision,
    }


def _unit(known: facts.Facts, seen: Seen, number: int) -> Report:
    unit = seen.units[number]
    member = _member(known, number)
    versions = {build.url: build.charm for build in (seen.original, seen.build) if build is not None}
    return {
        "unit": facts.unit_name(known.application, number),
        "step": seen.order.index(number) + 1,
        "role": None if member is None else cluster.ROLE_NAMES[member.role],
        "lag-bytes": None if member is None else member.lag,
        "snap-revision": unit.snap_revision,
        "snap-target": seen.build.snap_revision,
        "charm-version": versions.get(unit.url or ""),
        "charm-revision": refresh_facts.charmhub_revision(unit.url),
        "health": _health(known, seen, number),
    }


def _member(known: facts.Facts, number: int) -> cluster.Member | None:
    return known.cluster.member(facts.member_name(known.application, number)) if known.cluster else None


def _health(known: facts.Facts, seen: Seen, number: int) -> str:
    member = _member(known, number)
    if number in seen.failed:
        return "hook failed"
    if known.cluster is None:
        return "unknown"
    if member is None:
        return "not a member"
    if not member.is_running:
        return member.state
    in_progress = known.refresh is not None and known.refresh.in_progress
    if in_progress and seen.is_refreshed(number) and not _has_allowed(known, seen, number):
        return CHECKED
    return "healthy"


def _plan(known: facts.Facts, seen: Seen) -> Report:
    return {
        "order": [facts.unit_name(known.application, number) for number in seen.order],
        "confirm-before": [
            facts.unit_name(known.application, number) for number in seen.order if seen.pauses_before(number)
        ],
        "switchovers": _switchovers(known, seen),
        "rollback": refresh_facts.refresh_command(seen.build.url, known.application),
    }


def _switchovers(known: facts.Facts, seen: Seen) -> int | None:
    """How often the primary will move; None where there is none now."""
    primary = known.cluster.primary if known.cluster else None
    if len(seen.units) == 1:
        return 0
    if primary is None:
        return None
    return 2 if known.number_of(primary) == seen.order[0] else 1


def _entry(known: facts.Facts, seen: Seen, index: int) -> Report:
    entry = seen.history[index]
    before = seen.history[index - 1].ended if index else None
    return {
        "from": _build(entry.old),
        "to": _build(entry.new),
        "started": entry.started,
        "ended": entry.ended,
        "outcome": None if entry.outcome is None else entry.outcome.value,
        "units": entry.units,
        "write-affecting": _write_affecting(known, seen, entry, before),
    }


def _write_affecting(known: facts.Facts, seen: Seen, entry: refresh_history.Entry, before: str | None) -> list[Report]:
    """Moments in which nobody could write, of PostgreSQL's own history of timelines; or the stop of a unit alone.

    before: when the refresh before this one ended.
    """
    if entry.units == 1 and entry.old.snap_revision != entry.new.snap_revision:
        return [{"time": entry.started, "event": "the only unit was stopped", "unit": None}]
    first = max(_seconds(entry.started) - EARLIEST_SECONDS, _seconds(before or ""))
    last = _seconds(entry.ended) if entry.ended else float("inf")
    return [
        {
            "time": promotion.time,
            "event": f"new primary, timeline {promotion.timeline}",
            "unit": _unit_of(known, promotion.member),
        }
        for promotion in seen.promotions
        if first <= _seconds(promotion.time) <= last
    ]


def _unit_of(known: facts.Facts, member: str | None) -> str | None:
    application, _, number = (member or "").rpartition("-")
    return (
        facts.unit_name(application, int(number)) if application == known.application and number.isdecimal() else member
    )


def _seconds(time: str) -> float:
    try:
        return datetime.datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0


def following_step(known: facts.Facts, seen: Seen) -> str:
    """What the operator does next, in one line."""
    found = state(known, seen)
    if seen.failed and found is not State.IDLE:
        unit = facts.unit_name(known.application, max(seen.failed))
        return f"The hook of {unit} fails: see `juju debug-log --include {unit}`{_back(known, seen)}"
    match found:
        case State.REFUSED:
            return str(known.refused)
        case State.UNKNOWN | State.DETERMINING:
            return "Wait until every unit has told what it runs; see `juju status`"
        case State.IDLE:
            return _begin(known, seen)
        case State.INCOMPATIBLE | State.CHECKS_FAILED:
            return _mend(known, seen, found)
        case _:
            return _go_on(known, seen, found)


def _back(known: facts.Facts, seen: Seen) -> str:
    if seen.original is None or seen.is_rollback:
        return ""
    return f"; to go back, `{refresh_facts.refresh_command(seen.original.url, known.application)}`"


def _begin(known: facts.Facts, seen: Seen) -> str:
    if seen.blockers:
        return f"Not ready for a refresh: {seen.blockers[0].text}"
    return f"Ready: `juju run {known.application}/leader pre-refresh-check`, then `juju refresh {known.application}`"


def _mend(known: facts.Facts, seen: Seen, found: State) -> str:
    unit = facts.unit_name(known.application, seen.order[0])
    if found is State.INCOMPATIBLE:
        return (
            f"The new versions must not follow the old ones{_back(known, seen)}; to go on at your own risk,"
            f" `juju run {unit} force-refresh-start check-compatibility=false`"
        )
    return f"{seen.blockers[0].text}. Then {unit} goes on by itself{_back(known, seen)}"


def _go_on(known: facts.Facts, seen: Seen, found: State) -> str:
    following = seen.following
    if following is None:
        return "Wait"
    unit = facts.unit_name(known.application, following)
    anyway = f"to go on anyway, {refresh_gate.override(unit)}{_back(known, seen)}"
    if found is State.PAUSED:
        resume = f"`juju run {unit} resume-refresh`"
        if seen.held is not None:
            return f"{seen.held}. When it is mended, {resume}; {anyway}"
        before = seen.order[: seen.order.index(following)]
        check = f"Check units >={min(before)}" if before else "Check the units"
        return f"{check}, then {resume}{_back(known, seen)}"
    unready = _unready(known, seen, following)
    if unready:
        health = _health(known, seen, unready[0])
        lasting = "" if health in PASSING_HEALTHS else f". If it stays so: {anyway}"
        return f"Wait: unit {unready[0]} is {health}; unit {following} follows{lasting}"
    if seen.held is not None:
        return f"{seen.held}. When it is mended, {unit} goes on by itself; {anyway}"
    return f"Wait: unit {following} is about to refresh"
