"""debug-log, show-status-log."""

from __future__ import annotations

import json
import sys
import time
import typing

from lab.juju import command, flags, names, tabular, times

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR")
_COLORS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31", "DEBUG": "32", "INFO": "34", "TRACE": "37"}
_PATIENCE = 10.0
"""Seconds that one request for further lines waits for them."""

_CONTRADICTIONS = (
    ("--tail", "--no-tail"),
    ("--no-tail", "--retry"),
    ("--no-tail", "--lines"),
    ("--tail", "--limit"),
    ("--limit", "--lines"),
    ("--replay", "--lines"),
)

_BACKLOG = 10
"""Lines shown before following the log where nothing else was asked for."""


@command.define(
    "debug-log",
    "Displays log messages for a model.",
    formats=("text", "json"),
    options=(
        flags.repeated("i", "include", usage="Only show log messages for these entities"),
        flags.repeated("x", "exclude", usage="Do not show log messages for these entities"),
        flags.repeated("include-module", usage="Only show log messages for these logging modules"),
        flags.repeated("exclude-module", usage="Do not show log messages for these logging modules"),
        flags.repeated("include-label", usage="Refused: the lab's log has no labels"),
        flags.repeated("exclude-label", usage="Refused: the lab's log has no labels"),
        flags.text("l", "level", usage=f"Log level to show, one of [{', '.join(LEVELS)}]"),
        flags.number("n", "lines", default=_BACKLOG, usage="Show this many of the most recent lines and continue"),
        flags.number("limit", usage="Show this many of the most recent logs and then exit"),
        flags.boolean("replay", usage="Show the entire log and continue to append new ones"),
        flags.boolean("tail", usage="Show existing log messages and continue to append new ones"),
        flags.boolean("no-tail", usage="Show existing log messages and then exit"),
        flags.boolean("date", usage="Show dates as well as times"),
        flags.boolean("ms", usage="Show times to millisecond precision"),
        flags.boolean("location", usage="Show filename and line numbers"),
        flags.boolean("color", usage="Force use of ANSI color codes"),
        flags.boolean("retry", usage="Retry connection on failure"),
        flags.duration("retry-delay", default=1.0, usage="Retry delay between connection failure retries"),
        command.UTC_FLAG,
    ),
)
def debug_log(invocation: command.Invocation) -> None:
    """Show the last lines of the model's log, and on a terminal what comes; `--replay` shows all there is.

    `--lines` follows the log anywhere, `--limit` never does; with `--replay` it takes the log's first lines.
    Entities are units, machines or applications' units by name or tag, `*` allowed; a module stands for those below it.
    """
    options = invocation.options
    level = options.text("l").upper()
    if level and level not in LEVELS:
        raise command.UsageError(f'level value "{options.text("l")}" is not one of "{", ".join(LEVELS)}"')
    _check(options)
    invocation.at_most(0)
    criteria = {
        "include": [_entity(invocation, word) for word in options.texts("i")],
        "exclude": [_entity(invocation, word) for word in options.texts("x")],
        "include_module": options.texts("include-module"),
        "exclude_module": options.texts("exclude-module"),
        "level": level or None,
    }
    tail = _tails(options)
    lines = invocation.call("debug_log", limit=_backlog(options), after=0, **criteria)
    if options.on("replay") and options.number("limit"):
        lines = lines[: options.number("limit")]
    _print(invocation, lines)
    while tail:
        after = lines[-1]["sequence"] if lines else 0
        fresh = invocation.call("debug_log", limit=None, after=after, timeout=_PATIENCE, **criteria)
        _print(invocation, fresh)
        lines = fresh or lines


def _check(options: flags.Values) -> None:
    """Refuse options that contradict each other, and those that the lab does not have."""
    given = {
        "--tail": options.on("tail"),
        "--no-tail": options.on("no-tail"),
        "--retry": options.on("retry"),
        "--limit": options.given("limit"),
        "--lines": options.given("n"),
        "--replay": options.on("replay"),
    }
    for one, other in _CONTRADICTIONS:
        if given[one] and given[other]:
            raise command.UsageError(f"setting {one} and {other} not valid")
    if options.seconds("retry-delay") < 0:
        raise command.UsageError("negative retry delay not valid")
    if options.texts("include-label") or options.texts("exclude-label"):
        raise command.CommandError("the lab's log has no labels: it takes neither --include-label nor --exclude-label")


def _tails(options: flags.Values) -> bool:
    if options.on("tail") or options.given("n"):
        return True
    return not (options.on("no-tail") or options.given("limit")) and sys.stdout.isatty()


def _backlog(options: flags.Values) -> int | None:
    """How many of the last lines are shown at first; None for all."""
    if options.on("replay"):
        return None
    return options.number("limit" if options.given("limit") else "n") or None


def _entity(invocation: command.Invocation, word: str) -> str:
    """A tag, or a pattern of tags, for what people call an entity: `pg/0`, `0`, or `pg` for all its units."""
    if "*" in word or names.is_tag(word):
        return word
    if names.is_machine(word):
        return f"machine-{word}"
    if names.is_unit(word):
        return f"unit-{word.replace('/', '-')}"
    if names.is_application(word):
        return f"unit-{word}-*"
    invocation.warn(f'"{word}" was not recognised as a valid application, machine or unit name')
    return word


def _print(invocation: command.Invocation, lines: list[dict[str, typing.Any]]) -> None:
    text = invocation.format == "text"
    invocation.write("".join((_line(invocation, line) if text else _json(line)) + "\n" for line in lines))


def _line(invocation: command.Invocation, line: dict[str, typing.Any]) -> str:
    options = invocation.options
    moment = times.parse(line["time"])
    moment = moment if options.on("utc") else moment.astimezone()
    stamp = moment.strftime("%Y-%m-%d %H:%M:%S" if options.on("date") else "%H:%M:%S")
    if options.on("ms"):
        stamp += f".{moment.microsecond // 1000:03d}"
    level = tabular.Cell(line["level"], _COLORS.get(line["level"], "")).render(invocation.color)
    location = f" {line['location']}" if options.on("location") and line.get("location") else ""
    return f"{line['entity']}: {stamp} {level} {line['module']}{location} {line['message']}"


def _json(line: dict[str, typing.Any]) -> str:
    keys = {"timestamp": "time", "entity": "entity", "level": "level", "module": "module", "message": "message"}
    return json.dumps({name: line[key] for name, key in keys.items()}, ensure_ascii=False)


@command.define(
    "show-status-log",
    "Output past statuses for the specified entity.",
    usage="<entity> [<entity> ...]",
    formats=("tabular", "json", "yaml"),
    options=(
        flags.text("type", default="unit", usage="Type of statuses to be displayed"),
        flags.number("n", default=0, usage="Returns the last N logs"),
        flags.number("days", usage="Returns the logs for the past days"),
        flags.text("from-date", usage="Returns logs for any date after the passed one"),
        flags.boolean("include-status-updates", usage="Accepted: the lab keeps no update-status runs in histories"),
        command.UTC_FLAG,
    ),
)
def show_status_log(invocation: command.Invocation) -> None:
    """Show the past statuses of a unit (its agent's and its workload's), an application, a machine or the model."""
    invocation.require(1, "entity name is missing")
    invocation.at_most(1)
    options = invocation.options
    since = _since(options)
    limit = options.number("n") or (20 if not since else 10_000)
    found = invocation.call("status_log", name=invocation.arguments[0], kind=options.text("type"), limit=limit)
    found = [line for line in found if times.parse(line["since"]).timestamp() >= since]
    utc = options.on("utc")
    shown = times.localize(found, utc)

    def table(lines: list[dict[str, str]]) -> str:
        rows = tabular.Table(color=invocation.color)
        rows.heading("Time", "Type", "Status", "Message")
        for line in lines:
            rows.add(line["since"], line["type"], tabular.status_cell(line["status"]), line["message"])
        return rows.render()

    invocation.show(shown, tabular=table)


def _since(options: flags.Values) -> float:
    given = [name for name in ("n", "days", "from-date") if options.given(name)]
    if len(given) > 1:
        raise command.UsageError("backlog size, backlog date and backlog days back cannot be specified together")
    if options.given("days"):
        return time.time() - options.number("days") * 86400
    if options.given("from-date"):
        try:
            return times.parse(options.text("from-date")).timestamp()
        except ValueError as error:
            raise command.UsageError(f'parsing backlog date: "{options.text("from-date")}" is no date') from error
    return 0.0
