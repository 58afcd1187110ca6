"""Time, the store and what a unit tells, for lives in which the machines get updates of snaps."""

from __future__ import annotations

import json
import typing

from snap_refresh import model
from tests.fakes import juju, units

HOUR = 3600.0


def wait(on: juju.Application, hours: float, times: int = 12) -> None:
    """Let time pass as it does where nothing happens: with update-status now and then, so often at most."""
    until = on.world.now + hours * HOUR
    step = max(360.0, hours * HOUR / times)
    while on.world.now < until:
        on.world.now += min(step, until - on.world.now)
        on.update_status()
        on.run(4)


def look(on: juju.Application) -> None:
    """Time for the store to be asked again, for what follows, and for the primary to have waited for the others."""
    for _ in range(4):
        wait(on, 1.1, times=2)
        on.settle()


def offer(on: juju.Application, *names: str, revision: str = "2") -> None:
    for name in names:
        on.world.store[name] = (revision, f"{name} {revision}")


def remembered(unit: units.Unit) -> model.Remembered:
    return model.Remembered.parse((unit.directory / model.FILE).read_text())


def answer(unit: units.Unit) -> dict[str, str]:
    lines = unit.machine.paths.gate_answer.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def status(unit: units.Unit) -> dict[str, typing.Any]:
    return json.loads(unit.act("get-snap-refresh-status", format="json").results["status"])


def entry(unit: units.Unit, name: str) -> dict[str, typing.Any]:
    return next(each for each in status(unit)["snaps"] if each["name"] == name)
