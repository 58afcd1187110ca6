"""The workload's side of a refresh: what charm-refresh asks of the charm (its documentation, "Add to charm")."""

import collections.abc
import contextlib
import dataclasses
import logging
import os
import pathlib
import time
import tomllib

import charm_
import charm_refresh

import activities
import compatibility
import facts
import failed_attempt
import graceful_stop
import handover
import member
import prechecks
import refresh_facts
import refresh_gate
import room
import switchover
from workload import machine, raft, snap, sql

logger = logging.getLogger(__name__)

VERSIONS_FILE = pathlib.Path("refresh_versions.toml")
CHARM_REFRESH_ACTIONS = ("force-refresh-start", "resume-refresh")
"""Those in which charm-refresh refreshes a unit."""
OBSERVERS_EVENT = "hooks/cluster_changed"
CHARM_DIRECTORY = pathlib.Path()
"""Juju runs the charm in it."""


@dataclasses.dataclass(frozen=True)
class Versions:
    """What the charm pins."""

    workload: str
    charm: str | None
    """Written when the charm is packed."""
    snap_revisions: dict[str, str]
    """By the architecture's name in the kernel."""

    @classmethod
    def load(cls, file: pathlib.Path = VERSIONS_FILE) -> "Versions":
        """From refresh_versions.toml, which charm-refresh reads too."""
        content = tomllib.loads(file.read_text())
        return cls(content["workload"], content.get("charm"), content["snap"]["revisions"])

    def build(self, architecture: str, url: str) -> refresh_facts.Build:
        """This charm. architecture: of the machine, by the kernel's name. url: as Juju names the charm."""
        return refresh_facts.Build(self.charm or "", self.workload, self.snap_revisions.get(architecture, ""), url)


@dataclasses.dataclass(eq=False)
class MachinesRefresh(charm_refresh.CharmSpecificMachines):
    """The callbacks of charm-refresh."""

    workload: machine.Workload
    observe: collections.abc.Callable[[], facts.Facts]
    """Gathers the facts. Called only where they are needed: most hooks refresh nothing."""
    number: int
    """Of this unit."""
    awaited: collections.abc.Callable[[], int | None]
    """The unit that has to be confirmed where charm-refresh would not wait (confirmation.py)."""
    rollback_seconds: float | None
    """How long this charm, the one that the refresh under way began with, has been here; None: it is another one."""
    forced: bool = dataclasses.field(default=False, init=False)
    """Whether the operator starts the refresh regardless, in this action."""
    waits_for: str | None = dataclasses.field(default=None, init=False)
    """Why this unit was not stopped in this event, though it is its turn (refresh_gate.py)."""
    failure: str | None = dataclasses.field(default=None, init=False)
    """Why the snap was not refreshed in this action."""
    ready: bool = dataclasses.field(default=False, init=False)
    """Whether the checks were run in this event, and none failed."""
    unready: bool = dataclasses.field(default=False, init=False)
    """Whether the checks were run in this event, and one failed: it may pass, of which nobody tells."""

    @staticmethod
    def run_pre_refresh_checks_after_1_unit_refreshed() -> None:
        """Never called on machines: all checks run before the first unit."""

    def run_pre_refresh_checks_before_any_units_refreshed(self) -> None:
        """Check, without changing anything, that the cluster can lose each unit in turn. Raises PrecheckFailed.

        Members that are about to stream are waited for: after a hand-over the old primary needs seconds to follow.
        """
        deadline = time.monotonic() + graceful_stop.FOLLOW_SECONDS
        known = self.observe()
        while graceful_stop.is_following(known) and time.monotonic() < deadline:
            time.sleep(graceful_stop.POLL_SECONDS)
            known = self.observe()
        for reason in precheck(self.workload, known):
            self.unready = True
            raise charm_refresh.PrecheckFailed(reason.text)
        self.ready = True

    @classmethod
    def is_compatible(
        cls,
        *,
        old_charm_version: charm_refresh.CharmVersion,
        new_charm_version: charm_refresh.CharmVersion,
        old_workload_version: str,
        new_workload_version: str,
    ) -> bool:
        """Whether the refresh is supported: charm versions by charm-refresh's rule, PostgreSQL's by its own."""
        return super().is_compatible(
            old_charm_version=old_charm_version,
            new_charm_version=new_charm_version,
            old_workload_version=old_workload_version,
            new_workload_version=new_workload_version,
        ) and compatibility.workload_is_compatible(old_workload_version, new_workload_version)

    def refresh_snap(self, *, snap_name: str, snap_revision: str, refresh: charm_refresh.Machines) -> None:
        """Stop PostgreSQL cleanly, refresh the snap, tell charm-refresh.

        Nothing is stopped before the snap can be had: while a store refuses it this is tried again and again. What
        PostgreSQL is to be configured with is written before: snapd starts services that it finds enabled, and a new
        snap should come up once, as this charm wants it.

        If snapd fails, it is not asked again: the operator may want to roll back. Where the revision is still the old
        one PostgreSQL is started again at once.

        In a hook it then raises SnapOperationError, HandOverError or OSError, so that Juju repeats the hook. In an
        action it keeps the reason in `failure`: nothing would repeat an action that crashes, what it has written would
        be lost, and its answer would not say why. charm-refresh lets the action fail, as the revision is not the
        wanted one.

        Raises refresh_gate.HeldError where this unit must not be stopped now, with nothing done. In an event of the
        observer also where it has failed: it is no hook, so nobody would learn of that, and it would be repeated at
        once, as long as it fails.
        """
        try:
            self._refresh_snap(snap_revision, refresh)
        except (snap.SnapOperationError, switchover.HandOverError, OSError) as error:
            if not _is_action() and not _is_between_hooks():
                raise
            logger.error("The snap was not refreshed to revision %s: %s", snap_revision, error)
            if _is_between_hooks():
                raise refresh_gate.HeldError(str(error)) from error
            self.failure = str(error)

    def _refresh_snap(self, snap_revision: str, refresh: charm_refresh.Machines) -> None:
        known = self.observe()
        self._require_health(known)
        self._require_pause(snap_revision)
        before = self.workload.snap.state().revision
        configured = self.workload.configuration_text()
        # Where it does not run, a hook that was cut off has stopped it.
        should_run = known.machine.patroni_running or (known.machine.has_raft_state and bool(configured))
        may_stop = False
        try:
            if before != snap_revision:
                self.workload.require_snap_revision(snap_revision)
            charm_.unit_status = charm_.MaintenanceStatus(f"Refreshing the snap to revision {snap_revision}")
            may_stop = True
            if known.machine.patroni_running:
                graceful_stop.stop_gracefully(self.workload, known, self._require_health_of_drained)
            self._configure(known, configured)
            self.workload.snap.refresh(snap_revision)
        except (snap.SnapOperationError, OSError) as error:
            if may_stop:
                failed_attempt.remember(CHARM_DIRECTORY, snap_revision, time.time(), str(error))
            if self._revision(before) != before:
                refresh.update_snap_revision()
            else:
                self._start_again(configured, should_run)
            raise
        failed_attempt.forget(CHARM_DIRECTORY)
        refresh.update_snap_revision()

    def _require_pause(self, snap_revision: str) -> None:
        failed = failed_attempt.load(CHARM_DIRECTORY, snap_revision) if _is_between_hooks() else None
        if failed is not None and failed.is_recent(time.time()):
            raise refresh_gate.HeldError(failed.reason)

    def _require_health_of_drained(self, known: facts.Facts) -> None:
        """Look once more: to ask the store and to drain may take long."""
        self._require_health(known, drained=True)

    def _require_health(self, known: facts.Facts, *, drained: bool = False) -> None:
        if self.forced or _is_regardless():
            return
        against = refresh_gate.reason(
            self.workload, known, self.number, rollback_seconds=self.rollback_seconds, drained=drained
        )
        if against is not None:
            logger.info("This unit's refresh waits: %s", against)
            raise refresh_gate.HeldError(against)

    def _revision(self, before: str | None) -> str | None:
        """The snap's revision now; as before where snapd is silent: it has not said that it changed anything."""
        try:
            return self.workload.snap.state().revision
        except snap.SnapdUnreachableError:
            return before

    def _start_again(self, configured: str, should_run: bool) -> None:
        try:
            self.workload.restore_configuration(configured)
        except OSError as error:
            # Files are written whole or not at all: it starts with what is there.
            logger.warning("Patroni's configuration cannot be written: %s", error)
        if should_run and not self.workload.snap.is_running():
            self.workload.snap.start()

    def _configure(self, known: facts.Facts, configured: str) -> None:
        """Write the configuration for the snap that is to come. configured: what was there before this unit stopped."""
        settings = member.settings(known, self.workload.configured(), keep_parameters=False)
        if settings is None:
            self.workload.restore_configuration(configured)
        elif configured:
            self.workload.configure(settings)


class Machines(charm_refresh.Machines):
    """charm-refresh, with two rules more.

    Units that join or leave confirm nothing (confirmation.py), and a unit is not stopped where that would hurt
    (refresh_gate.py).

    It has no documented place for such a rule. The two methods that are overridden are its steps "start the refresh"
    and "refresh this unit", the attributes are where it keeps the application's status, whether the refresh has
    started and the action that forces it; tests/unit/test_sharp_edges.py fails where a later version has them no more.
    """

    _awaited: int | None = None
    _app_status: charm_.Status | None = None
    _charm_specific: MachinesRefresh

    def _start_refresh(self) -> None:
        super()._start_refresh()
        self._charm_specific.forced = self._force_start is not None
        if self._in_progress.name == "TRUE":
            self._awaited = self._charm_specific.awaited()
        if self._awaited is not None:
            # The strictest pause there is: charm-refresh itself then waits, tells so and takes the confirmation.
            self._pause_after = type(self._pause_after)("all")

    def _refresh_unit(self) -> None:
        if self.held or _is_action_that_refreshes_nothing():
            return
        event = charm_.event
        if isinstance(event, charm_.ActionEvent) and _is_regardless() and not self._may_be_regardless():
            # charm-refresh would not ask, and so pass over versions that must not follow, and over all checks.
            first = facts.unit_name(charm_.app, self._units[0].number)
            event.fail(f"Refresh has not started; see get-refresh-status, or force-refresh-start on {first}")
            return
        try:
            super()._refresh_unit()
        except refresh_gate.HeldError as held:
            # To charm-refresh it is still this unit's turn: it asks again in the next event.
            self._charm_specific.waits_for = str(held)

    def _keep_app_status(self, status: charm_.Status | None) -> None:
        if status is not None:
            status = type(status)(str(status).replace("--revision None", refresh_facts.FILE))
        if isinstance(status, charm_.MaintenanceStatus) and self.held and len(self._units) == 1:
            # charm-refresh never waits before an only unit, so it does not ask for a confirmation either.
            asked = f"Refreshing. To go on, run `resume-refresh` on unit {self._units[0].number}."
            status = charm_.BlockedStatus(str(status).replace("Refreshing.", asked, 1))
        self._app_status = status

    # charm-refresh sets the status right after it has put it here: so it names no revision that there is not.
    _app_status_higher_priority = property(  # pyright: ignore[reportAssignmentType]
        lambda self: self._app_status, _keep_app_status
    )

    def _may_be_regardless(self) -> bool:
        """Whether units may refresh whatever state others are in: in a rollback also where its first unit is dead.

        Where none is in progress charm-refresh says so.
        """
        in_progress = self._in_progress.name == "TRUE"
        return not in_progress or self._refresh_started or self._charm_specific.rollback_seconds is not None

    @property
    def started(self) -> bool:
        """Whether the refresh under way has passed its checks, or was forced."""
        return self._refresh_started

    @property
    def held(self) -> bool:
        """Whether this unit waits for a confirmation that only the charm can take.

        charm-refresh never waits before the highest unit.
        """
        return self._awaited == self._charm_specific.number == self._units[0].number


@contextlib.contextmanager
def told_of_new_charm() -> collections.abc.Iterator[None]:
    """Let charm-refresh take this hook for one that follows a refresh: only then it takes new charm code for current.

    For a charm that the operator has accepted, by name, after charm-refresh had missed those hooks.
    """
    name = os.environ["JUJU_HOOK_NAME"]
    stands_for_itself = os.environ.get("JUJU_ACTION_NAME") or name.endswith("-relation-departed")
    os.environ["JUJU_HOOK_NAME"] = name if stands_for_itself else "config-changed"
    try:
        yield
    finally:
        os.environ["JUJU_HOOK_NAME"] = name


def _is_action_that_refreshes_nothing() -> bool:
    """Whether this is an action that only asks, or does something else. charm-refresh acts in any event.

    A hook that `juju exec` dispatches is none, though it runs in an action.
    """
    kind, _, action = os.environ.get("JUJU_DISPATCH_PATH", "").partition("/")
    return kind == "actions" and action not in CHARM_REFRESH_ACTIONS


def _is_action() -> bool:
    return os.environ.get("JUJU_DISPATCH_PATH", "").startswith("actions/")


def _is_between_hooks() -> bool:
    """Whether this is an event that Juju does not repeat: one of the observer's, or dispatched by `juju exec`."""
    is_exec = bool(os.environ.get("JUJU_ACTION_NAME")) and not _is_action()
    return is_exec or os.environ.get("JUJU_DISPATCH_PATH") == OBSERVERS_EVENT


def _is_regardless() -> bool:
    """Whether the operator refreshes this unit, in this action, whatever state the others are in."""
    event = charm_.event
    if not isinstance(event, charm_.ActionEvent) or event.action != "resume-refresh":
        return False
    return event.parameters.get("check-health-of-refreshed-units") is False


def precheck(workload: machine.Workload, known: facts.Facts) -> tuple[prechecks.Reason, ...]:
    """Why a refresh must not start; nothing if it may. What the facts do not tell is asked for, read-only."""
    known = dataclasses.replace(known, raft=_raft(workload, known))
    free = room.Room(snap=workload.free_bytes_for_snaps, wal=workload.free_bytes(room.LOGS))
    # Members keep time by each other, not by the primary alone; on the primary there would be nothing to compare.
    addresses = {peer.number: peer.address for peer in known.peers if peer.address}
    clocks = {number: workload.clock_skew_seconds(address) or 0.0 for number, address in addresses.items()}
    return prechecks.reasons(known, _activities(workload, known), free, clocks)


def _activities(workload: machine.Workload, known: facts.Facts) -> dict[str, sql.Activity]:
    """What goes on in each member's PostgreSQL, by its name: backups and long queries run on standbys, too."""
    members = known.cluster.members if known.cluster else ()
    found = {each.name: activities.of_member(workload, known, each) for each in members}
    return {name: activity for name, activity in found.items() if activity is not None}


def _raft(workload: machine.Workload, known: facts.Facts) -> raft.RaftView | None:
    if known.raft is not None or known.passwords is None or known.machine.address is None:
        return known.raft
    if not known.machine.patroni_running:
        return None
    return workload.raft(known.passwords.raft).view(raft.node_address(known.machine.address))


def first_unit_hands_over(
    workload: machine.Workload, known: facts.Facts, build: refresh_facts.Build, original: refresh_facts.Build
) -> bool:
    """Hand the primary over if this unit is the first to refresh; whether it did.

    In a hook of its own, before charm-refresh gets the next one (Juju runs config-changed right after upgrade-charm):
    so clients learn of the new primary before a snap is refreshed. Only where the refresh will go on: a rollback, or a
    compatible one whose checks pass. original: what the units ran before.
    """
    state = known.machine.snap
    if state is None or state.revision in (None, build.snap_revision):
        return False
    if not known.is_primary or any(peer.number > known.number for peer in known.peers) or not known.peers:
        return False
    rollback = refresh_facts.is_rollback(build, original)
    if not rollback and (not is_supported(build, original) or precheck(workload, known)):
        return False
    candidate = graceful_stop.successor(known)
    if isinstance(candidate, handover.Refused):
        logger.warning("The primary is not handed over before the refresh: %s", candidate.reason)
        return False
    try:
        switchover.hand_over(workload, known, candidate.name)
    except switchover.HandOverError as error:
        logger.warning("The primary was not handed over before the refresh: %s", error)
        return False
    # The next hook, which follows at once, checks the cluster.
    if known.passwords is not None:
        switchover.await_followers(workload, candidate, known.passwords.patroni, synchronous=known.is_synchronous)
    return True


def is_supported(build: refresh_facts.Build, original: refresh_facts.Build) -> bool:
    """Whether charm-refresh would find the builds compatible."""
    return MachinesRefresh.is_compatible(
        old_charm_version=charm_refresh.CharmVersion(original.charm),
        new_charm_version=charm_refresh.CharmVersion(build.charm),
        old_workload_version=original.workload,
        new_workload_version=build.workload,
    )
