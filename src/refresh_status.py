"""The report of a refresh: where it stands, what is to do next, and what refreshes there were.

Pure: what is seen in, plain values out.

The report is a format: docs/reference/actions.md describes it, tests/unit/formats/ keeps an example.
"""

import dataclasses
import datetime
import typing

import facts
import refresh_facts
import refresh_history
import refresh_next
import refresh_standing
from refresh_standing import Seen, State
from workload import cluster

Report = dict[str, typing.Any]

# A unit may get the new charm, and hand the primary over, this much before the leader gets it.
EARLIEST_SECONDS = 60.0


def report(known: facts.Facts, seen: Seen) -> Report:
    """All of it, as plain values."""
    found = refresh_standing.state(known, seen)
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
        "next": refresh_next.step(known, seen),
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
    member = refresh_standing.member(known, number)
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
        "health": refresh_standing.health(known, seen, number),
    }


def _plan(known: facts.Facts, seen: Seen) -> Report:
    return {
        "order": [facts.unit_name(known.application, number) for number in seen.order],
        "confirm-before": [
            facts.unit_name(known.application, number) for number in seen.order if seen.pauses_before(number)
        ],
        "switchovers": _switchovers(known, seen),
        "no-writes-while": [facts.unit_name(known.application, number) for number in seen.outages],
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


def _write_affecting(
    known: facts.Facts, seen: Seen, entry: refresh_history.Entry, before: str | None
) -> list[Report] | None:
    """Moments in which nobody could write, of PostgreSQL's own history of timelines; or the stop of a unit alone.

    None where that history is not known. before: when the refresh before this one ended.
    """
    if entry.units == 1 and entry.old.snap_revision != entry.new.snap_revision:
        return [{"time": entry.started, "event": "the only unit was stopped", "unit": None}]
    if seen.promotions is None:
        return None
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
