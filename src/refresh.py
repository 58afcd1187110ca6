"""The workload's side of a refresh: what charm-refresh asks of the charm (its documentation, "Add to charm")."""

import collections.abc
import dataclasses
import json
import logging
import pathlib
import time
import tomllib
import typing

import charm_refresh
import ops

import compatibility
import facts
import handover
import peers
import planner
import prechecks
import switchover
from workload import files, machine, snap, sql

logger = logging.getLogger(__name__)

RELATION = "refresh-v-three"
VERSIONS_FILE = pathlib.Path("refresh_versions.toml")
FOLLOW_SECONDS = 15.0
POLL_SECONDS = 1.0
# Patroni's words for a standby on its way to streaming.
FOLLOWING_STATES = ("starting", "running")


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


@dataclasses.dataclass(eq=False)
class MachinesRefresh(charm_refresh.CharmSpecificMachines):
    """The callbacks of charm-refresh."""

    workload: machine.Workload
    observe: collections.abc.Callable[[], facts.Facts]
    """Gathers the facts. Called only where they are needed: most hooks refresh nothing."""

    @staticmethod
    def run_pre_refresh_checks_after_1_unit_refreshed() -> None:
        """Never called on machines: all checks run before the first unit."""

    def run_pre_refresh_checks_before_any_units_refreshed(self) -> None:
        """Check, without changing anything, that the cluster can lose each unit in turn. Raises PrecheckFailed.

        Members that are about to stream are waited for: after a hand-over the old primary needs seconds to follow.
        """
        deadline = time.monotonic() + FOLLOW_SECONDS
        known = self.observe()
        while _is_following(known) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            known = self.observe()
        reason = precheck(self.workload, known)
        if reason is not None:
            raise charm_refresh.PrecheckFailed(reason)

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
        """Stop PostgreSQL cleanly, refresh the snap, tell charm-refresh. Raises SnapOperationError or HandOverError.

        If snapd fails, it is not asked again: the operator may want to roll back. Where the revision is still the old
        one PostgreSQL is started again at once, here, since after an action no other event would do it. The exception
        gets the unit another event.
        """
        known = self.observe()
        before = self.workload.snap.state().revision
        was_running = known.machine.patroni_running
        if was_running:
            stop_gracefully(self.workload, known)
        try:
            self.workload.snap.refresh(snap_revision)
        except snap.SnapOperationError:
            if self.workload.snap.state().revision != before:
                refresh.update_snap_revision()
            elif was_running:
                self.workload.snap.start()
            raise
        refresh.update_snap_revision()


def _is_following(known: facts.Facts) -> bool:
    return known.cluster is not None and any(member.state in FOLLOWING_STATES for member in known.cluster.unhealthy)


def stop_gracefully(workload: machine.Workload, known: facts.Facts) -> None:
    """Stop PostgreSQL, never as the primary of others.

    The hand-over before the unit's turn may have been undone by a failover.

    Raises HandOverError, with nothing stopped, where other members run and none of them can take over without loss.
    """
    others = [member for member in known.cluster.members if member.name != known.member_name] if known.cluster else []
    if known.is_primary and any(member.is_running for member in others):
        switchover.choose_and_hand_over(workload, known, synchronous=planner.is_synchronous(known))
    elif known.is_primary:
        try:
            workload.sql().checkpoint()
        except sql.SqlError as error:
            logger.warning("No checkpoint before the stop: %s", error)
    workload.snap.stop()


def precheck(workload: machine.Workload, known: facts.Facts) -> str | None:
    """Why a refresh must not start; None if it may."""
    primary = known.cluster.primary if known.cluster else None
    activity = None
    if primary is not None and known.passwords is not None:
        local = primary.name == known.member_name
        database = workload.sql(None if local else primary.address, None if local else known.passwords.operator)
        try:
            activity = database.activity()
        except sql.SqlError as error:
            logger.warning("The primary cannot be asked: %s", error)
    return prechecks.reason_against(known, activity, files.free_bytes(workload.paths.root / "var/lib/snapd/snaps"))


def first_unit_hands_over(
    workload: machine.Workload, known: facts.Facts, versions: Versions, databag: collections.abc.Mapping[str, str]
) -> bool:
    """Hand the primary over if this unit is the first to refresh; whether it did.

    In a hook of its own, before charm-refresh gets the next one (Juju runs config-changed right after upgrade-charm):
    so clients learn of the new primary before a snap is refreshed. Only where the refresh will go on: a rollback, or a
    compatible one whose checks pass. databag: of the application in charm-refresh's relation, from which it tells a
    rollback and compatibility.
    """
    state = known.machine.snap
    if state is None or state.revision in (None, versions.snap_revisions.get(workload.architecture)):
        return False
    if not known.is_primary or any(peer.number > known.number for peer in known.peers) or not known.peers:
        return False
    rollback = _value(databag, "original_charm_version") == versions.charm
    if not rollback and (not _is_supported(versions, databag) or precheck(workload, known) is not None):
        return False
    candidate = handover.choose(known.cluster, synchronous=planner.is_synchronous(known))
    if isinstance(candidate, handover.Refused):
        logger.warning("The primary is not handed over before the refresh: %s", candidate.reason)
        return False
    try:
        switchover.hand_over(workload, known, candidate.name)
    except switchover.HandOverError as error:
        logger.warning("The primary was not handed over before the refresh: %s", error)
        return False
    return True


def _is_supported(versions: Versions, databag: collections.abc.Mapping[str, str]) -> bool:
    charm, workload = _value(databag, "original_charm_version"), _value(databag, "original_workload_version")
    if charm is None or workload is None or versions.charm is None:
        return False
    return MachinesRefresh.is_compatible(
        old_charm_version=charm_refresh.CharmVersion(charm),
        new_charm_version=charm_refresh.CharmVersion(versions.charm),
        old_workload_version=workload,
        new_workload_version=versions.workload,
    )


def _value(databag: collections.abc.Mapping[str, str], key: str) -> str | None:
    # charm-refresh keeps JSON in its databag.
    value = databag.get(key)
    return typing.cast(str | None, json.loads(value)) if value else None


def snap_revisions(model: ops.Model) -> dict[int, str | None]:
    """The snap's revision on each other unit, by number, as the units tell; None where one has not told yet."""
    relation = model.get_relation(RELATION)
    if relation is None:
        return {}
    return {
        peers.unit_number(unit.name): _value(relation.data[unit], "installed_snap_revision") for unit in relation.units
    }
