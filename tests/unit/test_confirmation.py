"""Joining and leaving units confirm nothing: every short life of an application in a paused refresh."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import pytest

import confirmation

FIRST = 2
BEGUN = frozenset(range(FIRST + 1))
DEPTH = 4


def order(units: Iterable[int], old: Iterable[int] | None = None) -> confirmation.Order:
    return confirmation.Order("ch:x-2", 1.0, frozenset(units), None if old is None else frozenset(old))


AT_FIRST = order(BEGUN, BEGUN)


@dataclasses.dataclass(frozen=True)
class Life:
    """A refresh as far as pauses go. charm-refresh's own rule is spelt out here once more."""

    refreshed: dict[int, bool]
    orders: dict[int, confirmation.Order]
    pause: str
    confirmed: bool = False
    joined: int = FIRST + 1

    @property
    def following(self) -> int | None:
        return next((number for number in sorted(self.refreshed, reverse=True) if not self.refreshed[number]), None)

    def now(self) -> confirmation.Order:
        """What a unit would record that does so only now."""
        return order(self.refreshed, [number for number, refreshed in self.refreshed.items() if not refreshed])

    def waits(self) -> bool:
        """Whether the next unit waits for a confirmation, by charm-refresh's rule or by the charm's."""
        assert self.following is not None
        index = sorted(self.refreshed, reverse=True).index(self.following)
        if (self.pause == "all" and index > 0) or (self.pause == "first" and index == 1):
            return True
        own = self.orders.get(self.following, self.now())
        orders = [own, *(each for number, each in self.orders.items() if number in self.refreshed)]
        return confirmation.awaited(self.refreshed, orders, self.pause) == self.following

    def goes_on(self) -> Life:
        """What happens by itself. Fails where it must not."""
        if self.following is None or self.waits():
            return self
        is_first = self.following == FIRST and self.joined == FIRST + 1
        # Where all have gone who knew how it began, nobody can tell.
        unknown = not any(each == AT_FIRST for number, each in self.orders.items() if number in self.refreshed)
        assert is_first or unknown or (self.pause == "first" and self.confirmed), self
        return dataclasses.replace(self, refreshed=self.refreshed | {self.following: True})

    def is_confirmed(self) -> Life:
        if self.following is None or not self.waits():
            return self
        return dataclasses.replace(self, refreshed=self.refreshed | {self.following: True}, confirmed=True)

    def joins(self) -> Life:
        after = dataclasses.replace(self, refreshed=self.refreshed | {self.joined: True}, joined=self.joined + 1)
        return dataclasses.replace(after, orders=self.orders | {self.joined: after.now()})

    def leaves(self, number: int) -> Life:
        return dataclasses.replace(self, refreshed={key: at for key, at in self.refreshed.items() if key != number})

    def notes(self, number: int) -> Life:
        """A unit that was late notes who there is now."""
        if number not in self.refreshed:
            return self
        return dataclasses.replace(self, orders={number: self.now()} | self.orders)


def begun(pause: str, late: set[int]) -> Life:
    return Life(dict.fromkeys(BEGUN, False), dict.fromkeys(BEGUN - late, AT_FIRST), pause).goes_on()


@pytest.mark.parametrize("pause", ["all", "first"])
@pytest.mark.parametrize("late", [set(), {0}, {1}])
def test_whatever_happens_no_old_unit_refreshes_unconfirmed(pause: str, late: set[int]) -> None:
    events = [Life.joins, Life.is_confirmed]
    events += [lambda life, number=number: life.leaves(number) for number in range(FIRST + 3)]
    events += [lambda life, number=number: life.notes(number) for number in late]
    for sequence in itertools.product(events, repeat=DEPTH):
        life = begun(pause, late)
        for event in sequence:
            life = event(life).goes_on()


@pytest.mark.parametrize("pause", ["all", "first", "none"])
@pytest.mark.parametrize("count", range(1, 6))
def test_without_scaling_charm_refresh_s_own_pauses_are_enough(pause: str, count: int) -> None:
    units = frozenset(range(count))
    for done in range(count + 1):
        refreshed = {number: number >= count - done for number in units}
        assert confirmation.awaited(refreshed, [order(units, units)], pause) is None


@pytest.mark.parametrize(
    ("refreshed", "orders", "pause", "expected"),
    [
        # Unit 3 has joined.
        ({3: True, 2: True, 1: False, 0: False}, [{0, 1, 2}], "first", 1),
        ({3: True, 2: True, 1: True, 0: False}, [{0, 1, 2}], "first", None),
        # charm-refresh pauses by itself.
        ({3: True, 2: False, 1: False, 0: False}, [{0, 1, 2}], "first", None),
        ({3: True, 2: True, 1: False, 0: False}, [{0, 1, 2}], "all", None),
        ({3: True, 2: True, 1: False, 0: False}, [{0, 1, 2}], "none", None),
        # Unit 2 has left.
        ({1: False, 0: False}, [{0, 1, 2}], "first", 1),
        ({1: False, 0: False}, [{0, 1, 2}], "all", 1),
        ({1: False, 0: False}, [{0, 1, 2}], "none", None),
        # One unit was late and has noted the order without it.
        ({1: False, 0: False}, [{0, 1}, {0, 1, 2}], "first", 1),
        # A wrong option is "all" to charm-refresh.
        ({1: False, 0: False}, [{0, 1, 2}], "sometimes", 1),
        ({2: True, 1: False, 0: False}, [{0, 1, 2}], "sometimes", None),
        ({1: True, 0: True}, [{0, 1, 2}], "first", None),
        ({1: False}, [], "first", None),
    ],
)
def test_awaited(refreshed: dict[int, bool], orders: list[set[int]], pause: str, expected: int | None) -> None:
    for old in (None, range(3)):
        assert confirmation.awaited(refreshed, [order(units, old) for units in orders], pause) == expected


@pytest.mark.parametrize(
    ("refreshed", "units", "old", "expected"),
    [
        # Unit 3 was there when the new charm came, but got its snap only from that.
        ({4: True, 3: True, 2: False, 1: False, 0: False}, range(5), {4, 2, 1, 0}, 2),
        ({4: True, 3: True, 2: True, 1: False, 0: False}, range(5), {4, 2, 1, 0}, None),
        # Unit 3 is the highest, and got its snap so: charm-refresh has paused before unit 2 by itself.
        ({3: True, 2: True, 1: False, 0: False}, range(4), {2, 1, 0}, None),
        # Both of the highest got it so, and nobody has confirmed anything.
        ({3: True, 2: True, 1: False, 0: False}, range(4), {1, 0}, 1),
        # A way back with two units refreshed: charm-refresh pauses before unit 3 by itself.
        ({4: True, 3: False, 2: True, 1: True, 0: True}, range(5), {4, 3}, None),
        # A charm that has not recorded it yet.
        ({4: True, 3: True, 2: False, 1: False, 0: False}, range(5), None, None),
    ],
)
def test_a_unit_that_was_no_old_one_was_never_confirmed(
    refreshed: dict[int, bool], units: Iterable[int], old: Iterable[int] | None, expected: int | None
) -> None:
    assert confirmation.awaited(refreshed, [order(units, old)], "first") == expected


def test_an_order_is_read_back() -> None:
    order = confirmation.Order("ch:amd64/postgresql-machine-2", 1700000001.123, frozenset({0, 1, 10}))
    for old in (None, frozenset({0, 10}), frozenset[int]()):
        each = dataclasses.replace(order, old=old)
        assert confirmation.Order.parse(each.dump()) == each
        assert confirmation.Order.parse(each.dump().replace("{", '{"later": 1, ')) == each
    for text in (None, "", "{", "[]", "{}", '{"charm": "x", "time": "y", "units": []}', '{"charm": "x", "time": 1}'):
        assert confirmation.Order.parse(text) is None
    assert order.is_of_same_charm(dataclasses.replace(order, units=frozenset()))
    assert not order.is_of_same_charm(dataclasses.replace(order, time=1.0))
    assert not order.is_of_same_charm(dataclasses.replace(order, charm="ch:amd64/postgresql-machine-3"))
