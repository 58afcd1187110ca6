"""Keeps the leases of leadership: renews them for agents that live, and hands over those that have run out."""

from __future__ import annotations

import datetime

from lab.controller import core
from lab.controller.entities import applications, leadership, models, units

DURATION = 60.0
RENEW_AFTER = 30.0
"""Seconds. A live leader renews its lease when half of it is over; another may have it when it has run out."""


def step(controller: core.Controller) -> None:
    """Does what is due now for all applications."""
    for application in controller.store.find(applications.Application):
        _step(controller, application)


def _step(controller: core.Controller, application: applications.Application) -> None:
    store, now = controller.store, controller.now()
    lease = store.get(leadership.Lease, application.model, application.name)
    if lease is not None and lease.expires > now:
        holder = store.get(units.Unit, application.model, lease.holder)
        if holder is not None and holder.agent_alive and lease.expires - now <= _seconds(DURATION - RENEW_AFTER):
            _grant(controller, application, lease.holder)
        return
    alive = [unit for unit in applications.units_of(store, application.model, application.name) if unit.agent_alive]
    candidates = [unit for unit in alive if unit.life is models.Life.ALIVE]
    if lease is not None and lease.holder in {unit.name for unit in alive}:
        # Its agent lives, only its renewal was held up: nobody else was waiting for it yet.
        _grant(controller, application, lease.holder)
    elif candidates:
        _grant(controller, application, controller.identifiers.random.choice(candidates).name)


def _grant(controller: core.Controller, application: applications.Application, unit: str) -> None:
    expires = controller.now() + _seconds(DURATION)
    controller.store.put(leadership.Lease(application.model, application.name, unit, expires))


def _seconds(number: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=number)


def next_due(controller: core.Controller) -> datetime.datetime | None:
    """When a lease is next to be renewed or to run out."""
    leases = controller.store.find(leadership.Lease)
    return min((lease.expires - _seconds(DURATION - RENEW_AFTER) for lease in leases), default=None)
