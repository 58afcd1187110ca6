"""Forming a new majority where the old one is lost for good. Pure.

Raft's members are counted by address. Where more than half of them never come back (machines that are lost, or
addresses that have all changed) nobody can change the membership any more, and no member may be the primary. The action
`force-majority` lets the units that are left agree on a new Raft cluster, through Juju, which needs no majority:

- Each unit gives up the old majority: it stops PostgreSQL, deletes Raft's state, and only then tells so (`Consent`).
- When all units have, the one with the latest transaction forms a Raft cluster of its own on its data. The others join.

Invariants:
- Nobody forms a new majority before every unit of the application has given up the old one: a unit that does not answer
  has to come back, or to be removed, first. So of the units no two primaries can come to be.
- Where a member is lost, transactions may be, that were acknowledged: only an explicit acceptance goes on then.
- A generation is formed once.
"""

import collections.abc
import dataclasses
import json

from workload import write_ahead_log

KEY = "forced-majority"


@dataclasses.dataclass(frozen=True)
class Consent:
    """What a unit that has given up an old majority tells."""

    generation: int
    """Counts the forced majorities, from 1."""
    node: str | None = None
    """Its Raft node in the old cluster; None where it was no member."""
    members: frozenset[str] = frozenset()
    """The old cluster's members, as far as it knew them."""
    position: write_ahead_log.Position | None = None
    """Its last transaction; None where it has no data."""
    accepts_loss: bool = False
    """Whether the operator has accepted that transactions of lost members are lost."""
    joined: bool = False
    """Whether it belongs to the new majority: it has formed it, or joined it since."""

    def dump(self) -> str:
        """As it is kept in the databag."""
        return json.dumps(
            {
                "generation": self.generation,
                "node": self.node,
                "members": sorted(self.members),
                "position": None if self.position is None else str(self.position),
                "accepts-loss": self.accepts_loss,
                "joined": self.joined,
            }
        )

    @classmethod
    def parse(cls, text: str | None) -> "Consent | None":
        """From the databag; None for what is absent or cannot be read. Unknown keys are ignored."""
        try:
            found = json.loads(text or "null")
            position = found["position"]
            return cls(
                int(found["generation"]),
                None if found["node"] is None else str(found["node"]),
                frozenset(str(each) for each in found["members"]),
                None if position is None else write_ahead_log.Position.parse(position),
                found["accepts-loss"] is True,
                found["joined"] is True,
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What the units have told, by number; None for one that has not told anything."""

    consents: collections.abc.Mapping[int, Consent | None]

    @property
    def generation(self) -> int:
        """The latest that any unit has told of; 0: none was ever forced."""
        return max((each.generation for each in self.consents.values() if each is not None), default=0)

    def has_given_up(self, number: int) -> bool:
        """Whether that unit has given up what was before the latest generation."""
        consent = self.consents.get(number)
        return self.generation == 0 or (consent is not None and consent.generation == self.generation)

    @property
    def awaited(self) -> frozenset[int]:
        """Units that have still to give up the old majority."""
        return frozenset(number for number in self.consents if not self.has_given_up(number))

    @property
    def under_way(self) -> bool:
        """Whether a new majority is wanted that nobody has formed yet."""
        return self.generation > 0 and not any(each.joined for each in self._current.values())

    @property
    def lost(self) -> frozenset[str]:
        """Members of the old cluster that are no unit any more; known once all units have given it up."""
        if self.awaited:
            return frozenset()
        known = frozenset(node for each in self._current.values() for node in each.members)
        return known - {each.node for each in self._current.values()}

    @property
    def needs_acceptance(self) -> bool:
        """Whether all have given up, but what the lost members had was not accepted to be lost."""
        accepted = any(each.accepts_loss for each in self._current.values())
        return self.under_way and not self.awaited and bool(self.lost) and not accepted

    @property
    def founder(self) -> int | None:
        """The unit that has to form the new majority now: with the latest transaction, of equal ones the lowest."""
        if not self.under_way or self.awaited or self.needs_acceptance:
            return None
        positions = {number: each.position for number, each in self._current.items() if each.position is not None}
        return max(positions, key=lambda number: (positions[number], -number), default=None)

    @property
    def _current(self) -> dict[int, Consent]:
        return {
            number: each
            for number, each in self.consents.items()
            if each is not None and each.generation == self.generation
        }
