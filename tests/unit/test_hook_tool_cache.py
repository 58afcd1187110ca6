"""Answers of hook tools are remembered within a hook, and asked for again where the hook may have changed them."""

from __future__ import annotations

import json
import pathlib

import charm_._main as charm_library
import pytest

import hook_tool_cache

TOOL = """#!/bin/sh
echo "$(basename $0)" "$@" >> {record}
cat {directory}/answer
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    for name in ("relation-get", "relation-set", "is-leader", "status-set"):
        program = tmp_path / name
        program.write_text(TOOL.format(record=tmp_path / "record", directory=tmp_path))
        program.chmod(0o755)
    (tmp_path / "answer").write_text('"first"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("JUJU_UNIT_NAME", "postgresql-machine/0")
    monkeypatch.setattr(charm_library, "subprocess", charm_library.subprocess)
    hook_tool_cache.install()
    return tmp_path


def calls(tools: pathlib.Path) -> list[str]:
    return (tools / "record").read_text().splitlines()


def test_what_was_answered_is_not_asked_again(tools: pathlib.Path) -> None:
    bag = charm_library._Databag(relation_id=1, unit_or_app="postgresql-machine/1")
    assert [bag["a"], bag["a"], bag["b"]] == ["first"] * 3
    assert len(calls(tools)) == 2
    assert calls(tools)[0].startswith("relation-get --format json --relation 1 a postgresql-machine/1")


def test_a_write_makes_databags_unknown_and_nothing_else(tools: pathlib.Path) -> None:
    bag = charm_library._WriteableDatabag(relation_id=1, unit_or_app="postgresql-machine/0")
    (tools / "answer").write_text(json.dumps(True))
    assert charm_library.is_leader()
    assert bag["a"] is True
    (tools / "answer").write_text('"second"')
    bag["a"] = "second"
    assert bag["a"] == "second"
    assert charm_library.is_leader() is True
    assert [call.split()[0] for call in calls(tools)] == ["is-leader", "relation-get", "relation-set", "relation-get"]


def test_a_new_hook_remembers_nothing(tools: pathlib.Path) -> None:
    bag = charm_library._Databag(relation_id=1, unit_or_app="postgresql-machine/1")
    assert bag["a"] == "first"
    (tools / "answer").write_text('"second"')
    hook_tool_cache.install()
    assert bag["a"] == "second"
