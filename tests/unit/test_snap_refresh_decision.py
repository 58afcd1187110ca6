"""Whether snaps may refresh: the decision for each situation, and what it can never be."""

from __future__ import annotations

import dataclasses
import datetime
import typing

import hypothesis
import pytest
from hypothesis import strategies

import config
import facts
import problems
import timer
from gating import affected
from snap_refresh import decision, model, planner, statuses, turns
from steps import HandOver, Step
from tests.fakes import known, snaps
from tests.fakes.snaps import HOUR, NOW, UPDATE
from workload import cluster

Verdict = decision.Verdict


def decide(about: model.SnapRefresh, number: int = 1, **changes: typing.Any) -> decision.Decision:
    found = decision.decide(snaps.facts_of(about, number, **changes))
    assert found is not None
    return found


def test_a_unit_that_knows_nothing_of_its_snaps_decides_nothing() -> None:
    silent = known.settled()
    assert decision.decide(silent) is None
    assert list(planner.steps(silent)) == []
    assert statuses.notes(silent) == []
    assert statuses.under_way(silent) is statuses.application_note(silent) is None


def test_in_its_turn_a_replica_proceeds() -> None:
    found = decide(snaps.seen(UPDATE, turn=1))
    assert (found.verdict, found.refresh) == (Verdict.PROCEED, ("core24",))
    assert set(found.holds) == {"snapd"}


def test_while_snapd_is_at_it_it_is_not_asked_again() -> None:
    found = decide(snaps.seen(UPDATE, turn=1, busy=("Refresh core24",)))
    assert (found.verdict, found.refresh) == (Verdict.PROCEED, ())


def test_the_primary_hands_over_in_its_turn() -> None:
    found = decide(snaps.seen(UPDATE, turn=0), number=0)
    assert (found.verdict, found.candidate) == (Verdict.HAND_OVER, known.name(2))
    assert found.holds["core24"] == snaps.UNTIL
    steps = list(planner.steps(snaps.facts_of(snaps.seen(UPDATE, turn=0), 0)))
    assert steps[-1] == HandOver(known.name(2))
    assert Step.REFRESH_SNAPS not in steps


def test_a_primary_that_nobody_can_take_over_from_is_held() -> None:
    lagging = known.view(3, 0, synchronous={1}, changes={1: {"lag": None}})
    found = decide(snaps.seen(UPDATE, turn=0), number=0, cluster=lagging)
    assert found.verdict is Verdict.HOLD
    assert found.reason.startswith("this unit is the primary, and ")


def test_a_unit_alone_proceeds() -> None:
    assert decide(snaps.seen(UPDATE, turn=0), number=0, count=1).verdict is Verdict.PROCEED


@pytest.mark.parametrize(
    ("changes", "about", "reason"),
    [
        ({}, {"turn": 2, "wishes": {2: snaps.wish()}}, "it is the turn of postgresql-machine/2"),
        ({}, {"turn": None}, "this unit waits for its turn"),
        ({}, {"turn": 2}, "this unit waits for its turn"),
        ({"primary": 1}, {"turn": None}, "this unit is the primary, whose turn is the last"),
        ({"refresh": facts.RefreshFacts(in_progress=True)}, {}, "a refresh of the charm is in progress"),
        ({"refresh": None}, {}, "a refresh of the charm is in progress"),
        ({"machine_patroni_running": False}, {}, "the cluster is not healthy: Patroni is not running"),
        (
            {"cluster": known.view(3, primary=None)},
            {},
            "the cluster is not healthy: The cluster has no primary; see the action get-cluster-status",
        ),
        ({"cluster": known.view(3, paused=True)}, {}, f"the cluster is not healthy: {problems.PAUSED}"),
        ({"cluster": known.view(3, switchover_scheduled=True)}, {}, "a switchover is scheduled"),
        ({"config": None}, {}, "the configuration is not right"),
        (
            {"config": config.Config(snap_refresh_window=timer.parse("sat,02:00-04:00"))},
            {},
            "the window sat,02:00-04:00 opens Sat 07 Jun 02:00",
        ),
        ({}, {"backup_running": True}, "a backup is running"),
        ({}, {"backup_running": None}, "the primary cannot be asked for backups"),
    ],
)
def test_what_speaks_against_a_turn(changes: dict[str, typing.Any], about: dict[str, typing.Any], reason: str) -> None:
    about = {"turn": 1} | about
    found = decide(snaps.seen(UPDATE, **about), **changes)
    assert (found.verdict, found.reason, found.refresh) == (Verdict.HOLD, reason, ())
    assert found.holds["core24"] == found.limit == snaps.UNTIL
    assert Step.REFRESH_SNAPS not in list(planner.steps(snaps.facts_of(snaps.seen(UPDATE, **about), **changes)))


def test_in_the_window_it_proceeds() -> None:
    window = config.Config(snap_refresh_window=timer.parse("sun,09:00-11:00"))
    assert decide(snaps.seen(UPDATE, turn=1), config=window).verdict is Verdict.PROCEED


def overdue(**changes: typing.Any) -> model.SnapRefresh:
    first = (NOW - 48 * HOUR).isoformat()
    gating = {"core24": {model.WORKLOAD: {"first-held": first, "hold-until": NOW.isoformat()}}}
    return snaps.seen(UPDATE, remembered={"gating": gating}, **changes)


def test_when_the_limit_is_reached_nothing_is_held_whatever_the_cluster_does() -> None:
    found = decide(overdue(), machine_patroni_running=False)
    assert (found.verdict, found.overdue, found.refresh) == (Verdict.RELEASED, True, ())
    assert set(found.holds) == {"snapd"}
    assert decide(overdue(turn=1), machine_patroni_running=False).verdict is Verdict.PROCEED


def test_past_the_limit_the_primary_still_hands_over_where_somebody_can_take_over() -> None:
    assert decide(overdue(turn=0), number=0).verdict is Verdict.HAND_OVER
    alone = known.view(3, 0, changes={1: {"state": "stopped"}, 2: {"state": "stopped"}})
    assert decide(overdue(turn=0), number=0, cluster=alone).verdict is Verdict.PROCEED


def test_what_was_let_go_is_not_held_again_while_it_is_pending() -> None:
    first = overdue()
    decided = decide(first)
    holds = {"snapd": snaps.UNTIL}
    later = dataclasses.replace(first, now=NOW + HOUR, holds=holds, remembered=decision.remembered(first, decided))
    found = decide(later)
    assert (found.verdict, found.limit) == (Verdict.RELEASED, NOW)
    done = dataclasses.replace(later, revisions={**later.revisions, "core24": "2"})
    found = decide(done)
    assert (found.verdict, found.limit, found.overdue) == (Verdict.NOTHING, None, False)
    assert decision.remembered(done, found).overdue == {}


def test_another_update_does_not_wait_longer_than_the_first() -> None:
    first = (NOW - 40 * HOUR).isoformat()
    gating = {"core24": {model.WORKLOAD: {"first-held": first, "hold-until": (NOW + 8 * HOUR).isoformat()}}}
    both = snaps.seen(UPDATE, affected.Candidate("snapd", "2"), remembered={"gating": gating})
    found = decide(both)
    assert found.limit == NOW + 8 * HOUR
    assert found.holds == {"core24": NOW + 8 * HOUR, "snapd": NOW + 8 * HOUR}


def test_attempts_are_counted_for_each_revision_and_spaced() -> None:
    about = snaps.seen(UPDATE, turn=1, remembered={"attempts": {"core24": model.Attempts("2", 2, NOW - HOUR)}})
    assert decide(about).refresh == ("core24",)
    assert decision.after_asking(about, UPDATE) == ("2", 3, NOW)
    newer = snaps.seen(UPDATE._replace(revision="3"), turn=1, remembered={"attempts": about.remembered.attempts})
    assert decide(newer).refresh == ("core24",)
    assert decision.after_asking(newer, UPDATE._replace(revision="3")) == ("3", 1, NOW)
    just_now = {"core24": model.Attempts("2", 1, NOW - HOUR / 4)}
    found = decide(snaps.seen(UPDATE, turn=1, remembered={"attempts": just_now}))
    assert (found.verdict, found.refresh) == (Verdict.PROCEED, ())
    in_the_future = {"core24": model.Attempts("2", 1, NOW + HOUR)}
    assert decide(snaps.seen(UPDATE, turn=1, remembered={"attempts": in_the_future})).refresh == ("core24",)


def test_what_has_failed_three_times_stays_held_and_gives_up_its_turn() -> None:
    three = {"attempts": {"core24": model.Attempts("2", 3, NOW - HOUR)}}
    about = snaps.seen(UPDATE, turn=1, remembered=three)
    found = decide(about)
    assert (found.verdict, found.refresh) == (Verdict.HOLD, ())
    assert found.reason == "snapd failed 3 times to refresh core24; see `snap changes`"
    assert found.holds["core24"] == found.limit
    assert turns.wish(snaps.facts_of(about), found) == ""
    first = (NOW - 48 * HOUR).isoformat()
    gating = {"core24": {model.WORKLOAD: {"first-held": first, "hold-until": NOW.isoformat()}}}
    late = decide(snaps.seen(UPDATE, turn=None, remembered=three | {"gating": gating}))
    assert late.verdict is Verdict.RELEASED
    assert "core24" not in late.holds


def test_a_request_of_the_operators_goes_past_the_window_for_an_hour() -> None:
    window = config.Config(snap_refresh_window=timer.parse("sat,02:00-04:00"))
    for ago, verdict in ((HOUR / 2, Verdict.PROCEED), (HOUR, Verdict.HOLD), (-HOUR, Verdict.HOLD)):
        about = snaps.seen(UPDATE, turn=1, remembered={"requested": NOW - ago})
        found = decide(about, config=window)
        assert found.verdict is verdict, ago
        kept = decision.remembered(about, found).requested
        assert (kept is not None) is (verdict is Verdict.PROCEED)


def test_while_another_units_snaps_refresh_a_unit_holds_even_in_its_turn() -> None:
    at_it = {2: snaps.wish(refreshing=NOW - HOUR)}
    found = decide(snaps.seen(UPDATE, turn=1, wishes=at_it))
    assert (found.verdict, found.reason) == (Verdict.HOLD, "the snaps of postgresql-machine/2 refresh")
    for_too_long = {2: snaps.wish(refreshing=NOW - 2 * HOUR)}
    assert decide(snaps.seen(UPDATE, turn=1, wishes=for_too_long)).verdict is Verdict.PROCEED


def test_a_snap_that_was_not_refreshed_for_90_days_cannot_be_held_and_still_waits_for_its_turn() -> None:
    about = snaps.seen(UPDATE)
    old = about.system.snaps["core24"]._replace(refreshed=NOW - 100 * 24 * HOUR)
    about = dataclasses.replace(about, system=about.system._replace(snaps={**about.system.snaps, "core24": old}))
    found = decide(about)
    assert (found.verdict, found.overdue, found.refresh) == (Verdict.RELEASED, True, ())
    assert "core24" not in found.holds
    assert turns.wish(snaps.facts_of(about), found) == snaps.wish(since=NOW, until=NOW).text()
    its_turn = dataclasses.replace(about, recorded=model.Turn(1, NOW))
    assert decide(its_turn).refresh == ("core24",)


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0, "updates of core24 held: this unit waits for its turn"),
        (37, "core24 refresh at 03 Jun 10:00 UTC at the latest; held now: this unit waits for its turn"),
        (48, "core24 refresh when snapd likes: the longest time to hold them is over"),
    ],
)
def test_notes(hours: int, text: str) -> None:
    first = NOW.isoformat()
    gating = {"core24": {model.WORKLOAD: {"first-held": first, "hold-until": snaps.UNTIL.isoformat()}}}
    about = snaps.seen(UPDATE, now=NOW + hours * HOUR, remembered={"gating": gating})
    assert statuses.notes(snaps.facts_of(about)) == [text]


@pytest.mark.parametrize(
    ("revision", "version", "told"),
    [("420", "16.16", True), ("300", "16.9", False), ("420", "14.20", False), ("x3", "16.16", False)],
)
def test_what_supersedes_the_pinned_revision(revision: str, version: str, told: bool) -> None:
    update = affected.Candidate(model.WORKLOAD, revision, version)
    found = decision.superseded(snaps.facts_of(snaps.seen(update)))
    assert (found == update) is told
    assert told or found is None


def test_a_hold_that_the_charm_did_not_set_is_the_administrators() -> None:
    about = snaps.seen(UPDATE, turn=1)
    assert decision.administrator(about) == {}
    foreign = dataclasses.replace(about, holds={**about.holds, "core24": snaps.UNTIL + HOUR})
    # Whatever the file tells: a hold that bears the charm's mark is the charm's.
    assert decision.administrator(dataclasses.replace(foreign, marked=frozenset({"core24"}))) == {}
    assert decision.administrator(foreign) == {"core24": snaps.UNTIL + HOUR}
    found = decide(foreign)
    assert (found.verdict, found.refresh) == (Verdict.NOTHING, ())
    assert "core24" not in found.holds


updates = strategies.lists(strategies.sampled_from((UPDATE, affected.Candidate("snapd", "2"))), unique=True)
situations = strategies.fixed_dictionaries(
    {
        "turn": strategies.none() | strategies.integers(0, 2),
        "wishes": strategies.dictionaries(strategies.sampled_from((0, 2)), strategies.just(snaps.wish())),
        "busy": strategies.sampled_from(((), ("Refresh core24",))),
        "backup_running": strategies.none() | strategies.booleans(),
    }
)
clusters = strategies.sampled_from(
    (
        known.view(3, 0),
        known.view(3, 1),
        known.view(3, None),
        known.view(3, 0, paused=True),
        known.view(3, 1, synchronous=()),
        known.view(3, 0, changes={2: {"state": "stopped"}}),
        None,
    )
)


@hypothesis.given(updates, situations, clusters, strategies.booleans(), strategies.integers(0, 60))
@hypothesis.settings(max_examples=80, deadline=None)
def test_the_invariants(
    waiting: list[affected.Candidate],
    situation: dict[str, typing.Any],
    view: cluster.ClusterView | None,
    in_progress: bool,
    hours: int,
) -> None:
    first = (NOW - hours * HOUR).isoformat()
    gating = {each.name: {model.WORKLOAD: {"first-held": first, "hold-until": first}} for each in waiting}
    refresh = facts.RefreshFacts(in_progress=in_progress, pinned_revision=known.PINNED)
    observed = snaps.facts_of(
        snaps.seen(*waiting, remembered={"gating": gating}, **situation), cluster=view, refresh=refresh
    )
    found = decision.decide(observed)
    assert found is not None
    # A unit asks snapd in its own turn only, never as a primary that could hand over.
    if found.refresh:
        assert situation["turn"] == 1
        assert not situation["busy"]
    if found.verdict is Verdict.PROCEED and not found.overdue:
        assert not in_progress
        assert view is not None
        assert not view.unhealthy
        assert not observed.is_primary
    # Everything is either held, or has an update that may come.
    pending = {each.name for each in waiting}
    assert {"core24", "snapd"} - set(found.holds) <= pending
    assert all(until <= NOW + datetime.timedelta(hours=48) for until in found.holds.values())
    if hours >= 48 and pending:
        assert not pending & set(found.holds)
        assert found.verdict in (Verdict.RELEASED, Verdict.PROCEED, Verdict.HAND_OVER)
