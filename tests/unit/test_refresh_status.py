"""The report of a refresh: each state, its units, what to do next, the plan, the history; as JSON and as a table."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

import facts
import prechecks
import problems
import refresh_facts
import refresh_history
import refresh_standing
import refresh_status
import refresh_table
from tests.fakes import known
from workload import cluster

OLD = refresh_facts.Build("16/1.0.0", "16.14", "366", "ch:amd64/postgresql-machine-1")
NEW = refresh_facts.Build("16/1.1.0", "16.15", "416", "ch:amd64/postgresql-machine-2")
BACK = "to go back, `juju refresh postgresql-machine --revision 1`"
ANYWAY = "to go on anyway, `juju run postgresql-machine/1 resume-refresh check-health-of-refreshed-units=false`"
AWAY = "Unit 2 is no member of the cluster. If it stays so, start its machine"
REMOVE = "If it is lost for good, `juju remove-unit postgresql-machine/2 --force`"
BUSY = prechecks.Reason("A backup is running", "wait for its end")


def units(refreshed: set[int], count: int = 3, **changes: typing.Any) -> dict[int, refresh_facts.UnitState]:
    return {
        number: dataclasses.replace(
            refresh_facts.UnitState(
                "416" if number in refreshed else "366", NEW.url, next_unit_allowed=True, started=True
            ),
            **changes,
        )
        for number in range(count)
    }


def seen(refreshed: set[int], **changes: typing.Any) -> refresh_standing.Seen:
    made = refresh_standing.Seen(
        build=NEW,
        original=OLD,
        units=units(refreshed),
        pause="first",
        awaited=None,
        compatible=True,
        failed=frozenset(),
        blockers=(),
        history=(),
        promotions=(),
    )
    return dataclasses.replace(made, **changes)


def refreshing(number: int = 0, count: int = 3, **changes: typing.Any) -> facts.Facts:
    progress = facts.RefreshFacts(in_progress=True, pinned_revision="416", next_unit_allowed=True)
    return dataclasses.replace(known.settled(number, count), **({"refresh": progress} | changes))


IDLE = known.settled()
PROGRESS = facts.RefreshFacts(in_progress=True, pinned_revision="416", next_unit_allowed=True)
NO_1 = cluster.ClusterView(tuple(member for member in known.view(3).members if member.name != known.name(1)))


def tell(number: int, pause: str) -> str:
    """What tells a unit of its charm, and confirms nothing."""
    unit, command = f"postgresql-machine/{number}", "juju config postgresql-machine pause-after-unit-refresh"
    return (
        f"Wait until Juju has told {unit} of its charm. If it stays so, `{command}=invalid` and, when {unit} says that"
        f" it is not allowed, `{command}={pause}`"
    )


@pytest.mark.parametrize(
    ("given", "what", "state", "following"),
    [
        (
            IDLE,
            seen({0, 1, 2}),
            "idle",
            "Ready: `juju run postgresql-machine/leader pre-refresh-check`, then `juju refresh postgresql-machine`",
        ),
        (IDLE, seen({0, 1, 2}, blockers=(BUSY,)), "idle", f"Not ready for a refresh: {BUSY.text}"),
        (
            known.settled(refused="Charm is older. Go back: `x`"),
            seen({0, 1, 2}),
            "refused",
            "Charm is older. Go back: `x`",
        ),
        (
            known.settled(refresh=None),
            seen(set()),
            "unknown",
            "Wait until every unit has told what it runs; see `juju status`",
        ),
        (
            refreshing(),
            seen({0, 1, 2}),
            "determining",
            "Wait until every unit has told what it runs; see `juju status`",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False), compatible=False),
            "incompatible",
            f"The new versions must not follow the old ones; {BACK}; to go on at your own risk,"
            " `juju run postgresql-machine/2 force-refresh-start check-compatibility=false`",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False), blockers=(BUSY,)),
            "checks failed",
            f"{BUSY.text}. Then postgresql-machine/2 goes on by itself; {BACK}",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False)),
            "refreshing",
            "Wait: unit 2 is about to refresh",
        ),
        (refreshing(), seen(set()), "refreshing", "Wait: unit 2 is about to refresh"),
        (
            refreshing(),
            seen({2}),
            "paused",
            f"Check units >=2, then `juju run postgresql-machine/1 resume-refresh`; {BACK}",
        ),
        (refreshing(), seen({2}, pause="none"), "refreshing", "Wait: unit 1 is about to refresh"),
        # What stands against the next unit's stop is told first.
        (
            refreshing(),
            seen({2}, held="No answer from postgresql-machine-2"),
            "paused",
            "No answer from postgresql-machine-2. When it is mended, `juju run postgresql-machine/1 resume-refresh`;"
            f" {ANYWAY}; {BACK}",
        ),
        (
            refreshing(),
            seen({2}, pause="none", held="No answer from postgresql-machine-2"),
            "refreshing",
            "No answer from postgresql-machine-2. When it is mended, postgresql-machine/1 goes on by itself;"
            f" {ANYWAY}; {BACK}",
        ),
        (refreshing(), seen({1, 2}), "refreshing", "Wait: unit 0 is about to refresh"),
        (
            refreshing(),
            seen({1, 2}, pause="all"),
            "paused",
            f"Check units >=1, then `juju run postgresql-machine/0 resume-refresh`; {BACK}",
        ),
        # A wrong option is "all" to charm-refresh.
        (
            refreshing(),
            seen({1, 2}, pause="sometimes"),
            "paused",
            f"Check units >=1, then `juju run postgresql-machine/0 resume-refresh`; {BACK}",
        ),
        # A confirmation that only the charm wants.
        (
            refreshing(),
            seen({1, 2}, awaited=0),
            "paused",
            f"Check units >=1, then `juju run postgresql-machine/0 resume-refresh`; {BACK}",
        ),
        (
            refreshing(),
            seen(set(), awaited=2),
            "paused",
            f"Check the units, then `juju run postgresql-machine/2 resume-refresh`; {BACK}",
        ),
        (
            refreshing(),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Wait: unit 2 is being checked; unit 1 follows. If it stays so: {ANYWAY}; {BACK}",
        ),
        (
            refreshing(cluster=known.view(3, changes={2: {"state": "starting"}})),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Wait: unit 2 is starting; unit 1 follows. If it stays so: {ANYWAY}; {BACK}",
        ),
        # What the refreshed unit waits for before it allows the next one, whoever is asked.
        *(
            (
                refreshing(
                    number,
                    cluster=known.view(3, changes={1: {"state": "stopped"}}),
                    refresh=dataclasses.replace(PROGRESS, next_unit_allowed=number != 2),
                ),
                seen({2}, units=units({2}, next_unit_allowed=False)),
                "refreshing",
                f"Unit 2 waits: postgresql-machine-1 is stopped. When it is mended, unit 1 follows; {ANYWAY}; {BACK}",
            )
            for number in range(3)
        ),
        (
            refreshing(cluster=known.view(3, primary=1, synchronous={0})),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            "Unit 2 waits: postgresql-machine-2 is not a synchronous standby. When it is mended, unit 1 follows;"
            f" {ANYWAY}; {BACK}",
        ),
        # Nobody could take over from the next unit, whatever the operator says.
        (
            refreshing(cluster=known.view(3, primary=1, synchronous=())),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Unit 2 waits: No synchronous standby. When it is mended, unit 1 follows; {BACK}",
        ),
        (
            refreshing(cluster=known.view(3, paused=True, changes={2: {"state": "stopped"}})),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Unit 2 waits: {problems.PAUSED}. When it is mended, unit 1 follows; {BACK}",
        ),
        # The unit whose turn it is does not answer.
        (
            refreshing(cluster=known.view(2)),
            seen(set()),
            "refreshing",
            f"{AWAY}, and it goes on by itself. {REMOVE}; {BACK}",
        ),
        (
            refreshing(cluster=NO_1),
            seen({2}, held="postgresql-machine-1 is not a member of the cluster"),
            "paused",
            "Unit 1 is no member of the cluster. If it stays so, start its machine, then"
            " `juju run postgresql-machine/1 resume-refresh`. If it is lost for good,"
            f" `juju remove-unit postgresql-machine/1 --force`; {BACK}",
        ),
        # That it can be asked tells that it is there.
        (refreshing(2, cluster=known.view(2)), seen(set()), "refreshing", "Wait: unit 2 is about to refresh"),
        # A unit that joins has never been there.
        (
            refreshing(count=4),
            seen(set(), units={**units({0, 1, 2}), 3: refresh_facts.UnitState()}),
            "refreshing",
            "Wait: unit 3 is about to refresh",
        ),
        # Back, with one and with two to go back.
        (
            refreshing(cluster=known.view(2)),
            seen({0, 1}, build=OLD, units=units({2})),
            "refreshing",
            f"{AWAY}, and it goes on by itself. {REMOVE}",
        ),
        (
            refreshing(cluster=known.view(2)),
            seen({0}, build=OLD, units=units({1, 2})),
            "refreshing",
            f"{AWAY}, and it goes on by itself; to go on without it, `juju run postgresql-machine/1 resume-refresh"
            f" check-health-of-refreshed-units=false`. {REMOVE}",
        ),
        # Juju has not told a unit of its charm.
        (refreshing(), seen(set(), unaware=frozenset({0, 1, 2})), "refreshing", f"{tell(2, 'first')}; {BACK}"),
        (refreshing(), seen({2}, unaware=frozenset({1})), "paused", f"{tell(1, 'first')}; {BACK}"),
        (refreshing(), seen({1, 2}, unaware=frozenset({2}), pause="all"), "paused", f"{tell(2, 'all')}; {BACK}"),
        (
            refreshing(),
            seen({2}, unaware=frozenset({0})),
            "paused",
            f"Check units >=2, then `juju run postgresql-machine/1 resume-refresh`; {BACK}",
        ),
        (
            refreshing(),
            seen({2}, unaware=frozenset({1}), pause="sometimes"),
            "paused",
            "Wait until Juju has told postgresql-machine/1 of its charm. If it stays so,"
            f" `juju config postgresql-machine pause-after-unit-refresh=all`; {BACK}",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False), blockers=(BUSY,), unaware=frozenset({2})),
            "checks failed",
            f"{tell(2, 'first')}; {BACK}",
        ),
        (
            refreshing(),
            seen({0, 1, 2}, unaware=frozenset({2})),
            "determining",
            "Wait until postgresql-machine/2 has told what it runs; see `juju status`",
        ),
        (
            refreshing(cluster=known.view(2)),
            seen({0, 1, 2}, unaware=frozenset({2})),
            "determining",
            f"Wait until postgresql-machine/2 has told what it runs; see `juju status`. {REMOVE}",
        ),
        # What this unit cannot know.
        (
            known.settled(refresh=None, machine_snap=None, machine_snap_error="snapd does not answer: refused"),
            seen(set()),
            "unknown",
            "snapd does not answer: refused; see `systemctl status snapd` on the machine of postgresql-machine/0, or"
            " run get-refresh-status on another unit",
        ),
        (
            known.settled(refresh=None, leaving=True),
            seen(set()),
            "unknown",
            "This unit leaves; run get-refresh-status on another one",
        ),
        (
            refreshing(),
            seen({2}, failed=frozenset({1})),
            "paused",
            "The hook of postgresql-machine/1 fails: see `juju debug-log --include postgresql-machine/1`; when it is"
            f" mended, `juju resolved postgresql-machine/1`; {BACK}",
        ),
        # Back to what ran before: there is no way back from it.
        (
            refreshing(),
            seen({2}, build=OLD, units=units({0, 1, 2} - {0}, started=False)),
            "refreshing",
            "Wait: unit 2 is about to refresh",
        ),
        (
            refreshing(),
            seen({2}, original=dataclasses.replace(OLD, url="local:postgresql-machine-0")),
            "paused",
            "Check units >=2, then `juju run postgresql-machine/1 resume-refresh`;"
            " to go back, `juju refresh postgresql-machine --path FILE`",
        ),
    ],
)
def test_states(given: facts.Facts, what: refresh_standing.Seen, state: str, following: str) -> None:
    report = refresh_status.report(given, what)
    assert (report["state"], report["next"]) == (state, following)
    assert (report["plan"] is not None) is (state == "idle")
    assert json.loads(json.dumps(report)) == report
    assert refresh_table.render(report).splitlines()[-1] == f"Next: {following}"


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
