"""The report of a refresh: its units, its plan, its history, and the table for people."""

from __future__ import annotations

import dataclasses

import pytest

import facts
import refresh_facts
import refresh_history
import refresh_status
import refresh_table
from tests.fakes import known
from tests.unit.test_refresh_status import BACK, BUSY, IDLE, NEW, OLD, refreshing, seen, units
from workload import cluster


def test_units() -> None:
    given = refreshing(
        1,
        cluster=known.view(3, synchronous={1}, changes={2: {"lag": 4096}}),
        refresh=facts.RefreshFacts(True, "416", False),
    )
    what = seen({1, 2}, failed=frozenset({0}))
    what = dataclasses.replace(what, units={**what.units, 0: refresh_facts.UnitState("366", OLD.url)})
    first, second, third = refresh_status.report(given, what)["units"]
    assert first == {
        "unit": "postgresql-machine/2",
        "step": 1,
        "role": "standby",
        "lag-bytes": 4096,
        "snap-revision": "416",
        "snap-target": "416",
        "charm-version": "16/1.1.0",
        "charm-revision": "2",
        "health": "healthy",
    }
    # Of this unit what it knows now, not what it told.
    assert (second["unit"], second["role"], second["health"]) == (
        "postgresql-machine/1",
        "synchronous standby",
        "being checked",
    )
    assert (third["role"], third["snap-revision"], third["charm-version"], third["health"]) == (
        "primary",
        "366",
        "16/1.0.0",
        "hook failed",
    )


def test_where_the_cluster_does_not_answer_the_units_are_told_all_the_same() -> None:
    (first, *_) = refresh_status.report(refreshing(cluster=None), seen({2}))["units"]
    assert (first["role"], first["lag-bytes"], first["snap-revision"], first["health"]) == (
        None,
        None,
        "416",
        "unknown",
    )
    (first, *_) = refresh_status.report(refreshing(cluster=known.view(2)), seen({2}))["units"]
    assert first["health"] == "not a member"
    stranger = units({2})
    stranger[2] = refresh_facts.UnitState(None, "local:postgresql-machine-8")
    (first, *_) = refresh_status.report(refreshing(), seen({2}, units=stranger))["units"]
    assert (first["snap-revision"], first["charm-version"], first["charm-revision"]) == (None, None, None)


@pytest.mark.parametrize(
    ("count", "primary", "switchovers"),
    [(1, 0, 0), (2, 0, 1), (2, 1, 2), (3, 0, 1), (3, 1, 1), (3, 2, 2), (3, None, None)],
)
def test_the_plan(count: int, primary: int | None, switchovers: int | None) -> None:
    given = known.settled(0, count, primary)
    plan = refresh_status.report(given, seen(set(), units=units(set(range(count)), count)))["plan"]
    names = [f"postgresql-machine/{number}" for number in reversed(range(count))]
    assert plan == {
        "order": names,
        "confirm-before": names[1:2],
        "switchovers": switchovers,
        "no-writes-while": names if count < 3 else [],
        "rollback": "juju refresh postgresql-machine --revision 2",
    }


@pytest.mark.parametrize(("pause", "expected"), [("all", [1, 0]), ("first", [1]), ("none", []), ("wrong", [1, 0])])
def test_the_plan_s_pauses(pause: str, expected: list[int]) -> None:
    plan = refresh_status.report(IDLE, seen({0, 1, 2}, pause=pause))["plan"]
    assert plan["confirm-before"] == [f"postgresql-machine/{number}" for number in expected]


def entry(started: str, ended: str | None, count: int = 3, new: refresh_facts.Build = NEW) -> refresh_history.Entry:
    outcome = refresh_history.Outcome.COMPLETED if ended else None
    return refresh_history.Entry(OLD, new, started, count, ended, outcome)


def test_each_refresh_has_the_moments_in_which_its_primary_moved() -> None:
    history = (
        entry("2026-03-02T10:00:00+00:00", "2026-03-02T10:02:00+00:00"),
        entry("2026-03-02T10:02:10+00:00", "2026-03-02T10:04:00+00:00"),
        entry("2026-03-02T11:00:00+00:00", None),
    )
    promotions = (
        cluster.Promotion("2026-03-01T00:00:00+00:00", 2, known.name(0)),
        # The highest unit got the charm, and handed over, before the leader got it.
        cluster.Promotion("2026-03-02T09:59:40+00:00", 3, known.name(2)),
        cluster.Promotion("2026-03-02T11:01:30.5+01:00", 4, known.name(1)),
        cluster.Promotion("2026-03-02T10:03:00+00:00", 5, None),
        cluster.Promotion("2026-03-02T12:00:00+00:00", 6, "stranger"),
        cluster.Promotion("never", 7, None),
    )
    found = refresh_status.report(refreshing(), seen({2}, history=history, promotions=promotions))["history"]
    assert [[(each["event"], each["unit"]) for each in one["write-affecting"]] for one in found] == [
        [("new primary, timeline 3", "postgresql-machine/2"), ("new primary, timeline 4", "postgresql-machine/1")],
        [("new primary, timeline 5", None)],
        [("new primary, timeline 6", "stranger")],
    ]
    assert [one["outcome"] for one in found] == ["completed", "completed", None]


def test_what_nobody_can_tell_is_unknown() -> None:
    history = (
        entry("2026-03-02T10:00:00+00:00", "2026-03-02T10:02:00+00:00"),
        entry("2026-03-02T11:00:00+00:00", None, 1),
    )
    report = refresh_status.report(refreshing(), seen({2}, history=history, promotions=None))
    assert [one["write-affecting"] is None for one in report["history"]] == [True, False]
    table = refresh_table.render(report)
    assert "never" not in table
    assert "completed    unknown\n" in table
    report = refresh_status.report(refreshing(), seen({2}, history=history))
    assert report["history"][0]["write-affecting"] == []
    assert "completed    never\n" in refresh_table.render(report)


def test_a_unit_alone_is_stopped_once() -> None:
    alone = entry("2026-03-02T10:00:00+00:00", "2026-03-02T10:02:00+00:00", 1)
    code_only = dataclasses.replace(alone, new=dataclasses.replace(NEW, snap_revision="366"))
    found = refresh_status.report(IDLE, seen({0, 1, 2}, history=(alone, code_only)))["history"]
    assert [each["event"] for each in found[0]["write-affecting"]] == ["the only unit was stopped"]
    assert found[1]["write-affecting"] == []


def test_the_table() -> None:
    history = (entry("2026-03-02T10:00:00+00:00", None),)
    promotions = (cluster.Promotion("2026-03-02T10:01:00+00:00", 2, known.name(2)),)
    given = refreshing(cluster=known.view(3, primary=2))
    what = seen({2}, history=history, promotions=promotions)
    assert refresh_table.render(refresh_status.report(given, what)) == (
        "Refresh of postgresql-machine: paused; 1 of 3 units at snap revision 416\n"
        "charm 16/1.0.0 (revision 1) with PostgreSQL 16.14 to charm 16/1.1.0 (revision 2) with PostgreSQL 16.15\n"
        "\n"
        "Unit                  Step  Role                 Lag  Snap        Charm                  Health\n"
        "postgresql-machine/2  1/3   primary                   416         16/1.1.0 (revision 2)  healthy\n"
        "postgresql-machine/1  2/3   synchronous standby  0    366 -> 416  16/1.1.0 (revision 2)  healthy\n"
        "postgresql-machine/0  3/3   synchronous standby  0    366 -> 416  16/1.1.0 (revision 2)  healthy\n"
        "\n"
        "Started                    Ended  From                   To                     Outcome    "
        "  Writes stood still\n"
        "2026-03-02T10:00:00+00:00         16/1.0.0 (revision 1)  16/1.1.0 (revision 2)  in progress"
        "  2026-03-02T10:01:00+00:00 new primary, timeline 2 on postgresql-machine/2\n"
        "\n"
        f"Next: Check units >=2, then `juju run postgresql-machine/1 resume-refresh`; {BACK}"
    )


def test_the_table_of_the_plan() -> None:
    what = seen({0, 1, 2}, blockers=(BUSY,), original=NEW)
    what = dataclasses.replace(what, build=dataclasses.replace(NEW, url="local:postgresql-machine-3"))
    lines = refresh_table.render(refresh_status.report(known.settled(cluster=None), what)).splitlines()
    assert "postgresql-machine/2  1/3   unknown  unknown  416   16/1.1.0 (revision 2)  unknown" in lines
    assert "Order: postgresql-machine/2, postgresql-machine/1, postgresql-machine/0" in lines
    assert "Waits for resume-refresh before: postgresql-machine/1" in lines
    assert "Switchovers: unknown" in lines
    assert "To go back after it: `juju refresh postgresql-machine --path FILE`" in lines
    assert f"Against it: {BUSY.text}" in lines
