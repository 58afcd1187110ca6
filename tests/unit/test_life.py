"""Units come, live and go: the real charm and the real charm_refresh, on a world of fake machines."""

from __future__ import annotations

import pathlib

import pytest

from tests.fakes import juju, world
from tests.unit.conftest import Deployed

WORKS = "10.0.0.10"


def roles(on: juju.Application) -> list[str]:
    return sorted(unit.message for unit in on.units.values())


def is_settled_cluster(on: juju.Application) -> None:
    """Every unit a member of one healthy cluster; a primary; all others synchronous."""
    count = len(on.units)
    assert on.are_active(), on.summary()
    assert roles(on) == ["Primary", *["Synchronous standby"] * (count - 1)]
    assert on.status.message == ""
    raft = on.world.raft
    assert raft.members == {f"{unit.machine.address}:2222" for unit in on.units.values()}
    assert raft.configuration is not None
    assert raft.configuration["synchronous_mode"] is (count > 1)
    assert raft.configuration["synchronous_node_count"] == max(count - 1, 1)
    assert on.application_databags["database-peers"]["cluster-id"] == raft.system_identifier


@pytest.mark.parametrize("count", [1, 2, 3])
def test_deploy(deployed: Deployed, count: int) -> None:
    on = deployed(count)
    is_settled_cluster(on)
    assert on.workload_version == "16.14"
    assert on.world.switchovers == on.world.promotions == []
    for unit in on.units.values():
        assert unit.machine.installs == ["366"]
        assert unit.machine.held
        assert unit.machine.enabled
        assert unit.watches
        assert unit.failures == []
    database = on.world.raft.database
    assert set(database.roles) == {"operator", "replication", "rewind"}
    assert database.tablespaces == {
        "temp": str(
            on.units[
                int(on.application_databags["database-peers"]["bootstrap-unit"])
            ].machine.paths.temporary_tablespace
        )
    }


def test_deploy_nine(on: juju.Application) -> None:
    on.deploy(9)
    on.settle()
    is_settled_cluster(on)


@pytest.mark.parametrize("seed", range(1, 3))
def test_deploy_in_any_order_of_hooks(tmp_path: pathlib.Path, seed: int) -> None:
    on = juju.Application(world.World(tmp_path, seed))
    on.deploy(3)
    on.settle()
    is_settled_cluster(on)
    assert on.world.violations == []


def test_a_settled_unit_changes_nothing_in_further_hooks(deployed: Deployed) -> None:
    on = deployed(3)

    def files() -> dict[pathlib.Path, tuple[float, int]]:
        found = (path for path in on.world.directory.rglob("*") if path.is_file())
        # Not what PostgreSQL writes all the time, nor what ops.testing writes.
        kept = (each for each in found if "postgresql/16" not in str(each) and each.suffix != ".yaml")
        return {each: (each.stat().st_mtime, each.stat().st_ino) for each in kept}

    before, databags = files(), (str(on.databags), str(on.application_databags))
    on.update_status()
    on.settle()
    # charm-refresh writes its own in each hook, 3 of a unit and 5 of the application: no more than these.
    for unit in on.units.values():
        assert unit.databag_writes <= (8 if unit is on.leader else 3), unit.name
    assert files() == before
    assert (str(on.databags), str(on.application_databags)) == databags
    assert on.world.switchovers == []


def test_nothing_is_installed_before_the_units_have_met(on: juju.Application) -> None:
    on.deploy(2)
    first, second = on.units.values()
    while on.step(first):
        on.world.advance(1)
    assert first.started
    assert first.machine.installs == []
    assert first.message == "Waiting for the other units"
    on.settle()
    assert second.machine.installs == ["366"]


def test_passwords_are_in_a_secret_only(deployed: Deployed) -> None:
    on = deployed(3)
    (secret,) = on.secrets
    assert secret.label == "system-users"
    assert secret.owner == "app"
    assert len(set(on.passwords())) == 5
    assert all(len(password) == 32 for password in on.passwords())
    public = f"{on.databags} {on.application_databags} {on.summary()} {on.juju_log}"
    assert not [password for password in on.passwords() if password in public]
    for unit in on.units.values():
        for file in unit.directory.rglob("*"):
            if file.is_file() and "src" not in file.relative_to(unit.directory).parts:
                assert not [password for password in on.passwords() if password in file.read_text()]
        configuration = unit.machine.paths.patroni_configuration
        assert configuration.stat().st_mode & 0o777 == 0o600
        assert not [
            word
            for word in ("/0", "0.0.0.0/0", " all all ")
            if word in str(unit.machine.settings()["postgresql"]["pg_hba"])
        ]


# Scale


def test_scale_up(deployed: Deployed) -> None:
    on = deployed(1)
    on.deploy(2)
    on.settle()
    is_settled_cluster(on)
    assert on.world.switchovers == on.world.promotions == []
    # Those that were there let the new ones in.
    for unit in on.units.values():
        rules = unit.machine.settings()["postgresql"]["pg_hba"]
        for other in on.units.values():
            assert f"host replication replication {other.machine.address}/32 scram-sha-256" in rules


@pytest.mark.parametrize("role", ["primary", "standby", "leader", "raft leader"])
def test_scale_down(deployed: Deployed, role: str) -> None:
    on = deployed(3)
    standby = next(unit for unit in on.units.values() if unit is not on.primary)
    if role == "raft leader":
        on.world.raft.raft_leader = f"{standby.machine.address}:2222"
    going = {"primary": on.primary, "standby": standby, "raft leader": standby, "leader": on.leader}[role]
    assert going is not None
    was_primary = going is on.primary
    told = len(going.statuses)
    on.remove_unit(going.number)
    on.settle()
    assert {status.message for status in going.statuses[told:]} == {"Leaving the cluster"}
    is_settled_cluster(on)
    assert len(on.units) == 2
    assert len(on.world.switchovers) == was_primary
    machine = going.machine
    assert machine.patroni is None
    assert not machine.enabled
    assert not machine.has_raft_state()
    assert not machine.paths.patroni_configuration.exists()
    assert not any(state == "running" for state in machine.services.values())
    # Its data stay, for its storage may be kept.
    assert machine.data is not None


def test_scale_down_to_one_and_up_again(deployed: Deployed) -> None:
    on = deployed(3)
    for _ in range(2):
        on.remove_unit(on.primary.number)
        on.settle()
        is_settled_cluster(on)
    on.add_unit()
    on.settle()
    is_settled_cluster(on)


def test_two_units_leave_at_once(deployed: Deployed) -> None:
    on = deployed(3)
    stays = next(unit for unit in on.units.values() if unit is not on.primary)
    for number in set(on.units) - {stays.number}:
        on.remove_unit(number)
    on.settle()
    is_settled_cluster(on)
    assert list(on.units.values()) == [stays]


def test_remove_the_application(deployed: Deployed) -> None:
    on = deployed(3)
    units = list(on.units.values())
    on.remove()
    on.settle()
    assert on.units == {}
    for unit in units:
        assert unit.failures == []
        assert unit.machine.patroni is None
        assert unit.machine.data is not None
    assert len({unit.machine.data.system_identifier for unit in units if unit.machine.data}) == 1


def test_a_unit_that_vanishes_is_taken_out_of_raft(deployed: Deployed) -> None:
    on = deployed(3)
    gone = on.primary
    on.vanish(gone.number)
    on.settle()
    is_settled_cluster(on)
    assert on.world.promotions[-1] != gone.member_name


def test_a_unit_that_only_reboots_stays_a_member(deployed: Deployed) -> None:
    on = deployed(3)
    down = on.units[2]
    down.machine.crash()
    on.run(120)
    assert f"{down.machine.address}:2222" in on.world.raft.members
    on.reboot(2)
    on.settle()
    is_settled_cluster(on)


def test_a_machine_that_reboots_serves_again_without_any_hook(deployed: Deployed) -> None:
    on = deployed(3)
    primary, hooks = on.primary, sum(len(unit.dispatched) for unit in on.units.values())
    for unit in on.units.values():
        unit.machine.crash()
    on.world.advance(60)
    for unit in on.units.values():
        unit.machine.boot()
    on.world.advance(60)
    assert on.primary is primary
    assert sum(len(unit.dispatched) for unit in on.units.values()) == hooks


def test_a_standby_takes_over_from_a_lost_primary(deployed: Deployed) -> None:
    on = deployed(3)
    lost = on.primary
    lost.machine.crash()
    on.elect(1)
    on.settle()
    assert on.world.primary is not lost.machine
    assert on.status.name == "active"
    assert on.status.message == f"{lost.member_name} is no member"


def test_without_majority_the_status_says_so(deployed: Deployed) -> None:
    on = deployed(3)
    stays = on.units[0]
    for unit in on.units.values():
        if unit is not stays:
            unit.machine.crash()
    on.elect(0)
    on.run(200)
    text = "No majority: 1 of 3 members reachable; start the others, or see force-majority"
    assert (stays.status.name, stays.message) == ("blocked", text)
    assert (on.status.name, on.status.message) == ("blocked", text)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_address_that_changes_is_followed(deployed: Deployed, number: int) -> None:
    on = deployed(3)
    on.move(number, "10.0.0.77")
    on.settle()
    is_settled_cluster(on)
    assert on.units[number].machine.settings()["restapi"]["connect_address"] == "10.0.0.77:8008"


def test_a_single_unit_follows_its_address(deployed: Deployed) -> None:
    on = deployed(1)
    identifier = on.world.raft.system_identifier
    on.move(0, "10.0.0.77")
    on.settle()
    is_settled_cluster(on)
    assert on.world.raft.system_identifier == identifier


# Who founds


def test_another_leader_before_the_claim(on: juju.Application) -> None:
    on.deploy(3)
    for _ in range(5):
        on.step(on.units[0])
    on.elect(1)
    on.settle()
    is_settled_cluster(on)


@pytest.mark.parametrize("hooks", [7, 9, 12])
def test_another_leader_at_any_moment(on: juju.Application, hooks: int) -> None:
    on.deploy(3)
    for _ in range(hooks):
        on.tick()
    on.elect(2)
    on.settle()
    is_settled_cluster(on)


def test_the_claim_of_a_unit_that_vanishes_is_taken_over(on: juju.Application) -> None:
    on.deploy(3)
    while "bootstrap-unit" not in on.application_databags["database-peers"]:
        on.step(on.units[0])
    on.vanish(0)
    on.settle()
    is_settled_cluster(on)
    assert on.application_databags["database-peers"]["bootstrap-unit"] in ("1", "2")


def test_the_claim_of_a_unit_that_merely_is_slow_is_not_taken_over(on: juju.Application) -> None:
    on.deploy(3)
    while "bootstrap-unit" not in on.application_databags["database-peers"]:
        on.step(on.units[0])
    on.elect(1)
    for _ in range(80):
        on.world.advance(1)
        on.step(on.units[1])
        on.step(on.units[2])
    assert on.application_databags["database-peers"]["bootstrap-unit"] == "0"
    on.settle()
    is_settled_cluster(on)
