"""Refreshes that nobody disturbs, from each placement of the primary."""

from __future__ import annotations

import time

import pytest

from tests.model import deployed, life, simulation, stage, versions

PLACEMENTS = [
    pytest.param(count, primary, marks=pytest.mark.xdist_group(f"{count} units"))
    for count in range(1, life.MAXIMUM_UNITS + 1)
    for primary in range(count)
]
of_three = pytest.mark.xdist_group("3 units")
DISPATCH_SECONDS = 0.06


@pytest.mark.parametrize(("count", "primary"), PLACEMENTS)
def test_an_undisturbed_refresh_hands_over_once_or_twice_from_the_highest_unit(count: int, primary: int):
    with life.Life(count) as lived:
        world = lived.simulation.world
        if world.raft.leader != f"{simulation.APPLICATION}-{primary}":
            lived.switch_over(0, primary)
            lived.settle()
        assert world.raft.leader == f"{simulation.APPLICATION}-{primary}"
        before, promotions = len(world.switchovers), len(world.promotions)
        lived.refresh(versions.NEWER.revision)
        lived.end()
        expected = 0 if count == 1 else 2 if primary == count - 1 else 1
        assert len(world.switchovers) - before == expected, world.switchovers
        # One alone takes up again what it has laid down itself.
        assert len(world.promotions) - promotions == max(expected, int(count == 1)), world.promotions


@of_three
@pytest.mark.parametrize("pause", ["all", "first", "none"])
def test_a_refresh_waits_for_the_operators_word_as_often_as_was_asked_for(pause: str):
    with life.Life(3) as lived:
        lived.set_pause(pause)
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        done = [name for name, each in lived.simulation.revisions().items() if each == versions.NEWER.snap]
        assert len(done) == (3 if pause == "none" else 1)
        lived.end()
        words = [each for each in lived.simulation.dispatches if each.path == "actions/resume-refresh"]
        assert len(words) == {"all": 2, "first": 1, "none": 0}[pause]


@of_three
def test_a_rollback_in_the_middle_brings_everything_back():
    with life.Life(3) as lived:
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.refresh(versions.ORIGINAL.revision)
        lived.end()
        assert set(lived.simulation.revisions().values()) == {versions.ORIGINAL.snap}


@of_three
@pytest.mark.parametrize("version", [versions.INCOMPATIBLE, versions.UNRELEASED])
def test_what_is_not_supported_is_refused_and_the_status_leads_back(version: versions.Version):
    with life.Life(3) as lived:
        lived.refresh(version.revision)
        lived.settle()
        assert set(lived.simulation.revisions().values()) == {versions.ORIGINAL.snap}
        lived.end()
        assert lived.simulation.version() == versions.ORIGINAL


def test_a_deployment_settles():
    with life.Life() as lived:
        lived.deploy(3)
        lived.end()


def test_the_simulation_stands_still_but_for_its_own_time():
    with deployed.application(stage.shared(), 1) as simulated:
        simulated.settle()
        began = time.monotonic()
        simulated.world.advance(3600)
        assert time.monotonic() - began < 5


@of_three
def test_a_dispatch_is_cheap():
    """Measured in time of the processors, which a busy host lengthens less than the clock's: a whole life's mean."""
    with life.Life(3) as lived:
        hooks = lived.simulation.stage.fork_server.hook_seconds
        del hooks[:]
        began = time.process_time()
        lived.refresh(versions.NEWER.revision)
        lived.end()
        controller = time.process_time() - began
        assert len(hooks) == len(lived.simulation.dispatches) > 20
        own, all_in_all = sum(hooks) / len(hooks), (sum(hooks) + controller) / len(hooks)
        print(f"a hook: {own * 1000:.1f} ms, {all_in_all * 1000:.1f} ms with the controller, of {len(hooks)}")
        assert all_in_all <= DISPATCH_SECONDS, hooks
