"""What units know of their machines' snaps, for tests of the pure parts: all held, an update of the base waiting."""

from __future__ import annotations

import dataclasses
import datetime
import typing

import facts
from gating import affected
from snap_refresh import model
from tests.fakes import known

NOW = datetime.datetime(2025, 6, 1, 10, 0, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
UNTIL = NOW + 48 * HOUR
UPDATE = affected.Candidate("core24", "2", "24.2", "latest/stable")


def wish(
    since: datetime.datetime = NOW - 3 * HOUR, until: datetime.datetime = UNTIL, **more: datetime.datetime
) -> model.Wish:
    """Of a unit whose base waits."""
    return model.Wish(("core24",), since, until, **more)


def seen(
    *updates: affected.Candidate,
    remembered: dict[str, typing.Any] | None = None,
    turn: int | None = None,
    **changes: typing.Any,
) -> model.SnapRefresh:
    """A machine with the workload, its base and snapd, refreshed a day ago.

    remembered: changes of Remembered. turn: of the unit that has just got it.
    """
    refreshed = NOW - 24 * HOUR
    system = affected.System(
        {
            model.WORKLOAD: affected.Snap(model.WORKLOAD, base="core24", gates=True, refreshed=refreshed),
            "core24": affected.Snap("core24", type="base", refreshed=refreshed),
            "snapd": affected.Snap("snapd", type="snapd", refreshed=refreshed),
        }
    )
    holds = {"core24": UNTIL, "snapd": UNTIL}
    given = {"asked": NOW, "holds": holds, "updates": {each.name: each for each in updates}} | (remembered or {})
    made = model.SnapRefresh(
        now=NOW,
        system=system,
        revisions={model.WORKLOAD: known.PINNED, "core24": "1", "snapd": "1"},
        holds=holds | {model.WORKLOAD: NOW.replace(year=2317)},
        remembered=model.Remembered(**given),
        recorded=None if turn is None else model.Turn(turn, NOW),
    )
    return dataclasses.replace(made, **changes)


def facts_of(about: model.SnapRefresh, number: int = 1, **changes: typing.Any) -> facts.Facts:
    """A unit of a healthy cluster, with these snaps."""
    return dataclasses.replace(known.settled(number, **changes), snap_refresh=about)
