"""What must hold before a refresh starts. Pure and read-only.

Facts in, the first reason against it out, in at most 64 characters.
"""

import facts
import problems
from workload import sql

MAXIMUM_LENGTH = 64
MAXIMUM_TRANSACTION_SECONDS = 60.0
# The snap is unpacked by mounting it; snapd keeps the old revision, and copies the small versioned data.
MINIMUM_FREE_BYTES_FOR_SNAP = 512 * 1024 * 1024


def reason_against(known: facts.Facts, activity: sql.Activity | None, free_bytes_for_snap: int | None) -> str | None:
    """Why a refresh must not start now; None if it may.

    activity: what goes on in the database; None where the primary could not be asked.
    free_bytes_for_snap: where snapd keeps its snaps.
    """
    reason = _cluster(known) or _space(known, free_bytes_for_snap) or _activity(activity)
    return reason[:MAXIMUM_LENGTH] if reason else None


def _cluster(known: facts.Facts) -> str | None:
    unhealthy = problems.unhealthy(known)
    if unhealthy is not None:
        return unhealthy
    if known.cluster is not None and known.cluster.paused:
        return "Patroni is paused; run `patronictl resume`"
    if known.raft is not None and len(known.raft.members - known.raft.connected) > 1:
        return f"Raft: {len(known.raft.connected) + 1} of {len(known.raft.members)} members connected"
    if problems.clock(known):
        return f"Clock differs by {known.machine.clock_skew_seconds:.0f} s; check timedatectl"
    return None


def _space(known: facts.Facts, free_bytes_for_snap: int | None) -> str | None:
    if known.machine.storages_full:
        return f"Storage nearly full: {', '.join(known.machine.storages_full)}"
    if free_bytes_for_snap is not None and free_bytes_for_snap < MINIMUM_FREE_BYTES_FOR_SNAP:
        return f"Only {free_bytes_for_snap // 2**20} MiB free for the snap; 512 are needed"
    return None


def _activity(activity: sql.Activity | None) -> str | None:
    if activity is None:
        return "The primary cannot be asked; see juju debug-log"
    if activity.backup_running:
        return "A backup is running; wait for its end"
    if activity.prepared_transactions:
        return f"{activity.prepared_transactions} prepared transactions; see pg_prepared_xacts"
    if activity.longest_transaction_seconds > MAXIMUM_TRANSACTION_SECONDS:
        return f"A transaction is open for {activity.longest_transaction_seconds:.0f} s; see pg_stat_activity"
    if activity.temporary_bytes:
        return f"{activity.temporary_bytes // 1024} KiB in temporary tablespace; wait for the query"
    if activity.archiver_failing:
        return "Archiving of WAL fails; see pg_stat_archiver"
    return None
