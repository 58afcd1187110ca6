"""A refresh where not every standby is a synchronous one: a refreshed unit becomes one before it takes over."""

from __future__ import annotations

import itertools
import typing

import ops
import pytest

import charm
import facts
import planner
import statuses
from steps import AnyStep, AskForSynchronous, HandOver, Step
from tests.fakes import builds, juju, known
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import is_complete, primary_on


def member(number: int) -> str:
    return f"{builds.APPLICATION}-{number}"


def with_one(deployed: Deployed, units: int, primary: int, synchronous: int) -> juju.Application:
    """One synchronous standby, which Patroni keeps as long as it streams."""
    on = deployed(units)
    primary_on(on, primary)
    on.set_config(synchronous_node_count="1", pause_after_unit_refresh="none")
    on.settle()
    on.world.raft.synchronous = {member(synchronous)}
    on.settle()
    assert on.world.raft.leader == member(primary)
    on.world.switchovers.clear()
    return on


@pytest.mark.parametrize(("primary", "synchronous"), list(itertools.permutations(range(3), 2)))
def test_one_synchronous_standby_of_three_units(deployed: Deployed, primary: int, synchronous: int) -> None:
    on = with_one(deployed, 3, primary, synchronous)
    on.refresh(builds.NEW)
    on.settle()
    is_complete(on, "416")
    assert len(on.world.switchovers) == (2 if primary == 2 else 1)
    # What the operator has asked for counts again.
    assert on.world.raft.configuration is not None
    assert on.world.raft.configuration["synchronous_node_count"] == 1


def test_while_it_waits_the_unit_says_so(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = with_one(deployed, 3, primary=1, synchronous=0)
    monkeypatch.setattr(planner, "_ask_for_synchronous", lambda _: iter(()))
    on.refresh(builds.NEW)
    on.run(120)
    unit = on.units[2]
    assert (unit.status.name, unit.message) == (
        "maintenance",
        f"The next unit's refresh waits: {member(2)} is not a synchronous standby",
    )
    monkeypatch.undo()
    # No event comes, as nothing changes: the unit looks again by itself.
    on.settle()
    is_complete(on, "416")


def waiting(**changes: typing.Any) -> facts.Facts:
    """Unit 2 has refreshed; unit 1, the next one, is the primary, and only unit 0 is synchronous."""
    refresh = facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED, next_unit_allowed=False)
    return known.settled(2, cluster=known.view(3, primary=1, synchronous=[0]), refresh=refresh, **changes)


@pytest.mark.parametrize(
    ("configured", "steps"),
    [
        ({"synchronous_node_count": 1}, [AskForSynchronous(2)]),
        ({"synchronous_node_count": 2}, []),
        ({}, []),
        (None, []),
    ],
)
def test_more_are_asked_for_only_where_fewer_are(configured: dict[str, int] | None, steps: list[object]) -> None:
    assert list(planner._ask_for_synchronous(waiting(dynamic_configuration=configured))) == steps


def test_the_status_names_who_cannot_take_over() -> None:
    status = statuses.unit(waiting())
    assert status.level is statuses.Level.MAINTENANCE
    assert "is not a synchronous standby" in status.message


def test_to_wake_patroni_or_to_allow_the_next_unit_takes_no_second_look(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks: list[tuple[set[AnyStep], list[ops.EventBase | None]]] = []
    observe, plan = charm.PostgresqlCharm._observe, planner.plan

    def look(self: charm.PostgresqlCharm, event: ops.EventBase | None) -> facts.Facts:
        if hooks:
            hooks[-1][1].append(event)
        return observe(self, event)

    def note(given: facts.Facts) -> tuple[AnyStep, ...]:
        planned = plan(given)
        hooks.append((set(planned) - {Step.GATE_SNAPS, Step.CONFIGURE}, []))
        return planned

    on = deployed(3)
    primary_on(on, 1)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    monkeypatch.setattr(charm.PostgresqlCharm, "_observe", look)
    monkeypatch.setattr(planner, "plan", note)
    on.refresh(builds.NEW)
    on.settle()
    is_complete(on, "416")
    for step, looked_again in ((Step.WAKE_PATRONI, False), (Step.ALLOW_NEXT_UNIT, False), (HandOver(member(2)), True)):
        after = [
            looks for planned, looks in hooks if planned - {Step.PREPARE_DIRECTORIES, Step.PREPARE_SERVICE} == {step}
        ]
        assert after, step
        # Facts that are looked at in the course of a hook, not for its event.
        assert all((None in looks) is looked_again for looks in after), step
