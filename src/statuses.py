"""The status of the unit and of the application, computed from the facts in one place. Pure.

Order of importance: what the refresh must say, what is wrong, what is under way, what the refresh has to say, that all
is well. Texts tell what, why and the command, in at most 120 characters, which is what `juju status` shows.
"""

import dataclasses
import enum

import facts
import handover
import planner
import problems
from snap_refresh import statuses as snap_statuses
from workload import cluster, datadir

MAXIMUM_LENGTH = 120
AGAIN = "; tried again at the next event"


class Level(enum.Enum):
    """Juju's statuses that a charm may set."""

    BLOCKED = "blocked"
    WAITING = "waiting"
    MAINTENANCE = "maintenance"
    ACTIVE = "active"


@dataclasses.dataclass(frozen=True)
class Status:
    """A level and a text."""

    level: Level
    message: str = ""

    def __post_init__(self) -> None:
        if len(self.message) > MAXIMUM_LENGTH:
            object.__setattr__(self, "message", self.message[: MAXIMUM_LENGTH - 1] + "…")


def unit(known: facts.Facts, failure: str | None = None) -> Status:
    """This unit's status. failure: what a step of this hook ran into, which the next event tries again."""
    if known.leaving:
        return Status(Level.MAINTENANCE, "Leaving the cluster")
    if known.refused is not None:
        return Status(Level.BLOCKED, known.refused)
    wrong = _blocked(known) or _failed(known, failure)
    return wrong or _under_way(known) or _next_unit(known) or _snaps(known) or _active(known)


def _blocked(known: facts.Facts) -> Status | None:
    reason = problems.prevent_installation(known) or known.config_error or problems.prevent_move(known)
    if reason is None:
        running = known.machine.patroni_running
        reason = problems.prevent_service(known) if running else problems.prevent_start(known)
    return Status(Level.BLOCKED, reason) if reason else None


def _failed(known: facts.Facts, failure: str | None) -> Status | None:
    if known.machine.snap is None:
        return Status(Level.WAITING, f"{known.machine.snap_error}; see `systemctl status snapd`")
    if failure is None:
        return None
    # Where it is too long, the failure is cut, not what happens next.
    room = MAXIMUM_LENGTH - len(AGAIN)
    told = failure if len(failure) <= room else f"{failure[: room - 1]}…"
    return Status(Level.WAITING, told + AGAIN)


def _under_way(known: facts.Facts) -> Status | None:
    if not known.ready:
        return Status(Level.WAITING, "Waiting for the other units")
    if known.passwords is None:
        return Status(Level.WAITING, "Waiting for the leader to generate passwords")
    if known.machine.address is None:
        return Status(Level.WAITING, "Waiting for an address")
    if not known.machine.has_raft_state and not known.machine.patroni_running:
        return _new_majority(known) or _joining(known)
    return _running(known)


def _new_majority(known: facts.Facts) -> Status | None:
    """What the forming of a new majority waits for."""
    agreement = known.agreement
    if not agreement.under_way:
        return None
    if agreement.awaited:
        units = ", ".join(str(number) for number in sorted(agreement.awaited))
        return Status(
            Level.WAITING, f"New majority waits for units {units}; if lost for good: `juju remove-unit --force`"
        )
    if agreement.needs_acceptance:
        lost, unit = len(agreement.lost), known.unit_name
        return Status(
            Level.BLOCKED,
            f"Members lost: {lost}; to go on without them: `juju run {unit} force-majority accept-data-loss=true`",
        )
    if agreement.founder is None:
        return Status(Level.BLOCKED, "No unit has the cluster's data; deploy another application with the kept storage")
    if agreement.founder == known.number:
        return Status(Level.MAINTENANCE, "Forming a new majority")
    founder = facts.unit_name(known.application, agreement.founder)
    return Status(Level.WAITING, f"Waiting for {founder} to form a new majority")


def _joining(known: facts.Facts) -> Status:
    if known.cluster_id is None:
        if known.bootstrap_unit == known.number:
            return Status(Level.MAINTENANCE, "Founding the cluster")
        return Status(Level.WAITING, "Waiting for the cluster to be founded")
    view = known.cluster
    if view is None:
        if known.machine.data.content is datadir.Content.CLUSTER:
            return Status(
                Level.WAITING, "Waiting for the cluster to answer; if it is lost for good, see force-majority"
            )
        return Status(Level.WAITING, "Waiting for the cluster to answer")
    others = ", ".join(f"{member.name} ({problems.state(member)})" for member in view.unhealthy)
    return Status(Level.WAITING, f"Waiting to join: {others}" if others else "Waiting for its turn to join the cluster")


def _running(known: facts.Facts) -> Status | None:
    member = known.member
    if not known.machine.patroni_running:
        return Status(Level.MAINTENANCE, "Starting PostgreSQL")
    if known.cluster is None or (
        known.cluster.primary is None and (known.raft is not None and not known.raft.has_quorum)
    ):
        if known.raft is not None and not known.raft.has_quorum and len(known.raft.members) > 1:
            return Status(Level.BLOCKED, problems.no_primary(known))
        return Status(Level.MAINTENANCE, "Waiting for Patroni to answer")
    if member is None:
        return Status(Level.MAINTENANCE, "; ".join(["Joining the cluster", *_clock(known)]))
    # Without a primary a standby runs, and streams from nobody.
    runs = member.is_running or problems.state(member) == problems.NOT_STREAMING
    if known.cluster.primary is None and runs:
        return Status(Level.WAITING, problems.no_primary(known))
    return None if member.is_running else _not_running(member)


def _not_running(member: cluster.Member) -> Status:
    """What a member does that neither is the primary nor streams from it."""
    if problems.state(member) == problems.NOT_STREAMING:
        return Status(Level.WAITING, f"Standby does not stream; if this lasts, as root: `{problems.READ_LOG}`")
    if member.state == problems.CRASHED:
        return Status(Level.MAINTENANCE, f"PostgreSQL crashed; if this lasts, as root: `{problems.READ_LOG}`")
    return Status(Level.MAINTENANCE, f"PostgreSQL is {member.state}")


def _next_unit(known: facts.Facts) -> Status | None:
    """Why a unit that has been refreshed does not let the next one refresh."""
    if not planner.next_unit_waits(known) or known.refresh is None or not known.refresh.in_progress:
        return None
    refused = planner.next_unit_hand_over(known)
    reason = problems.unhealthy(known) or (refused.reason if isinstance(refused, handover.Refused) else None)
    return Status(Level.MAINTENANCE, f"The next unit's refresh waits: {reason}") if reason else None


def _snaps(known: facts.Facts) -> Status | None:
    text = snap_statuses.under_way(known)
    return Status(Level.MAINTENANCE, text) if text else None


def _active(known: facts.Facts) -> Status:
    member = known.member
    role = {
        cluster.Role.PRIMARY: "Primary",
        cluster.Role.SYNCHRONOUS_STANDBY: "Synchronous standby",
        cluster.Role.STANDBY: "Standby",
    }.get(member.role if member else cluster.Role.OTHER, "")
    notes = [role] if role else []
    if member is not None and member.pending_restart:
        notes.append("restart pending")
    if known.machine.storages_full:
        notes.append(f"storage nearly full: {', '.join(known.machine.storages_full)}")
    notes += _clock(known)
    notes += snap_statuses.notes(known)
    return Status(Level.ACTIVE, "; ".join(notes))


def _clock(known: facts.Facts) -> list[str]:
    """A clock that is off, told beside what it may be the cause of."""
    told = problems.clock(known)
    return [told] if told else []


def application(known: facts.Facts) -> Status:
    """The application's status, which the leader sets."""
    if known.refused is not None:
        return Status(Level.BLOCKED, known.refused)
    if known.config_error:
        return Status(Level.BLOCKED, known.config_error)
    if known.cluster_id is None:
        stuck = problems.prevent_installation(known)
        if stuck and known.bootstrap_unit == known.number:
            return Status(Level.BLOCKED, stuck)
        return Status(Level.MAINTENANCE, "Founding the cluster")
    view = known.cluster
    if view is None or view.primary is None:
        forming = _new_majority(known)
        if forming is not None:
            return forming
        return (
            Status(Level.BLOCKED, problems.no_primary(known))
            if known.machine.patroni_running
            else Status(
                Level.WAITING, "The cluster does not answer on this unit; run get-cluster-status on another one"
            )
        )
    missing = known.numbers - {known.number_of(member) for member in view.members}
    sick = [f"{member.name} is {problems.state(member)}" for member in view.unhealthy]
    sick += [f"{facts.member_name(known.application, number)} is no member" for number in sorted(missing)]
    # Patroni's key of a unit whose clock is slow ends at once: it runs, and is no member.
    sick += _clock(known) if known.number in missing else []
    # The primary serves: what is wrong with a standby does not make the application unavailable.
    wanted = snap_statuses.application_note(known)
    return Status(Level.ACTIVE, "; ".join([*sick, *([wanted] if wanted else [])]))
