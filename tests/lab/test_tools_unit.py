from __future__ import annotations

import dataclasses
import datetime

import pytest

from lab.controller.entities import applications, charms, leadership, logs, models, statuses, uniter, units
from tests.lab import tools_world


@pytest.fixture
def world() -> tools_world.World:
    return tools_world.World()


def logged(world: tools_world.World) -> list[tuple[str, str, str]]:
    return [(one.level, one.module, one.message) for one in world.store.find(logs.LogLine)]


# Configuration


def test_config_get_omits_what_has_no_value(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert run.json("config-get") == {"name": "main", "size": 3, "ratio": 0.5, "on": True}
    assert run.json("config-get", "--all") == {"name": "main", "size": 3, "ratio": 0.5, "on": True, "unset": None}
    assert run.json("config-get", "size") == 3
    assert run.out("config-get", "on") == "True\n"
    assert run.json("config-get", "unset") is None
    assert run.json("config-get", "no-such-option") is None
    assert run.error("config-get", "-a", "size") == (2, "cannot use argument --all together with key")


def test_config_belongs_to_the_charm_that_the_unit_runs(world: tools_world.World) -> None:
    world.store.put(applications.Settings(tools_world.MODEL, "pg", "local:pg-0", {"name": "old"}))
    world.store.put(applications.Settings(tools_world.MODEL, "pg", "local:pg-1", {"name": "new"}))
    old = world.store.require(charms.Charm, tools_world.MODEL, "local:pg-0")
    application = world.store.require(applications.Application, tools_world.MODEL, "pg")
    world.store.put(
        dataclasses.replace(old, url="local:pg-1"), dataclasses.replace(application, charm_url="local:pg-1")
    )
    assert world.start("pg/0").json("config-get", "name") == "old"


# Leadership


def test_is_leader_follows_the_lease(world: tools_world.World) -> None:
    world.lead("pg/0", seconds=60)
    run = world.start("pg/0")
    assert run.out("is-leader") == "True\n"
    assert world.start("pg/1").json("is-leader") is False
    world.clock.advance(61)
    assert run.json("is-leader") is False


def test_leader_settings_are_written_at_once(world: tools_world.World) -> None:
    leader, follower = world.start("pg/0"), world.start("pg/1")
    leader.out("leader-set", "a=1", "b=2")
    leader.out("leader-set", "b=")
    assert follower.json("leader-get") == {"a": "1"}
    assert follower.json("leader-get", "a") == "1"
    assert follower.json("leader-get", "b") is None
    found = world.store.require(leadership.LeaderSettings, tools_world.MODEL, "pg")
    leader.out("leader-set", "a=1")
    assert world.store.require(leadership.LeaderSettings, tools_world.MODEL, "pg").version == found.version == 2


def test_leader_settings_are_the_leaders(world: tools_world.World) -> None:
    error = world.start("pg/1").error("leader-set", "a=1")
    assert error == (1, "cannot write leadership settings: this unit is not the leader")


# Status and version


def test_status_is_set_at_once(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert not run.context.status_set
    run.out("status-set", "--application=False", "active", "--", "- all well")
    run.context.discard()
    assert run.context.status_set
    assert world.start("pg/0").json("status-get", "--include-data") == {
        "status": "active",
        "message": "- all well",
        "status-data": {},
    }
    assert run.out("status-get") == "active\n"
    assert run.json("status-get") == {"status": "active"}


def test_a_status_without_message_clears_it(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("status-set", "active", "text")
    run.out("status-set", "active")
    assert run.json("status-get", "--include-data")["message"] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "invalid args, require <status> [message]"),
        (["error"], 'invalid status "error", expected one of [maintenance blocked waiting active]'),
        (["unknown"], 'invalid status "unknown", expected one of [maintenance blocked waiting active]'),
        (["active", "a", "b"], 'unrecognized args: ["b"]'),
    ],
)
def test_status_set_usage(world: tools_world.World, arguments: list[str], message: str) -> None:
    assert world.start("pg/0").error("status-set", *arguments) == (2, message)


def test_the_applications_status_is_the_leaders(world: tools_world.World) -> None:
    leader, follower = world.start("pg/0"), world.start("pg/1")
    leader.out("status-set", "--application", "blocked", "no")
    assert follower.error("status-set", "--application", "active") == (1, "this unit is not the leader")
    code, message = follower.error("status-get", "--application")
    assert (code, message) == (1, "finding application status: this unit is not the leader")
    shown = leader.json("status-get", "--application=true", "--include-data")["application-status"]
    assert (shown["status"], shown["message"], shown["status-data"]) == ("blocked", "no", {})
    assert set(shown["units"]) == {"pg/0", "pg/1", "pg/2"}


def test_an_application_status_that_was_not_set_is_the_worst_of_the_units(world: tools_world.World) -> None:
    world.start("pg/0").out("status-set", "active")
    world.start("pg/1").out("status-set", "blocked", "disk")
    shown = world.start("pg/0").json("status-get", "--application", "--include-data")["application-status"]
    assert (shown["status"], shown["message"]) == ("blocked", "disk")


def test_a_hook_in_error_is_the_units_status(world: tools_world.World) -> None:
    world.start("pg/0").out("status-set", "active")
    statuses.set_status(
        world.store, world.clock.now(), tools_world.MODEL, statuses.agent("pg/0"), "error", 'hook failed: "start"'
    )
    shown = world.action("pg/0").json("status-get", "--include-data")
    assert (shown["status"], shown["message"]) == ("error", 'hook failed: "start"')
    assert world.start("pg/1").json("goal-state")["units"]["pg/0"]["status"] == "error"


def test_application_version_set(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("application-version-set", "--", "-16.15")
    run.context.discard()
    assert world.store.require(units.Unit, tools_world.MODEL, "pg/0").workload_version == "-16.15"
    assert run.error("application-version-set") == (2, "no version specified")


# Log, reboot


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["hello"], [("INFO", "hello")]),
        (["hello", "world"], [("INFO", "hello world")]),
        (["--debug", "x"], [("DEBUG", "x")]),
        (["-l", "WARNING", "x"], [("WARNING", "x")]),
        (["--log-level", "error", "--", "-x"], [("ERROR", "-x")]),
        (["-l", "WARN", "x"], [("WARNING", "x")]),
        (["-l", "LOUD", "x"], [("WARNING", 'Specified log level of "LOUD" is not valid'), ("INFO", "x")]),
    ],
)
def test_juju_log(world: tools_world.World, arguments: list[str], expected: list[tuple[str, str]]) -> None:
    model = world.store.require(models.Model, tools_world.MODEL)
    world.store.put(dataclasses.replace(model, config={"logging-config": "<root>=DEBUG"}))
    world.start("pg/0").out("juju-log", *arguments)
    assert logged(world) == [(level, "unit.pg/0.juju-log", message) for level, message in expected]


def test_the_models_logging_config_decides_what_is_kept(world: tools_world.World) -> None:
    world.start("pg/0").out("juju-log", "--debug", "x")
    assert logged(world) == []


def test_juju_log_names_the_relation_of_the_hook(world: tools_world.World) -> None:
    hook = uniter.Hook("relation-changed", relation=2, remote_unit="web/0", remote_application="web")
    world.start("pg/0", hook).out("juju-log", "hi")
    assert logged(world) == [("INFO", "unit.pg/0.juju-log", "database:2: hi")]


def test_juju_reboot(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("juju-reboot")
    assert run.context.reboot == "after"
    run.context.discard()
    assert run.context.reboot == ""
    run.out("juju-reboot", "--now")
    run.out("juju-reboot")
    run.context.discard()
    assert run.context.reboot == "now"
    assert world.action("pg/0").error("juju-reboot")[1] == "juju-reboot is not supported when running an action."


# Goal state


def test_goal_state(world: tools_world.World) -> None:
    statuses.set_status(world.store, world.clock.now(), tools_world.MODEL, "unit-web-0", "active")
    world.store.put(models.Model("other", "other", "admin", world.clock.now()))
    leaving = world.store.require(units.Unit, tools_world.MODEL, "pg/2")
    world.store.put(units.Unit(**{**vars(leaving), "life": models.Life.DYING}))
    shown = world.start("pg/0").json("goal-state")
    assert {name: goal["status"] for name, goal in shown["units"].items()} == {
        "pg/0": "waiting",
        "pg/1": "waiting",
        "pg/2": "dying",
    }
    database = shown["relations"]["database"]
    assert {name: goal["status"] for name, goal in database.items()} == {
        "web": "joined",
        "web/0": "active",
        "web/1": "waiting",
    }
    assert set(shown["relations"]) == {"database"}
    assert datetime.datetime.strptime(database["web"]["since"], "%Y-%m-%d %H:%M:%SZ")
    assert world.start("pg/0").error("goal-state", "--format", "smart")[0] == 2


# Network


def test_network_get(world: tools_world.World) -> None:
    run = world.start("pg/1")
    assert run.json("network-get", "database") == {
        "bind-addresses": [
            {
                "mac-address": "",
                "interface-name": "eth0",
                "addresses": [{"hostname": "", "value": "10.9.8.11", "cidr": "10.9.8.0/24"}],
            }
        ],
        "egress-subnets": ["10.9.8.11/32"],
        "ingress-addresses": ["10.9.8.11"],
    }
    assert run.json("network-get", "-r", "2", "database") == run.json("network-get", "replication")
    assert run.out("network-get", "database", "--bind-address") == "10.9.8.11\n"
    assert run.json("network-get", "database", "--egress-subnets") == ["10.9.8.11/32"]
    both = run.json("network-get", "database", "--bind-address", "--ingress-address")
    assert both == {"bind-address": "10.9.8.11", "ingress-address": "10.9.8.11"}
    assert run.error("network-get", "nope") == (1, 'no network config found for binding "nope"')
    assert run.error("network-get") == (2, "no arguments specified")


def test_unit_get(world: tools_world.World) -> None:
    run = world.start("pg/1")
    assert run.out("unit-get", "private-address") == run.out("unit-get", "public-address") == "10.9.8.11\n"
    assert run.error("unit-get", "age") == (2, 'unknown setting "age"')
    assert run.error("unit-get") == (2, "no setting specified")


# Credentials and what there is not


def test_credential_get_needs_trust(world: tools_world.World) -> None:
    assert world.start("pg/0").error("credential-get") == (1, "permission denied")
    application = world.store.require(applications.Application, tools_world.MODEL, "pg")
    world.store.put(applications.Application(**{**vars(application), "trust": True}))
    assert world.start("pg/0").json("credential-get")["credential"] == {"auth-type": "empty"}


@pytest.mark.parametrize("tool", ["k8s-spec-set", "k8s-raw-get", "payload-register", "add-metric"])
def test_what_has_no_meaning_here_is_refused_by_name(world: tools_world.World, tool: str) -> None:
    code, message = world.start("pg/0").error(tool)
    assert code == 1 and tool in message and "not supported" in message


@pytest.mark.parametrize("tool", ["pod-spec-set", "juju", "relation-gets"])
def test_what_juju_does_not_have_is_unknown(world: tools_world.World, tool: str) -> None:
    assert world.start("pg/0").error(tool, "--file", "x") == (1, f"bad request: unknown hook command: {tool}")
