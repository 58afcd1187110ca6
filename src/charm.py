#!/usr/bin/env python3
"""The charm: builds the parts, sends every event to one reconcile, and sets the statuses in one place."""

import gc

if __name__ == "__main__":
    # What is imported stays, and the collector would go through it again and again: a fifth of the time of imports.
    gc.disable()

    # The first: hook tools and snapd answer while the rest is imported.
    import prefetch

    prefetch.begin()
    import pathlib

    from workload import snap

    snap.ask_ahead(pathlib.Path(__file__).parents[1])

import contextlib
import dataclasses
import logging
import os
import pathlib
import time
import typing

# Before charm-refresh: spares its import what machines do not need.
import charm_refresh_imports  # noqa: F401  # isort: skip

import charm_refresh
import ops

import execution
import facts
import hook_tool_cache
import membership
import observation
import peers
import planner
import refresh
import refresh_gate
import refresh_relation
import refresh_situation
import statuses
import steps
import verified
from snap_refresh import execution as snap_execution
from snap_refresh import observation as snap_observation
from workload import machine, paths, service, snap, watch

logger = logging.getLogger(__name__)

RETRY_SECONDS = 30.0

ROUTINE = frozenset(
    {
        "update-status",
        "cluster_changed",
        f"{peers.RELATION}-relation-changed",
        f"{refresh_relation.RELATION}-relation-changed",
    }
)
"""Hooks that nobody has asked for: they take for in order what was so, while it depends on the same (verified.py)."""

NEED_SNAPD = frozenset(
    f"{name}_action"
    for name in ("pre_refresh_check", "force_refresh_start", "resume_refresh", "switchover", "force_majority")
)
"""Actions that do nothing while snapd is silent: whether a refresh is under way is not known then."""


class LeaveError(Exception):
    """The unit could not leave in an event after which nobody would try again."""


class ClusterChangedEvent(ops.EventBase):
    """The observer has seen the cluster change."""


class PostgresqlEvents(ops.CharmEvents):
    """Juju's events, and the observer's."""

    cluster_changed = ops.EventSource(ClusterChangedEvent)


class PostgresqlCharm(ops.CharmBase):
    """Runs one unit of a PostgreSQL cluster."""

    on: typing.ClassVar[PostgresqlEvents] = PostgresqlEvents()

    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.workload = machine.Workload()
        self.peers = peers.Peers(self.model, new_secrets=_dispatched("secret-changed"))
        self.versions = refresh.Versions.load()
        self.situation = refresh_situation.Situation(self.model, self.peers, self.workload, self.versions)
        self._verified = verified.load(self.charm_dir)
        self._refused: str | None = None
        self._note: str | None = None
        self._tearing_down = False
        self._silence: str | None = None
        """Why charm-refresh has not seen this event: snapd's silence, in words."""
        self._callbacks: refresh.MachinesRefresh | None = None
        self.refresh: refresh.Machines | None = None
        self.refresh = self._start_refresh()
        for event in self._hooks():
            framework.observe(event, self._on_hook)
        for event in (
            self.on.get_primary_action,
            self.on.get_cluster_status_action,
            self.on.switchover_action,
            self.on.force_majority_action,
            self.on.pre_refresh_check_action,
            self.on.force_refresh_start_action,
            self.on.resume_refresh_action,
            self.on.get_refresh_status_action,
            self.on.run_snap_refresh_action,
            self.on.get_snap_refresh_status_action,
        ):
            framework.observe(event, self._on_action)

    def _hooks(self) -> list[ops.BoundEvent]:
        on = self.on
        lifecycle = [on.install, on.start, on.config_changed, on.update_status, on.leader_elected, on.upgrade_charm]
        lifecycle += [on.stop, on.remove, on.secret_changed, on.cluster_changed]
        relations = [on[name] for name in (peers.RELATION, refresh_relation.RELATION)]
        for relation in relations:
            lifecycle += [relation.relation_created, relation.relation_joined, relation.relation_changed]
            lifecycle += [relation.relation_departed]
        for name in observation.STORAGES:
            lifecycle += [on[name].storage_attached, on[name].storage_detaching]
        return lifecycle

    def _start_refresh(self) -> refresh.Machines | None:
        """Give charm-refresh the event. It may refresh the snap here.

        Afterwards the workload is looked after as in any event.
        """
        if self.workload.architecture not in self.versions.snap_revisions:
            # charm-refresh would crash; the status tells it.
            return None
        self._refused = self.situation.refused()
        if self._refused is not None:
            return None
        if self._hands_over_first():
            self._note = "Handing the primary over before this unit refreshes"
            return None
        self._callbacks = refresh.MachinesRefresh(
            workload_name="PostgreSQL",
            charm_name="postgresql-machine",
            workload=self.workload,
            observe=lambda: self._observe(None),
            number=self.situation.number,
            awaited=self.situation.awaited,
            rollback_seconds=self.situation.rollback_seconds,
        )
        try:
            with refresh.told_of_new_charm() if self.situation.newly_accepted() else contextlib.nullcontext():
                running = refresh.Machines(self._callbacks)
            if self._callbacks.waits_for is not None:
                self._note = (
                    f"Refresh waits: {refresh_gate.shortened(self._callbacks.waits_for)}; see get-refresh-status"
                )
            return running
        except charm_refresh.PeerRelationNotReady:
            return None
        except charm_refresh.UnitTearingDown:
            self._tearing_down = True
            return None
        except snap.SnapdUnreachableError as error:
            # What charm-refresh must not miss fails, so that Juju repeats it.
            if not _may_be_missed():
                raise
            logger.warning("charm-refresh has not seen this event: %s", error)
            self._silence = str(error)
            return None

    def _hands_over_first(self) -> bool:
        # Only in the event that brings new charm code: Juju runs config-changed right after it, in which the refresh
        # goes on.
        original, build = self.situation.original, self.situation.build
        if original is None or not _dispatched("upgrade-charm"):
            return False
        return refresh.first_unit_hands_over(self.workload, self._observe(None), build, original)

    def _observe(self, event: ops.EventBase | None) -> facts.Facts:
        progress = None if self.refresh is None else self.situation.progress(self.refresh)
        unit = observation.Unit(
            model=self.model,
            ready=progress is not None,
            leaving=self._tearing_down
            or isinstance(event, ops.StorageDetachingEvent | ops.StopEvent | ops.RemoveEvent),
            refresh=progress,
            refused=self._refused,
            refreshed=self.situation.refreshed,
            planned=_planned_units,
            architectures=frozenset(self.versions.snap_revisions),
            remembered=self._verified if self._is_routine() else None,
        )
        return observation.observe(unit, self.peers, self.workload)

    def _is_routine(self) -> bool:
        """Whether this event may take for in order what was found so, and that is recent enough."""
        return any(map(_dispatched, ROUTINE)) and self._verified.counts(time.time())

    def _on_hook(self, event: ops.EventBase) -> None:
        self._reconcile(self._observe(event))

    def _on_action(self, event: ops.ActionEvent) -> None:
        # Each hook would pay for the imports of what only actions need.
        import actions
        import refresh_actions

        known = self._observe(event)
        match event.handle.kind:
            case kind if self._silence is not None and kind in NEED_SNAPD:
                event.fail(f"{self._silence}; see `systemctl status snapd`, then run this action again")
            case "get_primary_action":
                actions.get_primary(event, known)
            case "get_cluster_status_action":
                actions.get_cluster_status(event, known, self._snap_revisions(known))
            case "switchover_action":
                actions.perform_switchover(event, known, self.workload)
                known = self._observe(event)
            case "force_majority_action":
                import majority_action

                if majority_action.force_majority(event, known, self.workload, self.peers):
                    # What it has told must be committed before anything else can fail. The observer brings an event.
                    return
                known = self._observe(event)
            case "get_refresh_status_action":
                seen = refresh_actions.look(known, self.workload, self.situation, _planned_units()[1])
                refresh_actions.get_refresh_status(event, known, seen)
            case "get_snap_refresh_status_action" | "run_snap_refresh_action":
                from snap_refresh import actions as snap_actions

                known = self._with_snaps(known, fresh=True)
                now_known = snap_actions.act(event, known, self.workload, self.charm_dir)
                known = dataclasses.replace(known, snap_refresh=now_known)
            case _:
                known = self._on_refresh_action(event, known)
        # An action of charm-refresh may have stopped the workload: it is started here as in any event.
        self._reconcile(known)

    def _on_refresh_action(self, event: ops.ActionEvent, known: facts.Facts) -> facts.Facts:
        """What charm-refresh, which has had the action already, leaves to the charm; the facts as they are then."""
        import refresh_actions

        if known.refused is not None:
            refresh_actions.answer_refused(event, known, self.peers, self.situation.build)
        elif self._callbacks is None or (self.refresh is None and not self._tearing_down):
            # charm-refresh was not asked (an architecture without a snap), or this unit has not met the others yet:
            # nobody else answers.
            event.fail("This unit cannot act now; see its status")
        if self.refresh is None or self._callbacks is None:
            return known
        if self.refresh.held and event.handle.kind == "resume_refresh_action":
            refresh_actions.resume_held(event, known, self._callbacks, self.refresh)
            known = self._observe(event)
        elif self.refresh.held and self._callbacks.forced:
            refresh_actions.answer_started(event, known)
        if self._callbacks.waits_for is not None and event.handle.kind == "resume_refresh_action":
            refresh_actions.answer_waiting(event, known, self._callbacks.waits_for)
        elif event.handle.kind == "resume_refresh_action" and refresh_actions.was_refused(known):
            seen = refresh_actions.look(known, self.workload, self.situation, _planned_units()[1])
            refresh_actions.tell_next(event, known, seen)
        if self._callbacks.ready and event.handle.kind == "pre_refresh_check_action":
            refresh_actions.answer_ready(event, known, self.situation.build)
        if self._callbacks.failure is not None:
            event.log(self._callbacks.failure)
        return known

    def _snap_revisions(self, known: facts.Facts) -> dict[int, str | None]:
        revisions = {number: state.snap_revision for number, state in self.situation.others.items()}
        revisions[known.number] = known.machine.snap.revision if known.machine.snap else None
        return revisions

    def _with_snaps(self, known: facts.Facts, fresh: bool = False) -> facts.Facts:
        """What is known of the machine's snaps too. fresh: ask the store now."""
        seen = snap_observation.observe(known, self.workload, self.peers, self.charm_dir, fresh)
        return dataclasses.replace(known, snap_refresh=seen)

    def _reconcile(self, known: facts.Facts) -> None:
        if known.snap_refresh is None:
            known = self._with_snaps(known)
        remembered = self._verified.updated(known, time.time())
        if remembered != self._verified:
            verified.save(self.charm_dir, remembered)
        planned = planner.plan(known)
        snaps = snap_execution.Executor(known, self.workload, self.charm_dir)
        executor = execution.Executor(known, self.workload, self.peers, self._allow_next_unit, snaps)
        failure = executor.run(planned)
        if failure is not None and known.leaving and _is_last():
            # Juju repeats it: the unit, or its storage, must not go while its PostgreSQL runs on.
            raise LeaveError(failure)
        known = self._afterwards(known, planned, failure)
        status = self._report(known, failure)
        try:
            self._watch(known, settled=self._is_settled(known, status))
        except service.ServiceError as error:
            logger.warning("Nobody watches the cluster beside the charm: %s", error)
            self._report(known, failure or str(error))

    def _afterwards(self, known: facts.Facts, planned: tuple[steps.AnyStep, ...], failure: str | None) -> facts.Facts:
        """The facts after the steps: the statuses tell what is, not what was before, as maybe no event follows.

        To look again takes as long as the rest of the hook. The next unit waits for the end of this one's, and nothing
        but that it may go on has changed where nothing else was done.
        """
        done = set(planned) - planner.STANDING
        if done == {steps.Step.ALLOW_NEXT_UNIT} and known.refresh is not None and failure is None:
            return dataclasses.replace(known, refresh=dataclasses.replace(known.refresh, next_unit_allowed=True))
        if not done or known.leaving:
            return known
        return self._with_snaps(self._observe(None))

    def _is_settled(self, known: facts.Facts, status: statuses.Status) -> bool:
        """Whether all is well, as long as the cluster does not change. Checks may pass where nothing in it does."""
        unready = self._callbacks is not None and self._callbacks.unready
        return status.level is statuses.Level.ACTIVE and membership.is_exact(known) and not unready

    def _allow_next_unit(self) -> None:
        if self.refresh is not None:
            self.refresh.next_unit_allowed_to_refresh = True

    def _watch(self, known: facts.Facts, settled: bool) -> None:
        observer = watch.Watch(known.unit_name, pathlib.Path(self.charm_dir), self.workload.paths.systemd_units)
        if known.leaving:
            observer.remove()
        elif known.ready or known.machine.snap is None:
            addresses = sorted(known.peer_addresses)
            if known.machine.address is not None:
                addresses.insert(0, known.machine.address)
            endpoints = [f"http://{address}:{paths.PATRONI_PORT}" for address in addresses]
            observer.ensure(endpoints, None if settled else RETRY_SECONDS)

    def _report(self, known: facts.Facts, failure: str | None) -> statuses.Status:
        """Set both statuses. Order.

        Charm-refresh's that matter more, the charm's own, charm-refresh's that matter less, all is well.
        """
        own = statuses.unit(known, failure)
        if self._note is not None and own.level is not statuses.Level.BLOCKED:
            own = statuses.Status(statuses.Level.MAINTENANCE, self._note)
        unit = self.refresh.unit_status_higher_priority if self.refresh else None
        if unit is None and self.refresh is not None and own.level is statuses.Level.ACTIVE:
            unit = self.refresh.unit_status_lower_priority(workload_is_running=known.machine.patroni_running)
        self.unit.status = unit or _ops_status(own)
        # Without snapd nobody knows whether a refresh is under way: what the application has told stands.
        if self.unit.is_leader() and self._silence is None:
            application = self.refresh.app_status_higher_priority if self.refresh else None
            self.app.status = application or _ops_status(statuses.application(known))
        return own


def _dispatched(hook: str) -> bool:
    return os.environ.get("JUJU_DISPATCH_PATH") == f"hooks/{hook}"


def _is_last() -> bool:
    """Whether this event is one of those after which the unit, or its storage, goes."""
    path = os.environ.get("JUJU_DISPATCH_PATH", "")
    return path in ("hooks/stop", "hooks/remove") or path.endswith("-storage-detaching")


def _may_be_missed() -> bool:
    """Whether charm-refresh may miss this event: an action, which tells so, or a hook that brings no new charm code."""
    path = os.environ.get("JUJU_DISPATCH_PATH", "")
    return path.startswith(("hooks/", "actions/")) and path not in ("hooks/upgrade-charm", "hooks/config-changed")


def _planned_units() -> tuple[frozenset[int], frozenset[int]]:
    """Numbers of the units that Juju wants, and of those whose last hook failed."""
    units = ops.hookcmds.goal_state().units
    planned = {peers.unit_number(name) for name, goal in units.items() if goal.status != "dying"}
    failed = {peers.unit_number(name) for name, goal in units.items() if goal.status == "error"}
    return frozenset(planned), frozenset(failed)


def _ops_status(status: statuses.Status) -> ops.StatusBase:
    return ops.StatusBase.from_name(status.level.value, status.message)


def prepare() -> None:
    """Prepare the libraries for a hook: fewer hook tools, and no log lines (each a process) of their details.

    Juju's agent logs each hook by itself.
    """
    hook_tool_cache.install()
    for detailed in ("charm_", "charm_json", "ops"):
        logging.getLogger(detailed).setLevel(logging.INFO)


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    prepare()
    ops.main(PostgresqlCharm)
