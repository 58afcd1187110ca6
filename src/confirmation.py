"""Whose turn in a refresh needs a confirmation that charm-refresh would not ask for. Pure.

charm-refresh counts the units that there are now: by "first" it pauses before the second of them. So a unit that
joins, and is installed with the new snap, makes the one that waits the third; and where the only refreshed unit leaves,
the one that waits becomes the first. Both would refresh at once, though nobody has confirmed anything.

Here the units are counted that there were when the new charm came. Each unit records them then (`refresh-order` in its
databag). Where units have noted different ones, since one was late, each of these orders has to be satisfied.

Of a unit that was there but had no snap yet, or the new one already, nobody can tell that it was ever confirmed: it is
no old one.

Invariant: a unit that is not the first of its order refreshes only if charm-refresh pauses before it, if it is
confirmed itself, or if "first" is set and an old one between the first and it has been refreshed, which took a
confirmation.
"""

import collections.abc
import dataclasses
import json

ORDER_KEY = "refresh-order"


@dataclasses.dataclass(frozen=True)
class Order:
    """The units that there were when a new charm came to one of them."""

    charm: str
    """The charm's URL, which differs for each revision."""
    time: float
    """When its files were put in place, in seconds since the epoch: each refresh has a time of its own."""
    units: frozenset[int]
    old: frozenset[int] | None = None
    """Those of them whose snap was at another revision; None where that was not recorded, as by an older charm."""

    def is_of_same_charm(self, other: "Order") -> bool:
        """Whether both were recorded for the same refresh."""
        return (self.charm, self.time) == (other.charm, other.time)

    def dump(self) -> str:
        """As it is kept in the databag."""
        old = {} if self.old is None else {"old": sorted(self.old)}
        return json.dumps({"charm": self.charm, "time": self.time, "units": sorted(self.units), **old})

    @classmethod
    def parse(cls, text: str | None) -> "Order | None":
        """From the databag; None for what is absent or cannot be read. Unknown keys are ignored."""
        try:
            found = json.loads(text or "null")
            units = frozenset(int(each) for each in found["units"])
            old = frozenset(int(each) for each in found["old"]) if "old" in found else None
            return cls(str(found["charm"]), float(found["time"]), units, old)
        except (ValueError, KeyError, TypeError):
            return None


def awaited(
    refreshed: collections.abc.Mapping[int, bool], orders: collections.abc.Iterable[Order], pause: str
) -> int | None:
    """The unit whose turn it is and that must be confirmed, where charm-refresh itself would not wait; else None.

    refreshed: for each unit whether its snap is at the wanted revision. orders: all that were recorded for this charm.
    pause: the option pause-after-unit-refresh; charm-refresh takes a wrong value for "all".
    """
    following = next((number for number in sorted(refreshed, reverse=True) if not refreshed[number]), None)
    if following is None or pause == "none" or _pauses(sorted(refreshed, reverse=True).index(following), pause):
        return None
    return following if any(not _is_free(following, refreshed, order, pause) for order in orders) else None


def _pauses(index: int, pause: str) -> bool:
    """Whether charm-refresh pauses before the unit at that place of its order."""
    return index == 1 if pause == "first" else index > 0


def _is_free(number: int, refreshed: collections.abc.Mapping[int, bool], order: Order, pause: str) -> bool:
    units = sorted(order.units | {number}, reverse=True)
    old = order.units if order.old is None else order.old
    before = old.intersection(units[1 : max(units.index(number), 1)])
    return units[0] == number or (pause == "first" and any(refreshed.get(each, False) for each in before))
