"""Actions and commands."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import threading
import time

import pytest
from engine_world import World

from lab.controller import operations_common
from lab.controller.entities import tasks

PEERS = {"peers": {"interface": "p"}}
GO = {"go": {"params": {"x": {"type": "integer", "default": 3}, "y": {"type": "string"}}}}


@pytest.fixture
def tiny(world: World) -> World:
    world.deploy(world.charm(peers=PEERS, actions=GO | {"bare": {}}))
    return world


def test_an_action(tiny: World) -> None:
    tiny.script("go", "action-log one; action-set a.b=$(action-get x) c=2; echo out; echo err >&2")
    task = tiny.run_action("tiny/0", "go", y="s")
    assert task.status is tasks.TaskStatus.COMPLETED
    assert task.parameters == {"x": 3, "y": "s"}
    assert task.results == {"a": {"b": "3"}, "c": "2", "return-code": 0, "stdout": "out\n", "stderr": "err\n"}
    assert [message for _, message in task.log] == ["one"]
    assert task.started
    assert task.completed


def test_an_action_that_exits_with_an_error_changes_nothing(tiny: World) -> None:
    tiny.script("go", "action-set c=2; relation-set -r peers:0 a=1; exit 5")
    task = tiny.run_action("tiny/0", "go")
    assert (task.status, task.message) == (tasks.TaskStatus.FAILED, "exit status 5")
    assert task.results == {"c": "2", "return-code": 5}
    assert "a" not in tiny.databag("tiny:peers", "tiny/0")
    assert tiny.agent_status("tiny/0") == "idle"


def test_an_action_that_says_it_failed_still_commits(tiny: World) -> None:
    tiny.script("go", "relation-set -r peers:0 a=1; action-fail 'because'")
    task = tiny.run_action("tiny/0", "go")
    assert (task.status, task.message) == (tasks.TaskStatus.FAILED, "because")
    assert task.results == {"return-code": 0}
    assert tiny.databag("tiny:peers", "tiny/0")["a"] == "1"


def test_an_action_whose_changes_are_refused(tiny: World) -> None:
    label = "secret-add --label same a-key=b"
    tiny.script("config-changed", label)
    tiny.change_config()
    tiny.settle()
    tiny.script("go", label)
    task = tiny.run_action("tiny/0", "go")
    assert task.status is tasks.TaskStatus.FAILED
    assert task.results["return-code"] == 1


def test_what_cannot_be_enqueued(tiny: World) -> None:
    enqueued = tiny.operations.run_action("m", ["tiny/0"], "none")
    (refused,) = enqueued["tasks"]
    assert refused == {"receiver": "tiny/0", "code": "not found", "error": 'action "none" not defined on unit "tiny/0"'}
    for parameters, message in (
        ({"x": "text"}, "not of type 'integer'"),
        ({"z": 1}, "Additional properties are not allowed"),
    ):
        (entry,) = tiny.operations.run_action("m", ["tiny/0"], "go", parameters)["tasks"]
        assert message in entry["error"]
    (entry,) = tiny.operations.run_action("m", ["tiny/7"], "go")["tasks"]
    assert entry["error"] == 'unit "tiny/7" not found'
    assert tiny.store.find(tasks.Task) == []


def test_the_leader_can_be_meant(tiny: World) -> None:
    task = tiny.run_action("tiny/leader", "bare")
    assert task.receiver == "unit-tiny-0"


def test_an_action_that_the_charm_has_no_code_for(world: World) -> None:
    world.deploy(world.charm(actions={"go": {}}, files={"dispatch": None, "hooks/install": "#!/bin/sh\n"}))
    task = world.run_action("tiny/0", "go")
    assert (task.status, task.message) == (tasks.TaskStatus.FAILED, 'action not implemented on unit "tiny/0"')


def test_actions_run_in_hook_error_and_do_not_disturb_its_retry(tiny: World) -> None:
    tiny.script("config-changed", "exit 1")
    tiny.change_config()
    tiny.settle()
    tiny.hooks()
    assert tiny.run_action("tiny/0", "go").status is tasks.TaskStatus.COMPLETED
    assert tiny.status("tiny/0") == ("error", 'hook failed: "config-changed"')
    tiny.advance(5)
    assert tiny.hooks() == ["go", "config-changed"]


def test_actions_wait_for_install(world: World) -> None:
    world.script("install", "exit 1")
    world.deploy(world.charm(actions={"go": {}}))
    task = world.run_action("tiny/0", "go")
    assert task.status is tasks.TaskStatus.COMPLETED
    world.script("install", "")
    data = {"data": {"type": "filesystem"}}
    world.operations.deploy("m", world.charm(actions={"go": {}}, storage=data), application="later")
    waiting = world.operations.run_action("m", ["later/0"], "go")
    world.hooks()
    world.settle()
    hooks = world.hooks("later/0")
    assert hooks.index("go") > hooks.index("install") == 1
    assert world.task(waiting).status is tasks.TaskStatus.COMPLETED


def test_tasks_run_in_the_order_in_which_they_were_asked_for(tiny: World) -> None:
    tiny.hooks()
    for action in ("go", "bare", "go"):
        tiny.operations.run_action("m", ["tiny/0"], action)
    tiny.settle()
    assert tiny.hooks() == ["go", "bare", "go"]


def test_cancelling(tiny: World) -> None:
    waiting = tiny.operations.run_action("m", ["tiny/0"], "go")
    tiny.operations.cancel_task("m", waiting["tasks"][0]["id"])
    tiny.hooks()
    tiny.settle()
    assert tiny.task(waiting).status is tasks.TaskStatus.CANCELLED
    assert tiny.hooks() == []
    with pytest.raises(operations_common.OperationError, match="has ended"):
        tiny.operations.cancel_task("m", waiting["tasks"][0]["id"])
    tiny.script("go", "touch there; sleep 60")
    running = tiny.operations.run_action("m", ["tiny/0"], "go")
    there = tiny.charm_directory("tiny/0") / "there"

    def cancel() -> None:
        while not there.exists():
            time.sleep(0.01)
        tiny.operations.cancel_task("m", running["tasks"][0]["id"])

    thread = threading.Thread(target=cancel)
    thread.start()
    tiny.settle()
    thread.join()
    assert tiny.task(running).status is tasks.TaskStatus.ABORTED
    assert tiny.agent_status("tiny/0") == "idle"


# juju exec


def test_exec_on_a_unit_has_its_context(tiny: World) -> None:
    line = "relation-set -r peers:0 a=1; pwd; echo $JUJU_UNIT_NAME; exit 3"
    enqueued = tiny.operations.exec("m", line, units=["tiny/0"])
    tiny.settle()
    task = tiny.task(enqueued)
    assert task.status is tasks.TaskStatus.COMPLETED
    assert task.results == {"return-code": 3, "stdout": f"{tiny.charm_directory('tiny/0')}\ntiny/0\n"}
    assert tiny.databag("tiny:peers", "tiny/0")["a"] == "1"


def test_exec_on_machines_has_none(tiny: World) -> None:
    enqueued = tiny.operations.exec("m", "echo ${JUJU_UNIT_NAME:-none}; exit 2", machines=["0"])
    tiny.settle()
    assert tiny.task(enqueued).results == {"return-code": 2, "stdout": "none\n"}
    assert len(tiny.operations.exec("m", "true", all=True)["tasks"]) == 1
    assert [task["receiver"] for task in tiny.operations.exec("m", "true", applications=["tiny"])["tasks"]] == [
        "tiny/0"
    ]


def test_exec_that_takes_too_long(tiny: World) -> None:
    enqueued = tiny.operations.exec("m", "sleep 60", units=["tiny/0"], machines=["0"], timeout=0.2)
    tiny.settle()
    for index in (0, 1):
        task = tiny.task(enqueued, index)
        assert (task.status, task.message) == (tasks.TaskStatus.FAILED, "command timed out")


# juju-exec on the machine


def on_machine(world: World, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `juju-exec` as a process of the machine, while the engine goes on."""
    machine = world.controller.machine(world.model, "0")
    tool = machine.outside("/usr/local/bin/juju-exec")
    process = subprocess.Popen(
        [str(tool), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], **environment},
    )
    agent = world.controller.agents[world.model, "tiny/0"]
    while process.poll() is None:
        agent.wait(0.05)
        world.settle()
    out, err = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_juju_exec_on_the_machine(tiny: World) -> None:
    done = on_machine(tiny, "-u", "tiny/0", "relation-set -r peers:0 a=1; echo out; echo err >&2; exit 4")
    assert (done.returncode, done.stdout, done.stderr) == (4, "out\n", "err\n")
    assert tiny.databag("tiny:peers", "tiny/0")["a"] == "1"
    assert on_machine(tiny, "tiny/0", "echo $JUJU_UNIT_NAME").stdout == "tiny/0\n"


def test_juju_exec_with_a_relation(world: World) -> None:
    world.deploy(world.charm(peers=PEERS), num_units=2)
    done = on_machine(
        world, "-u", "tiny/0", "-r", "peers:0", "echo $JUJU_RELATION_ID $JUJU_REMOTE_UNIT; relation-ids peers"
    )
    assert done.stdout == "peers:0 tiny/1\npeers:0\n"


def test_what_juju_exec_refuses(tiny: World) -> None:
    inside = on_machine(tiny, "-u", "tiny/0", "true", JUJU_CONTEXT_ID="x")
    assert inside.returncode == 1
    assert "cannot be called from within" in inside.stderr
    assert on_machine(tiny, "-u", "tiny/9", "true").returncode == 1
    unknown = on_machine(tiny, "-u", "tiny/0", "-r", "peers:9", "true")
    assert unknown.returncode == 2
    assert "relation not found" in unknown.stderr
    assert on_machine(tiny, "-u", "tiny/0").returncode == 2


def test_a_hook_tool_without_a_hook_is_refused(tiny: World) -> None:
    machine = tiny.controller.machine(tiny.model, "0")
    tool = machine.outside("/var/lib/juju/tools/unit-tiny-0/is-leader")
    socket = machine.outside("/var/lib/juju/agents/unit-tiny-0/agent.socket")
    environment = {"JUJU_CONTEXT_ID": "old", "JUJU_AGENT_SOCKET_ADDRESS": str(socket), "PATH": os.environ["PATH"]}
    process = subprocess.Popen([str(tool)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    agent = tiny.controller.agents[tiny.model, "tiny/0"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        while process.poll() is None:
            agent.wait(0.05)
    assert process.wait(5) == 1
    assert process.stderr is not None
    assert process.stderr.read().startswith("ERROR")


def test_results_survive_a_crash_of_the_controller(tiny: World, tmp_path: pathlib.Path) -> None:
    task = tiny.run_action("tiny/0", "go")
    tiny.reopen()
    assert tiny.store.require(tasks.Task, tiny.model, task.id) == task
