"""What charm-refresh keeps in its relation `refresh-v-three`, as far as the charm reads it. Nothing is written here.

Formats are charm-refresh's: JSON in each value. The keys that are read are in docs/reference/formats.md.
"""

import collections.abc
import json
import typing

import ops

import peers
import refresh_facts

RELATION = "refresh-v-three"
_NEXT_ALLOWED = "next_unit_allowed_to_refresh_if_this_units_snap_revision_and_databag_are_up_to_date"
_STARTED = "refresh_started_if_this_units_databag_is_up_to_date"


def units(model: ops.Model) -> dict[int, refresh_facts.UnitState]:
    """What each other unit tells, by number."""
    relation = model.get_relation(RELATION)
    if relation is None:
        return {}
    return {peers.unit_number(unit.name): _unit_state(relation.data[unit]) for unit in relation.units}


def own(model: ops.Model) -> refresh_facts.UnitState:
    """What this unit told last."""
    relation = model.get_relation(RELATION)
    return refresh_facts.UnitState() if relation is None else _unit_state(relation.data[model.unit])


def original(model: ops.Model) -> refresh_facts.Build | None:
    """What all units ran when the last refresh had ended, or after the deployment; None before that."""
    relation = model.get_relation(RELATION)
    if relation is None:
        return None
    databag = relation.data[model.app]
    keys = ("charm_version", "workload_version", "workload_container_version", "charm_revision")
    found = [_value(databag, f"original_{key}") for key in keys]
    return refresh_facts.Build(*found) if None not in found else None


def _unit_state(databag: collections.abc.Mapping[str, str]) -> refresh_facts.UnitState:
    last = _value(databag, "last_refresh_to_up_to_date_charm_code_version") or {}
    return refresh_facts.UnitState(
        snap_revision=_value(databag, "installed_snap_revision"),
        url=last.get("charm_revision"),
        next_unit_allowed=_value(databag, _NEXT_ALLOWED) is True,
        started=_value(databag, _STARTED) is True,
    )


def _value(databag: collections.abc.Mapping[str, str], key: str) -> typing.Any:
    found = databag.get(key)
    return json.loads(found) if found else None
