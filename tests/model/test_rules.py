"""What watches the lives, watched: each rule notices what breaks it."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

from lab.controller.entities import tasks
from tests.model import advice, life, simulation, versions, worldserver

pytestmark = pytest.mark.xdist_group("3 units")

OTHER_WORDS = "Refreshing. To rollback, `juju refresh --revision 1`"
RESUME = "Refreshing. Check units >=2 are healthy & run `resume-refresh` on unit {}. To rollback, `juju refresh`"


def unit(number: int) -> str:
    return f"{simulation.APPLICATION}/{number}"


def machine(lived: life.Life, number: int) -> worldserver.Machine:
    found = lived.simulation.machine_of(lived.simulation.units()[number])
    assert found is not None
    return found


def in_hook(lived: life.Life, number: int) -> worldserver.Machine:
    """Let what comes be done by a hook of that unit; its machine."""
    lived.simulation.dispatches.append(simulation.Dispatch(unit(number), "hooks/config-changed", {}, 0))
    return machine(lived, number)


def paused(lived: life.Life) -> None:
    """A refresh that waits for the operator's word about unit 1."""
    lived.refresh(versions.NEWER.revision)
    lived.settle()


def a_task(lived: life.Life, name: str, **changes: typing.Any) -> None:
    """Let an action have ended in another way than it has."""
    lived.settle()
    number = lived.simulation.run(unit(0), "get-primary")
    lived.wait(2)
    ended = lived.simulation.task(number)
    lived.simulation.store.put(dataclasses.replace(ended, id=number + 1000, name=name, **changes))


def test_a_traceback_in_an_action_is_noticed():
    with life.Life(3) as lived, pytest.raises(life.Broken, match=r"get-primary on \S+ ended with 1: .*KeyError"):
        a_task(lived, "get-primary", results={"return-code": 1, "stderr": "KeyError"})
        lived.wait(1)


def test_what_was_cut_off_on_purpose_is_none():
    with life.Life(3) as lived:
        lived.settle()
        lived.cut_off(0, 3, "raise")
        lived.run(0, "get-cluster-status")
        lived.wait(2)
        (task,) = [each for each in lived.simulation.store.find(tasks.Task) if each.name == "get-cluster-status"]
        assert task.results["return-code"] == 1


def test_a_resume_refresh_that_refreshes_nothing_and_is_not_refused_is_noticed():
    with life.Life(3) as lived, pytest.raises(life.Broken, match="was not refused and refreshed nothing"):
        a_task(lived, "resume-refresh")
        lived.wait(1)


def test_an_event_that_changes_what_the_charm_keeps_is_noticed(monkeypatch: pytest.MonkeyPatch):
    with life.Life(3) as lived:
        lived.settle()
        (file,) = machine(lived, 1).root.glob("var/lib/juju/agents/*/charm/.verified.json")
        step = lived.simulation.engine.step

        def write() -> bool:
            content = json.loads(file.read_text())
            file.write_text(json.dumps({**content, "seen": content.get("seen", 0) + 1}))
            return step()

        lived.simulation.settle()
        monkeypatch.setattr(lived.simulation.engine, "step", write)
        with pytest.raises(AssertionError, match="an event changed something after all was quiet"):
            lived._quiet.check_events()


def test_events_come_to_units_that_are_not_active_too():
    with life.Life(3) as lived:
        lived.refresh(versions.INCOMPATIBLE.revision)
        lived.settle()
        lived.simulation.server.known[str(machine(lived, 2).root)].ports_taken = {5432}
        before = len(lived.simulation.dispatches)
        lived._quiet.check_events()
        assert [each.unit for each in lived.simulation.dispatches[before:]] == [unit(0), unit(1), unit(2)] * 2


@pytest.mark.parametrize(
    ("text", "is_told"), [(OTHER_WORDS, False), (RESUME.format(0), False), (RESUME.format(1), True)]
)
def test_at_a_pause_a_status_has_to_name_resume_refresh_on_the_right_unit(
    text: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
):
    with life.Life(3) as lived:
        paused(lived)
        monkeypatch.setattr(lived.simulation, "application_status", lambda: ("blocked", text))
        assert (advice.missing(lived.simulation, lived.rules) is None) == is_told


def test_an_incompatible_refresh_has_to_be_told_as_one(monkeypatch: pytest.MonkeyPatch):
    with life.Life(3) as lived:
        lived.refresh(versions.INCOMPATIBLE.revision)
        lived.settle()
        assert advice.missing(lived.simulation, lived.rules) is None
        monkeypatch.setattr(lived.simulation, "application_status", lambda: ("blocked", RESUME.format(2)))
        assert advice.missing(lived.simulation, lived.rules)


def test_a_unit_that_has_not_the_latest_charm_keeps_to_the_pause_and_the_order_of_its_own():
    with life.Life(3) as lived:
        paused(lived)
        # It has come to no unit yet.
        lived.rules.ask(versions.THIRD)
        lived.rules.refreshed(in_hook(lived, 0), versions.ORIGINAL.snap, versions.NEWER.snap)
        violations = "; ".join(lived.simulation.world.violations)
        assert "366 -> 416 without the operator's word" in violations
        assert f"refreshed before {unit(1)}" in violations
        lived.simulation.world.violations.clear()


def test_a_unit_that_has_not_the_latest_charm_begins_only_what_may_follow():
    with life.Life(3) as lived:
        lived.refresh(versions.INCOMPATIBLE.revision)
        lived.settle()
        lived.rules.ask(versions.NEWER)
        lived.rules.stopped(in_hook(lived, 2), leaving=False)
        assert "16/1.0.0 -> 16/2.0.0 without force" in "; ".join(lived.simulation.world.violations)
        lived.simulation.world.violations.clear()


def test_also_after_other_trouble_a_refresh_begins_only_while_all_members_run():
    with life.Life(3) as lived:
        lived.set_pause("all")
        lived.power(0, on=False)
        lived.wait(30)
        lived.refresh(versions.NEWER.revision)
        lived.reboot(1)
        lived.wait(30)
        lived.rules.stopped(in_hook(lived, 2), leaving=False)
        assert f"the refresh began while {unit(0)} did not run" in "; ".join(lived.simulation.world.violations)
        lived.simulation.world.violations.clear()
