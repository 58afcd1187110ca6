"""Ways to break the charm, each a function that does it in memory; tests/model/mutations.py plays lives against them.

They run in the fork server, where the charm's modules can be imported, and before any hook does.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import typing


def _replace(target: object, name: str, replacement: object) -> None:
    """Put something else in the place of an attribute, which has to be there."""
    getattr(target, name)
    setattr(target, name, replacement)


def the_snap_is_refreshed_under_a_running_server() -> None:
    """`refresh_snap` does not stop PostgreSQL first."""
    import graceful_stop

    _replace(graceful_stop, "stop_gracefully", lambda *_: None)


def a_primary_is_stopped_without_a_hand_over() -> None:
    """`stop_gracefully` stops whatever runs."""
    import graceful_stop

    _replace(graceful_stop, "stop_gracefully", lambda workload, *_: workload.snap.stop())


def the_primary_is_not_handed_over_before_its_turn() -> None:
    """A refreshed unit allows the next one although that is the primary, so that the primary moves too often."""
    import planner
    import refresh

    _replace(planner, "next_unit_hand_over", lambda _: None)
    _replace(refresh, "first_unit_hands_over", lambda *_, **__: False)


def an_unhealthy_unit_allows_the_next_one() -> None:
    """Nobody is ever found unhealthy."""
    import problems

    _replace(problems, "unhealthy", lambda _: None)


def nothing_is_checked_before_a_refresh() -> None:
    """The checks before a refresh find nothing."""
    import refresh

    _replace(refresh, "precheck", lambda *_: [])


def every_version_is_compatible() -> None:
    """Each version counts as one that may follow."""
    import refresh

    _replace(refresh.MachinesRefresh, "is_compatible", classmethod(lambda *_, **__: True))


def pauses_are_left_out() -> None:
    """The refresh goes on by itself, whatever the operator has asked for."""
    import charm_refresh._main

    class Never:
        """Stands for the enumeration: whatever is asked for, there is no pause."""

        NONE, FIRST, ALL, UNKNOWN = charm_refresh._main._PauseAfter

        def __new__(cls, _: object) -> typing.Any:
            return cls.NONE

    _replace(charm_refresh._main, "_PauseAfter", Never)


def units_that_join_or_leave_confirm() -> None:
    """The charm's own rule about the order of the units is gone."""
    import confirmation

    _replace(confirmation, "awaited", lambda *_, **__: None)


def a_stopped_unit_is_not_started_again() -> None:
    """The plan has no step that starts Patroni on a unit that has been a member."""
    import planner
    from steps import Step

    plan = planner.plan

    def without_start(known: typing.Any) -> tuple[typing.Any, ...]:
        return tuple(step for step in plan(known) if step is not Step.START or not known.machine.has_raft_state)

    _replace(planner, "plan", without_start)


def a_unit_that_joins_knows_no_partners() -> None:
    """Patroni's configuration names no members, so that each unit founds a cluster of its own."""
    import member

    _replace(member, "partners", lambda *_: frozenset())


def statuses_of_the_refresh_are_not_shown() -> None:
    """What charm-refresh wants to say of the application is left out."""
    import charm_refresh

    _replace(charm_refresh.Machines, "app_status_higher_priority", property(lambda _: None))
    _replace(charm_refresh.Machines, "unit_status_higher_priority", property(lambda _: None))


def an_update_status_writes_a_databag() -> None:
    """Each update-status publishes something new."""
    import os

    import charm
    import leaving

    reconcile = charm.PostgresqlCharm._reconcile

    def writing(self: typing.Any, known: typing.Any) -> None:
        reconcile(self, known)
        if os.environ["JUJU_HOOK_NAME"] == "update-status":
            self.peers.publish("seen", str(leaving.time.monotonic()))

    _replace(charm.PostgresqlCharm, "_reconcile", writing)


def what_a_failed_snap_has_stopped_stays_stopped() -> None:
    """`refresh_snap` starts nothing again where the snap has kept its revision."""
    import graceful_stop
    import refresh

    def without_start(self: typing.Any, revision: str, library: typing.Any) -> None:
        known = self.observe()
        if known.machine.patroni_running:
            graceful_stop.stop_gracefully(self.workload, known, self._require_health_of_drained)
        self.workload.snap.refresh(revision)
        library.update_snap_revision()

    _replace(refresh.MachinesRefresh, "_refresh_snap", without_start)


def every_hook_writes_a_databag() -> None:
    """Each hook counts in a databag, up to fifty: it comes to an end, after too many writes."""
    import charm

    reconcile = charm.PostgresqlCharm._reconcile

    def counting(self: typing.Any, known: typing.Any) -> None:
        reconcile(self, known)
        count = int(self.peers.unit_value("count") or 0)
        self.peers.publish("count", str(min(count + 1, 50)))

    _replace(charm.PostgresqlCharm, "_reconcile", counting)


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One way to break the charm, and how it is to be noticed: it may be by no other rule."""

    breaks: collections.abc.Callable[[], None]
    expected: str
    """A regular expression of the rule that is broken by it."""

    @property
    def name(self) -> str:
        """How it is called."""
        return self.breaks.__name__


MUTATIONS = (
    Mutation(the_snap_is_refreshed_under_a_running_server, "the snap was refreshed while Patroni ran"),
    Mutation(a_primary_is_stopped_without_a_hand_over, "stopped while it was the primary of others"),
    Mutation(
        the_primary_is_not_handed_over_before_its_turn,
        r"handed over and stopped in one event|switchovers instead of",
    ),
    Mutation(
        an_unhealthy_unit_allows_the_next_one,
        r"stopped while .* (?:is stopped|does not serve)",
    ),
    Mutation(nothing_is_checked_before_a_refresh, r"the refresh began while .* (?:did not run|was)"),
    Mutation(every_version_is_compatible, r"-> \S+ without force"),
    Mutation(pauses_are_left_out, "without the operator's word"),
    Mutation(units_that_join_or_leave_confirm, "without the operator's word"),
    Mutation(
        a_stopped_unit_is_not_started_again,
        "was not started again|what the statuses ask for leads nowhere|stuck, and no status tells",
    ),
    Mutation(a_unit_that_joins_knows_no_partners, "a second cluster beside a running one"),
    Mutation(statuses_of_the_refresh_are_not_shown, "stuck, and no status tells"),
    Mutation(an_update_status_writes_a_databag, "an event changed something after all was quiet"),
    Mutation(every_hook_writes_a_databag, "databags were written more than"),
    Mutation(what_a_failed_snap_has_stopped_stays_stopped, "was not started again in the event"),
)
