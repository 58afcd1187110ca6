"""Gathers what a unit knows of its machine's snaps, once a hook. Reads only.

The installed snaps come from the answer that the workload's own state was read from. Beside it, at most one request is
made while nothing is pending: for the connections where the installed snaps have changed, and now and then, since
connections change without them; else for updates, which snapd asks the store for, and so not in each hook.
"""

import collections.abc
import dataclasses
import datetime
import logging
import pathlib
import time
import typing

import facts
import peers as peer_relation
from gating import affected
from snap_refresh import model
from workload import machine, snap, snapd, sql

logger = logging.getLogger(__name__)

ASK_SECONDS = 3600.0
"""The store is asked at most that often: its answer takes a second, and the holds stand anyway."""
ASK_AGAIN_SECONDS = 1800.0
"""After it has not answered."""
LOOK_SECONDS = 3600.0
"""Connections are looked at that often where nothing else has changed."""


def observe(
    known: facts.Facts,
    workload: machine.Workload,
    peers: peer_relation.Peers,
    directory: pathlib.Path,
    fresh: bool = False,
) -> model.SnapRefresh | None:
    """All of it; None where there is nothing to decide on. fresh: ask the store, however short ago it was asked."""
    # A charm that is refused is not ready, and what is held stays so.
    if known.leaving or not (known.ready or known.refused) or known.machine.snap is None:
        return None
    if known.machine.snap.revision is None:
        return None
    installed = workload.snap.all_installed()
    revisions = {str(each["name"]): str(each["revision"]) for each in installed}
    now = datetime.datetime.fromtimestamp(int(time.time())).astimezone()
    remembered = _ask(load(directory), revisions, workload, now, fresh)
    holds = {str(each["name"]): datetime.datetime.fromisoformat(each["hold"]) for each in installed if each.get("hold")}
    seen = model.SnapRefresh(
        now=now,
        system=_system(installed, remembered),
        revisions=revisions,
        holds={name: until.replace(microsecond=0) for name, until in holds.items()},
        marked=frozenset(name for name, until in holds.items() if snapd.is_marked(until)),
        remembered=remembered,
        wishes=_wishes(peers.others_values(model.WISH)),
        published=peers.unit_value(model.WISH),
        recorded=_turn(peers.application_value(model.TURN)),
    )
    if seen.turn == known.number or (seen.published_wish and seen.published_wish.refreshing):
        seen = dataclasses.replace(seen, busy=_busy(workload))
    if fresh or (seen.turn == known.number and seen.updates):
        seen = dataclasses.replace(seen, backup_running=_backup_running(known, workload))
    return seen


def load(directory: pathlib.Path) -> model.Remembered:
    """What this unit remembers; nothing where there is no file, or one that cannot be read."""
    try:
        return model.Remembered.parse((directory / model.FILE).read_text())
    except FileNotFoundError:
        return model.Remembered()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s cannot be read and is begun anew: %s", model.FILE, error)
        return model.Remembered()


def _ask(
    remembered: model.Remembered,
    revisions: dict[str, str],
    workload: machine.Workload,
    now: datetime.datetime,
    fresh: bool,
) -> model.Remembered:
    try:
        if fresh or remembered.installed != revisions or _looks_again(remembered, now):
            connections = tuple(workload.snapd.connections(model.WORKLOAD))
            remembered = dataclasses.replace(remembered, installed=revisions, connections=connections, looked=now)
            if not fresh and remembered.asked is not None:
                return remembered
        if fresh or _is_due(remembered, now):
            updates = {candidate.name: candidate for candidate in _candidates(workload.snapd.updates())}
            return dataclasses.replace(remembered, asked=now, failure=None, updates=updates)
    except snap.SnapOperationError as error:
        logger.warning("Updates of snaps are not known: %s", error)
        return dataclasses.replace(remembered, asked=now, failure=str(error))
    return remembered


def _is_due(remembered: model.Remembered, now: datetime.datetime) -> bool:
    return _is_over(remembered.asked, now, ASK_SECONDS if remembered.failure is None else ASK_AGAIN_SECONDS)


def _looks_again(remembered: model.Remembered, now: datetime.datetime) -> bool:
    """Whether to look at the connections anew. Never twice without asking the store between: hooks may be rare."""
    asked_since = remembered.looked is None or remembered.asked is None or remembered.looked <= remembered.asked
    return asked_since and _is_over(remembered.looked, now, LOOK_SECONDS)


def _is_over(since: datetime.datetime | None, now: datetime.datetime, seconds: float) -> bool:
    """Whether so much time has passed; also where it was never begun, or the clock was put back."""
    return since is None or not 0 <= (now - since).total_seconds() < seconds


def _candidates(answer: collections.abc.Iterable[dict[str, typing.Any]]) -> list[affected.Candidate]:
    return [
        affected.Candidate(each["name"], str(each["revision"]), each.get("version", ""), each.get("channel", ""))
        for each in answer
    ]


def _system(installed: list[dict[str, typing.Any]], remembered: model.Remembered) -> affected.System:
    names = {each["name"] for each in installed}
    snaps = (
        affected.Snap(
            name=each["name"],
            type=each.get("type", "app"),
            base=each.get("base") or "",
            gates=each["name"] == model.WORKLOAD,
            refreshed=datetime.datetime.fromisoformat(each["install-date"]) if each.get("install-date") else None,
            file_time=_file_time(each.get("mounted-from")),
            channel=each.get("tracking-channel", ""),
            inhibited=bool(each.get("refresh-inhibit")),
        )
        for each in installed
    )
    connections = tuple(each for each in remembered.connections if {each[1], each[2]} <= names)
    return affected.System({each.name: each for each in snaps}, connections)


def _file_time(path: str | None) -> datetime.datetime:
    try:
        return datetime.datetime.fromtimestamp(pathlib.Path(path or "").stat().st_mtime, datetime.UTC)
    except OSError:
        return affected.Snap("").file_time


def _wishes(texts: dict[int, str]) -> dict[int, model.Wish]:
    found: dict[int, model.Wish] = {}
    for number, text in texts.items():
        try:
            found[number] = model.Wish.parse(text)
        except (ValueError, KeyError, TypeError):
            logger.warning("What unit %s publishes of its snaps is not understood", number)
    return found


def _turn(text: str | None) -> model.Turn | None:
    try:
        return model.Turn.parse(text) if text else None
    except (ValueError, KeyError, TypeError):
        logger.warning("Whose turn it is to refresh snaps is not understood")
        return None


def _busy(workload: machine.Workload) -> tuple[str, ...]:
    try:
        return tuple(workload.snapd.changes())
    except snap.SnapOperationError as error:
        logger.warning("The changes of snapd are not known: %s", error)
        return ("changes that snapd does not tell",)


def _backup_running(known: facts.Facts, workload: machine.Workload) -> bool | None:
    primary = known.cluster.primary if known.cluster else None
    if primary is None or known.passwords is None:
        return None
    local = primary.name == known.member_name
    database = workload.sql(None if local else primary.address, None if local else known.passwords.operator)
    try:
        return database.activity().backup_running
    except sql.SqlError as error:
        logger.warning("The primary cannot be asked for backups: %s", error)
        return None
