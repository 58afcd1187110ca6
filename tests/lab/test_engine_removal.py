"""How units, applications, machines and models end."""

from __future__ import annotations

import pytest
from engine_world import World

from lab.controller import operations_common
from lab.controller import store as store_module
from lab.controller.entities import machines, models, statuses, tasks

PEERS = {"peers": {"interface": "p"}}
DATA = {"data": {"type": "filesystem", "location": "/srv/data"}}


def test_the_order_of_a_units_end(world: World) -> None:
    world.deploy(world.charm(peers=PEERS, storage=DATA), num_units=2)
    follower = world.follower()
    world.runs()
    world.operations.remove_unit("m", follower)
    world.settle()
    assert [run.hook for run in world.runs() if run.unit == follower] == [
        "data-storage-detaching",
        "peers-relation-departed",
        "stop",
        "remove",
    ]
    assert not world.find_unit(follower)


def test_statuses_of_a_units_end(world: World) -> None:
    world.deploy()
    world.operations.remove_unit("m", "tiny/0")
    seen: list[tuple[str, str]] = []
    world.script("stop", "exit 1")
    world.settle()
    own = statuses.get(world.store, world.model, "unit-tiny-0")
    assert own is not None
    seen.append((own.status, own.message))
    world.script("stop", "")
    world.script("remove", "exit 1")
    world.advance(5)
    own = statuses.get(world.store, world.model, "unit-tiny-0")
    assert own is not None
    seen.append((own.status, own.message))
    assert seen == [
        ("maintenance", "stopping charm software"),
        ("maintenance", "cleaning up prior to charm deletion"),
    ]


def test_a_unit_whose_agent_has_not_begun_goes_at_once(world: World) -> None:
    world.operations.deploy("m", world.charm())
    world.operations.remove_unit("m", "tiny/0")
    assert not world.find_unit("tiny/0")
    world.settle()
    assert world.hooks() == []
    assert world.store.find(machines.Machine) == []


def test_a_unit_in_error_stays_until_it_is_resolved(world: World) -> None:
    world.deploy()
    world.script("update-status", "exit 1")
    world.advance(400)
    world.operations.remove_unit("m", "tiny/0")
    world.hooks()
    world.settle()
    assert world.hooks() == []
    world.operations.resolved("m", ["tiny/0"], no_retry=True)
    world.settle()
    assert world.hooks() == ["leader-settings-changed", "stop", "remove"]
    assert not world.find_unit("tiny/0")


def test_removal_by_force_waits_for_a_minute(world: World) -> None:
    world.deploy()
    world.script("stop", "exit 1")
    world.operations.remove_unit("m", "tiny/0", force=True)
    world.settle()
    world.advance(50)
    assert world.find_unit("tiny/0")
    world.advance(10)
    assert not world.find_unit("tiny/0")
    assert world.store.find(machines.Machine) == []


def test_removal_by_force_without_waiting(world: World) -> None:
    world.deploy(num_units=2)
    world.script("stop", "exit 1")
    world.operations.remove_application("m", "tiny", force=True, no_wait=True)
    world.settle()
    assert not world.find_unit("tiny/0")
    assert world.store.find(machines.Machine) == []


def test_a_dry_run_changes_nothing(world: World) -> None:
    world.deploy(world.charm(storage=DATA))
    shown = world.operations.remove_application("m", "tiny", dry_run=True)
    assert shown == {"units": ["tiny/0"], "destroyed-storage": [], "detached-storage": ["data/0"]}
    assert world.operations.remove_unit("m", "tiny/0", destroy_storage=True, dry_run=True) == {
        "destroyed-storage": ["data/0"],
        "detached-storage": [],
    }
    world.hooks()
    world.settle()
    assert world.hooks() == []


def test_a_machine_goes_with_its_last_unit(world: World) -> None:
    world.deploy()
    world.operations.add_unit("m", "tiny", to=["0"])
    world.settle()
    world.operations.remove_unit("m", "tiny/0")
    world.settle()
    assert world.controller.machine(world.model, "0").running
    agents = world.controller.machine(world.model, "0").outside("/var/lib/juju/agents")
    assert [path.name for path in agents.iterdir()] == ["unit-tiny-1"]
    world.operations.remove_unit("m", "tiny/1")
    world.settle()
    assert world.controller.machines.names() == []


def test_machines_with_units_are_removed_by_force_only(world: World) -> None:
    world.deploy()
    with pytest.raises(operations_common.OperationError, match='machine 0 has unit "tiny/0" assigned'):
        world.operations.remove_machine("m", "0")
    world.hooks()
    world.operations.remove_machine("m", "0", force=True)
    world.settle()
    assert "stop" in world.hooks()
    assert world.store.find(machines.Machine) == []


def test_tasks_that_wait_end_with_their_unit(world: World) -> None:
    world.deploy(world.charm(actions={"go": {}}))
    world.operations.fault_crash_agent("m", "tiny/0", stay_down=True)
    world.settle()
    enqueued = world.operations.run_action("m", ["tiny/0"], "go")
    world.operations.remove_unit("m", "tiny/0", force=True, no_wait=True)
    world.settle()
    assert world.task(enqueued).status is tasks.TaskStatus.CANCELLED


def test_an_application_can_be_deployed_again(world: World) -> None:
    world.deploy(world.charm(peers=PEERS, config={"a": {"type": "string"}}), config={"a": "x"})
    world.operations.remove_application("m", "tiny")
    world.settle()
    world.deploy(world.charm(peers=PEERS, config={"a": {"type": "string"}}))
    assert world.operations.get_config("m", "tiny")["settings"]["a"]["source"] == "unset"
    assert world.find_unit("tiny/1")


def test_a_model_goes_with_all_that_is_in_it(world: World) -> None:
    charm = world.charm(peers=PEERS, storage=DATA, actions={"go": {}}, config={"a": {"type": "string"}})
    world.deploy(charm, num_units=2, config={"a": "1"})
    world.run_action("tiny/0", "go")
    world.operations.add_secret("m", "s", {"key-a": "eA=="})
    world.operations.add_machine("m")
    world.settle()
    with pytest.raises(operations_common.OperationError, match="persistent storage"):
        world.operations.destroy_model("m")
    world.operations.destroy_model("m", destroy_storage=True)
    world.settle()
    assert world.store.find(models.Model) == []
    left = [entity for entity in store_module.entities_of_models() if world.store.find(entity)]
    assert left == []
    assert world.controller.machines.names() == []
    assert list((world.directory / "storage").iterdir()) == []
    world.operations.add_model("m")


def test_a_model_can_leave_its_storage_behind(world: World) -> None:
    world.deploy(world.charm(storage=DATA))
    world.operations.destroy_model("m", destroy_storage=False)
    world.settle()
    assert world.store.find(models.Model) == []
    assert len(list((world.directory / "storage").iterdir())) == 1


def test_nothing_is_added_to_a_model_that_goes(world: World) -> None:
    world.deploy()
    world.script("stop", "exit 1")
    world.operations.destroy_model("m")
    world.settle()
    with pytest.raises(operations_common.OperationError, match="no longer alive"):
        world.operations.deploy("m", world.charm(), application="other")


def test_names_of_models(world: World) -> None:
    with pytest.raises(operations_common.OperationError, match="not a valid name"):
        world.operations.add_model("No!")
    with pytest.raises(operations_common.OperationError, match="already exists"):
        world.operations.add_model("m")
    with pytest.raises(operations_common.OperationError, match='model "x" not found'):
        world.operations.model_config("x")
