"""Forming a new majority where the old one is lost for good. Pure.

Raft's members are counted by address. Where more than half of them never come back (machines that are lost, or
addresses that have all changed) nobody can change the membership any more, and no member may be the primary. The action
`force-majority` lets the units that are left agree on a new Raft cluster, through Juju, which needs no majority:

- Each unit gives up the old majority: it stops PostgreSQL, deletes Raft's state, and only then tells so (`Consent`).
- When all units have, the one with the latest transaction forms a Raft cluster of its own on its data. The others join.

Invariants:
- Nobody forms a new majority before every unit of the application has given up the old one: a unit that does not answer
  has to come back, or to be removed, first. So of the units no two primaries can come to be.
- A unit that is in a majority gives nothing up: it tells that there is one, and who has given up joins it.
- Where members are lost, acknowledged transactions may be: it goes on only where each of them was accepted to be lost.
- A generation is formed once: all units remember that it was, and so does the application.
- Only who was a member can form it, since only these are known to have given up what they could have formed.
"""

import collections.abc
import dataclasses
import json
import typing

from workload import write_ahead_log

KEY = "forced-majority"
UNKNOWN = "unknown"
"""Stands for lost members that nobody can name, since a former member does not know who there was."""
MAXIMUM_GENERATION = 1_000_000


@dataclasses.dataclass(frozen=True)
class Consent:
    """What a unit that has given up an old majority tells."""

    generation: int
    """Counts the forced majorities, from 1."""
    nodes: frozenset[str] = frozenset()
    """Its Raft node in the old cluster, and those that it was before it moved; none where it was no member."""
    members: frozenset[str] | None = None
    """The old cluster's members; None where neither Raft nor Patroni's configuration tells."""
    position: write_ahead_log.Position | None = None
    """Its last transaction; None where it has no data."""
    accepted: frozenset[str] = frozenset()
    """Lost members without which the operator goes on."""
    formed: bool = False
    """Whether there is a majority now: the new one, or after all the old one."""

    def dump(self) -> str:
        """As it is kept in the databag."""
        return json.dumps(
            {
                "generation": self.generation,
                "nodes": sorted(self.nodes),
                "members": None if self.members is None else sorted(self.members),
                "position": None if self.position is None else str(self.position),
                "accepted": sorted(self.accepted),
                "formed": self.formed,
            }
        )

    @classmethod
    def parse(cls, text: str | None) -> "Consent | None":
        """From the databag; None for what is absent or cannot be read. Unknown keys are ignored."""
        try:
            found = json.loads(text or "null")
            members, position = found["members"], found["position"]
            return cls(
                parse_generation(found["generation"]),
                frozenset(str(each) for each in found["nodes"]),
                None if members is None else frozenset(str(each) for each in members),
                None if position is None else write_ahead_log.Position.parse(position),
                frozenset(str(each) for each in found["accepted"]),
                found["formed"] is True,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


def parse_generation(value: typing.Any) -> int:
    """A generation as it is in a databag. Raises ValueError."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if type(value) is not int or not 1 <= value <= MAXIMUM_GENERATION:
        raise ValueError(f"{value!r} is no generation")
    return value


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What the units have told, by number; None for one that has not told anything."""

    consents: collections.abc.Mapping[int, Consent | None]
    recorded: int = 0
    """The last generation that the application knows to have been formed."""

    @property
    def generation(self) -> int:
        """The latest that anybody has told of; 0: none was ever forced."""
        return max([self.recorded, *(each.generation for each in self.consents.values() if each is not None)])

    @property
    def under_way(self) -> bool:
        """Whether a new majority is wanted that nobody has formed yet."""
        return self.generation > self.recorded and not any(each.formed for each in self._current.values())

    @property
    def is_formed(self) -> bool:
        """Whether the latest generation has been formed."""
        return self.generation > 0 and not self.under_way

    @property
    def awaited(self) -> frozenset[int]:
        """Units that have still to give up the old majority."""
        return frozenset(self.consents.keys() - self._current.keys()) if self.under_way else frozenset()

    @property
    def lost(self) -> frozenset[str]:
        """Members of the old cluster that are no unit any more; known once all units have given it up."""
        if self.awaited or not self.under_way:
            return frozenset()
        former = [each for each in self._current.values() if each.nodes]
        known = frozenset(node for each in former for node in each.members or ())
        unknown = {UNKNOWN} if any(each.members is None for each in former) else set()
        return (known - frozenset(node for each in former for node in each.nodes)) | unknown

    @property
    def needs_acceptance(self) -> bool:
        """Whether all have given up, but members are lost that were not accepted to be."""
        return bool(self.lost - frozenset(node for each in self._current.values() for node in each.accepted))

    @property
    def founder(self) -> int | None:
        """The unit that has to form the new majority now: with the latest transaction, of equal ones the lowest."""
        if not self.under_way or self.awaited or self.needs_acceptance:
            return None
        positions = {
            number: each.position for number, each in self._current.items() if each.position is not None and each.nodes
        }
        return max(positions, key=lambda number: (positions[number], -number), default=None)

    @property
    def _current(self) -> dict[int, Consent]:
        return {
            number: each
            for number, each in self.consents.items()
            if each is not None and each.generation == self.generation
        }
