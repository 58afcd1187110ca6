"""Whose snaps refresh next, and what units publish for it."""

from __future__ import annotations

import dataclasses
import datetime
import typing

import pytest

import config
import timer
from snap_refresh import decision, model, planner, turns
from steps import Publish, Record, Step
from tests.fakes import known, snaps
from tests.fakes.snaps import HOUR, NOW, UPDATE
from workload import cluster


def decided(about: model.SnapRefresh) -> decision.Decision:
    found = decision.decide(snaps.facts_of(about))
    assert found is not None
    return found


def test_turns_replicas_first_highest_number_first_the_primary_last() -> None:
    all_wish = {0: snaps.wish(), 2: snaps.wish()}
    leader = snaps.facts_of(snaps.seen(UPDATE, wishes=all_wish))

    def turn(**changes: typing.Any) -> int | None:
        about = dataclasses.replace(typing.cast(model.SnapRefresh, leader.snap_refresh), **changes)
        observed = dataclasses.replace(leader, snap_refresh=about)
        decided = decision.decide(observed)
        assert decided is not None
        found = turns.next_turn(observed, decided)
        return None if found is None else found.unit

    assert turn() == 2
    assert turn(recorded=model.Turn(1, NOW - HOUR)) == 1
    assert turn(wishes={0: snaps.wish()}) == 1
    done = {"core24": "2", "snapd": "1", model.WORKLOAD: known.PINNED}
    assert turn(wishes={0: snaps.wish()}, revisions=done) == 0
    assert turn(wishes={}, revisions=done) is None
    assert turn(recorded=model.Turn(2, NOW), wishes={}, revisions=done) is None
    # A replica that has not asked the store yet comes before the primary too.
    assert turn(wishes={0: snaps.wish(since=NOW - HOUR)}, revisions=done) is None
    assert turn(wishes={0: snaps.wish(since=NOW, until=NOW)}, revisions=done) is None
    assert turn(wishes={0: snaps.wish(since=NOW, until=NOW - 2 * HOUR)}, revisions=done) == 0


def test_in_trouble_only_those_past_their_limit_get_a_turn() -> None:
    wishes = {0: snaps.wish(), 2: snaps.wish(until=NOW)}
    observed = snaps.facts_of(snaps.seen(UPDATE, wishes=wishes), cluster=known.view(3, paused=True))
    decided = decision.decide(observed)
    assert decided is not None
    assert turns.next_turn(observed, decided) == model.Turn(2, NOW)


def granted(wishes: dict[int, model.Wish], view: cluster.ClusterView) -> int | None:
    """The unit whose turn a leader without updates of its own records."""
    found = recorded(wishes, cluster=view)
    return None if found is None else found.unit


def recorded(
    wishes: dict[int, model.Wish], current: model.Turn | None = None, **changes: typing.Any
) -> model.Turn | None:
    """The turn that such a leader records."""
    observed = snaps.facts_of(snaps.seen(wishes=wishes, recorded=current), **changes)
    decided = decision.decide(observed)
    assert decided is not None
    return turns.next_turn(observed, decided)


def test_past_all_limits_the_primary_is_still_the_last() -> None:
    long_over = snaps.wish(until=NOW - 2 * HOUR)
    assert granted({0: long_over, 2: long_over}, known.view(3, 2)) == 0
    assert granted({2: long_over}, known.view(3, 2)) == 2


def test_a_primary_at_its_limit_lets_replicas_reach_theirs() -> None:
    just_over = snaps.wish(since=NOW - 48 * HOUR, until=NOW)
    assert granted({0: just_over, 2: snaps.wish()}, known.view(3, 0, paused=True)) is None
    assert granted({0: just_over}, known.view(3, 0, paused=True)) == 0


@pytest.mark.parametrize(
    ("published", "since"),
    [
        (snaps.wish(since=NOW - 48 * HOUR).text(), NOW - 48 * HOUR),
        (model.Wish(("snapd",), NOW - 48 * HOUR, NOW).text(), NOW),
        (None, NOW),
        ("?", NOW),
        ("{}", NOW),
    ],
)
def test_past_the_limit_a_unit_still_tells_since_when_it_waits(published: str | None, since: datetime.datetime) -> None:
    about = snaps.seen(UPDATE, remembered={"overdue": {"core24": NOW}}, published=published)
    assert turns.wish(snaps.facts_of(about), decided(about)) == snaps.wish(since, NOW).text()


def test_only_the_leader_records_turns_and_each_unit_publishes_its_wish() -> None:
    about = snaps.seen(UPDATE)
    wish = snaps.wish(since=NOW).text()
    assert list(planner.steps(snaps.facts_of(about))) == [Step.GATE_SNAPS, Publish(model.WISH, wish)]
    published = dataclasses.replace(about, published=wish)
    leader = snaps.facts_of(published, leader=True)
    assert list(planner.steps(leader)) == [Step.GATE_SNAPS, Record(model.TURN, model.Turn(1, NOW).text())]
    done = dataclasses.replace(published, revisions={**about.revisions, "core24": "2"}, recorded=model.Turn(1, NOW))
    steps = list(planner.steps(snaps.facts_of(done, leader=True)))
    assert steps == [Step.GATE_SNAPS, Publish(model.WISH, ""), Record(model.TURN, "")]


def test_a_turn_ends_after_two_hours_where_others_wait_and_comes_again_after_them() -> None:
    wishes = {0: snaps.wish(), 2: snaps.wish()}
    long_ago = model.Turn(2, NOW - 2 * HOUR)
    assert recorded({2: snaps.wish()}, long_ago) == long_ago
    assert recorded(wishes, model.Turn(2, NOW - HOUR)) == model.Turn(2, NOW - HOUR)
    # The primary's turn too: it does not wait for one that could not act.
    assert recorded(wishes, long_ago) == model.Turn(0, NOW, (2,))
    assert recorded({2: snaps.wish()}, model.Turn(0, NOW - HOUR, (2,))) == model.Turn(2, NOW)
    assert recorded(wishes, model.Turn(0, NOW - 2 * HOUR, (2,))) == model.Turn(2, NOW)
    assert recorded({}, model.Turn(0, NOW, (2,))) is None


def test_a_turn_does_not_end_while_snapd_is_at_it() -> None:
    long_ago = model.Turn(2, NOW - 3 * HOUR)
    wishes = {0: snaps.wish(), 2: snaps.wish(refreshing=NOW - HOUR)}
    assert recorded(wishes, long_ago) == long_ago
    assert recorded(wishes | {2: snaps.wish(refreshing=NOW - 2 * HOUR)}, long_ago) == model.Turn(0, NOW, (2,))


def test_nobody_gets_a_turn_while_the_snaps_of_any_unit_refresh() -> None:
    assert recorded({0: snaps.wish(refreshing=NOW - HOUR), 2: snaps.wish()}) is None
    assert recorded({0: snaps.wish(refreshing=NOW - 2 * HOUR), 2: snaps.wish()}) == model.Turn(2, NOW)


def test_outside_of_the_window_only_who_was_asked_for_gets_a_turn_and_before_all_others() -> None:
    closed = config.Config(snap_refresh_window=timer.parse("sat,02:00-04:00"))
    asked_for = snaps.wish(requested=NOW)
    assert recorded({1: asked_for, 2: snaps.wish()}, config=closed) == model.Turn(1, NOW)
    assert recorded({2: snaps.wish()}, config=closed) is None
    assert recorded({1: asked_for, 2: snaps.wish()}) == model.Turn(1, NOW)
    assert recorded({1: asked_for}, cluster=known.view(3, paused=True)) is None


def test_a_unit_tells_that_its_snaps_refresh_until_snapd_has_finished() -> None:
    begins = snaps.seen(UPDATE, turn=1)
    told = turns.wish(snaps.facts_of(begins), decided(begins))
    assert model.Wish.parse(told).refreshing == NOW
    later = dataclasses.replace(begins, now=NOW + HOUR / 60, published=told, busy=("Refresh core24",))
    assert model.Wish.parse(turns.wish(snaps.facts_of(later), decided(later))).refreshing == NOW
    linked = dataclasses.replace(later, revisions={**begins.revisions, "core24": "2"})
    assert model.Wish.parse(turns.wish(snaps.facts_of(linked), decided(linked))).refreshing == NOW
    assert decided(linked).reason == "snapd finishes a refresh"
    done = dataclasses.replace(linked, busy=())
    assert turns.wish(snaps.facts_of(done), decided(done)) == ""
    failed = dataclasses.replace(
        later,
        busy=(),
        remembered=dataclasses.replace(later.remembered, attempts={"core24": model.Attempts("2", 1, NOW)}),
    )
    assert model.Wish.parse(turns.wish(snaps.facts_of(failed), decided(failed))).refreshing is None
