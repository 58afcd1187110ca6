from __future__ import annotations

import pytest

from lab.controller import context
from lab.controller.entities import relations, uniter
from lab.controller.tools import registry
from tests.lab import tools_world

PEERS, DATABASE = str(tools_world.PEERS), str(tools_world.DATABASE)


@pytest.fixture
def world() -> tools_world.World:
    return tools_world.World()


def changed(unit: str | None, application: str = "web", relation: int = tools_world.DATABASE) -> uniter.Hook:
    return uniter.Hook("relation-changed", relation=relation, remote_unit=unit, remote_application=application)


def test_relation_ids_are_those_of_the_endpoint(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert run.json("relation-ids", "database") == ["database:2"]
    assert run.out("relation-ids", "db-peers") == "db-peers:1\n"
    assert run.json("relation-ids", "nope") == []
    assert run.error("relation-ids") == (2, "no endpoint name specified")
    assert run.error("relation-ids", "a", "b") == (2, 'unrecognized args: ["b"]')


def test_relation_ids_defaults_to_the_endpoint_of_the_hook(world: tools_world.World) -> None:
    assert world.start("pg/0", changed("web/0")).json("relation-ids") == ["database:2"]


def test_a_broken_relation_is_not_listed(world: tools_world.World) -> None:
    broken = uniter.Hook("relation-broken", relation=tools_world.DATABASE, remote_application="web")
    assert world.start("pg/0", broken).json("relation-ids", "database") == []


def test_relation_list_shows_remote_units_or_the_application(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert run.json("relation-list", "-r", "database:2") == ["web/0", "web/1"]
    assert run.json("relation-list", "-r", PEERS) == ["pg/1", "pg/2"]
    assert run.json("relation-list", "-r", DATABASE, "--app") == "web"
    assert run.json("relation-list", "-r", PEERS, "--app") == "pg"
    assert run.error("relation-list") == (2, "no relation id specified")


def test_relation_list_leaves_out_who_departs_and_has_who_joins(world: tools_world.World) -> None:
    departed = uniter.Hook("relation-departed", relation=2, remote_unit="web/1", departing_unit="web/1")
    assert world.start("pg/0", departed).json("relation-list") == ["web/0"]
    joined = uniter.Hook("relation-joined", relation=2, remote_unit="web/9", remote_application="web")
    assert world.start("pg/0", joined).json("relation-list") == ["web/0", "web/1", "web/9"]


@pytest.mark.parametrize(
    ("value", "reason"), [("9", "relation not found"), ("db:9", "relation not found"), ("x", "invalid relation id")]
)
@pytest.mark.parametrize("tool", ["relation-get", "relation-list", "relation-set", "network-get"])
def test_a_bad_relation_id_is_refused(world: tools_world.World, tool: str, value: str, reason: str) -> None:
    error = world.start("pg/0").error(tool, "-r", value, "a=b")
    assert error == (2, f'invalid value "{value}" for option -r: {reason}')


def test_relation_get_reads_one_value_or_all(world: tools_world.World) -> None:
    world.write(tools_world.DATABASE, "web/0", a="1", b="2")
    run = world.start("pg/0", changed("web/0"))
    assert run.json("relation-get") == {"a": "1", "b": "2"}
    assert run.json("relation-get", "-") == {"a": "1", "b": "2"}
    assert run.json("relation-get", "a") == "1"
    assert run.out("relation-get", "a") == "1\n"
    assert run.json("relation-get", "nope") is None
    assert run.out("relation-get", "nope") == ""
    assert run.json("relation-get", "-r", DATABASE, "b", "web/0") == "2"


def test_relation_get_of_an_application(world: tools_world.World) -> None:
    world.write(tools_world.DATABASE, "web", a="app")
    run = world.start("pg/0")
    assert run.json("relation-get", "-r", DATABASE, "--app", "a", "web") == "app"
    assert run.json("relation-get", "-r", DATABASE, "--app", "a", "web/1") == "app"
    assert world.start("pg/0", changed(None)).json("relation-get", "a") == "app"
    assert world.start("pg/0", changed("web/0")).json("relation-get", "--app", "a") == "app"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "no unit or application specified"),
        (["a", "web"], 'expected unit name, got application name "web"'),
        (["a", "Web!"], 'invalid unit name "Web!"'),
        (["a", "web/0", "c"], 'unrecognized args: ["c"]'),
    ],
)
def test_relation_get_usage(world: tools_world.World, arguments: list[str], message: str) -> None:
    assert world.start("pg/0").error("relation-get", "-r", DATABASE, *arguments) == (2, message)


def test_a_unit_that_was_never_there_has_no_settings(world: tools_world.World) -> None:
    code, message = world.start("pg/0").error("relation-get", "-r", DATABASE, "-", "web/7")
    assert code == 1 and "not found" in message


def test_a_departed_unit_stays_readable(world: tools_world.World) -> None:
    world.write(tools_world.DATABASE, "web/5", a="1")
    assert world.start("pg/0").json("relation-get", "-r", DATABASE, "a", "web/5") == "1"


def test_strangers_are_not_readable(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert run.error("relation-get", "-r", PEERS, "-", "web/0") == (1, "permission denied")
    assert run.error("relation-get", "-r", PEERS, "--app", "-", "web") == (1, "permission denied")


def test_who_reads_the_own_application_databag(world: tools_world.World) -> None:
    world.write(tools_world.DATABASE, "pg", a="1")
    world.write(tools_world.PEERS, "pg", a="1")
    leader, follower = world.start("pg/0"), world.start("pg/1")
    assert leader.json("relation-get", "-r", DATABASE, "--app", "a", "pg") == "1"
    assert leader.json("relation-get", "-r", PEERS, "--app", "a", "pg") == "1"
    assert follower.json("relation-get", "-r", PEERS, "--app", "a", "pg") == "1"
    assert follower.error("relation-get", "-r", DATABASE, "--app", "a", "pg") == (1, "permission denied")


def test_writes_are_seen_by_the_hook_and_committed_at_its_end(world: tools_world.World) -> None:
    world.write(tools_world.DATABASE, "pg/0", old="1", gone="2")
    run = world.start("pg/0")
    run.out("relation-set", "-r", DATABASE, "new=3", "gone=")
    assert run.json("relation-get", "-r", DATABASE, "-", "pg/0") == {"old": "1", "new": "3"}
    assert world.databag(tools_world.DATABASE, "pg/0") == {"old": "1", "gone": "2"}
    run.commit()
    assert world.databag(tools_world.DATABASE, "pg/0") == {"old": "1", "new": "3"}


def test_a_failed_hook_writes_nothing(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("relation-set", "-r", DATABASE, "a=1")
    run.context.discard()
    assert world.databag(tools_world.DATABASE, "pg/0") == {}


def test_relation_set_reads_standard_input(world: tools_world.World) -> None:
    run = world.start("pg/0")
    asking = run.call("relation-set", "-r", DATABASE, "--file", "-", "b=argument")
    assert asking.reads == ("-",)
    run.out(
        "relation-set", "-r", DATABASE, "--file", "-", "b=argument", input='{"a": "1", "b": "2", "c": null, "n": 3}'
    )
    assert run.json("relation-get", "-r", DATABASE, "-", "pg/0") == {"a": "1", "b": "argument", "n": "3"}
    run.out("relation-set", "-r", DATABASE, "--file", "-", input="a: 0123\nb: yes\n")
    assert run.json("relation-get", "-r", DATABASE, "-", "pg/0") == {"a": "0123", "b": "yes", "n": "3"}


@pytest.mark.parametrize("content", ["[1]", "a: {b: c}", "a: [", '{"a": {"b": 1}}', "text"])
def test_relation_set_refuses_what_is_no_map_of_values(world: tools_world.World, content: str) -> None:
    code, message = world.start("pg/0").error("relation-set", "-r", DATABASE, "--file", "-", input=content)
    assert code == 1 and message.startswith("yaml: ")


def test_relation_set_of_the_application_is_the_leaders(world: tools_world.World) -> None:
    leader, follower = world.start("pg/0"), world.start("pg/1")
    leader.out("relation-set", "-r", PEERS, "--app", "a=1")
    assert leader.json("relation-get", "-r", PEERS, "--app", "-", "pg") == {"a": "1"}
    assert follower.error("relation-set", "-r", PEERS, "--app", "a=1") == (1, "cannot write relation settings")
    leader.commit()
    assert world.databag(tools_world.PEERS, "pg") == {"a": "1"}


def test_leadership_lost_in_the_hook_fails_it_and_all_it_wrote(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("relation-set", "-r", PEERS, "--app", "a=1")
    run.out("relation-set", "-r", PEERS, "b=1")
    run.out("state-set", "c=1")
    world.lead("pg/1")
    with pytest.raises(context.CommitError, match="permission denied"):
        run.commit()
    assert world.databag(tools_world.PEERS, "pg") == world.databag(tools_world.PEERS, "pg/0") == {}
    assert world.start("pg/0").json("state-get") == {}


def test_remote_databags_are_frozen_until_their_event(world: tools_world.World) -> None:
    world.write(tools_world.DATABASE, "web/0", a="1")
    assert world.start("pg/0").json("relation-get", "-r", DATABASE, "a", "web/0") == "1"
    world.write(tools_world.DATABASE, "web/0", a="2")
    assert world.start("pg/0").json("relation-get", "-r", DATABASE, "a", "web/0") == "1"
    world.views["pg/0"].invalidate(tools_world.DATABASE, "web/0")
    assert world.start("pg/0", changed("web/0")).json("relation-get", "a") == "2"


def test_writing_what_is_there_makes_no_new_version(world: tools_world.World) -> None:
    world.write(tools_world.DATABASE, "pg/0", a="1")
    run = world.start("pg/0")
    run.out("relation-set", "-r", DATABASE, "a=1", "b=")
    run.commit()
    found = world.store.require(relations.Databag, tools_world.MODEL, tools_world.DATABASE, "pg/0")
    assert found.version == 1


def test_relation_model_get(world: tools_world.World) -> None:
    assert world.start("pg/0").json("relation-model-get", "-r", DATABASE) == {"uuid": tools_world.MODEL}


@pytest.mark.parametrize("name", sorted(registry.TOOLS))
def test_every_tool_explains_itself(world: tools_world.World, name: str) -> None:
    text = world.start("pg/0").out(name, "--help")
    assert text.startswith(f"Usage: {name}") and "\nSummary:\n" in text
