"""The charm's own actions.

Those of a refresh (pre-refresh-check, force-refresh-start, resume-refresh) are charm-refresh's.

Results are formats: get-primary {primary}; get-cluster-status {status} as a table, or as JSON: {"application",
"cluster-id", "paused", "synchronous-node-count", "members": [{"unit", "member", "role", "state", "address", "timeline",
"lag-bytes", "snap-revision", "restart-pending"}]}; switchover {old-primary, new-primary}.
"""

import json
import logging
import typing

import ops

import facts
import handover
import switchover
from workload import cluster, machine

logger = logging.getLogger(__name__)

ABSENT = "absent"
"""The state of a unit that is no member; Patroni has no such word."""


def get_primary(event: ops.ActionEvent, known: facts.Facts) -> None:
    """The unit that is the primary."""
    primary = known.cluster.primary if known.cluster else None
    number = known.number_of(primary) if primary else None
    if number is None:
        event.fail("The cluster has no primary now; see `juju status` and the action get-cluster-status")
        return
    event.set_results({"primary": facts.unit_name(known.application, number)})


def get_cluster_status(event: ops.ActionEvent, known: facts.Facts, snap_revisions: dict[int, str | None]) -> None:
    """What is known of each member, and of each unit that is none. snap_revisions: by unit number."""
    if known.cluster is None:
        event.fail("The cluster does not answer on this unit; run the action on another one, or see `juju status`")
        return
    report = cluster_report(known, snap_revisions)
    text = json.dumps(report) if event.params.get("format") == "json" else cluster_table(report)
    event.set_results({"status": text})


def cluster_report(known: facts.Facts, snap_revisions: dict[int, str | None]) -> dict[str, typing.Any]:
    """The members as plain values, and the units that are none: Patroni leaves out who has not answered for a while."""
    view = known.cluster or cluster.ClusterView()
    rows = [(known.number_of(member), member) for member in view.members]
    addresses = {known.number: known.machine.address, **{peer.number: peer.address for peer in known.peers}}
    for number in known.numbers - {each for each, _ in rows}:
        name = facts.member_name(known.application, number)
        rows.append((number, cluster.Member(name, cluster.Role.OTHER, ABSENT, addresses[number] or "")))
    members = [_row(known, number, member, snap_revisions) for number, member in sorted(rows, key=_order)]
    return {
        "application": known.application,
        "cluster-id": known.cluster_id,
        "paused": view.paused,
        "synchronous-node-count": known.config.synchronous_standbys(len(known.numbers)) if known.config else None,
        "members": members,
    }


def _order(row: tuple[int | None, cluster.Member]) -> int:
    return row[0] or 0


def _row(
    known: facts.Facts, number: int | None, member: cluster.Member, snap_revisions: dict[int, str | None]
) -> dict[str, typing.Any]:
    return {
        "unit": None if number is None else facts.unit_name(known.application, number),
        "member": member.name,
        "role": "none" if member.state == ABSENT else cluster.ROLE_NAMES[member.role],
        "state": member.state,
        "address": member.address,
        "timeline": member.timeline,
        "lag-bytes": member.lag,
        "snap-revision": None if number is None else snap_revisions.get(number),
        "restart-pending": member.pending_restart,
    }


def cluster_table(report: dict[str, typing.Any]) -> str:
    """The same as a table for people."""
    header = ("Unit", "Role", "State", "Timeline", "Lag", "Snap", "Restart")
    rows = [
        (
            str(member["unit"] or member["member"]),
            member["role"],
            member["state"],
            _text(member["timeline"]),
            "" if member["role"] == "primary" else _text(member["lag-bytes"]),
            _text(member["snap-revision"]),
            "pending" if member["restart-pending"] else "",
        )
        for member in report["members"]
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    if report["paused"]:
        lines.append("Patroni is paused: no failover. Run `sudo charmed-postgresql.patronictl resume` on a unit.")
    return "\n".join(lines)


def _text(value: object) -> str:
    return "unknown" if value is None else str(value)


def perform_switchover(event: ops.ActionEvent, known: facts.Facts, workload: machine.Workload) -> None:
    """Make another unit the primary; refuses what would lose acknowledged transactions."""
    if known.refresh is None:
        event.fail(f"No switchover: {known.refused or 'this unit cannot act now; see its status'}")
        return
    if known.refresh.in_progress:
        event.fail("Not while a refresh is in progress: it hands the primary over by itself")
        return
    candidate = _candidate(event, known)
    if isinstance(candidate, handover.Refused):
        event.fail(f"No switchover: {candidate.reason}")
        return
    old = known.cluster.primary if known.cluster else None
    try:
        switchover.hand_over(workload, known, candidate.name)
    except switchover.HandOverError as error:
        event.fail(f"The switchover did not succeed: {error}; see the action get-cluster-status")
        return
    event.set_results({"old-primary": _unit(known, old), "new-primary": _unit(known, candidate)})


def _candidate(event: ops.ActionEvent, known: facts.Facts) -> cluster.Member | handover.Refused:
    wanted = str(event.params.get("candidate") or "")
    if not wanted:
        return handover.choose(known.cluster, synchronous=known.is_synchronous)
    units = {facts.unit_name(known.application, each): each for each in sorted(known.numbers)}
    if wanted not in units:
        return handover.Refused(f"{wanted!r} is no unit of this application; units: {', '.join(units)}")
    name = facts.member_name(known.application, units[wanted])
    primary = known.cluster.primary if known.cluster else None
    if primary is not None and primary.name == name:
        return handover.Refused(f"{wanted} is the primary already")
    return handover.choose(known.cluster, synchronous=known.is_synchronous, required={name})


def _unit(known: facts.Facts, member: cluster.Member | None) -> str:
    number = known.number_of(member) if member else None
    return "" if number is None else facts.unit_name(known.application, number)
