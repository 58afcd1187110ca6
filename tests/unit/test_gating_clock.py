"""The gating engine where the clock was ahead, and has gone back."""

from __future__ import annotations

import pytest

from gating import engine
from tests.unit.test_gating import DAY, HOUR, NOW, gating, updates


def test_a_first_hold_in_the_future_gains_nothing() -> None:
    later = (NOW + 100 * DAY).isoformat()
    gates = gating({"base": {"db": {"first-held": later, "hold-until": later}}})
    assert gates.left("db", "base", NOW) == 48 * HOUR


def test_a_hold_made_while_the_clock_was_ahead_does_not_outlast_the_48_hours() -> None:
    ahead = NOW + 60 * DAY
    gates = gating()
    gates.hold("db", None, "base", now=ahead)
    assert gates.held(NOW) == {}, "it has not begun"
    assert gates.hold("db", None, "base", now=NOW) == 48 * HOUR
    assert gates.holders("base") == {"db": engine.Hold(NOW, NOW + 48 * HOUR)}
    assert gates.held(NOW) == gates.held(NOW + 48 * HOUR) == {"base": ("db",)}
    with pytest.raises(engine.HoldError, match="anymore"):
        gates.hold("db", None, "base", now=NOW + 48 * HOUR)
    assert gates.held(NOW + 49 * HOUR) == gates.held(ahead) == {}


def test_a_hold_made_while_the_clock_was_ahead_is_in_force_from_then_for_its_time() -> None:
    ahead = NOW + 60 * DAY
    gates = gating()
    gates.hold("db", None, "base", now=ahead)
    assert gates.held(ahead - HOUR) == {}
    assert gates.held(ahead) == gates.held(ahead + 48 * HOUR) == {"base": ("db",)}
    assert gates.held(ahead + 49 * HOUR) == {}


def test_the_clock_going_back_does_not_lift_the_hold_of_the_administrator() -> None:
    gates = gating()
    gates.hold(engine.SYSTEM, None, "base", now=NOW + 60 * DAY)
    gates.hold(engine.SYSTEM, 100 * DAY, "content", now=NOW + 60 * DAY)
    assert gates.held(NOW) == {"base": ("system",), "content": ("system",)}


def test_proceed_now_after_the_clock_went_back() -> None:
    ahead = NOW + 60 * DAY
    gates = gating()
    gates.hold("db", None, "base", "content", "other", now=ahead)
    gates.hold("other", None, "base", now=ahead)
    gates.hold(engine.SYSTEM, None, "content", now=ahead)
    gates.hold("content", None, "other", now=NOW)
    # Of the others, only the hold that has begun and the administrator's stand in the way.
    assert gates.proceed_now("db", updates("base", "content", "other"), NOW, in_progress=False) == ["base"]
    assert gates.held(NOW) == {"content": ("system",), "other": ("content",)}
    assert "base" not in gates.state
