"""What real dispatches have loaded at their end is what docs/reference/performance.md allows."""

from __future__ import annotations

import pytest

from tests.model import life, simulation, versions, worldserver
from tests.unit import test_imports

pytestmark = pytest.mark.xdist_group("3 units")

LOADS_MORE = frozenset({"sql", "raft"})
"""What the simulated world stands in for here, and loads the packages of the second table in the real charm."""


def test_hooks_of_a_refresh_load_what_the_tables_allow():
    always, later = test_imports.tables()
    lazy = test_imports.own() - test_imports.loaded()
    with life.Life(3) as lived:
        have_primary(lived, 0)
        told, dispatches = lived.simulation.server.loaded, lived.simulation.dispatches
        del told[:], dispatches[:]
        lived.set_pause("none")
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        for unit in lived.simulation.units():
            kinds = {dispatch.path for dispatch in dispatches if dispatch.unit == unit.name}
            assert {"hooks/upgrade-charm", "hooks/refresh-v-three-relation-changed"} <= kinds
        for dispatch, loaded in zip(dispatches, told, strict=True):
            assert test_imports.packages(loaded.modules) <= always | later, dispatch
            assert not loaded.modules & lazy, dispatch


def test_only_the_leader_and_the_primary_load_more_and_not_in_an_update_status():
    with life.Life(3) as lived:
        leader = int((lived.simulation.leader() or "").rpartition("/")[2])
        primary, standby = (number for number in range(3) if number != leader)
        have_primary(lived, primary)
        asked = {
            (event, number): dispatched(lived.simulation, event, number).asked & LOADS_MORE
            for event in ("update-status", "config-changed")
            for number in range(3)
        }
    assert [asked["update-status", number] for number in range(3)] == [frozenset()] * 3
    assert asked["config-changed", primary] == {"sql"}
    assert asked["config-changed", leader] == {"raft"}
    assert asked["config-changed", standby] == frozenset()


def have_primary(lived: life.Life, number: int) -> None:
    """Make a unit PostgreSQL's primary."""
    lived.switch_over(number, number)
    lived.settle()
    assert lived.simulation.world.raft.leader == f"{simulation.APPLICATION}-{number}"


def dispatched(simulated: simulation.Simulation, event: str, number: int) -> worldserver.Loaded:
    """What a unit has loaded at the end of an event."""
    unit = f"{simulation.APPLICATION}/{number}"
    simulated.operations.exec(simulation.MODEL, simulation.HOOK.format(event), units=[unit])
    assert simulated.engine.step()
    return simulated.server.loaded[-1]
