"""The gating engine, whatever the order of calls."""

from __future__ import annotations

import contextlib
import datetime
import json
import typing

import hypothesis
from hypothesis import strategies

from gating import affected, engine

START = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
NAMES: tuple[str, ...] = ("db", "base", "content")
HOLDERS = ("db", "other", engine.SYSTEM)
ZERO = datetime.timedelta()
SECOND = datetime.timedelta(seconds=1)
DAY = datetime.timedelta(days=1)
SPANS = strategies.timedeltas(SECOND, 3 * DAY) | strategies.timedeltas(SECOND, 97 * DAY)
JUMPS = strategies.timedeltas(-3 * DAY, 3 * DAY) | strategies.timedeltas(-100 * DAY, 100 * DAY)
STRANGE: dict[str, typing.Any] = {
    "meta": {"format": 2},
    "base": {"db": {"first-held": "2025-01-01T00:00:00Z", "hold-until": None}, "later": "text"},
}

names = strategies.sampled_from(NAMES)
holders = strategies.sampled_from(HOLDERS)
lists = strategies.lists(names, unique=True)
# An entry without its times, or without an end where only the administrator may do so, is not understood.
entries = (
    strategies.integers()
    | strategies.text(max_size=3)
    | strategies.dictionaries(strategies.sampled_from(("first-held", "format")), strategies.text(max_size=3))
    | strategies.fixed_dictionaries({"first-held": strategies.just(START.isoformat()), "hold-until": strategies.none()})
)
unknown = strategies.dictionaries(
    strategies.sampled_from(("meta", "format", *NAMES)),
    strategies.none()
    | strategies.text(max_size=3)
    | strategies.dictionaries(strategies.sampled_from(("db", "other", "format")), entries),
)

Call = tuple[typing.Any, ...]
holds = strategies.tuples(strategies.just("hold"), holders, strategies.none() | SPANS, lists, strategies.booleans())
waits = strategies.tuples(strategies.just("wait"), SPANS)
# Most calls end holds: those that make them and let time pass are there twice.
calls = strategies.one_of(
    *(holds, holds, waits, waits),
    strategies.tuples(strategies.just("jump"), JUMPS),
    strategies.tuples(strategies.just("refreshed"), names),
    strategies.tuples(strategies.just("proceed"), holders, strategies.none() | lists),
    strategies.tuples(strategies.just("proceed_now"), holders, lists, strategies.booleans()),
    strategies.tuples(strategies.just("prune"), lists),
    strategies.tuples(strategies.just("reset"), lists),
    strategies.tuples(strategies.just("forget"), names),
)
HOLD: list[Call] = [("hold", "db", None, ["base"], False)]


class Machine:
    """Plays calls on a gating, which is stored and loaded between any two of them."""

    def __init__(self, state: dict[str, typing.Any]):
        self.now = START
        # How long each holder has held each snap without a break and while the clock ran on, by real time.
        self.lasting: dict[tuple[str, str], datetime.timedelta] = {}
        self.refreshed = {"db": START - 60 * DAY, "base": START, "content": START - 88 * DAY}
        self.gating = engine.Gating(self.refreshed, state)

    def play(self, call: Call) -> None:
        """One call; errors of the engine are answers too."""
        with contextlib.suppress(engine.GatingError):
            getattr(self, f"_{call[0]}")(*call[1:])
        stored = json.loads(json.dumps(self.gating.state))
        loaded = engine.Gating(self.refreshed, stored)
        assert loaded.state == stored == self.gating.state
        assert loaded.held(self.now) == self.gating.held(self.now)
        self.gating = loaded
        self._lasts()

    def _lasts(self, passed: datetime.timedelta = ZERO) -> None:
        in_force = {(held, holder) for held, found in self.gating.held(self.now).items() for holder in found}
        self.lasting = {each: self.lasting[each] + passed if each in self.lasting else ZERO for each in in_force}

    def _wait(self, span: datetime.timedelta) -> None:
        # What is in force changes as a hold begins or has ended, and nowhere in between.
        end = self.now + span
        times = {time for name in NAMES for hold in self.gating.holders(name).values() for time in hold if time < end}
        changes = {change for time in times for change in (time, time + SECOND) if self.now < change < end}
        for change in sorted({*changes, end}):
            passed, self.now = change - self.now, change
            self._lasts(passed)
            self.check()

    def _jump(self, span: datetime.timedelta) -> None:
        self.now += span
        self.lasting = {}

    def check(self) -> None:
        """No snap is held beyond the limits."""
        for (held, holder), lasting in self.lasting.items():
            if holder != engine.SYSTEM:
                assert lasting <= (engine.MAXIMUM_SELF_HOLD if holder == held else engine.MAXIMUM_OTHER_HOLD)
                assert self.now <= self.refreshed[held] + 90 * DAY

    def _refreshed(self, name: str) -> None:
        self.gating.reset(name)
        self.refreshed[name] = self.now

    def _hold(self, holder: str, duration: datetime.timedelta | None, affecting: list[str], atomic: bool) -> None:
        before = {name: holds[holder] for name in affecting if holder in (holds := self.gating.holders(name))}
        try:
            left = self.gating.hold(holder, duration, *affecting, now=self.now, atomic=atomic)
        except engine.HoldError:
            if atomic:
                assert not any(holder in self.gating.holders(name) for name in affecting)
            raise
        assert left > datetime.timedelta() or not affecting
        for name in affecting:
            hold = self.gating.holders(name)[holder]
            assert hold.first_held == min(before[name].first_held if name in before else self.now, self.now)
            overdue = self.now - self.refreshed[name] > 95 * DAY
            assert holder in self.gating.held(self.now).get(name, ()) or overdue

    def _proceed(self, holder: str, only: list[str] | None) -> None:
        self.gating.proceed(holder, only)
        assert not any(holder in self.gating.holders(name) for name in (NAMES if only is None else only))

    def _proceed_now(self, holder: str, updates: list[str], in_progress: bool) -> None:
        candidates = {name: affected.Candidate(name, "2") for name in updates}
        found = self.gating.proceed_now(holder, candidates, self.now, in_progress)
        assert set(found) <= set(updates)
        assert not in_progress

    def _prune(self, updates: list[str]) -> None:
        self.gating.prune(updates)
        gone = [name for name in NAMES if name not in updates]
        assert not any(self.gating.holders(name).keys() - {engine.SYSTEM} for name in gone)

    def _reset(self, about: list[str]) -> None:
        self.gating.reset(*about)

    def _forget(self, name: str) -> None:
        self.gating.forget(name)
        assert not self.gating.holders(name)


@hypothesis.given(unknown, strategies.lists(calls, min_size=10, max_size=25))
@hypothesis.example({}, [("jump", 60 * DAY), *HOLD, ("jump", -60 * DAY), *HOLD, ("wait", 63 * DAY)])
@hypothesis.example({}, [("jump", 60 * DAY), *HOLD, ("jump", -60 * DAY), ("wait", DAY), *HOLD, ("wait", 63 * DAY)])
@hypothesis.settings(deadline=None, max_examples=200)
def test_nothing_is_held_beyond_the_limits_whatever_the_order_of_calls(
    state: dict[str, typing.Any], played: list[Call]
) -> None:
    machine = Machine(state)
    for call in played:
        machine.play(call)
        machine.check()
        for held in NAMES:
            for holder, hold in machine.gating.holders(held).items():
                if holder == engine.SYSTEM:
                    continue
                allowed = engine.MAXIMUM_SELF_HOLD if holder == held else engine.MAXIMUM_OTHER_HOLD
                assert hold.until <= hold.first_held + allowed
                assert hold.until <= machine.refreshed[held] + 90 * DAY
        overdue = [name for name in NAMES if machine.now - machine.refreshed[name] > 95 * DAY]
        in_force = machine.gating.held(machine.now)
        assert all(set(in_force.get(name, ())) <= {engine.SYSTEM} for name in overdue)
        going, skipped = machine.gating.to_refresh(NAMES, machine.now)
        assert sorted(going + skipped) == sorted(NAMES)
        assert skipped == sorted(in_force)


@hypothesis.given(unknown, strategies.lists(calls, max_size=10))
@hypothesis.example(STRANGE, [("proceed", "db", None)])
@hypothesis.example(STRANGE, [("prune", [])])
@hypothesis.example(STRANGE, [("reset", ["base"])])
@hypothesis.example(STRANGE, [("forget", "base")])
@hypothesis.settings(deadline=None, max_examples=200)
def test_unknown_keys_change_nothing(state: dict[str, typing.Any], played: list[Call]) -> None:
    strange, plain = Machine(state), Machine({})
    for call in played:
        strange.play(call)
        plain.play(call)
        assert {name: strange.gating.holders(name) for name in NAMES} == {
            name: plain.gating.holders(name) for name in NAMES
        }
        # Only a hold by the very holder takes the place of what is not understood.
        held = {(name, each[1]) for each in played if each[0] == "hold" for name in each[3]}
        for name, value in state.items():
            if not isinstance(value, dict):
                assert any(name == each for each, _ in held) or strange.gating.state[name] == value
                continue
            for holder, entry in value.items():
                assert (name, holder) in held or strange.gating.state[name][holder] == entry
