"""Lives of an application, played by the lab's controller over root-less machines and a simulated workload."""

from __future__ import annotations

import os
import re

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from lab.controller.entities import relations
from tests.model import simulation

hypothesis.settings.register_profile("small", max_examples=6, stateful_step_count=12, deadline=None, derandomize=True)
hypothesis.settings.register_profile("nightly", max_examples=300, stateful_step_count=40, deadline=None)
PROFILE = hypothesis.settings.get_profile(os.environ.get("HYPOTHESIS_MODEL_PROFILE", "small"))
NEWEST = "16/1.2.0"


def finish(simulated: simulation.Simulation, version: str) -> None:
    """Bring a refresh to its end as an operator would: by what the statuses ask for."""
    for _ in range(12):
        simulated.settle()
        asked = re.search(r"run `resume-refresh` on unit (\d+)", simulated.application_status()[1])
        if asked is None:
            break
        simulated.run(f"{simulation.APPLICATION}/{asked[1]}", "resume-refresh")
    expected = dict.fromkeys(simulated.revisions(), simulation.VERSIONS[version][1])
    assert simulated.revisions() == expected, simulated.summary()
    assert simulated.are_active(), simulated.summary()


def databags(simulated: simulation.Simulation) -> dict[str, dict[str, str]]:
    """All databags, by relation and owner."""
    found = {}
    for relation in simulated.store.find(relations.Relation):
        for owner in [simulation.APPLICATION, *(unit.name for unit in simulated.units())]:
            found[f"{relation.key} {owner}"] = relations.settings(simulated.store, relation.model, relation.id, owner)
    return found


@pytest.fixture
def deployed():
    with simulation.Simulation() as simulated:
        simulated.deploy(3, profile="testing")
        simulated.settle()
        assert simulated.are_active(), simulated.summary()
        yield simulated
        assert not simulated.world.violations


def test_a_refresh_pauses_goes_on_and_hands_over_once(deployed: simulation.Simulation):
    deployed.refresh("16/1.1.0")
    deployed.settle()
    assert sorted(filter(None, deployed.revisions().values())) == ["366", "366", "416"]
    finish(deployed, "16/1.1.0")
    assert len(deployed.world.switchovers) == 1 + deployed.highest_was_primary


def test_a_rollback_in_the_middle_brings_everything_back(deployed: simulation.Simulation):
    deployed.refresh("16/1.1.0")
    deployed.settle()
    deployed.refresh("16/1.0.0")
    finish(deployed, "16/1.0.0")


def test_a_settled_application_changes_nothing_any_more(deployed: simulation.Simulation):
    before = databags(deployed)
    hook = "JUJU_HOOK_NAME=update-status JUJU_DISPATCH_PATH=hooks/update-status ./dispatch"
    for unit in deployed.units():
        deployed.operations.exec(simulation.MODEL, hook, units=[unit.name])
    deployed.settle()
    assert databags(deployed) == before
    assert deployed.are_active()


class Life(stateful.RuleBasedStateMachine):
    """Random lives: whatever happens in whatever order, an operator who does what the statuses ask for gets there."""

    def __init__(self) -> None:
        super().__init__()
        self.simulated = simulation.Simulation()
        self.simulated.__enter__()

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.simulated.__exit__()

    def _end(self) -> None:
        self.simulated.settle()
        self.simulated.refresh(NEWEST)
        finish(self.simulated, NEWEST)
        assert not self.simulated.world.violations, self.simulated.summary()

    @stateful.initialize(count=st.integers(1, 3))
    def deploy(self, count: int) -> None:
        self.simulated.deploy(count, profile="testing")
        self.simulated.settle()

    @stateful.rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.simulated.tick()

    @stateful.precondition(lambda self: len(self.simulated.units()) < 4)
    @stateful.rule()
    def add_unit(self) -> None:
        self.simulated.operations.add_unit(simulation.MODEL, simulation.APPLICATION)

    @stateful.precondition(lambda self: len(self.simulated.units()) > 1)
    @stateful.rule(choice=st.integers(0, 3))
    def remove_unit(self, choice: int) -> None:
        units = self.simulated.units()
        self.simulated.operations.remove_unit(simulation.MODEL, units[choice % len(units)].name)
        self.simulated.settle()

    @stateful.rule(version=st.sampled_from(sorted(simulation.VERSIONS)))
    def refresh(self, version: str) -> None:
        self.simulated.refresh(version)

    @stateful.rule(choice=st.integers(0, 3))
    def resume(self, choice: int) -> None:
        units = self.simulated.units()
        self.simulated.run(units[choice % len(units)].name, "resume-refresh")

    @stateful.rule(pause=st.sampled_from(["all", "first", "none"]))
    def change_pause(self, pause: str) -> None:
        self.simulated.operations.set_config(
            simulation.MODEL, simulation.APPLICATION, {"pause-after-unit-refresh": pause}
        )

    @stateful.rule(choice=st.integers(0, 3))
    def reboot(self, choice: int) -> None:
        units = self.simulated.units()
        self.simulated.reboot(units[choice % len(units)])

    @stateful.invariant()
    def nothing_forbidden_has_happened(self) -> None:
        assert not self.simulated.world.violations, self.simulated.summary()
        leaders = [process.name for process in self.simulated.world.processes() if process.is_leader]
        assert len(leaders) <= 1, leaders


TestLife = Life.TestCase
TestLife.settings = PROFILE
