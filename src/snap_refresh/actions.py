"""The actions on the snaps below the workload."""

import dataclasses
import json
import logging
import pathlib

import ops

import facts
from gating import engine
from snap_refresh import decision, execution, model, report
from workload import machine, snap

logger = logging.getLogger(__name__)

UNKNOWN = "snapd is not known to this unit yet, or does not answer; see `juju status` and `systemctl status snapd`"


def act(
    event: ops.ActionEvent, known: facts.Facts, workload: machine.Workload, directory: pathlib.Path
) -> model.SnapRefresh | None:
    """Carry out one of the two; what is known of the snaps then."""
    if event.handle.kind == "run_snap_refresh_action":
        return run(event, known, workload, directory)
    get_status(event, known)
    return known.snap_refresh


def get_status(event: ops.ActionEvent, known: facts.Facts) -> None:
    """What is known of the snaps on this unit, with a fresh answer of the store."""
    seen, decided = known.snap_refresh, decision.decide(known)
    if seen is None or decided is None:
        event.fail(UNKNOWN)
        return
    found = report.report(known, seen, decided)
    event.set_results({"status": json.dumps(found) if event.params.get("format") == "json" else report.table(found)})


def run(
    event: ops.ActionEvent, known: facts.Facts, workload: machine.Workload, directory: pathlib.Path
) -> model.SnapRefresh | None:
    """Refresh what waits on this unit, outside of the schedule and the window; what is known of the snaps then.

    It begins at once where no other unit could begin too; else the unit asks the leader for its turn.
    """
    seen, decided = known.snap_refresh, decision.decide(known)
    if seen is None or decided is None:
        event.fail(UNKNOWN)
        return seen
    against = reason_against(known, seen)
    forced = against is not None and bool(event.params.get("force"))
    failure = _failure(seen, decided) or (f"Not now: {against}" if against is not None and not forced else None)
    if failure is not None:
        event.fail(failure)
        return seen
    if forced:
        event.log(f"Forced, although {against}")
        logger.warning("Snaps refresh by force, although %s", against)
    executor = execution.Executor(known, workload, directory)
    at_once = forced or seen.turn == known.number or len(known.numbers) == 1
    try:
        names = _proceed_now(seen, decided, workload)
        remembered = executor.run_now(names) if at_once else executor.request()
        names = [name for name in names if name in remembered.updates]
    except (engine.GatingError, snap.SnapOperationError) as error:
        event.fail(str(error))
        return None
    listed = ", ".join(names)
    if not names:
        event.set_results({"refreshing": "nothing: all snaps are up to date"})
    elif at_once:
        event.set_results({"refreshing": listed})
    else:
        event.set_results({"requested": listed})
        event.log("The refresh begins in this unit's turn: see `juju status`")
    busy = (*seen.busy, *names) if at_once else seen.busy
    return dataclasses.replace(seen, remembered=remembered, busy=busy)


def _failure(seen: model.SnapRefresh, decided: decision.Decision) -> str | None:
    """Why nothing can be asked for, by force neither."""
    if seen.remembered.failure is not None:
        return f"Updates are not known: {seen.remembered.failure}"
    held = decision.held_by_administrator(seen)
    if held and not decided.updates:
        return f"Held by the administrator: {', '.join(held)}; see `snap refresh --unhold`"
    return None


def _proceed_now(seen: model.SnapRefresh, decided: decision.Decision, workload: machine.Workload) -> list[str]:
    if not decided.updates:
        return []
    refreshed = {name: each.last_refresh for name, each in seen.system.snaps.items()}
    gating = engine.Gating(refreshed, decided.gating)
    in_progress = bool(workload.snapd.changes())
    if decided.overdue and not in_progress:
        # What is no longer held waits for snapd's schedule only.
        return sorted(decided.updates)
    return gating.proceed_now(model.WORKLOAD, decided.updates, seen.now, in_progress)


def reason_against(known: facts.Facts, seen: model.SnapRefresh) -> str | None:
    """What a refresh of this unit's snaps would hurt now; None: nothing."""
    against = decision.against_cluster(known, None)
    if against is None and known.is_primary and len(known.numbers) > 1:
        against = "this unit is the primary; run the action switchover first"
    if against is None and seen.turn is not None and seen.turn != known.number and seen.turn in seen.wishes:
        against = f"it is the turn of {facts.unit_name(known.application, seen.turn)}"
    return against or decision.against_others(known, seen) or decision.against_backup(seen)
