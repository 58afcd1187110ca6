"""Answers of hook tools are remembered within a hook, and asked for again where the hook may have changed them."""

from __future__ import annotations

import subprocess
import time

import charm_._main as charm_library
import pytest
from ops import hookcmds

import hook_tool_cache
from tests.unit.hook_tools import Tools


@pytest.fixture(autouse=True)
def _remembered(tools: Tools) -> None:
    hook_tool_cache.install()


def peer() -> charm_library._Databag:
    return charm_library._Databag(relation_id=1, unit_or_app="postgresql-machine/1")


def own() -> charm_library._WriteableDatabag:
    return charm_library._WriteableDatabag(relation_id=1, unit_or_app="postgresql-machine/0")


def test_a_databag_is_read_once_and_whole_for_ops_and_for_charm_refresh(tools: Tools) -> None:
    bag = peer()
    assert [bag["a"], bag["a"], bag["b"]] == ["first", "first", "second"]
    assert "c" not in bag
    assert hookcmds.relation_get(1, endpoint="peers", unit="postgresql-machine/1") == {"a": "first", "b": "second"}
    assert tools.calls == ["relation-get --format=json -r 1 - postgresql-machine/1"]


def test_databags_of_other_owners_are_not_mixed_up(tools: Tools) -> None:
    assert peer()["a"] == "first"
    hookcmds.relation_get(1, unit="postgresql-machine/2")
    hookcmds.relation_get(2, unit="postgresql-machine/1")
    hookcmds.relation_get(1, unit="postgresql-machine", app=True)
    assert tools.calls[1:] == [
        "relation-get --format=json -r 1 - postgresql-machine/2",
        "relation-get --format=json -r 2 - postgresql-machine/1",
        "relation-get --format=json -r 1 - postgresql-machine --app",
    ]


def test_what_is_the_same_in_both_libraries_is_asked_once(tools: Tools) -> None:
    assert charm_library.is_leader()
    assert hookcmds.is_leader()
    assert charm_library.Endpoint("peers")._relations == [charm_library.Relation(1)]
    assert hookcmds.relation_ids("peers") == ["peers:1"]
    assert hookcmds.relation_list(1) == charm_library.Relation(1)._other_units
    assert [call.split()[0] for call in tools.calls] == ["is-leader", "relation-ids", "relation-list"]


def test_the_application_of_a_relation_is_another_question_than_its_units(tools: Tools) -> None:
    assert hookcmds.relation_list(1) == ["postgresql-machine/1"]
    tools.answer(relation_list="postgresql-machine")
    assert charm_library.Relation(1)._other_app == "postgresql-machine"


def test_the_configuration_is_read_whole(tools: Tools) -> None:
    assert hookcmds.config_get("profile") == "testing"
    assert hookcmds.config_get() == {"profile": "testing", "count": 3}
    assert hookcmds.config_get("not-set") is None
    assert tools.calls == ["config-get --format=json"]


def test_storages_are_listed_once(tools: Tools) -> None:
    assert hookcmds.storage_list("data") == ["data/0", "data/2"]
    assert hookcmds.storage_list("temp") == []
    assert hookcmds.storage_list() == ["data/0", "logs/1", "data/2"]
    assert tools.calls == ["storage-list --format=json"]


def test_a_write_is_read_back_and_makes_nothing_else_unknown(tools: Tools) -> None:
    assert charm_library.is_leader()
    bag = own()
    assert bag["a"] == "first"
    bag["a"] = "changed"
    assert bag["a"] == "changed"
    assert charm_library.is_leader()
    assert [call.split()[0] for call in tools.calls] == ["is-leader", "relation-get", "relation-set", "relation-get"]


@pytest.mark.parametrize("absent", ["", None])
def test_what_stands_in_the_databag_is_not_written_again(tools: Tools, absent: str | None) -> None:
    own()["a"] = "first"
    own()["c"] = absent
    assert [call.split()[0] for call in tools.calls] == ["relation-get"]
    own()["a"] = absent
    assert "a" not in own()


def test_a_write_of_ops_is_seen_by_charm_refresh(tools: Tools) -> None:
    assert own()["a"] == "first"
    hookcmds.relation_set({"a": "by ops"}, 1)
    assert own()["a"] == "by ops"


def test_what_only_juju_can_tell_is_left_to_it(tools: Tools) -> None:
    # Without a unit Juju takes the one that the hook is about.
    assert hookcmds.relation_get(1) == {"a": "first", "b": "second"}
    assert hookcmds.relation_get(1) == {"a": "first", "b": "second"}
    assert len(tools.calls) == 2


def test_a_refusal_is_passed_on_to_each_library(tools: Tools) -> None:
    (tools.here / "answers").write_text("{}")
    with pytest.raises(hookcmds.Error, match="exited with status 1") as refused:
        hookcmds.relation_get(1, unit="postgresql-machine/1")
    assert "not allowed" in refused.value.stderr
    with pytest.raises(subprocess.CalledProcessError):
        peer()["a"]


def test_leadership_is_asked_for_again_after_a_while(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hookcmds.is_leader()
    tools.answer(is_leader=False)
    assert hookcmds.is_leader()
    now = time.monotonic()
    monkeypatch.setattr(hook_tool_cache.time, "monotonic", lambda: now + hook_tool_cache.LEADER_SECONDS + 1)
    assert not hookcmds.is_leader()


def test_a_new_hook_remembers_nothing(tools: Tools) -> None:
    assert peer()["a"] == "first"
    tools.answer(**{"relation-get": {"a": "second"}})
    hook_tool_cache.install()
    assert peer()["a"] == "second"
