"""Older charm code alone: when it is refused, in which words, and what is planned meanwhile."""

from __future__ import annotations

import dataclasses
import typing

import pytest

import confirmation
import facts
import planner
import refresh_facts
import refresh_history
import refusal
from steps import Publish, Record, Step
from tests.fakes import known
from workload import snap

BEFORE = refresh_facts.Build("16/1.1.0", "16.15", "416", "ch:amd64/postgresql-machine-2")
OLDER = refresh_facts.Build("16/1.0.0", "16.15", "416", "ch:amd64/postgresql-machine-1")
NEWER = dataclasses.replace(OLDER, charm="16/1.2.0", url="ch:amd64/postgresql-machine-3")
OTHERS = {0: refresh_facts.UnitState("416"), 2: refresh_facts.UnitState("416")}
TEXT = "Charm 16/1.0.0 cannot follow 16/1.1.0. Go back: `juju refresh --revision 2`, or force-refresh-start on unit 2"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, TEXT),
        ({"build": NEWER}, None),
        ({"build": BEFORE}, None),
        ({"original": None}, None),
        ({"accepted": {OLDER.url}}, None),
        ({"accepted": {NEWER.url, None}}, TEXT),
        # The snap changes too: charm-refresh checks.
        ({"original": dataclasses.replace(BEFORE, snap_revision="420")}, None),
        ({"others": OTHERS | {2: refresh_facts.UnitState("420")}}, None),
        ({"others": OTHERS | {2: refresh_facts.UnitState()}}, TEXT),
        ({"others": {}}, TEXT.replace("unit 2", "unit 1")),
        ({"number": 3}, TEXT.replace("unit 2", "unit 3")),
        (
            {"original": dataclasses.replace(BEFORE, url="local:postgresql-machine-7")},
            TEXT.replace("--revision 2", "--path FILE"),
        ),
        ({"build": dataclasses.replace(OLDER, charm="16/1.0.0.post1.dev0+71201f4.dirty")}, TEXT),
    ],
)
def test_reason(changes: dict[str, typing.Any], expected: str | None) -> None:
    given: dict[str, typing.Any] = {
        "build": OLDER,
        "original": BEFORE,
        "others": OTHERS,
        "number": 1,
        "accepted": {None},
    } | changes
    build, original, others = given.pop("build"), given.pop("original"), given.pop("others")
    assert refusal.reason(build, original, others, **given) == expected
    assert expected is None or len(expected) <= 120


def test_the_longest_text_fits() -> None:
    build = dataclasses.replace(OLDER, charm="16/10.10.10")
    original = dataclasses.replace(BEFORE, charm="16/10.10.11", url="ch:amd64/postgresql-machine-1000")
    found = refusal.reason(build, original, OTHERS, number=10, accepted=())
    assert found is not None
    assert len(found) <= 120


def test_while_it_is_refused_only_what_has_run_is_started() -> None:
    refused: dict[str, typing.Any] = {"refused": TEXT, "refresh": None, "leader": True, "role_passwords_current": False}
    assert planner.plan(known.settled(**refused)) == ()
    assert planner.plan(known.settled(**refused, machine_patroni_running=False)) == (Step.START,)
    absent: list[dict[str, typing.Any]] = [
        {"machine_snap": None},
        {"machine_snap": snap.SnapState(None)},
        {"machine_has_raft_state": False},
        {"machine_configured_address": None},
        {"machine_storages_full": ("data",)},
    ]
    for missing in absent:
        assert planner.plan(known.settled(**refused, machine_patroni_running=False, **missing)) == ()


# What is recorded, by the planner


OLD = frozenset({0, 2})


def progress(**changes: typing.Any) -> facts.RefreshFacts:
    made = facts.RefreshFacts(
        in_progress=True, pinned_revision="416", build=NEWER, charm_time=100.0, original=BEFORE, now=110.0, old=OLD
    )
    return dataclasses.replace(made, **changes)


ORDER = confirmation.Order(NEWER.url, 100.0, frozenset({0, 1, 2}), OLD)


def recorded(**changes: typing.Any) -> list[Publish | Record]:
    number = changes.pop("number", 1)
    given = dataclasses.replace(known.settled(number), refresh=progress(**changes))
    return [step for step in planner.plan(given) if isinstance(step, Publish | Record)]


def test_each_unit_records_once_who_there_was() -> None:
    assert recorded() == [Publish("refresh-order", ORDER.dump())]
    assert recorded(order=ORDER) == []
    assert recorded(order=dataclasses.replace(ORDER, units=frozenset({0}))) == []
    assert recorded(order=dataclasses.replace(ORDER, time=99.0)) == [Publish("refresh-order", ORDER.dump())]
    assert recorded(in_progress=False) == []


def test_what_was_accepted_is_taken_back_with_the_next_charm() -> None:
    assert recorded(order=ORDER, accepted=NEWER.url) == []
    assert recorded(order=ORDER, accepted=OLDER.url) == [Publish("accepted-charm", "")]


def test_the_leader_records_the_history() -> None:
    (record,) = recorded(number=0, order=ORDER)
    assert isinstance(record, Record)
    history = refresh_history.parse(record.value)
    assert (record.key, history) == (
        "refresh-history",
        (refresh_history.Entry(BEFORE, NEWER, "1970-01-01T00:01:40+00:00", 3),),
    )
    assert recorded(number=0, order=ORDER, history=history) == []
    (record,) = recorded(number=0, history=history, in_progress=False)
    assert refresh_history.parse(record.value)[0].ended == "1970-01-01T00:01:50+00:00"


# Parameters


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, True),
        ({"machine_patroni_running": False}, False),
        ({"machine_patroni_running": False, "machine_snap": snap.SnapState("366")}, True),
        ({"machine_snap": snap.SnapState("366")}, True),
        ({"machine_snap": None}, False),
        ({"refresh": progress(in_progress=False)}, False),
        ({"refresh": None}, False),
    ],
)
def test_parameters_change_only_between_a_snap_s_refresh_and_its_start(
    changes: dict[str, typing.Any], waits: bool
) -> None:
    given: dict[str, typing.Any] = {"refresh": progress()} | changes
    assert planner.parameters_wait(known.settled(**given)) is waits


def test_a_wrong_option_leaves_nothing_stopped() -> None:
    wrong: dict[str, typing.Any] = {"config": None, "config_error": "profile: wrong"}
    assert Step.START in planner.plan(known.settled(**wrong, machine_patroni_running=False))
    assert Step.START not in planner.plan(known.settled(**wrong))
