"""Crashes of agents, machines and the controller, and what they leave."""

from __future__ import annotations

import collections.abc
import contextlib
import pathlib
import threading
import time

import pytest
from engine_world import World

from lab.controller import operations_common
from lab.controller.entities import tasks

PEERS = {"peers": {"interface": "p"}}


@contextlib.contextmanager
def once(file: pathlib.Path, action: collections.abc.Callable[[], object]) -> collections.abc.Iterator[None]:
    """Does something in another thread as soon as a file is there, while the block runs."""

    def wait() -> None:
        while not file.exists():
            time.sleep(0.005)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def alive(file: pathlib.Path) -> bool:
    """Whether the process whose number a file holds runs on (a zombie does not)."""
    stat = pathlib.Path(f"/proc/{file.read_text().strip()}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# Agents


def test_a_crash_at_a_tool_call_is_a_failed_hook(world: World) -> None:
    world.deploy(world.charm(peers=PEERS))
    world.script(
        "config-changed", "echo a >>steps; relation-set -r peers:0 a=1; echo b >>steps; is-leader; echo c >>steps"
    )
    world.operations.fault_crash_agent("m", "tiny/0", point="tool-call", count=2, hook="config-changed")
    world.change_config()
    world.settle()
    steps = world.charm_directory("tiny/0") / "steps"
    assert steps.read_text().split() == ["a", "b"]
    assert "a" not in world.databag("tiny:peers", "tiny/0")
    assert world.status("tiny/0") == ("error", 'hook failed: "config-changed"')
    world.advance(5)
    assert steps.read_text().split() == ["a", "b", "a", "b", "c"]
    assert world.databag("tiny:peers", "tiny/0")["a"] == "1"
    assert world.agent_status("tiny/0") == "idle"


def test_a_crash_before_the_commit_loses_what_the_hook_wrote(world: World) -> None:
    world.deploy(world.charm(peers=PEERS))
    world.script("config-changed", "relation-set -r peers:0 a=1")
    world.operations.fault_crash_agent("m", "tiny/0", point="before-commit")
    world.change_config()
    world.settle()
    assert "a" not in world.databag("tiny:peers", "tiny/0")
    assert world.agent_status("tiny/0") == "error"


def test_a_crash_after_the_commit_runs_the_hook_again(world: World) -> None:
    world.deploy(world.charm(peers=PEERS))
    world.script("config-changed", "relation-set -r peers:0 a=1")
    world.operations.fault_crash_agent("m", "tiny/0", point="after-commit")
    world.change_config()
    world.settle()
    assert world.databag("tiny:peers", "tiny/0")["a"] == "1"
    assert world.agent_status("tiny/0") == "error"
    world.hooks()
    world.advance(5)
    assert world.hooks() == ["config-changed"]


def test_an_agent_that_starts_again_runs_no_start(world: World) -> None:
    world.deploy(num_units=2)
    follower, leader = world.follower(), world.leader()
    world.hooks()
    for unit in (follower, leader):
        world.operations.fault_crash_agent("m", unit)
    world.settle()
    assert [(run.unit, run.hook) for run in world.runs()] == [(follower, "leader-settings-changed")]


def test_an_agent_that_stays_down(world: World) -> None:
    world.deploy(num_units=2)
    world.operations.fault_crash_agent("m", "tiny/0", stay_down=True)
    world.settle()
    assert not world.unit("tiny/0").agent_alive
    world.hooks()
    world.change_config()
    world.settle()
    assert [run.unit for run in world.runs()] == ["tiny/1"]
    world.operations.fault_start_agent("m", "tiny/0")
    world.settle()
    assert "config-changed" in world.hooks("tiny/0")


def test_a_crash_in_an_action_fails_it_for_good(world: World) -> None:
    world.deploy(world.charm(actions={"go": {}}))
    world.script("go", "is-leader; is-leader")
    world.operations.fault_crash_agent("m", "tiny/0", point="tool-call", hook="go")
    task = world.run_action("tiny/0", "go")
    assert (task.status, task.message) == (tasks.TaskStatus.FAILED, "action terminated")
    world.advance(100)
    assert world.hooks().count("go") == 1


def test_a_crash_in_an_action_during_hook_error_counts_the_hook_as_done(world: World) -> None:
    world.deploy(world.charm(actions={"go": {}}))
    world.script("config-changed", "exit 1")
    world.change_config()
    world.settle()
    world.script("go", "is-leader")
    world.operations.fault_crash_agent("m", "tiny/0", point="tool-call", hook="go")
    task = world.run_action("tiny/0", "go")
    assert task.status is tasks.TaskStatus.FAILED
    assert world.agent_status("tiny/0") == "idle"
    world.hooks()
    world.advance(100)
    assert "config-changed" not in world.hooks()


def test_a_crash_while_files_are_put_in_place_is_made_up_for(world: World) -> None:
    world.deploy(world.charm(files={"old": "1"}))
    world.operations.fault_crash_agent("m", "tiny/0", point="deploy", count=2)
    world.hooks()
    world.operations.refresh("m", "tiny", path=world.charm(files={"new": "2"}))
    world.settle()
    charm = world.charm_directory("tiny/0")
    assert (charm / "new").read_text() == "2"
    assert not (charm / "old").exists()
    assert not (charm / ".juju-deploying").exists()
    assert world.hooks()[-2:] == ["upgrade-charm", "config-changed"]


def test_faults_can_be_taken_back(world: World) -> None:
    world.deploy()
    world.operations.fault_crash_agent("m", "tiny/0", point="before-commit")
    world.operations.fault_clear("m", "tiny/0")
    world.change_config()
    world.settle()
    assert world.agent_status("tiny/0") == "idle"


def test_a_hook_that_is_killed_fails_with_all_that_it_has_started(world: World) -> None:
    world.deploy()
    world.script("config-changed", "sh -c 'sleep 60' & echo $! >child; touch there; wait")
    world.change_config()
    directory = world.charm_directory("tiny/0")
    with once(directory / "there", lambda: world.operations.fault_kill_hook("m", "tiny/0")):
        world.settle()
    assert world.status("tiny/0") == ("error", 'hook failed: "config-changed"')
    assert any("failed: signal: killed" in line for line in world.log())
    assert not alive(directory / "child")


def test_an_agent_that_is_killed_in_a_hook_takes_it_along(world: World) -> None:
    world.deploy()
    world.script("config-changed", "[ -f there ] || { echo $$ >child; touch there; sleep 60; }")
    world.change_config()
    directory = world.charm_directory("tiny/0")
    with once(directory / "there", lambda: world.operations.fault_crash_agent("m", "tiny/0")):
        world.settle()
    assert not alive(directory / "child")
    assert world.agent_status("tiny/0") == "error"
    world.advance(5)
    assert world.agent_status("tiny/0") == "idle"


# Machines


def test_a_reboot_runs_start_once(world: World) -> None:
    world.deploy(num_units=2)
    follower = world.unit(world.follower())
    world.hooks()
    world.operations.fault_machine("m", follower.machine or "", "reboot")
    world.settle()
    assert [(run.unit, run.hook) for run in world.runs()] == [
        (follower.name, "start"),
        (follower.name, "leader-settings-changed"),
    ]
    world.operations.fault_crash_agent("m", follower.name)
    world.settle()
    assert world.hooks() == ["leader-settings-changed"]


def test_a_reboot_before_the_charm_has_started_runs_no_extra_start(world: World) -> None:
    world.script("install", "exit 1")
    world.deploy()
    world.script("install", "")
    world.operations.fault_machine("m", "0", "reboot")
    world.hooks()
    world.settle()
    world.advance(5)
    assert world.hooks() == ["install", "leader-elected", "config-changed", "start"]


def test_a_machine_that_is_down_takes_its_agent_with_it(world: World) -> None:
    world.deploy()
    world.operations.fault_machine("m", "0", "crash")
    world.change_config()
    world.hooks()
    world.settle()
    assert not world.unit("tiny/0").agent_alive
    assert not world.hooks()
    world.operations.fault_machine("m", "0", "start")
    world.settle()
    assert world.hooks() == ["start", "config-changed"]


def test_a_machine_that_goes_down_or_comes_up_by_itself_is_noticed(world: World) -> None:
    world.deploy()
    world.hooks()
    machine = world.controller.machine(world.model, "0")
    machine.crash()
    world.settle()
    assert not world.unit("tiny/0").agent_alive
    machine.start()
    world.settle()
    assert world.unit("tiny/0").agent_alive
    assert world.hooks() == ["start"]


def test_a_machine_that_crashes_in_a_hook(world: World) -> None:
    world.deploy()
    world.script("config-changed", "[ -f there ] || { touch there; sleep 60; }")
    world.change_config()
    directory = world.charm_directory("tiny/0")
    with once(directory / "there", lambda: world.operations.fault_machine("m", "0", "crash")):
        world.settle()
    assert not world.unit("tiny/0").agent_alive
    assert not [line for line in world.log() if "signal: killed" in line]
    world.operations.fault_machine("m", "0", "start")
    world.hooks()
    world.settle()
    assert world.agent_status("tiny/0") == "error"
    world.advance(5)
    assert world.hooks() == ["config-changed", "start"]


# The controller


def test_an_outage_fails_the_hook_that_runs_and_holds_up_the_rest(world: World) -> None:
    world.deploy(world.charm(peers=PEERS), num_units=2)
    wait = "touch there; while [ ! -f go ]; do sleep 0.01; done"
    world.script("config-changed", f"{wait}; relation-set -r peers:0 a=1", unit="tiny/0")
    world.change_config()
    directory = world.charm_directory("tiny/0")

    def cut() -> None:
        world.operations.fault_outage(True)
        (directory / "go").touch()

    with once(directory / "there", cut):
        world.settle()
    world.hooks()
    world.advance(600)
    assert not world.hooks()
    world.operations.fault_outage(False)
    world.settle()
    assert any("connection is shut down" in line for line in world.log())
    world.advance(10)
    assert world.hooks("tiny/0")[0] == "config-changed"
    assert world.databag("tiny:peers", "tiny/0")["a"] == "1"


def test_an_outage_at_the_commit_loses_what_the_hook_wrote(world: World) -> None:
    world.deploy(world.charm(peers=PEERS))
    world.script("config-changed", "relation-set -r peers:0 a=1; touch there; while [ ! -f go ]; do sleep 0.01; done")
    world.change_config()
    directory = world.charm_directory("tiny/0")

    def cut() -> None:
        world.operations.fault_outage(True)
        (directory / "go").touch()

    with once(directory / "there", cut):
        world.settle()
    world.operations.fault_outage(False)
    assert "a" not in world.databag("tiny:peers", "tiny/0")
    world.settle()
    assert world.agent_status("tiny/0") == "error"


def test_state_survives_the_controller(world: World) -> None:
    world.script("start", "exit 1")
    world.deploy(world.charm(peers=PEERS), num_units=2)
    world.reopen()
    world.script("start", "")
    world.settle()
    world.hooks()
    world.advance(5)
    runs = [(run.unit, run.hook) for run in world.runs() if run.hook in ("install", "start")]
    assert sorted(runs) == [("tiny/0", "start"), ("tiny/1", "start")]
    assert world.agent_status("tiny/0") == "idle"


def test_unknown_points_and_units_are_refused(world: World) -> None:
    world.deploy()
    with pytest.raises(operations_common.OperationError, match="no such point"):
        world.operations.fault_crash_agent("m", "tiny/0", point="nowhere")
    with pytest.raises(operations_common.OperationError, match='unit "tiny/7" not found'):
        world.operations.fault_crash_agent("m", "tiny/7")
    with pytest.raises(operations_common.OperationError, match="no such action"):
        world.operations.fault_machine("m", "0", "explode")
