"""Lives that are told by hand, or that once went wrong as random ones."""

from __future__ import annotations

import pytest

from tests.model import life, simulation, versions

pytestmark = pytest.mark.xdist_group("3 units")

AROUND_THE_SNAP = (24, 26, 28, 30, 32)


def test_a_unit_that_joins_while_the_refresh_is_paused_confirms_nothing():
    with life.Life(3) as lived:
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.add_unit()
        lived.settle()
        old = [each for each in lived.simulation.revisions().values() if each == versions.ORIGINAL.snap]
        assert len(old) == 2
        lived.end()


def test_the_only_refreshed_unit_that_leaves_confirms_nothing():
    with life.Life(3) as lived:
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.remove_unit(2)
        lived.settle()
        assert set(lived.simulation.revisions().values()) == {versions.ORIGINAL.snap}
        lived.end()


def test_a_unit_that_is_left_alone_before_its_turn_waits_for_the_operators_word():
    with life.Life(2) as lived:
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.remove_unit(1)
        lived.settle()
        assert set(lived.simulation.revisions().values()) == {versions.ORIGINAL.snap}
        lived.end()
        assert set(lived.simulation.revisions().values()) == {versions.NEWER.snap}


def test_a_unit_that_becomes_the_primary_just_before_its_turn():
    with life.Life(3) as lived:
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.power(2, on=False)
        lived.wait(30)
        lived.power(2, on=True)
        lived.settle()
        assert lived.simulation.world.raft.leader != f"{simulation.APPLICATION}-2"
        lived.end()


def test_a_refresh_does_not_begin_while_a_member_is_gone():
    with life.Life(3) as lived:
        lived.power(0, on=False)
        lived.wait(30)
        lived.refresh(versions.NEWER.revision)
        lived.wait(30)
        assert versions.NEWER.snap not in lived.simulation.revisions().values()
        lived.end()


def test_a_refresh_does_not_begin_with_a_pause_that_there_is_not():
    with life.Life(3) as lived:
        lived.set_pause("sometimes")
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        assert versions.NEWER.snap not in lived.simulation.revisions().values(), "the refresh began"
        lived.end()


def test_no_unit_is_stopped_before_a_refreshed_one_that_starts_slowly_follows():
    with life.Life(4) as lived:
        # Not from the highest, which would have to become the primary again before anything goes on.
        lived.switch_over(0, 0)
        lived.settle()
        lived.set_pause("none")
        lived.start_slowly(3, 10)
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.end()
        assert set(lived.simulation.revisions().values()) == {versions.NEWER.snap}


@pytest.mark.parametrize("how", ["kill", "raise"])
@pytest.mark.parametrize("at", AROUND_THE_SNAP)
def test_a_hook_that_is_cut_off_around_the_refresh_of_its_snap(at: int, how: str):
    with life.Life(3) as lived:
        lived.refresh(versions.NEWER.revision)
        lived.cut_off(2, at, how)
        lived.wait(3)
        lived.settle()
        lived.end()


@pytest.mark.parametrize("fault", ["unchanged", "changed"])
def test_a_snap_that_fails_and_a_way_back(fault: str):
    with life.Life(3) as lived:
        lived.break_snap(2, fault)
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        highest = lived.simulation.units()[-1]
        machine = lived.simulation.machine_of(highest)
        # It serves, with the old snap at once, with the new one from the hook's next attempt on.
        assert machine is not None and machine.patroni is not None, f"{highest.name} was not started again"
        assert machine.revision == (versions.NEWER.snap if fault == "changed" else versions.ORIGINAL.snap)
        assert lived.simulation.status(highest)[0] == ("active" if fault == "changed" else "error")
        lived.refresh(versions.ORIGINAL.revision)
        lived.settle()
        lived.end()
        assert set(lived.simulation.revisions().values()) == {versions.ORIGINAL.snap}


def test_a_unit_whose_snap_has_failed_serves_again_within_the_event():
    with life.Life(3) as lived:
        lived.break_snap(2, "unchanged")
        lived.refresh(versions.NEWER.revision)
        machine = lived.simulation.machine_of(lived.simulation.units()[-1])
        assert machine is not None
        for _ in range(10):
            lived.wait(1)
            if machine.stops:
                break
        assert machine.stops == 1
        assert machine.patroni is not None, "the unit was not started again in the event that stopped it"
        lived.end()


def test_a_unit_in_error_gets_new_charm_code_without_upgrade_charm():
    with life.Life(3) as lived:
        lived.break_snap(2, "unchanged")
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.refresh(versions.THIRD.revision, force_units=True)
        lived.settle()
        lived.end()
        assert set(lived.simulation.revisions().values()) == {versions.THIRD.snap}


@pytest.mark.parametrize("point", ["tool-call", "before-commit", "after-commit"])
def test_an_agent_that_crashes_when_all_is_quiet_changes_nothing(point: str):
    with life.Life(2) as lived:
        lived.settle()
        lived.crash_agent(1, point, 1)
        lived.settle()
        assert f'unit "{simulation.APPLICATION}/1" started' in lived.simulation.log()[-8:]


def test_units_that_still_join_when_the_new_charm_comes_confirm_nothing():
    with life.Life(2) as lived:
        lived.add_unit()
        lived.settle()
        lived.add_unit()
        lived.wait(8)
        lived.add_unit()
        # Both have been met by the others, and neither has a snap.
        lived.wait(10)
        assert list(lived.simulation.revisions().values())[3:] == [None, None]
        lived.end(versions.THIRD.revision)


def test_a_unit_that_is_left_alone_goes_on_once_the_loss_of_the_others_is_accepted():
    with life.Life(3) as lived:
        lived.power(1, False)
        lived.remove_unit(1)
        lived.remove_unit(2)
        lived.wait(4)
        lived.run(0, "force-majority")
        lived.wait(1)
        lived.end()


def test_a_unit_whose_hook_fails_goes_back_without_those_of_which_it_was_not_told():
    with life.Life(3) as lived:
        lived.refresh(versions.NEWER.revision)
        lived.settle()
        lived.break_snap(2, "unchanged")
        lived.refresh(versions.ORIGINAL.revision)
        lived.wait(4)
        lived.add_unit()
        lived.settle()
        lived.refresh(versions.THIRD.revision)
        lived.settle()
        lived.end()


@pytest.mark.parametrize(("pause", "place"), [("all", 2), ("none", 1)])
def test_a_snap_that_fails_stops_postgresql_no_more_often_than_juju_repeats_a_hook(pause: str, place: int):
    with life.Life(3) as lived:
        lived.set_pause(pause)
        lived.settle()
        machine = lived.simulation.machine_of(lived.simulation.units()[place])
        assert machine is not None
        before = machine.stops
        lived.break_snap(place, "unchanged")
        # So that the observer sees it go and come, which is an event each.
        lived.start_slowly(place, 3)
        lived.refresh(versions.NEWER.revision)
        lived.wait(300)
        # Juju waits for 5, 10, 20, 40, 80 and 160 s.
        assert 2 <= machine.stops - before <= 8
        lived.break_snap(place, None)
        lived.end()


def test_a_failure_tells_what_was_done_as_a_test():
    with life.Life(3) as lived, pytest.raises(life.Broken) as caught:
        lived.set_pause("all")
        lived.simulation.world.violations.append("something that must never be")
        lived.wait(1)
    text = str(caught.value)
    assert text.startswith("something that must never be")
    script = text[text.index("def test_scenario") :]
    names: dict[str, object] = {"life": life}
    exec(script, names)  # noqa: S102  what is to be tried
    scenario = names["test_scenario"]
    assert callable(scenario)
    scenario()
    assert f"{simulation.APPLICATION}/2: " in text


def test_hooks_that_fail_with_nothing_broken_are_noticed():
    with life.Life(3) as lived, pytest.raises(life.Broken, match="hooks failed although nothing was broken"):
        lived.simulation.cuts[f"{simulation.APPLICATION}/2"] = {"at": 1, "how": "raise"}
        lived.refresh(versions.NEWER.revision)
        lived.settle()
