"""The report of refresh_status.py as a table for people. Pure."""

import collections.abc
import typing

Report = dict[str, typing.Any]
Row = tuple[str, ...]


def render(report: Report) -> str:
    """The whole report."""
    parts = [_headline(report), _table(("Unit", "Step", "Role", "Lag", "Snap", "Charm", "Health"), _units(report))]
    if report["plan"] is not None:
        parts.append(_plan(report["plan"]))
    if report["blockers"]:
        parts.append("\n".join(f"Against it: {each['problem']}; {each['remedy']}" for each in report["blockers"]))
    if report["history"]:
        parts.append(_table(("Started", "Ended", "From", "To", "Outcome", "Writes stood still"), _history(report)))
    parts.append(f"Next: {report['next']}")
    return "\n\n".join(parts)


def _headline(report: Report) -> str:
    done = f"{report['refreshed']} of {len(report['units'])} units at snap revision {report['to']['snap-revision']}"
    what = "Rollback" if report["rollback"] else "Refresh"
    versions = _version(report["to"])
    if report["from"] is not None:
        versions = f"{_version(report['from'])} to {versions}"
    return f"{what} of {report['application']}: {report['state']}; {done}\n{versions}"


def _version(build: Report) -> str:
    return f"charm {_charm(build)} with PostgreSQL {build['workload-version']}"


def _charm(build: Report) -> str:
    version, revision = build["charm-version"], build["charm-revision"]
    if version is None:
        return "unknown" if revision is None else f"revision {revision}"
    return version if revision is None else f"{version} (revision {revision})"


def _units(report: Report) -> collections.abc.Iterator[Row]:
    for unit in report["units"]:
        yield (
            unit["unit"],
            f"{unit['step']}/{len(report['units'])}",
            _text(unit["role"]),
            "" if unit["role"] == "primary" else _text(unit["lag-bytes"]),
            _snap(unit),
            _charm(unit),
            unit["health"],
        )


def _snap(unit: Report) -> str:
    actual, target = _text(unit["snap-revision"]), unit["snap-target"]
    return actual if actual == target else f"{actual} -> {target}"


def _plan(plan: Report) -> str:
    confirmed = ", ".join(plan["confirm-before"]) or "none"
    lines = [
        f"Order: {', '.join(plan['order'])}",
        f"Waits for resume-refresh before: {confirmed}",
        f"Switchovers: {_text(plan['switchovers'])}",
        f"Nobody can write while these refresh: {', '.join(plan['no-writes-while']) or 'none'}",
        f"To go back after it: `{plan['rollback']}`",
    ]
    return "\n".join(lines)


def _history(report: Report) -> collections.abc.Iterator[Row]:
    for entry in report["history"]:
        yield (
            entry["started"],
            entry["ended"] or "",
            _charm(entry["from"]),
            _charm(entry["to"]),
            entry["outcome"] or "in progress",
            _write_affecting(entry),
        )


def _write_affecting(entry: Report) -> str:
    if entry["write-affecting"] is None:
        return "unknown"
    events = [
        f"{each['time']} {each['event']}" + (f" on {each['unit']}" if each["unit"] else "")
        for each in entry["write-affecting"]
    ]
    return "; ".join(events) or ("never" if entry["ended"] else "not so far")


def _table(header: Row, rows: collections.abc.Iterable[Row]) -> str:
    lines = [header, *rows]
    widths = [max(len(row[column]) for row in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines
    )


def _text(value: object) -> str:
    return "unknown" if value is None else str(value)
