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
SPANS = strategies.timedeltas(datetime.timedelta(seconds=1), datetime.timedelta(days=97))

names = strategies.sampled_from(NAMES)
holders = strategies.sampled_from(HOLDERS)
lists = strategies.lists(names, unique=True)
unknown = strategies.dictionaries(
    strategies.sampled_from(("format", "later", "db", "base")),
    strategies.none() | strategies.text(max_size=3) | strategies.dictionaries(holders, strategies.integers()),
)

Call = tuple[typing.Any, ...]
calls = strategies.one_of(
    strategies.tuples(strategies.just("wait"), SPANS),
    strategies.tuples(strategies.just("refreshed"), names),
    strategies.tuples(strategies.just("hold"), holders, strategies.none() | SPANS, lists, strategies.booleans()),
    strategies.tuples(strategies.just("proceed"), holders, strategies.none() | lists),
    strategies.tuples(strategies.just("proceed_now"), holders, lists, strategies.booleans()),
    strategies.tuples(strategies.just("prune"), lists),
    strategies.tuples(strategies.just("reset"), lists),
    strategies.tuples(strategies.just("forget"), names),
)


class Machine:
    """Plays calls on a gating, which is stored and loaded between any two of them."""

    def __init__(self, state: dict[str, typing.Any]):
        self.now = START
        self.refreshed = dict.fromkeys(NAMES, START - datetime.timedelta(days=60))
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

    def _wait(self, span: datetime.timedelta) -> None:
        self.now += span

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
            assert hold.first_held == (before[name].first_held if name in before else self.now)

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


@hypothesis.given(unknown, strategies.lists(calls, max_size=25))
@hypothesis.settings(deadline=None, max_examples=60)
def test_nothing_is_held_beyond_the_limits_whatever_the_order_of_calls(
    state: dict[str, typing.Any], played: list[Call]
) -> None:
    machine = Machine(state)
    for call in played:
        machine.play(call)
        for held in NAMES:
            for holder, hold in machine.gating.holders(held).items():
                if holder == engine.SYSTEM:
                    continue
                allowed = engine.MAXIMUM_SELF_HOLD if holder == held else engine.MAXIMUM_OTHER_HOLD
                assert hold.until <= hold.first_held + allowed
                assert hold.until <= machine.refreshed[held] + datetime.timedelta(days=90)
                assert hold.first_held <= machine.now
        overdue = [name for name in NAMES if machine.now - machine.refreshed[name] > datetime.timedelta(days=95)]
        in_force = machine.gating.held(machine.now)
        assert all(set(in_force.get(name, ())) <= {engine.SYSTEM} for name in overdue)
        going, skipped = machine.gating.to_refresh(NAMES, machine.now)
        assert sorted(going + skipped) == sorted(NAMES)
        assert skipped == sorted(in_force)


@hypothesis.given(unknown, strategies.lists(calls, max_size=10))
@hypothesis.settings(deadline=None, max_examples=60)
def test_unknown_keys_change_nothing(state: dict[str, typing.Any], played: list[Call]) -> None:
    strange, plain = Machine(state), Machine({})
    for call in played:
        strange.play(call)
        plain.play(call)
        assert {name: strange.gating.holders(name) for name in NAMES} == {
            name: plain.gating.holders(name) for name in NAMES
        }
    kept = {name for name, value in state.items() if not isinstance(value, dict)} - set(NAMES)
    assert all(strange.gating.state[name] == state[name] for name in kept)
