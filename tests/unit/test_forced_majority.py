"""Forming a new majority where the old one is lost for good: nobody acts alone, nothing that is left is lost."""

from __future__ import annotations

import json
import pathlib
import typing

import pytest

import charm
import forced_majority
import majority_action
from tests.fakes import juju, units, workload, world
from tests.unit.conftest import Deployed
from workload import snap

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
    # A unit alone hears of nothing that it has told itself.
    assert on.application_databags["database-peers"]["forced-majority"] == "1"
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
    # That one is not lost after all; the other one is, which was not known when loss was accepted.
    on.reboot(1)
    on.run(120)
    assert one.message.startswith("Members lost: 1;")
    force(two, **{"accept-data-loss": True})
    on.settle()
    is_well(on, 2, before)


def test_units_that_were_removed_a_moment_ago_count_as_lost(deployed: Deployed) -> None:
    # As with `juju remove-unit --force` just before: Juju takes a while until nobody sees them any more.
    on = deployed(3)
    before = acknowledged(on)
    left, *going = on.units.values()
    for unit in going:
        unit.machine.crash()
    on.run(60)
    for unit in going:
        unit.dying = True
    force(left, **{"accept-data-loss": True})
    for unit in going:
        on.vanish(unit.number)
    on.settle()
    is_well(on, 1, before)


def test_it_can_be_asked_twice_and_on_each_unit(deployed: Deployed) -> None:
    on = deployed(3)
    on.vanish(2)
    on.units[1].machine.crash()
    on.run(60)
    assert force(on.units[0])["generation"] == "1"
    assert force(on.units[0])["generation"] == "1"
    on.reboot(1)
    assert force(on.units[1])["generation"] == "1"
    on.run(60)
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
    assert [each for each in told if each] == []
    assert on.application_databags["database-peers"][forced_majority.KEY] == "1"


def test_a_unit_that_is_added_meanwhile(deployed: Deployed) -> None:
    on = deployed(2)
    on.vanish(on.primary.number)
    on.run(60)
    (left,) = on.units.values()
    on.add_unit()
    force(left, **{"accept-data-loss": True})
    on.settle()
    is_well(on, 2, 0)


def test_a_unit_that_has_not_joined_yet_does_not_form_another_one(deployed: Deployed) -> None:
    # It has only what was there before: what was written since would be lost without a question.
    on = deployed(5)
    for number in (2, 3, 4):
        on.vanish(number)
    on.run(60)
    one, two = on.units.values()
    force(one, **{"accept-data-loss": True})
    on.run(2)
    two.machine.free["data"] = 0
    on.run(120)
    assert on.primary is one, on.summary()
    assert two.machine.patroni is None
    before = acknowledged(on)
    on.vanish(one.number)
    two.machine.free["data"] = one.machine.free["data"]
    on.run(300)
    assert on.world.processes() == []
    assert (two.status.name, two.message) == (
        "waiting",
        "Waiting for the cluster to answer; if it is lost for good, see force-majority",
    )
    # As the operator may decide to go on with what is left.
    assert force(two)["generation"] == "2"
    on.run(60)
    assert two.message.startswith("Members lost: ")
    force(two, **{"accept-data-loss": True})
    on.settle()
    is_well(on, 1, 0)
    assert before > 0


def test_what_is_told_is_committed_before_anything_else_can_fail(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = deployed(2)
    on.vanish(on.primary.number)
    on.run(60)
    (left,) = on.units.values()

    def fail(*_: object) -> None:
        raise RuntimeError("something else")

    with monkeypatch.context() as patched:
        patched.setattr(charm.PostgresqlCharm, "_reconcile", fail)
        force(left)
    assert forced_majority.KEY in on.databags["database-peers"][left.number]


def test_a_majority_gives_nothing_up(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    # One unit alone sees none: it is cut off from the others, not from Juju.
    on = deployed(3)
    cut_off = next(unit for unit in on.units.values() if unit is not on.primary)
    before, stops = acknowledged(on), {unit: unit.machine.stops for unit in on.units.values()}
    with monkeypatch.context() as patched:
        patched.setattr(majority_action, "_stands_against", lambda *_: None)
        assert force(cut_off)["generation"] == "1"
    on.settle()
    is_well(on, 3, before)
    assert [unit.machine.stops - stops[unit] for unit in on.units.values() if unit is not cut_off] == [0, 0]
    assert on.world.promotions == []


def test_a_unit_with_kept_storage_that_is_added_long_after(deployed: Deployed, tmp_path: pathlib.Path) -> None:
    on = deployed(2)
    on.vanish(on.primary.number)
    on.run(60)
    (left,) = on.units.values()
    force(left, **{"accept-data-loss": True})
    on.add_unit()
    on.settle()
    going = next(unit for unit in on.units.values() if unit is not on.primary)
    on.remove_unit(going.number)
    on.settle()
    kept = going.machine.take_storage(tmp_path / "kept")
    on.add_unit(storage=kept)
    on.settle()
    is_well(on, 2, 0)


def test_what_was_paused_serves_again(deployed: Deployed) -> None:
    on = deployed(2)
    on.vanish(on.primary.number)
    on.run(60)
    (left,) = on.units.values()
    remembered = left.machine.paths.data_directory / "patroni.dynamic.json"
    remembered.write_text(json.dumps({"pause": True, "ttl": 20}))
    force(left, **{"accept-data-loss": True})
    assert json.loads(remembered.read_text()) == {"ttl": 20}
    assert remembered.stat().st_mode & 0o777 == 0o600


def test_a_link_in_place_of_patroni_s_memory_is_not_followed(deployed: Deployed, tmp_path: pathlib.Path) -> None:
    # It would give a file of root's to the workload's user.
    on = deployed(1)
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"pause": True, "password": "root's"}))
    link = on.units[0].machine.paths.data_directory / "patroni.dynamic.json"
    link.symlink_to(secret)
    workload.Workload(on.units[0].machine).forget_pause()
    assert link.is_symlink()


def test_who_has_given_up_and_leaves_keeps_no_passwords(deployed: Deployed) -> None:
    on = deployed(3)
    on.vanish(2)
    on.units[1].machine.crash()
    on.run(60)
    going = on.units[0]
    force(going)
    assert going.machine.paths.patroni_configuration.exists()
    on.remove_unit(0)
    on.run(120)
    assert not going.machine.paths.patroni_configuration.exists()


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
