"""What the action get-snap-refresh-status tells: plain values, and a table for people. Pure.

The values are a format (docs/reference/actions.md).
"""

import datetime
import typing

import facts
from gating import affected, engine
from snap_refresh import decision, model

CHARM = "charm"
ADMINISTRATOR = "administrator"
Json = dict[str, typing.Any]


def report(known: facts.Facts, seen: model.SnapRefresh, decided: decision.Decision) -> Json:
    """All that this unit knows of the snaps below its workload, and of the other units' turns."""
    window = known.config.snap_refresh_window if known.config else None
    names = [model.WORKLOAD, *sorted(seen.foundation)]
    return {
        "unit": known.unit_name,
        "decision": decided.verdict.name.lower().replace("_", "-"),
        "reason": decided.reason,
        "limit": _text(decided.limit),
        "window": window.text if window else "",
        "turn": None if seen.turn is None else facts.unit_name(known.application, seen.turn),
        "waiting-units": [facts.unit_name(known.application, number) for number in sorted(seen.wishes)],
        "store-asked": _text(seen.remembered.asked),
        "store-failure": seen.remembered.failure,
        "charm-refresh-wanted": decision.superseded(known) is not None or decision.held_for_too_long(known),
        "snaps": [_snap(name, seen, decided) for name in names],
    }


def _snap(name: str, seen: model.SnapRefresh, decided: decision.Decision) -> Json:
    pending = affected.pending(name, seen.available, seen.system)
    until = seen.holds.get(name)
    return {
        "name": name,
        "revision": seen.revisions[name],
        "pending": pending.pending,
        "channel": pending.channel,
        "version": pending.version,
        "pending-revision": pending.revision,
        "base": pending.base,
        "restart": pending.restart,
        **_hold(name, until if until is not None and until > seen.now else None, seen, decided),
        **_decision(name, seen, decided),
    }


def _hold(name: str, until: datetime.datetime | None, seen: model.SnapRefresh, decided: decision.Decision) -> Json:
    """Held by whom, since when, until when, and what is left of it. The workload's own hold has no end."""
    holder = None
    if until is not None:
        ours = name == model.WORKLOAD or name in seen.own_holds
        holder = CHARM if ours else ADMINISTRATOR
    refreshed = {each.name: each.last_refresh for each in seen.system.snaps.values()}
    hold = engine.Gating(refreshed, decided.gating).holders(name).get(model.WORKLOAD)
    since = hold.first_held if hold else seen.remembered.since.get(name)
    ends = until is not None and until.year < engine.FOR_EVER.year and name != model.WORKLOAD
    return {
        "held-by": holder,
        "since": _text(since) if holder == CHARM else None,
        "until": _text(until) if ends else None,
        "time-left": engine.duration_text(until - seen.now) if ends and until else None,
    }


def _decision(name: str, seen: model.SnapRefresh, decided: decision.Decision) -> Json:
    if name == model.WORKLOAD:
        return {"decision": "hold", "reason": "only a refresh of the charm moves it"}
    if name in decided.updates:
        verdict = decided.verdict
        going = verdict in (decision.Verdict.PROCEED, decision.Verdict.RELEASED)
        return {"decision": "proceed" if going else "hold", "reason": decided.reason}
    if name in decision.administrator(seen):
        return {"decision": "hold", "reason": "held by the administrator"}
    return {"decision": "hold", "reason": "no update is pending"}


def _text(time: datetime.datetime | None) -> str | None:
    return None if time is None else model.time_text(time)


def table(found: Json) -> str:
    """The same for people."""
    header = ("Snap", "Revision", "Pending", "Touches", "Held by", "Since", "Until", "Left", "Decision", "Reason")
    rows = [
        (
            each["name"],
            each["revision"],
            each["pending"] if each["pending-revision"] is None else f"{each['version']} ({each['pending-revision']})",
            ", ".join(word for word in ("base", "restart") if each[word]),
            each["held-by"] or "",
            each["since"] or "",
            each["until"] or "",
            each["time-left"] or "",
            each["decision"],
            each["reason"],
        )
        for each in found["snaps"]
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    lines.append(f"{found['unit']}: {found['decision']}: {found['reason']}")
    if found["limit"]:
        lines.append(f"No longer held after {found['limit']}.")
    if found["waiting-units"]:
        lines.append(f"Turn: {found['turn'] or 'nobody'}; also waiting: {', '.join(found['waiting-units'])}.")
    if found["window"]:
        lines.append(f"Window: {found['window']}.")
    if found["store-failure"]:
        lines.append(f"Updates are not known: {found['store-failure']}")
    if found["charm-refresh-wanted"]:
        lines.append("A refresh of the charm is wanted: see `juju refresh`.")
    return "\n".join(lines)
