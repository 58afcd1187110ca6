"""Random lives of applications of one to five units, played by the packed charm over a simulated workload.

Whatever happens in whatever order, the rules of tests/model/rules.py and life.py hold, and an operator who does what
the statuses ask for gets there.
"""

from __future__ import annotations

import os
import typing

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from tests.model import life, stage, versions

_COMMON: dict[str, typing.Any] = {
    "deadline": None,
    "suppress_health_check": list(hypothesis.HealthCheck),
    "print_blob": False,
}
hypothesis.settings.register_profile("model", max_examples=50, stateful_step_count=30, derandomize=True, **_COMMON)
hypothesis.settings.register_profile("model-small", max_examples=8, stateful_step_count=8, derandomize=True, **_COMMON)
hypothesis.settings.register_profile("model-nightly", max_examples=1000, stateful_step_count=50, **_COMMON)
PROFILE = hypothesis.settings.get_profile(os.environ.get("MODEL_PROFILE", "model"))

SHARES = (("3", 8), ("2", 12), ("4", 6), ("3_more", 7), ("5", 4), ("0", 5), ("1", 8))
"""How many of fifty lives begin with so many units; with none the deployment is part of the life.

What takes longest is first, so that two processes end at about the same time.
"""

PLACES = st.integers(0, life.MAXIMUM_UNITS - 1)
SECONDS = st.sampled_from([0, 0, 1, 2, 4, 8])
"""How long nothing else happens after each step."""
QUESTIONS = (
    "pre-refresh-check",
    "get-primary",
    "get-cluster-status",
    "get-refresh-status",
    "get-snap-refresh-status",
)


class Lives(stateful.RuleBasedStateMachine):
    """Plays one life."""

    count = 3
    on: stage.Stage | None = None

    def __init__(self) -> None:
        super().__init__()
        self.life = life.Life(self.count, self.on)
        self.life.__enter__()

    def teardown(self) -> None:
        """What every life comes to."""
        try:
            self.life.end(versions.THIRD.revision if self._can_reach(versions.THIRD) else None)
        finally:
            self.life.__exit__()

    def _can_reach(self, version: versions.Version) -> bool:
        return versions.is_supported(self.life.simulation.version(), version)

    def _then(self, seconds: int) -> None:
        if seconds:
            self.life.wait(seconds)

    @stateful.initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        """The deployment, where it is part of the life."""
        if not self.count:
            self.life.deploy(count)

    @stateful.rule(version=st.sampled_from(list(versions.VERSIONS)), force=st.booleans(), seconds=SECONDS)
    def refresh(self, version: int, force: bool, seconds: int) -> None:
        self.life.refresh(version, force)
        self._then(seconds)

    @stateful.rule(version=st.sampled_from([versions.ORIGINAL.revision, versions.NEWER.revision]), seconds=SECONDS)
    def refresh_or_roll_back(self, version: int, seconds: int) -> None:
        self.life.refresh(version)
        self._then(seconds)

    @stateful.rule()
    def settle(self) -> None:
        self.life.settle()

    @stateful.rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.life.wait(seconds)

    @stateful.rule(seconds=SECONDS)
    def add_unit(self, seconds: int) -> None:
        self.life.add_unit()
        self._then(seconds)

    @stateful.rule(place=PLACES, seconds=SECONDS)
    def remove_unit(self, place: int, seconds: int) -> None:
        self.life.remove_unit(place)
        self._then(seconds)

    @stateful.rule(pause=st.sampled_from(["all", "first", "none", "none", "sometimes"]), seconds=SECONDS)
    def set_pause(self, pause: str, seconds: int) -> None:
        self.life.set_pause(pause)
        self._then(seconds)

    @stateful.rule(place=PLACES, check=st.sampled_from([True, True, False]), seconds=SECONDS)
    def resume(self, place: int, check: bool, seconds: int) -> None:
        self.life.run(place, "resume-refresh", **{"check-health-of-refreshed-units": check})
        self._then(seconds)

    @stateful.rule(place=PLACES, compatibility=st.booleans(), checks=st.booleans(), seconds=SECONDS)
    def force_start(self, place: int, compatibility: bool, checks: bool, seconds: int) -> None:
        parameters = {"check-compatibility": compatibility, "run-pre-refresh-checks": checks}
        self.life.run(place, "force-refresh-start", **parameters)
        self._then(seconds)

    @stateful.rule(place=PLACES, action=st.sampled_from(QUESTIONS), seconds=SECONDS)
    def ask(self, place: int, action: str, seconds: int) -> None:
        self.life.run(place, action)
        self._then(seconds)

    @stateful.rule(place=PLACES, force=st.booleans(), seconds=SECONDS)
    def refresh_snaps(self, place: int, force: bool, seconds: int) -> None:
        self.life.run(place, "run-snap-refresh", force=force)
        self._then(seconds)

    @stateful.rule(place=PLACES, seconds=SECONDS)
    def force_majority(self, place: int, seconds: int) -> None:
        self.life.run(place, "force-majority")
        self._then(seconds)

    @stateful.rule(place=PLACES, candidate=st.none() | PLACES, seconds=SECONDS)
    def switch_over(self, place: int, candidate: int | None, seconds: int) -> None:
        self.life.switch_over(place, candidate)
        self._then(seconds)

    @stateful.rule(place=PLACES, retry=st.booleans(), seconds=SECONDS)
    def resolve(self, place: int, retry: bool, seconds: int) -> None:
        self.life.resolve(place, retry)
        self._then(seconds)

    @stateful.rule(place=PLACES, seconds=SECONDS)
    def change_leader(self, place: int, seconds: int) -> None:
        self.life.change_leader(place)
        self._then(seconds)

    @stateful.rule(place=PLACES, at=st.integers(1, 60), how=st.sampled_from(["kill", "raise"]), seconds=SECONDS)
    def cut_off(self, place: int, at: int, how: str, seconds: int) -> None:
        self.life.cut_off(place, at, how)
        self._then(seconds)

    @stateful.rule(
        place=PLACES,
        point=st.sampled_from(["tool-call", "before-commit", "after-commit", "deploy"]),
        count=st.integers(1, 20),
        seconds=SECONDS,
    )
    def crash_agent(self, place: int, point: str, count: int, seconds: int) -> None:
        self.life.crash_agent(place, point, 1 if point.endswith("commit") else count)
        self._then(seconds)

    @stateful.rule(place=PLACES, fault=st.sampled_from(["unchanged", "changed", None]), seconds=SECONDS)
    def break_snap(self, place: int, fault: str | None, seconds: int) -> None:
        self.life.break_snap(place, fault)
        self._then(seconds)

    @stateful.rule(place=PLACES, takes=st.integers(1, 10), seconds=SECONDS)
    def start_slowly(self, place: int, takes: int, seconds: int) -> None:
        self.life.start_slowly(place, takes)
        self._then(seconds)

    @stateful.rule(place=PLACES, seconds=SECONDS)
    def reboot(self, place: int, seconds: int) -> None:
        self.life.reboot(place)
        self._then(seconds)

    @stateful.rule(place=PLACES, on=st.booleans(), seconds=SECONDS)
    def power(self, place: int, on: bool, seconds: int) -> None:
        self.life.power(place, on)
        self._then(seconds)


def _shard(name: str, share: int) -> type[typing.Any]:
    """The test case of some lives. name: begins with the number of units."""
    machine = type(f"LivesFrom{name}", (Lives,), {"count": int(name[0])})
    case = machine.TestCase
    case.settings = hypothesis.settings(PROFILE, max_examples=max(1, PROFILE.max_examples * share // 50))
    case.__name__ = case.__qualname__ = f"TestLivesFrom{name}"
    return pytest.mark.xdist_group(f"{name} units")(case)


globals().update({f"TestLivesFrom{name}": _shard(name, share) for name, share in SHARES})
