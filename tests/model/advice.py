"""What the statuses tell an operator to do, and an operator who does that and nothing else."""

from __future__ import annotations

import collections.abc
import contextlib
import re

from lab.controller.entities import models, units
from lab.controller.operations_common import OperationError
from tests.model import rules, simulation, versions

# Ways out, beside what goes on: who is stuck is not helped by them.
_ASIDE = re.compile(r"To (?:rollback, `[^`]*`|pause refresh, run `[^`]*`)")
_BACK = r"Rollback with `juju refresh|Go back: `juju refresh"
_GIVE_UP = r"`juju run (\S+) force-majority accept-data-loss=true`"
_INCOMPATIBLE = rf"Refresh incompatible\. {_BACK}|cannot follow .*(?:{_BACK})"
_PAUSE_OPTION = r"pause-after-unit-refresh config must be set to"
_RESUME = r"run `resume-refresh` on unit (\d+)"
_UPGRADE = r"Waiting for Juju upgrade-charm"
_ANY = rf"`[a-z][^`]*`|see get-refresh-status|{_PAUSE_OPTION}|{_UPGRADE}"
"""What names the next thing to do, where the operator's word is not due."""


def is_done(simulated: simulation.Simulation) -> bool:
    """Whether all units serve, at the revision that the application's charm pins."""
    revisions = set(simulated.revisions().values())
    serve = simulated.are_active() and simulated.application_status()[0] == "active"
    return serve and revisions == {simulated.version().snap}


def texts(simulated: simulation.Simulation) -> list[str]:
    """All statuses that are to be seen."""
    return [simulated.application_status()[1], *(simulated.status(unit)[1] for unit in simulated.units())]


def missing(simulated: simulation.Simulation, watching: rules.Rules) -> str | None:
    """What somebody would have to do now and no status tells; None where all goes on, or is told.

    Called when all is quiet. Of a unit in error Juju tells by itself.
    """
    if is_done(simulated) or _failed(simulated):
        return None
    shown = [_ASIDE.sub("", text) for text in texts(simulated)]
    wanted = _wanted(simulated, watching)
    return None if _first(shown, wanted) else wanted


def _wanted(simulated: simulation.Simulation, watching: rules.Rules) -> str:
    """A regular expression of what the statuses have to tell."""
    if simulated.config(rules.PAUSE) not in ("all", "first", "none"):
        return _PAUSE_OPTION
    old = [unit for unit in simulated.units() if unit.life is models.Life.ALIVE and _is_old(simulated, unit)]
    refresh = watching.refresh
    if refresh is None or not old:
        return _ANY
    original = watching.original()
    if not refresh.begun and original is not None and not versions.is_supported(original, refresh.target):
        return _INCOMPATIBLE
    if watching.pauses(refresh):
        return rf"run `resume-refresh` on unit {max(unit.number for unit in old)}(?!\d)"
    return _ANY


def _is_old(simulated: simulation.Simulation, unit: units.Unit) -> bool:
    machine = simulated.machine_of(unit)
    return machine is not None and machine.revision not in (None, simulated.version().snap)


def follow(simulated: simulation.Simulation, watching: rules.Rules) -> bool:
    """Do one thing for which the statuses ask; whether there was one."""
    shown = texts(simulated)
    if _failed(simulated):
        with contextlib.suppress(OperationError):
            simulated.operations.resolved(simulation.MODEL, all=True)
    elif found := _first(shown, _GIVE_UP):
        simulated.world.accept_loss()
        simulated.run(found[1], "force-majority", **{"accept-data-loss": True})
    elif found := _first(shown, _RESUME):
        simulated.run(f"{simulation.APPLICATION}/{found[1]}", "resume-refresh")
    elif _first(shown, _PAUSE_OPTION):
        simulated.configure(pause_after_unit_refresh="first")
    elif _first(shown, _BACK):
        target = watching.original() or versions.ORIGINAL
        watching.ask(target)
        simulated.refresh(target)
    elif _first(shown, _UPGRADE):
        # As charm-refresh's log says.
        simulated.configure(pause_after_unit_refresh="invalid")
        simulated.settle()
        simulated.configure(pause_after_unit_refresh="all")
    else:
        return False
    return True


def _failed(simulated: simulation.Simulation) -> bool:
    return any(simulated.status(unit)[0] == "error" for unit in simulated.units())


def _first(shown: collections.abc.Iterable[str], pattern: str) -> re.Match[str] | None:
    return next((found for text in shown if (found := re.search(pattern, text))), None)
