"""Forming a new majority where the old one is lost for good: nobody acts alone, nothing that is left is lost."""

from __future__ import annotations

import json
import typing

import hypothesis
import pytest
from hypothesis import strategies

import forced_majority
import majority_action
from tests.fakes import juju, units, world
from tests.unit.conftest import Deployed
from workload import snap, write_ahead_log

REMOVE = "if lost for good: `juju remove-unit --force`"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(majority_action, "LOOK_SECONDS", 0.0)


def force(unit: units.Unit, **parameters: object) -> dict[str, typing.Any]:
    """Run the action, which has to succeed."""
    result = unit.act("force-majority", **parameters)
    assert result.failure is None
    return result.results


def is_well(on: juju.Application, count: int, acknowledged: int) -> None:
    assert on.are_active(), on.summary()
    assert len(on.units) == count
    assert len(on.world.raft.members) == count
    primary = on.primary.machine.patroni
    assert primary is not None
    assert primary.data is not None
    assert primary.data.position > acknowledged, "acknowledged transactions are lost"


def acknowledged(on: juju.Application) -> int:
    return next(iter(on.world.databases.values())).acknowledged


# Machines that are lost


@pytest.mark.parametrize("lost", ["the primary", "the standby"])
def test_one_of_two_is_lost(deployed: Deployed, lost: str) -> None:
    on = deployed(2)
    going = on.primary if lost == "the primary" else next(each for each in on.units.values() if each is not on.primary)
    before = acknowledged(on)
    on.vanish(going.number)
    on.run(60)
    (left,) = on.units.values()
    assert left.message == "No majority: 1 of 2 members reachable; start the others, or see force-majority"
    told = force(left)
    assert (told["generation"], told["awaited"]) == ("1", "")
    assert told["lost"] == f"{going.machine.address}:2222"
    assert "accept-data-loss=true" in told["next"]
    on.run(120)
    assert (left.status.name, left.message) == (
        "blocked",
        f"Members lost: 1; to go on without them: `juju run {left.name} force-majority accept-data-loss=true`",
    )
    assert on.world.processes() == []
    force(left, **{"accept-data-loss": True})
    on.settle()
    is_well(on, 1, before)
    on.add_unit()
    on.settle()
    is_well(on, 2, before)


def test_three_of_five_are_lost(deployed: Deployed) -> None:
    on = deployed(5)
    on.run(5)
    for number in (on.primary.number, *[each for each in on.units if each != on.primary.number][:2]):
        on.vanish(number)
    on.run(60)
    first, second = on.units.values()
    told = force(first, **{"accept-data-loss": True})
    assert told["awaited"] == second.name
    # Who is asked need not have the latest transaction.
    assert second.machine.patroni is not None
    assert second.machine.patroni.data is not None
    second.machine.patroni.data.position += 5
    latest = second.machine.patroni.data.position
    on.settle()
    is_well(on, 2, latest)
    assert on.primary is second


def test_nobody_goes_on_before_each_unit_has_given_up(deployed: Deployed) -> None:
    on = deployed(3)
    before = acknowledged(on)
    one, two, three = on.units.values()
    for unit in (two, three):
        unit.machine.crash()
    on.run(60)
    force(one, **{"accept-data-loss": True})
    on.run(300)
    assert (one.status.name, one.message) == ("waiting", f"New majority waits for units 1, 2; {REMOVE}")
    assert on.world.processes() == []
    assert not one.machine.enabled, "a reboot would start it with an empty Raft cluster"
    on.vanish(2)
    on.run(60)
    assert one.message == f"New majority waits for units 1; {REMOVE}"
    # That one is not lost after all.
    on.reboot(1)
    on.settle()
    is_well(on, 2, before)


def test_it_can_be_asked_twice_and_on_each_unit(deployed: Deployed) -> None:
    on = deployed(3)
    on.vanish(2)
    on.units[1].machine.crash()
    on.run(60)
    assert force(on.units[0])["generation"] == "1"
    assert force(on.units[0])["generation"] == "1"
    on.reboot(1)
    assert force(on.units[1], **{"accept-data-loss": True})["generation"] == "1"
    on.settle()
    is_well(on, 2, 0)


def test_a_second_time(deployed: Deployed) -> None:
    on = deployed(2)
    for count in (1, 2):
        on.vanish(on.primary.number)
        on.run(60)
        (left,) = on.units.values()
        assert force(left, **{"accept-data-loss": True})["generation"] == str(count)
        on.settle()
        is_well(on, 1, 0)
        on.add_unit()
        on.settle()
        is_well(on, 2, 0)


def test_it_is_over_once_it_is_over(deployed: Deployed) -> None:
    # The one that has formed it leaves, and later all that were there.
    on = deployed(3)
    on.vanish(2)
    on.vanish(1)
    on.run(60)
    force(on.units[0], **{"accept-data-loss": True})
    on.settle()
    for _ in range(2):
        on.add_unit()
    on.settle()
    before = acknowledged(on)
    on.remove_unit(0)
    on.settle()
    is_well(on, 2, before)
    on.reboot(min(on.units))
    on.settle()
    is_well(on, 2, before)
    bags = on.databags["database-peers"].values()
    told = [forced_majority.Consent.parse(bag.get(forced_majority.KEY)) for bag in bags]
    assert [(each.generation, each.joined) for each in told if each] == [(1, True), (1, True)]


def test_a_unit_that_is_added_meanwhile(deployed: Deployed) -> None:
    on = deployed(2)
    on.vanish(on.primary.number)
    on.run(60)
    (left,) = on.units.values()
    on.add_unit()
    force(left, **{"accept-data-loss": True})
    on.settle()
    is_well(on, 2, 0)


# Addresses that have changed


@pytest.mark.parametrize("count", [2, 3])
def test_all_addresses_have_changed(deployed: Deployed, count: int) -> None:
    on = deployed(count)
    before = acknowledged(on)
    for number in range(count):
        on.move(number, f"10.1.0.{number + 1}")
    on.run(90)
    assert all("see force-majority" in unit.message for unit in on.units.values()), on.summary()
    assert force(on.units[0])["lost"] == ""
    on.settle()
    is_well(on, count, before)
    assert on.world.raft.members == {f"10.1.0.{number + 1}:2222" for number in range(count)}


# What is refused


def test_not_while_there_is_a_majority(deployed: Deployed) -> None:
    on = deployed(3)
    for unit in on.units.values():
        assert unit.act("force-majority").failure == (
            "No new majority: there is one; see the action get-cluster-status"
        )
    cut_off = next(unit for unit in on.units.values() if unit is not on.primary)
    assert cut_off.machine.patroni is not None
    cut_off.machine.stop(disable=False)
    failure = cut_off.act("force-majority").failure
    assert failure is not None
    assert "has one; if this unit has no part in it, mend the network" in failure
    on.settle()
    is_well(on, 3, 0)


def test_not_before_there_is_a_cluster(on: juju.Application) -> None:
    on.deploy(1, store_reachable=False)
    on.run(60)
    assert on.units[0].act("force-majority").failure == "No new majority: the cluster has not been founded yet"


def test_not_where_raft_does_not_answer(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = deployed(2)
    on.vanish(on.primary.number)
    on.run(60)
    (left,) = on.units.values()
    assert left.machine.patroni is not None
    monkeypatch.setattr(left.machine.patroni, "raft", None)
    failure = left.act("force-majority").failure
    assert failure is not None
    assert "Raft on this unit does not answer" in failure


def test_nothing_is_deleted_where_postgresql_cannot_be_stopped(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = deployed(2)
    on.vanish(on.primary.number)
    on.run(60)
    (left,) = on.units.values()

    def fail(_: world.Machine, disable: bool) -> None:
        raise snap.SnapOperationError(f"cannot stop, disable={disable}")

    with monkeypatch.context() as patched:
        patched.setattr(world.Machine, "stop", fail)
        assert left.act("force-majority").failure == "No new majority: cannot stop, disable=True; nothing was deleted"
        assert left.machine.has_raft_state()
        # The others meet the same in a hook.
        on.databags["database-peers"][left.number][forced_majority.KEY] = ""
    force(left, **{"accept-data-loss": True})
    on.settle()
    is_well(on, 1, 0)


# The agreement


def position(byte: int, timeline: int = 1) -> write_ahead_log.Position:
    return write_ahead_log.Position(timeline, byte)


def consent(number: int, **changes: typing.Any) -> forced_majority.Consent:
    members = frozenset(f"node-{each}" for each in range(3))
    given: dict[str, typing.Any] = {"generation": 1, "node": f"node-{number}", "members": members}
    return forced_majority.Consent(**({**given, "position": position(number)} | changes))


@pytest.mark.parametrize(
    ("consents", "expected"),
    [
        pytest.param({}, None, id="nobody"),
        pytest.param({0: None, 1: None}, None, id="nobody has asked for it"),
        pytest.param({0: consent(0), 1: consent(1), 2: None}, None, id="one has not given up"),
        pytest.param({0: consent(0), 1: consent(1, generation=2), 2: consent(2)}, None, id="two only before"),
        pytest.param({0: consent(0), 1: consent(1), 2: consent(2)}, 2, id="the latest"),
        pytest.param({n: consent(n, position=position(7)) for n in range(3)}, 0, id="of equal ones the lowest"),
        pytest.param({0: consent(0, position=position(1, 2)), 1: consent(1), 2: consent(2)}, 0, id="a later timeline"),
        pytest.param({0: consent(0), 1: consent(1)}, None, id="a member is lost"),
        pytest.param({0: consent(0), 1: consent(1, accepts_loss=True)}, 1, id="its data are lost"),
        pytest.param({0: consent(0, joined=True), 1: consent(1), 2: consent(2)}, None, id="it has been formed"),
        pytest.param({n: consent(n, position=None) for n in range(3)}, None, id="nobody has data"),
        pytest.param({0: consent(0), 1: consent(1), 2: consent(2, position=None)}, 1, id="one without data"),
        pytest.param(
            {0: consent(0), 1: consent(1), 2: consent(2), 3: consent(3, node=None, members=frozenset(), position=None)},
            2,
            id="one that was no member",
        ),
    ],
)
def test_founder(consents: dict[int, forced_majority.Consent | None], expected: int | None) -> None:
    assert forced_majority.Agreement(consents).founder == expected


_consents = strategies.builds(
    forced_majority.Consent,
    strategies.integers(1, 3),
    strategies.none() | strategies.sampled_from(["node-0", "node-1", "node-2"]),
    strategies.frozensets(strategies.sampled_from(["node-0", "node-1", "node-2"])),
    strategies.none() | strategies.builds(position, strategies.integers(0, 2**64 - 1), strategies.integers(1, 2**31)),
    strategies.booleans(),
    strategies.booleans(),
)


@hypothesis.given(_consents)
def test_a_consent_survives_the_databag(given: forced_majority.Consent) -> None:
    text = given.dump()
    assert forced_majority.Consent.parse(text) == given
    assert forced_majority.Consent.parse(json.dumps({**json.loads(text), "later": 1})) == given


@hypothesis.given(strategies.dictionaries(strategies.integers(0, 4), strategies.none() | _consents))
def test_only_with_all_and_only_once(consents: dict[int, forced_majority.Consent | None]) -> None:
    agreement = forced_majority.Agreement(consents)
    if agreement.founder is not None:
        found = [each for each in consents.values() if each is not None]
        assert len(found) == len(consents)
        assert {each.generation for each in found} == {agreement.generation}
        assert not any(each.joined for each in found)
        best = consents[agreement.founder]
        assert best is not None
        assert best.position == max(each.position for each in found if each.position is not None)
        assert any(each.accepts_loss for each in found) or not agreement.lost


@pytest.mark.parametrize("text", [None, "", "null", "[]", "{", "7", '{"generation": 1}', '{"generation": "x"}'])
def test_what_cannot_be_read_is_no_consent(text: str | None) -> None:
    assert forced_majority.Consent.parse(text) is None
