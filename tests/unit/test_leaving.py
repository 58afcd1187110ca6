"""How a unit leaves where something goes wrong: bounded, and what did not succeed is left to the others."""

from __future__ import annotations

import time
import types
import typing

import pytest

import leaving
from tests.fakes import cluster, juju, known, units, workload
from tests.unit.conftest import Deployed
from workload import machine, raft, snap


def standby(on: juju.Application) -> units.Unit:
    return next(unit for unit in on.units.values() if unit is not on.primary)


def is_well(on: juju.Application, count: int) -> None:
    assert on.are_active(), on.summary()
    assert len(on.world.raft.members) == len(on.units) == count


def test_a_primary_leaves_raft_only_once_it_follows_the_new_one(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = deployed(3)
    done: list[str] = []
    execute = workload.Raft._execute

    def note(self: workload.Raft, node: str, command: list[str]) -> object:
        done.append(command[0])
        return execute(self, node, command)

    monkeypatch.setattr(workload.Raft, "_execute", note)
    monkeypatch.setattr(leaving, "_await_following", lambda *_: done.append("follows"))
    going = on.primary
    on.remove_unit(going.number)
    while going.machine.patroni is not None:
        on.step(going)
    assert done.index("follows") < done.index("remove")


@pytest.mark.parametrize(("count", "order"), [(3, ["stop", "remove"]), (2, ["remove", "stop"])])
def test_it_stops_first_where_the_others_are_a_majority_without_it(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, count: int, order: list[str]
) -> None:
    on = deployed(count)
    done: list[str] = []
    execute, stop = workload.Raft._execute, workload.Snap.stop

    def note(self: workload.Raft, node: str, command: list[str]) -> object:
        done.append(command[0])
        return execute(self, node, command)

    def note_stop(self: workload.Snap, disable: bool = False) -> None:
        done.append("stop")
        stop(self, disable)

    monkeypatch.setattr(workload.Raft, "_execute", note)
    monkeypatch.setattr(workload.Snap, "stop", note_stop)
    going = standby(on)
    on.remove_unit(going.number)
    while going.machine.patroni is not None:
        on.step(going)
    assert [each for each in done if each in order] == order
    on.settle()
    is_well(on, count - 1)


def test_who_leaves_is_admitted_until_it_is_no_member_any_more(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = deployed(3)
    going = on.primary
    address = going.machine.address
    states: list[str] = []
    stop = workload.Snap.stop

    def note_stop(self: workload.Snap, disable: bool = False) -> None:
        assert going.machine.patroni is not None
        states.append(going.machine.patroni.state)
        stop(self, disable)

    monkeypatch.setattr(workload.Snap, "stop", note_stop)
    on.remove_unit(going.number)
    staying = [unit for unit in on.units.values() if unit is not going]
    for unit in staying:
        # They see it depart, while it still is the primary.
        while unit.queue:
            on.step(unit)
    on.settle()
    assert states == ["streaming"]
    is_well(on, 2)
    for unit in staying:
        assert str(address) not in str(unit.machine.settings()["postgresql"]["pg_hba"])


def test_following_is_to_stream_from_another_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = known.view(3, 1, changes={0: {"state": "starting"}})
    views = iter([None, known.view(3, 0), starting, known.view(3, 1)])
    asked = types.SimpleNamespace(patroni=lambda _: types.SimpleNamespace(cluster=lambda: next(views)))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    leaving._await_following(typing.cast(machine.Workload, asked), known.settled(0))
    assert next(views, "all were seen") == "all were seen"


@pytest.mark.parametrize("fault", ["refuse", "lost"])
def test_a_primary_that_nobody_takes_over_from_leaves_in_bounded_time(deployed: Deployed, fault: str) -> None:
    on = deployed(3)
    going = on.primary
    on.world.switchover_fault = fault
    on.remove_unit(going.number)
    since = on.world.now
    while going.machine.patroni is not None:
        on.tick()
    assert on.world.now - since < 120
    # Nobody could take over in good order: so it was stopped as the primary, and Patroni's failover did it.
    assert on.world.violations == [f"{going.machine.name}: stopped while it was the primary of others"]
    on.world.violations.clear()
    on.world.switchover_fault = None
    on.settle()
    is_well(on, 2)


def test_raft_that_refuses_to_let_it_go(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = deployed(3)
    going = standby(on)
    execute = workload.Raft._execute
    monkeypatch.setattr(
        workload.Raft,
        "_execute",
        lambda self, node, command: None if "remove" in command else execute(self, node, command),
    )
    on.remove_unit(going.number)
    while going.machine.patroni is not None:
        on.tick()
    assert len(on.world.raft.members) == 3
    assert not going.machine.has_raft_state()
    monkeypatch.undo()
    # The leader removes dead members.
    on.settle()
    is_well(on, 2)


def test_a_unit_that_is_cut_off_leaves(deployed: Deployed) -> None:
    on = deployed(3)
    going = standby(on)
    process = going.machine.patroni
    assert process is not None
    process.node = "10.99.99.99:2222"
    on.remove_unit(going.number)
    on.settle()
    is_well(on, 2)


def test_a_unit_whose_patroni_does_not_run_leaves(deployed: Deployed) -> None:
    on = deployed(3)
    going = standby(on)
    going.machine.stop(disable=False)
    on.remove_unit(going.number)
    on.settle()
    is_well(on, 2)


def test_an_event_that_does_not_tell_of_its_leaving_starts_nothing_anew(deployed: Deployed) -> None:
    on = deployed(3)
    going = standby(on)
    on.remove_unit(going.number)
    on.step(going)
    assert going.machine.patroni is None
    going.queue.appendleft(units.Event("cluster_changed"))
    on.step(going)
    assert (going.status.name, going.message) == ("maintenance", "Leaving the cluster")
    assert going.machine.patroni is None
    assert not going.watches


def let_stop_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: workload.Snap, disable: bool = False) -> None:
        raise snap.SnapOperationError("error: cannot stop")

    monkeypatch.setattr(workload.Snap, "stop", stop)


def test_a_patroni_that_cannot_be_stopped_keeps_everything(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = deployed(3)
    going = standby(on)
    let_stop_fail(monkeypatch)
    on.remove_unit(going.number)
    on.step(going)
    assert going.machine.patroni is not None
    assert going.machine.has_raft_state()
    assert going.machine.paths.patroni_configuration.exists()
    monkeypatch.undo()
    on.settle()
    is_well(on, 2)


def test_a_unit_that_was_never_installed_leaves(on: juju.Application) -> None:
    on.deploy(2, store_reachable=False)
    on.run(40)
    on.remove_unit(1)
    on.units[0].machine.store_reachable = True
    on.settle()
    assert on.are_active(), on.summary()


def test_the_fake_s_raft_leader_cannot_be_removed(deployed: Deployed) -> None:
    # The fake holds to what pysyncobj does, else these tests would prove nothing.
    on = deployed(3)
    shared: cluster.RaftCluster = on.world.raft
    assert shared.raft_leader is not None
    other = next(node for node in shared.members if node != shared.raft_leader)
    asked = workload.Raft(on.units[0].machine, shared.password)
    assert not asked.remove(other, shared.raft_leader)
    assert raft.Raft("x")._succeeded("FAIL REMOVE x") is False


@pytest.mark.parametrize(("count", "leave", "order"), [(3, 2, ["remove", "stop"]), (5, 2, ["stop", "remove"])])
def test_others_that_leave_at_the_same_time_are_no_majority_to_count_on(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, count: int, leave: int, order: list[str]
) -> None:
    on = deployed(count)
    asked, stop, execute = [], workload.Snap.stop, workload.Raft._execute
    going = list(on.units.values())[:leave]
    addresses = {raft.node_address(str(unit.machine.address)) for unit in going}

    def note(self: workload.Raft, node: str, command: list[str]) -> object:
        asked.append((command[0], node, command[-1]))
        return execute(self, node, command)

    def note_stop(self: workload.Snap, disable: bool = False) -> None:
        asked.append(("stop", "", ""))
        stop(self, disable)

    monkeypatch.setattr(workload.Raft, "_execute", note)
    monkeypatch.setattr(workload.Snap, "stop", note_stop)
    for unit in going:
        on.remove_unit(unit.number)
    while going[0].machine.patroni is not None:
        on.step(going[0])
    assert [name for name, *_ in asked if name in order][:2] == order
    on.settle()
    is_well(on, count - leave)
    # Neither leads Raft, nor serves, for the other one.
    assert not [each for each in asked if each[0] == "transfer" and each[2] in addresses]
    assert not {new for _, new in on.world.switchovers} & {known.name(unit.number) for unit in going}


@pytest.mark.parametrize("first", ["primary", "standby"])
def test_a_primary_that_leaves_with_a_standby_is_followed_by_who_stays_and_leads(
    deployed: Deployed, first: str
) -> None:
    on = deployed(3)
    primary = on.primary
    [standby, stays] = [unit for unit in on.units.values() if unit is not primary]
    on.elect(stays.number)
    on.settle()
    # The leader sees first that it is to be alone. It may not switch synchronous mode off for that yet.
    going = [primary, standby] if first == "primary" else [standby, primary]
    for unit in going:
        on.remove_unit(unit.number)
    stays.queue.insert(0, units.Event("update-status"))
    on.step(stays)
    on.settle()
    is_well(on, 1)
    assert on.world.switchovers[-1] == (known.name(primary.number), known.name(stays.number))


def test_an_application_that_goes_hands_nothing_over(deployed: Deployed) -> None:
    on = deployed(3)
    moved = len(on.world.switchovers)
    on.remove()
    on.settle()
    assert len(on.world.switchovers) == moved
    assert not on.units


def test_the_last_hooks_fail_until_it_has_left(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = deployed(3)
    going = standby(on)
    let_stop_fail(monkeypatch)
    on.remove_unit(going.number)
    while going.queue[0].name != "storage-detaching":
        on.step(going)
    for _ in range(3):
        on.step(going)
    # Juju repeats the hook, and keeps the storage and the unit.
    assert going.queue[0].name == "storage-detaching"
    assert "cannot stop" in str(going.failures[-1])
    monkeypatch.undo()
    on.settle()
    is_well(on, 2)
