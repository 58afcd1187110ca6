"""The goal state: what the model is to have, seen from one unit."""

from __future__ import annotations

import datetime
import typing

from lab.controller.entities import applications, models, relations, statuses, units

if typing.TYPE_CHECKING:
    from lab.controller import store as store_module

Goal = dict[str, str]


def goal_state(store: store_module.Store, model: str, unit: str) -> dict[str, typing.Any]:
    """The units of the own application, and related applications with their units by endpoint.

    Peers are among the units, not among the relations. Units that are to go have the status ``dying``, dead ones are
    left out.
    """
    application = unit.partition("/")[0]
    related: dict[str, dict[str, Goal]] = {}
    for relation in relations.of_application(store, model, application):
        if relation.peer or relation.life is models.Life.DEAD:
            continue
        remote = relation.remote(application).application
        described = store.get(applications.Application, model, remote)
        if described is None:
            continue
        goals = related.setdefault(relation.endpoint(application).name, {})
        joined = "joined" if relation.life is models.Life.ALIVE else "dying"
        goals[remote] = {"status": joined, "since": _time(described.created)}
        goals |= _units(store, model, remote)
    return {"units": _units(store, model, application), "relations": related}


def _units(store: store_module.Store, model: str, application: str) -> dict[str, Goal]:
    return {
        unit.name: _goal(store, unit)
        for unit in applications.units_of(store, model, application)
        if unit.life is not models.Life.DEAD
    }


def _goal(store: store_module.Store, unit: units.Unit) -> Goal:
    status, _ = statuses.presented(store, unit.model, unit.name)
    dying = unit.life is models.Life.DYING
    shown = "dying" if dying else status.status if status else "waiting"
    return {"status": shown, "since": _time(status.since if status else unit.created)}


def _time(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
