"""What every hook asks is asked while the charm is imported, and nobody notices but by the time that it takes."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import charm_._main as charm_library
import pytest
from ops import hookcmds

import hook_tool_cache
import prefetch
from tests.unit.hook_tools import Tools

SOURCE = pathlib.Path(prefetch.__file__).parent
UNIT = "postgresql-machine/0"
AHEAD = [
    "config-get --format=json",
    "goal-state --format=json",
    "is-leader --format=json",
    "network-get --format=json database-peers",
    *(
        call
        for relation in (1, 2)
        for call in (
            f"relation-get --format=json -r {relation} - postgresql-machine --app",
            f"relation-get --format=json -r {relation} - postgresql-machine/0",
            f"relation-get --format=json -r {relation} - postgresql-machine/1",
        )
    ),
    "relation-ids --format=json database-peers",
    "relation-ids --format=json refresh-v-three",
    "relation-list --format=json -r 1",
    "relation-list --format=json -r 2",
    "storage-list --format=json",
]
GOAL = {"units": {UNIT: {"status": "active", "since": "2026-11-23 07:00:00Z"}}, "relations": {}}


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    prefetch.take()


def begin(tools: Tools) -> None:
    """Two relations, and all is asked and installed."""
    tools.answer(
        relation_ids={"refresh-v-three": ["refresh-v-three:1"], "database-peers": ["database-peers:2"]},
        network_get={"bind-addresses": [], "ingress-addresses": ["10.0.0.10"]},
        goal_state=GOAL,
    )
    prefetch.begin()
    hook_tool_cache.install()


def test_all_is_asked_once_and_at_hand(tools: Tools) -> None:
    begin(tools)
    assert hookcmds.relation_ids("refresh-v-three") == ["refresh-v-three:1"]
    assert charm_library.Endpoint("database-peers")._relations == [charm_library.Relation(2)]
    for relation in (1, 2):
        assert hookcmds.relation_list(relation) == ["postgresql-machine/1"]
        for unit in (UNIT, "postgresql-machine/1"):
            assert hookcmds.relation_get(relation, unit=unit) == {"a": "first", "b": "second"}
        hookcmds.relation_get(relation, unit="postgresql-machine", app=True)
    assert hookcmds.is_leader()
    assert hookcmds.config_get("profile") == "testing"
    assert hookcmds.storage_list("data") == ["data/0", "data/2"]
    assert hookcmds.network_get("database-peers").ingress_addresses == ["10.0.0.10"]
    assert [*hookcmds.goal_state().units] == [UNIT]
    assert sorted(tools.calls) == AHEAD


def test_what_fails_is_asked_again_by_who_needs_it(tools: Tools) -> None:
    tools.refuse("relation-get", "network-get")
    begin(tools)
    asked = len(AHEAD)
    with pytest.raises(hookcmds.Error, match="exited with status 1"):
        hookcmds.relation_get(1, unit=UNIT)
    with pytest.raises(hookcmds.Error):
        hookcmds.network_get("database-peers")
    assert len(tools.calls) == asked + 2
    assert hookcmds.is_leader()
    assert len(tools.calls) == asked + 2


def test_no_relation_yet(tools: Tools) -> None:
    # The install hook of a unit that no other one sees.
    tools.answer(relation_ids=[])
    prefetch.begin()
    hook_tool_cache.install()
    assert hookcmds.relation_ids("database-peers") == []
    assert [call for call in tools.calls if call.startswith(("relation-get", "relation-list"))] == []


def test_leadership_counts_from_when_it_was_asked_for(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tools)
    assert hookcmds.is_leader()
    tools.answer(is_leader=False)
    now = time.monotonic()
    monkeypatch.setattr(hook_tool_cache.time, "monotonic", lambda: now + hook_tool_cache.LEADER_SECONDS + 1)
    assert not hookcmds.is_leader()


def test_a_hook_that_writes_reads_what_it_has_written(tools: Tools) -> None:
    begin(tools)
    bag = charm_library._WriteableDatabag(relation_id=1, unit_or_app=UNIT)
    bag["a"] = "changed"
    assert bag["a"] == "changed"


def test_the_other_application_among_peers_is_known(tools: Tools) -> None:
    begin(tools)
    command = ["relation-list", "--format=json", "-r", "1", "--app"]
    told = charm_library.subprocess.run(command, check=True, capture_output=True)
    assert told.stdout == '"postgresql-machine"'
    assert " ".join(command) not in tools.calls


def test_the_plan_that_was_asked_ahead_counts_once(tools: Tools) -> None:
    begin(tools)
    assert [*hookcmds.goal_state().units] == [UNIT]
    tools.answer(goal_state={**GOAL, "units": {}})
    assert hookcmds.goal_state().units == {}


def test_only_the_leader_needs_the_plan(tools: Tools) -> None:
    tools.answer(is_leader=False, relation_ids=[], goal_state=GOAL)
    prefetch.begin()
    hook_tool_cache.install()
    assert not hookcmds.is_leader()
    assert "goal-state --format=json" not in tools.calls
    assert [*hookcmds.goal_state().units] == [UNIT]


def test_a_part_of_the_network_is_left_to_juju(tools: Tools) -> None:
    begin(tools)
    command = ["network-get", "--format=json", "--ingress-address", "database-peers"]
    charm_library.subprocess.run(command, check=True, capture_output=True)
    assert "network-get --format=json --ingress-address database-peers" in tools.calls


def test_the_charm_asks_ahead(tools: Tools) -> None:
    # Outside a hook ops refuses, before it asks for anything itself.
    environment = {
        "PATH": os.environ["PATH"],
        "JUJU_UNIT_NAME": UNIT,
        "PYTHONPATH": f"{SOURCE}:{SOURCE.parent / 'lib'}",
    }
    command = [sys.executable, str(SOURCE / "charm.py")]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert {call.split()[0] for call in tools.calls} >= {"is-leader", "config-get", "storage-list", "relation-ids"}


def test_a_hook_runs_with_the_collector_and_the_imports_without(tools: Tools) -> None:
    program = f"""
import gc, runpy, ops
ops.main = lambda _: print(gc.isenabled(), gc.get_freeze_count() > 0, gc.get_stats()[2]["collections"] == before)
gc.collect()
before = gc.get_stats()[2]["collections"]
runpy.run_path({str(SOURCE / "charm.py")!r}, run_name="__main__")
"""
    environment = {
        "PATH": os.environ["PATH"],
        "JUJU_UNIT_NAME": UNIT,
        "PYTHONPATH": f"{SOURCE}:{SOURCE.parent / 'lib'}",
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True True True\n"
