"""The gating engine: an example for each of snapd's rules."""

from __future__ import annotations

import datetime
import json
import pathlib
import typing

import pytest

from gating import affected, engine

DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)
NOW = datetime.datetime(2025, 5, 10, 10, tzinfo=datetime.UTC)
REFRESHED = dict.fromkeys(("db", "base", "content", "other"), NOW - DAY)


def gating(state: dict[str, typing.Any] | None = None, **refreshed: datetime.datetime) -> engine.Gating:
    return engine.Gating(REFRESHED | refreshed, state)


def updates(*names: str) -> dict[str, affected.Candidate]:
    return {name: affected.Candidate(name, "2") for name in names}


def test_a_snap_holds_others_for_48_hours_and_itself_for_90_days_since_its_refresh() -> None:
    gates = gating()
    assert gates.hold("db", None, "db", "base", now=NOW) == 48 * HOUR
    assert gates.holders("base") == {"db": engine.Hold(NOW, NOW + 48 * HOUR)}
    assert gates.holders("db") == {"db": engine.Hold(NOW, NOW + 89 * DAY)}
    assert gates.state == {
        "db": {"db": {"first-held": "2025-05-10T10:00:00+00:00", "hold-until": "2025-08-07T10:00:00+00:00"}},
        "base": {"db": {"first-held": "2025-05-10T10:00:00+00:00", "hold-until": "2025-05-12T10:00:00+00:00"}},
    }


@pytest.mark.parametrize(
    ("refreshed_ago", "held_ago", "holder", "left"),
    [
        (30 * DAY, 0 * DAY, "db", 48 * HOUR),
        (30 * DAY, DAY, "db", 24 * HOUR),
        (30 * DAY, 2 * DAY, "db", 0 * HOUR),
        (87 * DAY, 2 * DAY, "base", 72 * HOUR),
        (89 * DAY, 0 * DAY, "db", 24 * HOUR),
        (91 * DAY, 2 * DAY, "base", -24 * HOUR),
        (2 * DAY, 0 * DAY, "base", 88 * 24 * HOUR),
    ],
)
def test_the_time_left_is_the_smaller_of_both_limits(
    refreshed_ago: datetime.timedelta, held_ago: datetime.timedelta, holder: str, left: datetime.timedelta
) -> None:
    gates = gating(base=NOW - refreshed_ago)
    if held_ago and left > 0 * HOUR:
        gates.hold(holder, HOUR, "base", now=NOW - held_ago)
    elif held_ago:
        at = (NOW - held_ago).isoformat()
        gates = gating({"base": {holder: {"first-held": at, "hold-until": at}}}, base=NOW - refreshed_ago)
    assert gates.left(holder, "base", NOW) == left


def test_first_held_is_kept_over_repeated_holds() -> None:
    gates = gating()
    assert gates.hold("db", 10 * HOUR, "base", now=NOW) == 48 * HOUR
    assert gates.holders("base")["db"].until == NOW + 10 * HOUR
    assert gates.hold("db", 5 * HOUR, "base", now=NOW) == 48 * HOUR
    assert gates.holders("base")["db"].until == NOW + 5 * HOUR
    assert gates.hold("db", None, "base", now=NOW + 22 * HOUR) == 26 * HOUR
    assert gates.holders("base") == {"db": engine.Hold(NOW, NOW + 48 * HOUR)}


def test_a_hold_is_cut_off_90_days_after_the_last_refresh() -> None:
    gates = gating(base=NOW - 89 * DAY)
    assert gates.hold("db", 48 * HOUR, "base", now=NOW) == 24 * HOUR
    assert gates.holders("base")["db"].until == NOW + DAY


def test_an_explicit_duration_does_not_outlast_the_48_hours_since_it_was_first_held() -> None:
    gates = gating()
    gates.hold("db", HOUR, "base", now=NOW)
    assert gates.hold("db", 48 * HOUR, "base", now=NOW + 47 * HOUR) == HOUR
    assert gates.holders("base")["db"].until == NOW + 48 * HOUR


def test_a_duration_over_the_maximum_is_an_error_that_carries_the_time_left() -> None:
    gates = gating()
    with pytest.raises(engine.HoldError) as caught:
        gates.hold("Y", 49 * HOUR, "base", now=NOW)
    assert str(caught.value) == (
        "cannot hold some snaps:\n"
        ' - requested holding duration for snap "base" of 49h0m0s by snap "Y" exceeds maximum holding time'
    )
    assert caught.value.refused["base"].left == 48 * HOUR
    assert gates.state == {}
    with pytest.raises(engine.HoldError, match='snap "db" of 2304h0m0s by snap "db"'):
        gates.hold("db", 96 * DAY, "db", now=NOW)
    gates.hold("db", 90 * DAY, "db", now=NOW)


def test_where_nothing_is_left_it_cannot_hold_any_more() -> None:
    gates = gating()
    gates.hold("Y", None, "base", now=NOW)
    for duration in (None, HOUR):
        with pytest.raises(engine.HoldError) as caught:
            gates.hold("Y", duration, "base", now=NOW + 48 * HOUR)
        assert str(caught.value) == (
            "cannot hold some snaps:\n"
            ' - snap "Y" cannot hold snap "base" anymore, maximum refresh postponement exceeded'
        )
        assert caught.value.refused["base"].left == 0 * HOUR


def test_some_may_fail_while_others_are_held() -> None:
    gates = gating(base=NOW - 92 * DAY, content=NOW - 91 * DAY)
    with pytest.raises(engine.HoldError) as caught:
        gates.hold("db", None, "base", "other", "content", now=NOW)
    assert list(caught.value.refused) == ["base", "content"]
    assert str(caught.value).count("\n - ") == 2
    assert gates.held(NOW) == {"other": ("db",)}


def test_an_atomic_hold_is_all_or_none_and_drops_earlier_ones() -> None:
    gates = gating()
    gates.hold("db", None, "db", "base", now=NOW)
    gates.hold("other", None, "base", now=NOW + 40 * HOUR)
    with pytest.raises(engine.HoldError, match='cannot hold snap "base" anymore'):
        gates.hold("db", None, "db", "base", now=NOW + 49 * HOUR, atomic=True)
    assert gates.held(NOW + 49 * HOUR) == {"base": ("other",)}
    assert gates.hold("db", None, "db", "content", now=NOW + 49 * HOUR, atomic=True) == 48 * HOUR


@pytest.mark.parametrize("duration", [datetime.timedelta(), -HOUR, -100 * DAY])
@pytest.mark.parametrize("holder", ["db", engine.SYSTEM])
@pytest.mark.parametrize("atomic", [False, True])
def test_a_duration_that_is_not_positive_is_an_error(duration: datetime.timedelta, holder: str, atomic: bool) -> None:
    gates = gating()
    gates.hold(holder, HOUR, "base", now=NOW)
    before = json.dumps(gates.state)
    with pytest.raises(ValueError, match=rf"{duration.total_seconds()}s: it must be positive, or None"):
        gates.hold(holder, duration, "base", "content", now=NOW, atomic=atomic)
    assert json.dumps(gates.state) == before


def test_a_snap_that_is_not_installed_cannot_be_held() -> None:
    gates = gating()
    with pytest.raises(KeyError, match="absent"):
        gates.hold("db", None, "base", "absent", now=NOW)
    assert gates.state == {}


def test_nothing_to_hold_is_no_error() -> None:
    assert gating().hold("db", None, now=NOW) == 0 * HOUR


def test_proceed_drops_everywhere_or_on_the_snaps_named() -> None:
    gates = gating()
    gates.hold("db", None, "db", "base", "content", now=NOW)
    gates.hold("other", None, "content", now=NOW)
    gates.proceed("db", ["base", "absent"])
    assert gates.held(NOW) == {"content": ("db", "other"), "db": ("db",)}
    assert "base" not in gates.state
    gates.proceed("db")
    assert gates.held(NOW) == {"content": ("other",)}


def test_the_administrator_is_outside_the_limits() -> None:
    gates = gating(base=NOW - 200 * DAY)
    gates.hold(engine.SYSTEM, 300 * DAY, "base", now=NOW)
    gates.hold(engine.SYSTEM, None, "other", now=NOW)
    assert gates.state["other"]["system"]["hold-until"] is None
    assert gates.held(NOW + 299 * DAY) == {"base": ("system",), "other": ("system",)}
    assert gates.held(NOW + 5000 * DAY) == {"other": ("system",)}
    gates.hold("db", None, "other", now=NOW)
    gates.prune(())
    assert gates.held(NOW) == {"base": ("system",), "other": ("system",)}
    gates.hold("db", None, "other", now=NOW)
    gates.reset("base", "other")
    assert gates.held(NOW) == {"base": ("system",), "other": ("system",)}
    gates.proceed(engine.SYSTEM, ["base"])
    assert gates.held(NOW) == {"other": ("system",)}


def test_prune_forgets_what_has_no_update_any_more() -> None:
    gates = gating()
    gates.hold("db", None, "base", "content", now=NOW)
    gates.prune({"content"})
    assert gates.held(NOW) == {"content": ("db",)}


def test_reset_forgets_what_is_about_to_refresh() -> None:
    gates = gating()
    gates.hold("db", None, "base", "content", now=NOW)
    gates.reset("base")
    assert gates.held(NOW) == {"content": ("db",)}


def test_forget_removes_a_snap_as_held_and_as_holder() -> None:
    gates = gating()
    gates.hold("db", None, "base", now=NOW)
    gates.hold("other", None, "db", "content", now=NOW)
    gates.hold(engine.SYSTEM, None, "db", now=NOW)
    gates.forget("db")
    assert gates.held(NOW) == {"content": ("other",)}
    gates.forget("other")
    assert gates.state == {}


def test_a_hold_ends_at_its_time() -> None:
    gates = gating()
    gates.hold("db", HOUR, "base", now=NOW)
    assert gates.held(NOW + HOUR) == {"base": ("db",)}
    assert gates.held(NOW + HOUR + datetime.timedelta(seconds=1)) == {}


def test_what_was_refreshed_more_than_95_days_ago_is_not_held() -> None:
    state = {"base": {"db": {"first-held": NOW.isoformat(), "hold-until": (NOW + 10 * DAY).isoformat()}}}
    assert gating(state, base=NOW - 95 * DAY).held(NOW) == {"base": ("db",)}
    assert gating(state, base=NOW - 95 * DAY).held(NOW + HOUR) == {}


def test_only_what_is_not_held_is_refreshed() -> None:
    gates = gating()
    gates.hold("db", None, "base", now=NOW)
    assert gates.to_refresh(["other", "content", "base"], NOW) == (["content", "other"], ["base"])


def test_proceed_now_refreshes_what_the_holder_holds_and_nobody_else() -> None:
    gates = gating()
    gates.hold("db", None, "base", "content", "other", now=NOW)
    gates.hold("content", None, "content", now=NOW)
    before = dict(gates._refreshed)
    assert gates.proceed_now("db", updates("base", "content"), NOW, in_progress=False) == ["base"]
    assert sorted(gates.held(NOW)) == ["content", "other"]
    assert gates._refreshed == before, "the schedule's times are not touched"


def test_proceed_now_with_all_up_to_date_is_no_error() -> None:
    gates = gating()
    gates.hold("db", None, "base", now=NOW)
    assert gates.proceed_now("db", {}, NOW, in_progress=False) == []
    assert gates.held(NOW) == {"base": ("db",)}


def test_proceed_now_refuses_while_a_refresh_is_in_progress_and_where_nothing_is_held() -> None:
    gates = gating()
    with pytest.raises(engine.GatingError, match=r'^no snaps are held by snap "db"$'):
        gates.proceed_now("db", updates("base"), NOW, in_progress=False)
    gates.hold("db", None, "base", now=NOW)
    with pytest.raises(engine.GatingError, match=r"^there is an auto-refresh in progress$"):
        gates.proceed_now("db", updates("base"), NOW, in_progress=True)
    assert gates.held(NOW) == {"base": ("db",)}


SYSTEM = affected.System(
    {
        "db": affected.Snap("db", base="base", gates=True),
        "app": affected.Snap("app", base="base", gates=True),
        "base": affected.Snap("base", type="base"),
    }
)


def test_gates_are_asked_one_after_the_other_in_order_of_name() -> None:
    asked: list[str] = []

    def gate(name: str, answer: typing.Literal["hold", "proceed"]) -> typing.Callable[[affected.Pending], typing.Any]:
        def answers(pending: affected.Pending) -> typing.Literal["hold", "proceed"]:
            assert pending.base
            asked.append(name)
            return answer

        return answers

    gates = gating(app=NOW)
    gates.hold("app", None, "base", now=NOW)
    failures = gates.ask({"db": gate("db", "hold"), "app": gate("app", "proceed")}, updates("base"), SYSTEM, NOW)
    assert (asked, failures) == (["app", "db"], {})
    assert gates.held(NOW) == {"base": ("db",)}


def test_a_gate_that_fails_means_hold_as_long_as_the_limit_allows() -> None:
    def fails(_: affected.Pending) -> None:
        raise OSError("no answer")

    gates = gating()
    assert str(gates.ask({"db": fails}, updates("base"), SYSTEM, NOW)["db"]) == "no answer"
    assert gates.held(NOW) == {"base": ("db",)}
    gates.ask({"db": fails}, updates("base"), SYSTEM, NOW + 48 * HOUR)
    assert gates.held(NOW + 48 * HOUR + datetime.timedelta(seconds=1)) == {}


def test_a_hold_beyond_the_limit_is_told() -> None:
    gates = gating()
    for now in (NOW, NOW + 49 * HOUR):
        failures = gates.ask({"db": lambda _: "hold"}, updates("base"), SYSTEM, now)
    assert isinstance(failures["db"], engine.HoldError)


@pytest.mark.parametrize("gates", [{"db": lambda _: None}, {}], ids=["says nothing", "no gate"])
def test_a_gate_that_says_nothing_means_proceed(gates: engine.Gates) -> None:
    found = gating()
    found.hold("db", None, "base", now=NOW)
    assert found.ask(gates, updates("base"), SYSTEM, NOW) == {}
    assert found.held(NOW) == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (61, "1m1s"), (1800, "30m0s"), (3600, "1h0m0s"), (49 * 3600, "49h0m0s"), (90 * 86400, "2160h0m0s")],
)
def test_durations_are_written_as_go_does(seconds: int, text: str) -> None:
    assert engine.duration_text(datetime.timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    "strange",
    [
        {"first-held": "2025-05-10T10:00:00Z"},
        {"first-held": None, "hold-until": None},
        {"first-held": "2025-05-10T10:00:00Z", "hold-until": None},
        {"first-held": "yesterday", "hold-until": None},
        {"first-held": 5, "hold-until": None},
        ["first-held"],
        "text",
    ],
)
def test_what_is_not_understood_has_no_effect_and_stays(strange: object) -> None:
    hold = {"first-held": "2025-05-10T10:00:00Z", "hold-until": None, "level": 1}
    state = {"format": 7, "base": {"system": hold, "db": strange}}
    gates = gating(json.loads(json.dumps(state)))
    assert gates.held(NOW) == {"base": ("system",)}
    assert gates.state == state
    gates.hold("system", DAY, "base", now=NOW)
    assert gates.state["base"]["system"]["level"] == 1
    assert gates.hold("db", None, "base", now=NOW) == 48 * HOUR
    assert gates.state["format"] == 7


def refused(gates: engine.Gating) -> None:
    with pytest.raises(engine.HoldError):
        gates.hold("other", 49 * HOUR, "base", "content", now=NOW, atomic=True)


@pytest.mark.parametrize(
    "drop",
    [
        lambda gates: gates.proceed("db"),
        lambda gates: gates.proceed("db", ["base", "meta"]),
        lambda gates: [gates.proceed(name) for name in ("format", "later", "other")],
        lambda gates: gates.proceed_now("db", updates("base", "meta"), NOW, in_progress=False),
        lambda gates: gates.prune(()),
        lambda gates: gates.reset("base", "meta"),
        lambda gates: [gates.forget(name) for name in ("base", "db", "meta", "format", "later")],
        refused,
    ],
    ids=["proceed", "proceed on some", "proceed of it", "proceed now", "prune", "reset", "forget", "atomic"],
)
def test_what_is_not_understood_is_never_dropped(drop: typing.Callable[[engine.Gating], object]) -> None:
    endless = {"first-held": "2025-05-10T10:00:00Z", "hold-until": None}
    strange = {"meta": {"format": 2, "db": "text"}, "base": {"later": {"first-held": 5}, "other": endless}}
    gates = gating(json.loads(json.dumps(strange)))
    gates.hold("db", None, "base", now=NOW)
    drop(gates)
    gates.proceed("db")
    assert gates.state == strange


def test_the_state_given_is_not_changed() -> None:
    state: dict[str, typing.Any] = {"base": {}}
    gating(state).hold("db", None, "base", now=NOW)
    assert state == {"base": {}}


def test_the_engine_stays_small() -> None:
    directory = pathlib.Path(engine.__file__).parent
    assert sum(len(path.read_text().splitlines()) for path in directory.rglob("*.py")) < 300
