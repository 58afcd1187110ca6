"""The actions on the snaps below the workload."""

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


def act(event: ops.ActionEvent, known: facts.Facts, workload: machine.Workload, directory: pathlib.Path) -> None:
    """Carry out one of the two."""
    if event.handle.kind == "run_snap_refresh_action":
        run(event, known, workload, directory)
    else:
        get_status(event, known)


def get_status(event: ops.ActionEvent, known: facts.Facts) -> None:
    """What is known of the snaps on this unit, with a fresh answer of the store."""
    seen, decided = known.snap_refresh, decision.decide(known)
    if seen is None or decided is None:
        event.fail(UNKNOWN)
        return
    found = report.report(known, seen, decided)
    event.set_results({"status": json.dumps(found) if event.params.get("format") == "json" else report.table(found)})


def run(event: ops.ActionEvent, known: facts.Facts, workload: machine.Workload, directory: pathlib.Path) -> None:
    """Refresh now what waits on this unit, outside of the schedule and the window."""
    seen, decided = known.snap_refresh, decision.decide(known)
    if seen is None or decided is None:
        event.fail(UNKNOWN)
        return
    if seen.remembered.failure is not None:
        event.fail(f"Updates are not known: {seen.remembered.failure}")
        return
    against = reason_against(known, seen)
    if against is not None and not event.params.get("force"):
        event.fail(f"Not now: {against}")
        return
    if against is not None:
        event.log(f"Forced, although {against}")
        logger.warning("Snaps refresh by force, although %s", against)
    try:
        names = _proceed_now(seen, decided, workload)
        execution.Executor(known, workload, directory).run_now(names)
    except (engine.GatingError, snap.SnapOperationError) as error:
        event.fail(str(error))
        return
    event.set_results({"refreshing": ", ".join(names) or "nothing: all snaps are up to date"})


def _proceed_now(seen: model.SnapRefresh, decided: decision.Decision, workload: machine.Workload) -> list[str]:
    if not decided.updates:
        return []
    refreshed = {name: each.last_refresh for name, each in seen.system.snaps.items()}
    gating = engine.Gating(refreshed, decided.gating)
    if decided.overdue:
        # What is no longer held waits for snapd's schedule only.
        return sorted(decided.updates)
    in_progress = bool(workload.snapd.changes())
    return gating.proceed_now(model.WORKLOAD, decided.updates, seen.now, in_progress)


def reason_against(known: facts.Facts, seen: model.SnapRefresh) -> str | None:
    """What a refresh of this unit's snaps would hurt now; None: nothing."""
    against = decision.against_cluster(known, None)
    if against is None and known.is_primary and len(known.numbers) > 1:
        against = "this unit is the primary; run the action switchover first"
    if against is None and seen.turn is not None and seen.turn != known.number and seen.turn in seen.wishes:
        against = f"it is the turn of {facts.unit_name(known.application, seen.turn)}"
    return against
