"""How a hook runs: its environment, its output, what is committed, and what becomes of failures."""

from __future__ import annotations

import itertools
import pathlib
import time
import typing

import pytest
from engine_world import World

from lab.controller import operations_common, timers
from lab.controller.entities import statuses

PEERS = {"peers": {"interface": "p"}}


# Environment


def test_the_environment_is_made_from_scratch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "x")
    world.deploy()
    environment = world.environment("tiny/0", "install")
    machine = world.controller.machine(world.model, "0")
    charm = machine.inside("/var/lib/juju/agents/unit-tiny-0/charm")
    assert "FROM_OUTSIDE" not in environment
    assert "HOME" not in environment
    expected = {
        "CHARM_DIR": charm,
        "JUJU_CHARM_DIR": charm,
        "PWD": charm,
        "JUJU_AGENT_SOCKET_ADDRESS": machine.inside("/var/lib/juju/agents/unit-tiny-0/agent.socket"),
        "JUJU_AGENT_SOCKET_NETWORK": "unix",
        "JUJU_UNIT_NAME": "tiny/0",
        "JUJU_MODEL_NAME": "m",
        "JUJU_MODEL_UUID": world.model,
        "JUJU_MACHINE_ID": "0",
        "JUJU_PRINCIPAL_UNIT": "",
        "JUJU_AVAILABILITY_ZONE": "",
        "CLOUD_API_VERSION": "",
        "JUJU_HOOK_NAME": "install",
        "JUJU_DISPATCH_PATH": "hooks/install",
        "JUJU_CHARM_HTTP_PROXY": "",
        "JUJU_CHARM_NO_PROXY": "127.0.0.1,localhost,::1",
        "DEBIAN_FRONTEND": "noninteractive",
        "APT_LISTCHANGES_FRONTEND": "none",
        "LANG": "C.UTF-8",
    }
    assert {key: environment.get(key) for key in expected} == expected
    assert environment["JUJU_VERSION"].startswith("3.6.")
    more = {"JUJU_CONTEXT_ID", "JUJU_API_ADDRESSES", "TERM", "JUJU_CHARM_HTTPS_PROXY", "JUJU_CHARM_FTP_PROXY"}
    assert more <= set(environment)
    assert not [key for key in environment if key.startswith(("JUJU_RELATION", "JUJU_REMOTE", "JUJU_ACTION"))]
    assert "tools/unit-tiny-0" in environment["PATH"]


def test_the_environment_of_relation_hooks(world: World) -> None:
    world.deploy(world.charm(peers=PEERS), num_units=2)
    joined = world.environment("tiny/0", "peers-relation-joined")
    assert joined["JUJU_RELATION"] == "peers"
    assert joined["JUJU_RELATION_ID"] == "peers:0"
    assert joined["JUJU_REMOTE_UNIT"] == "tiny/1"
    assert joined["JUJU_REMOTE_APP"] == "tiny"
    assert "JUJU_DEPARTING_UNIT" not in joined
    created = world.environment("tiny/0", "peers-relation-created")
    assert created["JUJU_REMOTE_UNIT"] == ""
    world.operations.remove_unit("m", "tiny/1")
    world.settle()
    assert world.environment("tiny/0", "peers-relation-departed")["JUJU_DEPARTING_UNIT"] == "tiny/1"


def test_the_environment_of_storage_hooks(world: World) -> None:
    world.deploy(world.charm(storage={"data": {"type": "filesystem", "location": "/srv/data"}}))
    environment = world.environment("tiny/0", "data-storage-attached")
    assert environment["JUJU_STORAGE_ID"] == "data/0"
    assert environment["JUJU_STORAGE_KIND"] == "filesystem"
    assert pathlib.Path(environment["JUJU_STORAGE_LOCATION"]).is_dir()


def test_the_environment_of_actions(world: World) -> None:
    world.deploy(world.charm(actions={"go": {}}))
    task = world.run_action("tiny/0", "go")
    environment = world.environment("tiny/0", "go")
    assert environment["JUJU_ACTION_NAME"] == "go"
    assert environment["JUJU_ACTION_UUID"] == str(task.id)
    assert environment["JUJU_ACTION_TAG"] == f"action-{task.id}"
    assert environment["JUJU_HOOK_NAME"] == ""
    assert environment["JUJU_DISPATCH_PATH"] == "actions/go"


def test_proxies_of_the_model(world: World) -> None:
    world.operations.set_model_config("m", {"juju-http-proxy": "http://proxy.test"})
    world.deploy()
    assert world.environment("tiny/0", "install")["JUJU_CHARM_HTTP_PROXY"] == "http://proxy.test"


# What runs


def test_without_dispatch_hooks_run_and_missing_ones_succeed(world: World) -> None:
    hook = f"#!/bin/sh\necho $JUJU_UNIT_NAME $JUJU_HOOK_NAME >>{world.directory}/trace2\n"
    world.deploy(world.charm(files={"dispatch": None, "hooks/start": hook}))
    assert (world.directory / "trace2").read_text() == "tiny/0 start\n"
    assert world.agent_status("tiny/0") == "idle"
    assert any('skipped "install" hook (missing)' in line for line in world.log())


def test_operations_and_hook_tools_are_logged_for_those_who_ask(world: World) -> None:
    world.operations.set_model_config("m", {"logging-config": "<root>=INFO;juju.worker.uniter=DEBUG;jujuc=DEBUG"})
    world.script("config-changed", "is-leader; echo a: b | relation-set -r 0 --file -; true")
    world.script("go", "action-get x")
    world.deploy(world.charm(peers={"peers": {"interface": "p"}}, actions={"go": {}}), num_units=2)
    world.run_action("tiny/0", "go")
    lines = [line for line in world.log() if " tiny/0" in line or " for tiny/0" in line or "ran " in line]
    begun = lines.index('DEBUG juju.worker.uniter.operation executing operation "run config-changed hook" for tiny/0')
    context = lines[begun + 1].rpartition(" ")[2]
    assert context.startswith("tiny/0-config-changed-")
    # A tool that reads its standard input asks twice, and is one call.
    assert lines[begun + 1 : begun + 5] == [
        f'DEBUG jujuc running hook tool "is-leader" for {context}',
        f'DEBUG jujuc running hook tool "relation-set" for {context}',
        'INFO juju.worker.uniter.operation ran "config-changed" hook (via hook dispatching script: dispatch)',
        'DEBUG juju.worker.uniter.operation committing operation "run config-changed hook" for tiny/0',
    ]
    about = 'executing operation "run relation-changed (0; unit: tiny/1) hook" for tiny/0'
    assert f"DEBUG juju.worker.uniter.operation {about}" in lines
    steps = [line.split("operation ", 1)[1] for line in lines if "run action" in line]
    assert [step.partition(" operation")[0] for step in steps] == ["executing", "committing"]
    assert any('running hook tool "action-get" for tiny/0-go-' in line for line in lines)


def test_output_is_logged(world: World) -> None:
    world.operations.set_model_config("m", {"logging-config": "<root>=INFO;unit=DEBUG"})
    world.script("install", "echo to out; echo to err >&2; printf unfinished; juju-log -l ERROR said")
    world.deploy()
    lines = world.log()
    assert "DEBUG unit.tiny/0.install to out" in lines
    assert "WARNING unit.tiny/0.install to err" in lines
    assert "DEBUG unit.tiny/0.install unfinished" in lines
    assert "ERROR unit.tiny/0.juju-log said" in lines
    assert 'INFO juju.worker.uniter.operation ran "install" hook (via hook dispatching script: dispatch)' in lines


def test_the_logging_config_decides_what_is_kept(world: World) -> None:
    world.script("install", "echo to out; echo to err >&2")
    world.deploy()
    assert not [line for line in world.log() if "to out" in line]
    assert [line for line in world.log() if "to err" in line]


def test_a_process_that_the_hook_leaves_behind_does_not_hold_it_up(world: World) -> None:
    world.script("install", "sleep 20 &")
    before = time.monotonic()
    world.deploy()
    assert time.monotonic() - before < 15
    assert "start" in world.hooks()


# Failure


def test_a_failed_hook_commits_nothing_but_what_takes_effect_at_once(world: World) -> None:
    world.deploy(world.charm(peers=PEERS))
    world.script("config-changed", "relation-set -r peers:0 a=1; state-set b=2; status-set active now; exit 3")
    world.script("update-status", 'test -z "$(state-get b)"')
    world.change_config()
    world.settle()
    assert "a" not in world.databag("tiny:peers", "tiny/0")
    own = world.store.find(statuses.Status, entity="unit-tiny-0")
    assert [(status.status, status.message) for status in own] == [("active", "now")]
    assert world.status("tiny/0") == ("error", 'hook failed: "config-changed"')
    assert any("failed: exit status 3" in line for line in world.log())
    world.script("config-changed", "")
    world.advance(400)
    assert world.hooks()[-1] == "config-changed"
    world.advance(400)
    assert world.agent_status("tiny/0") == "idle"


def test_a_successful_hook_commits(world: World) -> None:
    world.script("start", 'relation-set -r peers:0 a=1; test -z "$(state-get b)"; state-set b=2')
    world.script("update-status", 'status-set active "$(state-get b)"')
    world.deploy(world.charm(peers=PEERS))
    assert world.databag("tiny:peers", "tiny/0")["a"] == "1"
    world.advance(400)
    assert world.status("tiny/0") == ("active", "2")


def test_a_commit_that_is_refused_fails_the_hook(world: World) -> None:
    world.deploy(world.charm(peers=PEERS))
    world.script("config-changed", "relation-set -r peers:0 a=1; relation-set -r peers:0 --app b=2; touch at")
    world.change_config()
    # Leadership runs out while the hook runs: what only a leader may write is refused, and the rest with it.
    original = world.controller.clock.now

    class Later:
        def now(self) -> typing.Any:
            if (world.charm_directory("tiny/0") / "at").exists():
                world.clock.advance(100)
            return original()

    world.controller.clock = Later()
    while not (world.charm_directory("tiny/0") / "at").exists():
        world.engine.step()
    world.controller.clock = world.clock
    assert "a" not in world.databag("tiny:peers", "tiny/0")
    assert world.databag("tiny:peers", "tiny") == {}
    assert any('"config-changed"' in line and "failed" in line for line in world.log())


def test_the_error_names_relation_and_unit(world: World) -> None:
    world.script("peers-relation-joined", "exit 1", unit="tiny/0")
    world.deploy(world.charm(peers=PEERS), num_units=2)
    status = statuses.get(world.store, world.model, statuses.agent("tiny/0"))
    assert status is not None
    assert status.message == 'hook failed: "peers-relation-joined"'
    assert status.data == {"hook": "peers-relation-joined", "relation-id": 0, "remote-unit": "tiny/1"}


def test_retries_come_ever_later(world: World) -> None:
    world.script("install", "exit 1")
    world.deploy()
    delays: list[float] = []
    waited = 0.0
    world.hooks()
    while len(delays) < 9:
        world.advance(1)
        waited += 1
        if world.hooks():
            delays.append(waited)
            waited = 0.0
    assert delays[0] == 5
    for before, after in itertools.pairwise(delays):
        assert after == 300 or before * 1.7 < after < before * 2.3
    assert delays[-1] == 300


def test_success_resets_the_delay(world: World) -> None:
    world.script("install", "exit 1")
    world.deploy()
    world.advance(5)
    world.script("install", "")
    world.advance(11)
    assert world.agent_status("tiny/0") == "idle"
    world.script("update-status", "exit 1")
    world.advance(400)
    assert world.agent_status("tiny/0") == "error"
    world.hooks()
    world.advance(timers.RETRY_FIRST - 1)
    assert not world.hooks()
    world.advance(1)
    assert world.hooks() == ["update-status"]


def test_no_retry_where_the_model_does_not_want_it(world: World) -> None:
    world.operations.set_model_config("m", {"automatically-retry-hooks": "false"})
    world.script("install", "exit 1")
    world.deploy()
    world.hooks()
    world.advance(1000)
    assert not world.hooks()
    world.operations.resolved("m", ["tiny/0"])
    world.settle()
    assert world.hooks() == ["install"]


def test_resolved_retries_at_once_and_only_in_error(world: World) -> None:
    world.script("start", "exit 1")
    world.deploy()
    world.script("start", "")
    world.hooks()
    world.operations.resolved("m", ["tiny/0"])
    world.settle()
    assert world.hooks() == ["start"]
    assert world.status("tiny/0")[0] == "unknown"
    with pytest.raises(operations_common.OperationError, match="not in an error state"):
        world.operations.resolved("m", ["tiny/0"])


def test_resolved_without_retry_skips_the_hook(world: World) -> None:
    world.script("config-changed", "exit 1")
    world.deploy()
    world.hooks()
    world.operations.resolved("m", all=True, no_retry=True)
    world.settle()
    assert world.hooks() == ["start"]
    assert world.agent_status("tiny/0") == "idle"


def test_one_unit_in_error_does_not_block_the_others(world: World) -> None:
    world.script("install", "exit 1", unit="tiny/0")
    world.deploy(num_units=2)
    assert "start" in world.hooks("tiny/1")
