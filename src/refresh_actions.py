"""Actions around a refresh that charm-refresh does not take: its status, and confirmations that only the charm wants.

Results are formats: get-refresh-status {status}, a table or JSON (docs/reference/actions.md).
"""

import dataclasses
import json

import charm_refresh
import ops

import activities
import facts
import peers
import refresh
import refresh_facts
import refresh_gate
import refresh_history
import refresh_next
import refresh_situation
import refresh_standing
import refresh_status
import refresh_table
import refusal
from workload import cluster, machine


def get_refresh_status(
    event: ops.ActionEvent,
    known: facts.Facts,
    seen: refresh_standing.Seen,
) -> None:
    """Where the refresh stands, what is to do next, and what refreshes there were."""
    report = refresh_status.report(known, seen)
    is_json = event.params.get("format") == "json"
    event.set_results({"status": json.dumps(report) if is_json else refresh_table.render(report)})


def answer_ready(event: ops.ActionEvent, known: facts.Facts, build: refresh_facts.Build) -> None:
    """pre-refresh-check that found nothing. charm-refresh's own answer names no file to go back to (FILE)."""
    command = refresh_facts.refresh_command(build.url, known.application)
    stops = "" if len(known.numbers) > 2 else " Nobody can write while a unit refreshes: that takes three units."
    text = (
        f"Charm is ready for refresh. Run get-refresh-status for the plan.{stops}\n\n"
        f"After the refresh has started, use this command to go back:\n`{command}`"
    )
    event.set_results({"result": text})


def resume_held(
    event: ops.ActionEvent, known: facts.Facts, callbacks: refresh.MachinesRefresh, running: refresh.Machines
) -> None:
    """resume-refresh on the highest unit, which charm-refresh would never let wait (confirmation.py)."""
    if not running.started:
        event.fail("Refresh has not started; get-refresh-status tells why. Refresh will not resume.")
        return
    revision = running.pinned_snap_revision
    event.log(f"Refreshing unit {known.number}")
    try:
        callbacks.refresh_snap(snap_name=charm_refresh.snap_name(), snap_revision=revision, refresh=running)
    except refresh_gate.HeldError as held:
        answer_waiting(event, known, str(held))
        return
    if callbacks.failure is None:
        event.set_results({"result": f"Refresh resumed. Unit {known.number} has refreshed"})
    else:
        event.fail("Failed to refresh snap. Check the error message in `juju debug-log`, then retry this action")


def answer_started(event: ops.ActionEvent, known: facts.Facts) -> None:
    """force-refresh-start on the highest unit where the charm wants a confirmation before it (confirmation.py).

    charm-refresh, which would never wait there, has started the refresh and says nothing.
    """
    command = f"juju run {known.unit_name} resume-refresh"
    event.set_results({"result": f"Refresh started. Unit {known.number} waits for your confirmation: `{command}`"})


def tell_next(event: ops.ActionEvent, known: facts.Facts, seen: refresh_standing.Seen) -> None:
    """What the operator does next, beside the answer of an action."""
    event.log(refresh_next.step(known, seen))


def was_refused(known: facts.Facts) -> bool:
    """Whether resume-refresh has left this unit as it was. charm-refresh's answer then names nothing to do about it."""
    snap = known.machine.snap
    if known.refresh is None or not known.refresh.in_progress or snap is None:
        return False
    return snap.revision != known.refresh.pinned_revision


def answer_waiting(event: ops.ActionEvent, known: facts.Facts, reason: str) -> None:
    """resume-refresh on a unit that must not be stopped now. reason: why (refresh_gate.py)."""
    mended = f"{reason}. Refresh will not resume. When it is mended, run this action again"
    event.fail("; ".join(text for text in (mended, refresh_next.anyway(known, known.number)) if text))


def answer_refused(event: ops.ActionEvent, known: facts.Facts, told: peers.Peers, build: refresh_facts.Build) -> None:
    """charm-refresh's actions while this charm is refused: the operator may accept it, as an incompatible refresh."""
    if event.handle.kind != "force_refresh_start_action":
        event.fail(str(known.refused))
        return
    highest = max(known.numbers)
    if known.number != highest:
        event.fail(f"Must run action on unit {highest}")
    elif event.params.get("check-compatibility", True):
        event.fail("Must run with `check-compatibility=false`: nothing else stands against it")
    else:
        told.publish(refusal.ACCEPTED_KEY, build.url)
        event.set_results({"result": f"Charm {build.charm} accepted"})


def look(
    known: facts.Facts,
    workload: machine.Workload,
    situation: refresh_situation.Situation,
    failed: frozenset[int],
) -> refresh_standing.Seen:
    """What get-refresh-status needs beside the facts; read-only. failed: units whose last hook failed."""
    refreshing = known.refresh is not None and known.refresh.in_progress
    primary = known.cluster.primary if known.cluster else None
    seen = refresh_standing.Seen(
        build=situation.build,
        original=situation.original,
        units=situation.states,
        pause=situation.pause,
        awaited=situation.awaited() if refreshing else None,
        compatible=situation.original is None or refresh.is_supported(situation.build, situation.original),
        failed=failed,
        blockers=(),
        history=refresh_history.parse(situation.recorded_history),
        promotions=_promotions(workload, primary),
        unaware=situation.unaware if refreshing else frozenset(),
    )
    if known.refused is None and refreshing and seen.started and seen.following is not None:
        against = refresh_gate.reason(workload, known, seen.following, rollback_seconds=situation.rollback_seconds)
        backup = not seen.is_rollback and activities.has_backup(
            workload, known, refresh_standing.member(known, seen.following)
        )
        return dataclasses.replace(seen, held=against, backup=backup)
    if known.refused is not None or (refreshing and (seen.started or not seen.compatible)):
        return seen
    return dataclasses.replace(seen, blockers=refresh.precheck(workload, known))


def _promotions(workload: machine.Workload, primary: cluster.Member | None) -> tuple[cluster.Promotion, ...] | None:
    """Each time that another member became the primary; None where that is not known."""
    if primary is None:
        return None
    found = workload.patroni(primary.address).history()
    # A primary that has no such history is the first one.
    return found if found or primary.timeline in (None, 1) else None
