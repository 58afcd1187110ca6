"""What this unit can tell of a refresh before charm-refresh gets the event: builds, orders, what was recorded.

Reads Juju's files and databags; what follows from them is decided in pure modules.
"""

import dataclasses
import functools
import pathlib
import time

import ops

import confirmation
import facts
import peers
import refresh
import refresh_facts
import refresh_history
import refresh_relation
import refusal
from workload import machine, snap

CHARM_FILE = pathlib.Path(".juju-charm")


@dataclasses.dataclass(frozen=True)
class Charm:
    """The charm's files on this unit."""

    url: str
    """As Juju names the charm."""
    time: float
    """When Juju put them in place, in seconds since the epoch: charm-refresh tells refreshes apart by it."""

    @classmethod
    def load(cls, file: pathlib.Path = CHARM_FILE) -> "Charm":
        """From what Juju writes beside the charm's files."""
        return cls(file.read_text().strip(), file.stat().st_mtime)


class Situation:
    """One hook's knowledge of the refresh."""

    def __init__(self, model: ops.Model, told: peers.Peers, workload: machine.Workload, versions: refresh.Versions):
        self._model = model
        self._told = told
        self._workload = workload
        self._charm = Charm.load()
        self.number = peers.unit_number(model.unit.name)
        self.build = versions.build(workload.architecture, self._charm.url)
        self.original = refresh_relation.original(model)
        """Read before charm-refresh gets the event, which may end the refresh and write anew."""

    @functools.cached_property
    def others(self) -> dict[int, refresh_facts.UnitState]:
        """What the other units tell, by number."""
        return refresh_relation.units(self._model)

    @property
    def states(self) -> dict[int, refresh_facts.UnitState]:
        """What all units tell, by number; of this one what it told before this hook, and its snap as it is now."""
        own = refresh_relation.own(self._model)
        return {
            **self.others,
            self.number: dataclasses.replace(own, snap_revision=self._installed(), url=self._charm.url),
        }

    @property
    def unaware(self) -> frozenset[int]:
        """Numbers of the units that have told that they run another charm than this one.

        Juju may have given a unit this one without telling it, after a hook that failed; also this unit.
        """
        told = {**self.others, self.number: refresh_relation.own(self._model)}
        return frozenset(number for number, state in told.items() if state.url not in (None, self._charm.url))

    @property
    def refreshed(self) -> frozenset[int]:
        """Numbers of the other units whose snap is at the revision that this charm pins."""
        return frozenset(
            number for number, state in self.others.items() if state.snap_revision == self.build.snap_revision
        )

    def _installed(self) -> str | None:
        try:
            return self._workload.snap.state().revision
        except snap.SnapOperationError:
            return None

    def refused(self) -> str | None:
        """Why this charm's code must not act, if the versions tell so (refusal.py)."""
        if self.original is None or self.original.charm == self.build.charm:
            return None
        if self._installed() != self.build.snap_revision:
            return None
        return refusal.reason(self.build, self.original, self.others, number=self.number, accepted=self._accepted())

    @property
    def is_rollback(self) -> bool:
        """Whether this charm is the one that the units ran before the refresh."""
        return refresh_facts.is_rollback(self.build, self.original)

    @property
    def rollback_seconds(self) -> float | None:
        """How long ago this charm came, where it is the one that the units ran before the refresh; else None."""
        return time.time() - self._charm.time if self.is_rollback else None

    def newly_accepted(self) -> bool:
        """Whether the operator has accepted this charm, and charm-refresh has not seen it since.

        It missed the hooks that told of it, while the charm was refused.
        """
        if self.original is None or self.original.charm == self.build.charm:
            return False
        told = refresh_relation.own(self._model)
        return self._charm.url in self._accepted() and told.url not in (None, self._charm.url)

    def _accepted(self) -> set[str | None]:
        own = self._told.unit_value(refusal.ACCEPTED_KEY)
        return {own, *self._told.others_values(refusal.ACCEPTED_KEY).values()}

    def awaited(self) -> int | None:
        """The unit that has to be confirmed though charm-refresh would not wait; it asks while a refresh goes on."""
        refreshed = {number: state.snap_revision == self.build.snap_revision for number, state in self.states.items()}
        now = confirmation.Order(self._charm.url, self._charm.time, frozenset(refreshed), self._old())
        recorded = confirmation.Order.parse(self._told.unit_value(confirmation.ORDER_KEY))
        own = recorded if recorded is not None and recorded.is_of_same_charm(now) else now
        found = map(confirmation.Order.parse, self._told.others_values(confirmation.ORDER_KEY).values())
        orders = [own, *(order for order in found if order is not None and order.charm == own.charm)]
        return confirmation.awaited(refreshed, orders, self.pause)

    def _old(self) -> frozenset[int]:
        """Numbers of the units whose snap is known to be at another revision than the one that this charm pins."""
        expected = {None, self.build.snap_revision}
        return frozenset(number for number, state in self.states.items() if state.snap_revision not in expected)

    @property
    def recorded_history(self) -> str | None:
        """The refreshes that there were (refresh_history.py)."""
        return self._told.application_value(refresh_history.KEY)

    @property
    def pause(self) -> str:
        """The option pause-after-unit-refresh as it is set."""
        return str(self._model.config["pause-after-unit-refresh"])

    def progress(self, running: refresh.Machines) -> facts.RefreshFacts:
        """Where the refresh stands. running: charm-refresh after it has got the event."""
        return facts.RefreshFacts(
            in_progress=running.in_progress,
            pinned_revision=running.pinned_snap_revision,
            next_unit_allowed=running.next_unit_allowed_to_refresh,
            build=self.build,
            charm_time=self._charm.time,
            original=self.original,
            order=confirmation.Order.parse(self._told.unit_value(confirmation.ORDER_KEY)),
            old=self._old() if running.in_progress else frozenset(),
            accepted=self._told.unit_value(refusal.ACCEPTED_KEY),
            history=refresh_history.parse(self.recorded_history),
            now=time.time(),
        )
