"""Relation events, what databags show when, and how relations begin and end."""

from __future__ import annotations

import dataclasses

import pytest
from engine_world import Run, World

from lab.controller import operations_common

PROVIDES = {"db": {"interface": "x"}}
REQUIRES = {"up": {"interface": "x"}}
PEERS = {"peers": {"interface": "p"}}
KEY = "client:up server:db"


@pytest.fixture
def pair(world: World) -> World:
    """Two applications that are not related yet."""
    world.operations.deploy("m", world.charm("server", provides=PROVIDES), num_units=2)
    world.operations.deploy("m", world.charm("client", requires=REQUIRES))
    world.settle()
    world.runs()
    return world


def relate(world: World) -> None:
    world.operations.integrate("m", ["client", "server"])
    world.settle()


def of(world: World, unit: str) -> list[tuple[str, str]]:
    return [(run.hook, run.remote_unit) for run in world.runs() if run.unit == unit]


def test_a_relation_without_application_data(pair: World) -> None:
    relate(pair)
    runs = pair.runs()
    assert [run for run in runs if run.unit == "client/0"] == [
        Run("client/0", "up-relation-created", "", "", "server"),
        Run("client/0", "up-relation-joined", "server/0", "", "server"),
        Run("client/0", "up-relation-changed", "server/0", "", "server"),
        Run("client/0", "up-relation-joined", "server/1", "", "server"),
        Run("client/0", "up-relation-changed", "server/1", "", "server"),
    ]
    assert [run.hook for run in runs if run.unit == "server/1"] == [
        "db-relation-created",
        "db-relation-joined",
        "db-relation-changed",
    ]


def test_application_data_is_told_before_units_join(pair: World) -> None:
    leader = pair.leader("server")
    pair.script("db-relation-created", "is-leader --format json | grep -q true && relation-set --app a=1 || true")
    relate(pair)
    assert pair.databag(KEY, "server") == {"a": "1"}
    hooks = of(pair, "client/0")
    assert hooks[0] == ("up-relation-created", "")
    changed = hooks.index(("up-relation-changed", ""))
    # Juju tells of the application's data first if it was there by then, and in any case without a unit.
    assert changed >= 1
    assert pair.environment("client/0", "up-relation-changed")["JUJU_REMOTE_APP"] == "server"
    pair.script("config-changed", "relation-set -r db:0 --app a=2", unit=leader)
    pair.change_config("server")
    pair.settle()
    assert of(pair, "client/0") == [("up-relation-changed", "")]


def test_juju_writes_addresses_and_nothing_else(pair: World) -> None:
    relate(pair)
    address = pair.controller.machine(pair.model, pair.unit("client/0").machine or "").address
    assert pair.databag(KEY, "client/0") == {
        "private-address": address,
        "ingress-address": address,
        "egress-subnets": f"{address}/32",
    }
    assert pair.databag(KEY, "client") == {}


def test_a_change_is_told_to_each_remote_unit_once(pair: World) -> None:
    relate(pair)
    pair.runs()
    pair.script("config-changed", "relation-set -r up:0 a=1")
    pair.change_config("client")
    pair.settle()
    assert sorted((run.unit, run.hook, run.remote_unit) for run in pair.runs()) == [
        ("client/0", "config-changed", ""),
        ("server/0", "db-relation-changed", "client/0"),
        ("server/1", "db-relation-changed", "client/0"),
    ]
    pair.change_config("client")
    pair.settle()
    assert [run.hook for run in pair.runs()] == ["config-changed"]


def test_remote_data_is_frozen_until_its_event(pair: World) -> None:
    out = pair.directory / "seen"
    pair.script("db-relation-changed", f"echo event $(relation-get a) >>{out}", unit="server/0")
    relate(pair)
    pair.script("config-changed", f"echo read $(relation-get -r db:0 a client/0) >>{out}", unit="server/0")
    pair.script("config-changed", "relation-set -r up:0 a=1", unit="client/0")
    pair.change_config("client")
    pair.change_config("server")
    # The client's hook ends before the server's one begins, and yet the server does not see what it wrote.
    client, server = (pair.controller.agents[pair.model, unit] for unit in ("client/0", "server/0"))
    client.step()
    server.step()
    assert pair.databag(KEY, "client/0")["a"] == "1"
    assert out.read_text() == "event\nread\n"
    pair.settle()
    assert out.read_text() == "event\nread\nevent 1\n"


def test_a_new_unit_joins_and_a_leaving_one_departs(pair: World) -> None:
    relate(pair)
    pair.runs()
    pair.operations.add_unit("m", "server")
    pair.settle()
    assert of(pair, "client/0") == [("up-relation-joined", "server/2"), ("up-relation-changed", "server/2")]
    pair.operations.remove_unit("m", "server/2")
    pair.settle()
    runs = pair.runs()
    assert [run for run in runs if run.unit == "client/0"] == [
        Run("client/0", "up-relation-departed", "server/2", "server/2", "server")
    ]
    assert [run for run in runs if run.unit == "server/2" and "relation" in run.hook] == [
        Run("server/2", "db-relation-departed", "client/0", "server/2", "client"),
        Run("server/2", "db-relation-broken", "", "", "client"),
    ]


def test_the_bag_of_a_departed_unit_stays_readable(pair: World) -> None:
    relate(pair)
    pair.script("up-relation-departed", 'status-set active "$(relation-get ingress-address)"')
    address = pair.databag(KEY, "server/1")["ingress-address"]
    pair.operations.remove_unit("m", "server/1")
    pair.settle()
    assert pair.status("client/0") == ("active", address)


def test_the_leaver_is_not_listed_and_the_joiner_is(pair: World) -> None:
    pair.script("up-relation-joined", 'echo "$JUJU_REMOTE_UNIT: $(relation-list | tr "\\n" " ")" >>listed')
    pair.script("up-relation-departed", 'echo "left: $(relation-list | tr "\\n" " ")" >>listed')
    relate(pair)
    pair.operations.remove_unit("m", "server/0")
    pair.settle()
    listed = (pair.charm_directory("client/0") / "listed").read_text().splitlines()
    assert [line.strip() for line in listed] == [
        "server/0: server/0",
        "server/1: server/0 server/1",
        "left: server/1",
    ]


def test_removing_a_relation(pair: World) -> None:
    relate(pair)
    pair.runs()
    pair.operations.remove_relation("m", ["client", "server"])
    pair.settle()
    runs = pair.runs()
    assert [run for run in runs if run.unit == "client/0"] == [
        Run("client/0", "up-relation-departed", "server/0", "server/0", "server"),
        Run("client/0", "up-relation-departed", "server/1", "server/1", "server"),
        Run("client/0", "up-relation-broken", "", "", "server"),
    ]
    assert [run for run in runs if run.unit == "server/1"] == [
        Run("server/1", "db-relation-departed", "client/0", "client/0", "client"),
        Run("server/1", "db-relation-broken", "", "", "client"),
    ]
    assert pair.relation(KEY) is None
    relate(pair)
    relation = pair.relation(KEY)
    assert relation is not None
    assert relation.id == 1


def test_a_relation_waits_for_a_unit_in_error(pair: World) -> None:
    relate(pair)
    pair.script("up-relation-broken", "exit 1")
    pair.operations.remove_relation("m", ["client", "server"])
    pair.settle()
    assert pair.relation(KEY) is not None
    pair.script("up-relation-broken", "")
    pair.advance(5)
    assert pair.relation(KEY) is None


def test_removing_a_relation_by_force(pair: World) -> None:
    relate(pair)
    pair.script("up-relation-broken", "exit 1")
    pair.runs()
    pair.operations.remove_relation("m", ["client", "server"], force=True)
    pair.settle()
    assert pair.relation(KEY) is None
    assert pair.local("client/0").relations == {}
    assert pair.runs() == []


def test_removing_an_application(pair: World) -> None:
    relate(pair)
    pair.runs()
    pair.operations.remove_application("m", "server")
    pair.settle()
    runs = pair.runs()
    assert {run.departing_unit for run in runs if run.unit == "client/0" and run.hook.endswith("departed")} == {
        "server/0",
        "server/1",
    }
    assert {run.departing_unit for run in runs if run.unit == "server/0" and run.hook.endswith("departed")} == {
        "server/0"
    }
    assert [run.hook for run in runs if run.unit == "server/0"][-4:] == [
        "db-relation-departed",
        "db-relation-broken",
        "stop",
        "remove",
    ]
    assert pair.relation(KEY) is None
    assert not pair.find_unit("server/0")


# Peers


def test_a_peer_alone_is_only_told_of_the_creation(world: World) -> None:
    world.deploy(world.charm(peers=PEERS))
    assert [hook for hook in world.hooks() if "relation" in hook] == ["peers-relation-created"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_leader_gets_an_event_for_its_own_application_data(world: World, count: int) -> None:
    world.deploy(world.charm(peers=PEERS), num_units=count)
    leader = world.leader()
    # Juju tells the leader too, of each change: a charm that always writes something new would never come to rest.
    world.script("config-changed", "relation-set -r peers:0 --app a=1", unit=leader)
    world.script("peers-relation-changed", "relation-set --app a=1", unit=leader)
    world.runs()
    world.change_config()
    world.settle()
    told = Run("", "peers-relation-changed", remote_application="tiny")
    runs = world.runs()
    assert [run for run in runs if run.unit == leader] == [
        Run(leader, "config-changed"),
        dataclasses.replace(told, unit=leader),
    ]
    assert sorted(run.unit for run in runs if dataclasses.replace(run, unit="") == told) == [
        f"tiny/{number}" for number in range(count)
    ]
    world.change_config()
    world.settle()
    assert {run.hook for run in world.runs()} == {"config-changed"}


def test_peers_are_not_broken_when_a_unit_leaves(world: World) -> None:
    world.deploy(world.charm(peers=PEERS), num_units=3)
    world.runs()
    world.operations.remove_unit("m", "tiny/2")
    world.settle()
    runs = world.runs()
    leaving = [run for run in runs if run.unit == "tiny/2" and "relation" in run.hook]
    assert leaving == [
        Run("tiny/2", "peers-relation-departed", "tiny/0", "tiny/2", "tiny"),
        Run("tiny/2", "peers-relation-departed", "tiny/1", "tiny/2", "tiny"),
    ]
    assert [run for run in runs if run.unit == "tiny/0" and "relation" in run.hook] == [
        Run("tiny/0", "peers-relation-departed", "tiny/2", "tiny/2", "tiny")
    ]


def test_others_learn_of_a_leaver_while_it_still_runs_its_own_hooks(world: World) -> None:
    world.deploy(world.charm(peers=PEERS), num_units=2)
    world.script("stop", "exit 1")
    world.runs()
    world.operations.remove_unit("m", "tiny/1")
    world.settle()
    assert [run.hook for run in world.runs() if run.unit == "tiny/0"][:1] == ["peers-relation-departed"]
    assert world.find_unit("tiny/1")


# Who can be related


def test_what_cannot_be_related(pair: World) -> None:
    integrate = pair.operations.integrate
    with pytest.raises(operations_common.OperationError, match="no relations found"):
        integrate("m", ["client", "client"])
    with pytest.raises(operations_common.OperationError, match='application "nobody" not found'):
        integrate("m", ["client", "nobody"])
    with pytest.raises(operations_common.OperationError, match='application "server" has no "none" relation'):
        integrate("m", ["client", "server:none"])
    integrate("m", ["client:up", "server:db"])
    with pytest.raises(operations_common.OperationError, match="relation already exists"):
        integrate("m", ["client", "server"])


def test_ambiguity_and_limits(world: World) -> None:
    two = {"up": {"interface": "x", "limit": 1}, "other": {"interface": "x"}}
    world.operations.deploy("m", world.charm("server", provides=PROVIDES))
    world.operations.deploy("m", world.charm("server", provides=PROVIDES), application="second")
    world.operations.deploy("m", world.charm("client", requires=two))
    with pytest.raises(operations_common.OperationError, match="ambiguous relation"):
        world.operations.integrate("m", ["client", "server"])
    world.operations.integrate("m", ["client:up", "server"])
    with pytest.raises(operations_common.OperationError, match="maximum relation limit of 1"):
        world.operations.integrate("m", ["client:up", "second"])


def test_peer_relations_cannot_be_removed(world: World) -> None:
    world.operations.deploy("m", world.charm(peers=PEERS))
    with pytest.raises(operations_common.OperationError, match="is a peer relation"):
        world.operations.remove_relation("m", relation=0)
    with pytest.raises(operations_common.OperationError, match="relation 7 not found"):
        world.operations.remove_relation("m", relation=7)
