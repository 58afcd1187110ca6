"""The order of events of a new unit, its statuses on the way, and what a deployment is checked for."""

from __future__ import annotations

import pathlib
import typing

import pytest
from engine_world import World

from lab.controller import model_config, operations_common
from lab.controller.entities import statuses


def test_a_leader_alone(world: World) -> None:
    world.deploy()
    assert world.hooks() == ["install", "leader-elected", "config-changed", "start"]


def test_a_follower_is_told_of_leader_settings(world: World) -> None:
    world.deploy(num_units=2)
    runs = world.runs()
    hooks = {unit: [run.hook for run in runs if run.unit == unit] for unit in ("tiny/0", "tiny/1")}
    assert hooks[world.leader()] == ["install", "leader-elected", "config-changed", "start"]
    assert hooks[world.follower()] == ["install", "leader-settings-changed", "config-changed", "start"]


def test_storage_comes_before_install_and_relations_are_created_after_it(world: World) -> None:
    charm = world.charm(
        storage={"data": {"type": "filesystem"}, "logs": {"type": "filesystem"}},
        peers={"peers": {"interface": "p"}, "others": {"interface": "o"}},
    )
    world.deploy(charm)
    hooks = world.hooks()
    assert sorted(hooks[:2]) == ["data-storage-attached", "logs-storage-attached"]
    assert hooks[2] == "install"
    assert sorted(hooks[3:5]) == ["others-relation-created", "peers-relation-created"]
    assert hooks[5:] == ["leader-elected", "config-changed", "start"]


def test_peers_join_and_change_in_pairs_sorted_after_start(world: World) -> None:
    world.deploy(world.charm(peers={"peers": {"interface": "p"}}), num_units=3)
    runs = [run for run in world.runs() if run.unit == "tiny/1"]
    assert [run.hook for run in runs].index("start") == len(runs) - 5
    assert [(run.hook, run.remote_unit) for run in runs[-4:]] == [
        ("peers-relation-joined", "tiny/0"),
        ("peers-relation-changed", "tiny/0"),
        ("peers-relation-joined", "tiny/2"),
        ("peers-relation-changed", "tiny/2"),
    ]


def test_the_order_of_relation_created_is_left_open(tmp_path: pathlib.Path) -> None:
    peers = {name: {"interface": name} for name in ("a", "b", "c", "d")}
    orders: set[tuple[str, ...]] = set()
    for seed in range(4):
        world = World(tmp_path / str(seed), seed)
        world.deploy(world.charm(peers=peers))
        orders.add(tuple(world.hooks()[1:5]))
        world.engine.close()
    assert len(orders) > 1


def test_statuses_on_the_way(world: World) -> None:
    world.operations.deploy("m", world.charm())
    assert world.status("tiny/0") == ("waiting", "waiting for machine")
    assert world.agent_status("tiny/0") == "allocating"
    seen: list[tuple[str, str]] = []
    for _ in range(20):
        world.engine.step()
        if not seen or seen[-1] != world.status("tiny/0"):
            seen.append(world.status("tiny/0"))
    assert seen == [
        ("waiting", "agent initialising"),
        ("maintenance", "installing charm software"),
        ("unknown", ""),
    ]
    assert world.agent_status("tiny/0") == "idle"
    history = statuses.history(world.store, world.model, "unit-tiny-0")
    assert ("waiting", "installing agent") in [(status.status, status.message) for status in history]
    agent = [status.message for status in statuses.history(world.store, world.model, statuses.agent("tiny/0"))]
    assert "running install hook" in agent
    assert "running start hook" in agent


def test_a_status_that_the_charm_has_set_stays(world: World) -> None:
    world.script("install", "status-set blocked 'no'")
    world.deploy()
    assert world.status("tiny/0") == ("blocked", "no")


def test_unit_and_machine_numbers_are_never_used_again(world: World) -> None:
    world.deploy(num_units=2)
    world.operations.remove_unit("m", "tiny/1")
    world.settle()
    assert world.operations.add_unit("m", "tiny") == ["tiny/2"]
    assert world.unit("tiny/2").machine == "2"


def test_units_on_a_machine_that_is_named(world: World) -> None:
    assert world.operations.add_machine("m", count=1) == ["0"]
    world.deploy(num_units=2, to=["0", "0"])
    assert {world.unit("tiny/0").machine, world.unit("tiny/1").machine} == {"0"}
    world.operations.remove_application("m", "tiny")
    world.settle()
    assert world.controller.machine(world.model, "0").running


def test_config_is_converted_and_checked(world: World) -> None:
    charm = world.charm(
        config={
            "count": {"type": "int", "default": 1},
            "ratio": {"type": "float"},
            "on": {"type": "boolean"},
            "text": {"type": "string"},
            "key": {"type": "secret"},
        }
    )
    settings = {"count": "5", "ratio": "1.5", "on": "true", "text": "7", "key": f"secret:{'a' * 20}"}
    world.operations.deploy("m", charm, config=settings)
    shown = world.operations.get_config("m", "tiny")["settings"]
    assert {name: entry.get("value") for name, entry in shown.items()} == {
        "count": 5,
        "ratio": 1.5,
        "on": True,
        "text": "7",
        "key": f"secret:{'a' * 20}",
    }
    assert shown["count"]["source"] == "user"
    for name, value in (("count", "x"), ("count", True), ("on", "maybe"), ("key", "plain"), ("none", "x")):
        with pytest.raises(operations_common.OperationError, match=name):
            world.operations.set_config("m", "tiny", {name: value})
    assert world.operations.get_config("m", "tiny")["settings"] == shown


def test_config_from_yaml(world: World) -> None:
    charm = world.charm(config={"count": {"type": "int", "default": 1}, "text": {"type": "string"}})
    world.operations.deploy("m", charm, config_yaml="tiny: {count: 3, text: a}", config={"text": "b"})
    settings = world.operations.get_config("m", "tiny")["settings"]
    assert (settings["count"]["value"], settings["text"]["value"]) == (3, "b")
    with pytest.raises(operations_common.OperationError, match='no settings found for "tiny"'):
        world.operations.set_config("m", "tiny", config_yaml="other: {count: 3}")


def test_a_refused_deployment_leaves_nothing(world: World) -> None:
    with pytest.raises(operations_common.OperationError, match='unknown option "x"'):
        world.operations.deploy("m", world.charm(), config={"x": "1"})
    assert not world.find_unit("tiny/0")
    world.operations.deploy("m", world.charm())
    with pytest.raises(operations_common.OperationError, match="application already exists"):
        world.operations.deploy("m", world.charm())


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"subordinate": True}, "subordinate"),
        ({"containers": {"x": {}}}, "Kubernetes"),
        ({"storage": {"disk": {"type": "block"}}}, "block"),
        ({"assumes": ["juju >= 4.0"]}, "requires Juju version >= 4.0"),
        ({"assumes": ["k8s-api"]}, "k8s-api"),
        ({"assumes": [{"all-of": ["juju >= 3.6.2", "juju < 3.6.3"]}]}, "< 3.6.3"),
        ({"assumes": [{"any-of": ["juju >= 4.0", "k8s-api"]}]}, "k8s-api"),
    ],
)
def test_charms_that_cannot_be_deployed(world: World, parts: dict[str, typing.Any], problem: str) -> None:
    with pytest.raises(operations_common.OperationError, match=problem):
        world.operations.deploy("m", world.charm(**parts))


def test_assumptions_that_hold(world: World) -> None:
    world.operations.deploy("m", world.charm(assumes=["juju >= 3.6.2", {"any-of": ["k8s-api", "juju < 4"]}]))
    assert world.unit("tiny/0")


def test_what_is_no_charm(world: World) -> None:
    (world.directory / "no.charm").write_text("x")
    for path in (world.directory / "no.charm", world.directory / "nothing.charm", world.directory):
        with pytest.raises(operations_common.OperationError):
            world.operations.deploy("m", str(path))


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("10s", 10), ("1.5s", 1.5)])
def test_durations(text: str, seconds: float) -> None:
    assert model_config.duration(text) == seconds


def test_a_duration_that_is_none() -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        model_config.duration("5 minutes")
