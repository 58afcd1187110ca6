"""Bad input and bad luck: a clear status, nothing lost, and all is well again once the cause has gone."""

from __future__ import annotations

import shutil
from unittest import mock

import pytest

import verified
from tests.fakes import answers, juju, units, workload, world
from tests.unit.conftest import Deployed
from workload import patroni, service, watch

ROOM = 10 * 1024**3


def status(on: juju.Application, number: int = 0) -> tuple[str, str]:
    return on.units[number].status.name, on.units[number].message


# Machines on which it cannot run


def test_unsupported_architecture(on: juju.Application) -> None:
    on.deploy(1, architecture="riscv64")
    on.settle()
    text = "Unsupported architecture; deploy with --constraints arch=amd64 or arch=arm64"
    assert status(on) == ("blocked", text)
    assert (on.status.name, on.status.message) == ("blocked", text)
    assert on.units[0].machine.installs == []
    assert on.units[0].failures == []
    for action in ("pre-refresh-check", "force-refresh-start", "resume-refresh"):
        parameters = {"run-pre-refresh-checks": True} if action == "force-refresh-start" else {}
        assert on.units[0].act(action, **parameters).failure == "This unit cannot act now; see its status", action


def test_arm(on: juju.Application) -> None:
    on.deploy(1, architecture="aarch64")
    on.settle()
    assert on.are_active(), on.summary()
    assert on.units[0].machine.installs == ["365"]


def test_the_store_is_not_reachable(on: juju.Application) -> None:
    on.deploy(1, store_reachable=False)
    on.run(60)
    assert status(on) == (
        "waiting",
        "Failed to install the snap: cannot reach the store; tried again at the next event",
    )
    assert on.units[0].failures == []
    # Nobody has to do anything once it is.
    on.units[0].machine.store_reachable = True
    on.settle()
    assert on.are_active(), on.summary()


def test_an_observer_that_systemd_does_not_start(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = deployed(1)
    with monkeypatch.context() as trouble:
        refused = service.ServiceError("systemd has not started it")
        trouble.setattr(watch.Watch, "ensure", mock.Mock(side_effect=refused))
        on.update_status()
        on.run(10)
        assert on.units[0].failures == []
        assert status(on) == ("waiting", "systemd has not started it; tried again at the next event")
    on.update_status()
    on.settle()
    assert on.are_active(), on.summary()


def test_a_storage_is_missing(on: juju.Application) -> None:
    on.deploy(1)
    on.units[0].storages.discard("logs")
    on.units[0].queue.remove(units.Event("storage-attached", storage="logs"))
    on.settle()
    assert status(on) == ("blocked", "Storage missing: logs; attach with `juju attach-storage`")
    assert on.status.name == "blocked"
    assert on.units[0].machine.installs == []
    on.units[0].storages.add("logs")
    on.units[0].queue_once(units.Event("storage-attached", storage="logs"))
    on.settle()
    assert on.are_active(), on.summary()


def test_a_storage_is_not_mounted_after_a_reboot(deployed: Deployed) -> None:
    on = deployed(3)
    standby = next(unit for unit in on.units.values() if unit is not on.primary)
    machine = standby.machine
    machine.stop(disable=False)
    for location in machine.paths.locations().values():
        shutil.rmtree(location)
        location.mkdir(parents=True)
    table = machine.paths.file_system_table
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(f"/dev/sdb {machine.paths.data_storage} ext4 nofail 0 0\n")
    on.update_status()
    on.run(30)
    said = ("blocked", "Storage not mounted: data; mend it, then as root: `mount -a`")
    assert status(on, standby.number) == said
    # Nothing is begun anew in its place.
    assert list(machine.paths.data_storage.iterdir()) == []
    assert machine.patroni is None


@pytest.mark.parametrize("storage", ["data", "logs"])
def test_a_storage_is_full_before_the_start(on: juju.Application, storage: str) -> None:
    on.deploy(1, free={**dict.fromkeys(world.STORAGES, ROOM), storage: 100})
    on.settle()
    assert status(on) == ("blocked", f"Storage full: {storage}; make room or attach a larger one")
    on.units[0].machine.free[storage] = ROOM
    on.update_status()
    on.settle()
    assert on.are_active(), on.summary()


@pytest.mark.parametrize("storage", ["archive", "temp"])
def test_postgresql_starts_while_a_storage_is_full_that_it_does_not_need_to_start(
    deployed: Deployed, storage: str
) -> None:
    on = deployed(1)
    on.units[0].machine.free[storage] = 100
    on.units[0].machine.crash()
    # Nothing but the charm starts it.
    on.units[0].machine.enabled = False
    on.reboot(0)
    on.settle()
    assert status(on) == ("active", f"Primary; storage nearly full: {storage}")


@pytest.mark.parametrize("storage", world.STORAGES)
def test_a_storage_fills_up(deployed: Deployed, storage: str) -> None:
    on = deployed(1)
    on.units[0].machine.free[storage] = 100
    on.update_status()
    on.settle()
    assert status(on) == ("active", f"Primary; storage nearly full: {storage}")
    assert on.units[0].act("pre-refresh-check").failure == (
        f"Charm is not ready for refresh. Pre-refresh check failed: Storage nearly full: {storage}; make room"
    )


def test_a_port_is_taken(on: juju.Application) -> None:
    on.deploy(1, ports_taken={8008})
    on.settle()
    assert status(on) == (
        "blocked",
        "Port 8008 is taken by another program; find it with `ss -ltnp 'sport = :8008'`",
    )
    on.units[0].machine.ports_taken.clear()
    on.update_status()
    on.settle()
    assert on.are_active(), on.summary()


def test_no_address_yet(on: juju.Application) -> None:
    on.deploy(1, address=None)
    on.settle()
    assert status(on) == ("waiting", "Waiting for an address")
    on.move(0, "10.0.0.5")
    on.settle()
    assert on.are_active(), on.summary()


def test_postgresql_refuses_statements(deployed: Deployed) -> None:
    on = deployed(1)
    on.units[0].machine.sql_fault = True
    on.world.advance(verified.LOOK_SECONDS)
    on.update_status()
    on.settle()
    # Patroni says that it runs.
    assert on.units[0].failures == []
    assert "PostgreSQL cannot be asked" in "\n".join(on.juju_log)


# Configuration


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("synchronous-node-count", "9", "all, majority, 0 to 8"),
        ("profile", "huge", "production, testing"),
    ],
)
def test_a_wrong_option(deployed: Deployed, option: str, value: str, allowed: str) -> None:
    on = deployed(3)
    before = {number: unit.machine.settings() for number, unit in on.units.items()}
    good = on.world.raft.configuration
    on.config[option] = value
    on.set_config()
    on.settle()
    text = f"{option}: {value!r} is not allowed ({allowed}); set with `juju config`"
    assert {(unit.status.name, unit.message) for unit in on.units.values()} == {("blocked", text)}
    assert (on.status.name, on.status.message) == ("blocked", text)
    assert {number: unit.machine.settings() for number, unit in on.units.items()} == before
    assert on.world.raft.configuration == good
    assert len(on.world.raft.alive()) == 3
    del on.config[option]
    on.set_config()
    on.settle()
    assert on.are_active(), on.summary()


def test_a_wrong_pause_option(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="seldom")
    on.settle()
    assert on.status.name == "blocked"
    assert "pause-after-unit-refresh" in on.status.message
    on.set_config(pause_after_unit_refresh="all")
    on.settle()
    assert on.are_active(), on.summary()


def test_a_wrong_option_at_deployment(on: juju.Application) -> None:
    on.config["profile"] = "huge"
    on.deploy(2)
    on.settle()
    assert {unit.status.name for unit in on.units.values()} == {"blocked"}
    on.set_config(profile="testing")
    on.settle()
    assert on.are_active(), on.summary()
    assert on.units[0].machine.settings()["postgresql"]["parameters"]["shared_buffers"] == "128MB"


def test_synchronous_node_count(deployed: Deployed) -> None:
    on = deployed(3)
    for value, expected in [("0", (False, 1)), ("majority", (True, 1)), ("8", (True, 2))]:
        on.set_config(synchronous_node_count=value)
        on.settle()
        configuration = on.world.raft.configuration
        assert configuration is not None
        assert (configuration["synchronous_mode"], configuration["synchronous_node_count"]) == expected
        assert on.are_active(), on.summary()


def test_the_profile_is_a_reload(deployed: Deployed) -> None:
    on = deployed(1)
    assert on.units[0].machine.settings()["postgresql"]["parameters"]["shared_buffers"] == "2048MB"
    on.set_config(profile="testing")
    on.settle()
    process = on.units[0].machine.patroni
    assert process is not None
    # Patroni itself has read it, and was not stopped.
    assert process.settings["postgresql"]["parameters"]["shared_buffers"] == "128MB"
    assert on.units[0].machine.stops == 0


@pytest.mark.parametrize("fault", ["reload", "answers"])
def test_a_change_that_patroni_does_not_hear_is_made_again(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    on = deployed(1)
    before = on.units[0].machine.settings()

    def refuse(self: patroni.Client) -> bool:
        if fault == "reload":
            raise patroni.PatroniError("Patroni does not answer: timed out")
        return False

    monkeypatch.setattr(workload.Client, fault, refuse)
    on.set_config(profile="testing")
    on.run(20)
    # What is on disk is what Patroni has read.
    assert on.units[0].machine.settings() == before
    monkeypatch.undo()
    on.update_status()
    on.settle()
    process = on.units[0].machine.patroni
    assert process is not None
    assert process.settings["postgresql"]["parameters"]["shared_buffers"] == "128MB"
    assert on.are_active(), on.summary()


# Errors of one unit


def test_a_unit_in_error_blocks_nobody(deployed: Deployed) -> None:
    on = deployed(3)
    on.add_unit(snapd_running=False)
    on.run(200)
    assert on.units[3].failures
    assert [on.units[number].status.name for number in range(3)] == ["active"] * 3
    # It does not keep others from joining either, once it has met them.
    on.units[3].machine.snapd_running = True
    on.units[3].machine.store_reachable = False
    on.add_unit()
    on.run(300)
    assert on.units[3].status.name == "waiting"
    assert on.units[4].status.name == "active", on.summary()
    on.units[3].machine.store_reachable = True
    on.settle()
    assert on.are_active(), on.summary()


def test_a_cluster_that_was_lost_is_not_founded_anew(deployed: Deployed) -> None:
    on = deployed(3)
    identifier = on.world.raft.system_identifier
    for unit in on.units.values():
        unit.machine.crash()
    on.world.advance(30)
    # One of them comes back with nothing.
    empty = on.units[1].machine
    shutil.rmtree(empty.paths.data_directory)
    shutil.rmtree(empty.paths.raft_directory)
    empty.enabled = False
    on.reboot(1)
    on.run(120)
    assert empty.data is None
    for number in (0, 2):
        on.reboot(number)
    on.settle()
    assert on.are_active(), on.summary()
    assert on.world.raft.system_identifier == identifier


def test_another_leader_in_a_running_cluster(deployed: Deployed) -> None:
    on = deployed(3)
    before = on.passwords()
    on.elect(2)
    on.settle()
    assert on.are_active(), on.summary()
    assert on.passwords() == before


def test_an_address_of_the_wrong_family(on: juju.Application) -> None:
    on.deploy(1, address="fd00::5")
    on.settle()
    text = "Address fd00::5 is not IPv4; bind the endpoint to a space that has it with `juju bind`"
    assert status(on) == ("blocked", text)
    assert on.units[0].machine.installs == []


def test_a_new_address_that_nobody_could_let_in(deployed: Deployed) -> None:
    on = deployed(2)
    old = str(on.units[1].machine.address)
    on.move(1, "10.0.0.77")
    on.settle()
    text = f"Address changed from {old} to 10.0.0.77; no majority without it: give it back, or see force-majority"
    assert status(on, 1) == ("blocked", text)
    assert on.units[1].machine.has_raft_state()
    on.move(1, old)
    on.settle()
    assert on.are_active(), on.summary()


def test_a_unit_does_not_move_by_the_word_of_a_member_that_is_gone(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = deployed(3)
    lost = on.units[2].machine
    # Who has accepted a connection does not notice that the other side is gone.
    monkeypatch.setattr(answers, "connected", lambda shared, at: shared.members - {at})
    lost.crash()
    on.move(1, "10.0.0.77")
    on.settle()
    assert "no majority without it" in on.units[1].message
    assert on.units[1].machine.has_raft_state()
    monkeypatch.undo()
    lost.boot()
    on.settle()
    assert on.are_active(), on.summary()
    assert on.world.raft.members == {"10.0.0.10:2222", "10.0.0.77:2222", "10.0.0.12:2222"}
