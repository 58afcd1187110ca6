"""Actions and commands over Juju's client API."""

from __future__ import annotations

import asyncio
import json
import pathlib
import time
import typing
from collections.abc import Iterator

import api_world
import pytest
from juju import errors

MODEL = "tasks"


@pytest.fixture(scope="module")
def model(api: api_world.ApiLab) -> Iterator[typing.Any]:
    made = api.add_model(MODEL)
    yield made
    api.run(made.disconnect())
    api.rpc("destroy_model", model=MODEL, destroy_storage=True)


@pytest.fixture(scope="module")
def tiny(api: api_world.ApiLab, model: typing.Any, tmp_path_factory: pytest.TempPathFactory) -> typing.Any:
    return api.deploy(model, api_world.charm(tmp_path_factory.mktemp("charm")), num_units=2)


def done(api: api_world.ApiLab, task: typing.Any) -> typing.Any:
    return api.run(task.wait())


def told(model: typing.Any, number: str) -> dict[str, typing.Any]:
    """What the watcher has told of a task."""
    found = model.state._live_entity_map("action").get(number)
    return found.safe_data if found else {"status": ""}


@pytest.mark.api("Action.EnqueueOperation", "Action.Actions")
def test_an_action(api: api_world.ApiLab, tiny: typing.Any) -> None:
    task = done(api, api.run(tiny.units[0].run_action("echo", what="a: b, c")))
    assert task.status == "completed"
    assert task.results == {"said": "a: b, c", "deep": {"er": "value"}, "return-code": 0, "stdout": "printed\n"}
    shown = json.loads(api.juju("show-task", "-m", MODEL, task.id, "--format", "json"))
    assert (shown["status"], shown["results"]["said"]) == ("completed", "a: b, c")


def test_actions_that_fail(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    task = done(api, api.run(tiny.units[0].run_action("fail")))
    assert (task.status, task.results["return-code"]) == ("failed", 0)
    # The message is the watcher's to tell, which may come after the answer that python-libjuju asks for.
    api.until(model, lambda: task.safe_data["status"] == "failed")
    assert task.safe_data["message"] == "as asked"
    task = done(api, api.run(tiny.units[1].run_action("crash")))
    assert (task.status, task.results["return-code"]) == ("failed", 3)


def test_actions_that_are_not_there(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    with pytest.raises(ValueError, match="Action `nothing` not found on tiny/0"):
        api.run(tiny.units[0].run_action("nothing"))
    with pytest.raises(Exception, match="Additional properties are not allowed"):
        api.run(tiny.units[0].run_action("echo", whom="you"))
    wanted = [{"receiver": "unit-tiny-9", "name": "echo"}, {"receiver": "tiny/leader", "name": "echo"}]
    made = api.call(model, "Action", "EnqueueOperation", actions=wanted)["actions"]
    assert made[0] == {"error": {"message": 'unit "tiny/9" not found', "code": "not found"}}
    assert made[1]["status"] == "pending"
    code, message = api.refusal(model, "Action", "EnqueueOperation", actions=[{"receiver": "tiny", "name": "echo"}])
    assert (code, message) == ("bad request", '"tiny" is not a valid unit tag')


@pytest.mark.api("Action.Operations", "Action.ListOperations")
def test_operations(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    both = [{"receiver": unit.tag, "name": "echo", "parameters": {"what": unit.name}} for unit in tiny.units]
    made = api.call(model, "Action", "EnqueueOperation", actions=both)
    tags = [action["action"]["tag"] for action in made["actions"]]
    api.until(model, lambda: all(told(model, tag[7:])["status"] == "completed" for tag in tags))
    (operation,) = api.call(model, "Action", "Operations", entities=[{"tag": made["operation"]}])["results"]
    assert operation["status"] == "completed"
    assert [action["output"]["said"] for action in operation["actions"]] == ["tiny/0", "tiny/1"]
    assert [line["message"] for line in operation["actions"][0]["log"]] == ["one line"]
    listed = api.call(model, "Action", "ListOperations", actions=["echo"], units=["tiny/1"])["results"]
    assert made["operation"] in [one["operation"] for one in listed]
    assert made["operation"].removeprefix("operation-") in json.loads(
        api.juju("operations", "-m", MODEL, "--format", "json")
    )
    assert api.call(model, "Action", "ListOperations", status=["running"])["results"] == []


@pytest.mark.api("Action.Cancel")
def test_cancel(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    task = api.run(tiny.units[0].run_action("slow"))
    api.until(model, lambda: task.safe_data["status"] == "running")
    started = time.monotonic()
    (cancelled,) = api.call(model, "Action", "Cancel", entities=[{"tag": f"action-{task.id}"}])["results"]
    assert cancelled["action"]["name"] == "slow"
    api.until(model, lambda: task.safe_data["status"] in ("aborted", "failed", "cancelled"))
    assert time.monotonic() - started < 15
    with pytest.raises(errors.JujuError, match="has ended already"):
        api.call(model, "Action", "Cancel", entities=[{"tag": f"action-{task.id}"}])


@pytest.mark.api("Action.ApplicationsCharmsActions")
def test_actions_of_an_application(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    assert api.run(tiny.get_actions())["echo"] == "Say it."
    schema = api.run(tiny.get_actions(schema=True))["echo"].params
    assert schema["properties"] == {"what": {"type": "string"}}
    with pytest.raises(errors.JujuError, match='application "none" not found'):
        api.call(model, "Action", "ApplicationsCharmsActions", entities=[{"tag": "application-none"}])


@pytest.mark.api("Action.Run")
def test_a_command(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    command = "echo $JUJU_UNIT_NAME; echo problem >&2; exit 4"
    task = api.run(tiny.units[1].run(command, timeout=30, block=True))
    assert task.status == "completed"
    assert task.results == {"stdout": "tiny/1\n", "stderr": "problem\n", "return-code": 4}
    started = time.monotonic()
    task = api.run(tiny.units[1].run("sleep 30", timeout=0.5, block=True))
    assert (time.monotonic() - started < 15, task.status) == (True, "failed")
    enqueued = api.run(tiny.run("true")).actions
    assert [one.action.receiver for one in enqueued] == ["unit-tiny-0", "unit-tiny-1"]
    code, message = api.refusal(model, "Action", "Run", commands="true", units=["none/0"])
    assert (code, message) == ("not found", 'unit "none/0" not found')


@pytest.mark.api("Action.RunOnAllMachines")
def test_a_command_on_all_machines(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    made = api.call(model, "Action", "RunOnAllMachines", commands="echo here", timeout=10_000_000_000)["actions"]
    assert sorted(one["action"]["receiver"] for one in made) == ["machine-0", "machine-1"]

    async def outputs() -> set[str]:
        entities = [{"tag": one["action"]["tag"]} for one in made]
        message = {"type": "Action", "request": "Actions", "params": {"entities": entities}}
        while True:
            found = (await model.connection().rpc(dict(message)))["response"]["results"]
            if all(one["status"] == "completed" for one in found):
                return {one["output"]["stdout"] for one in found}
            await asyncio.sleep(0.05)

    assert api.run(outputs()) == {"here\n"}


def test_tasks_of_the_command_line_are_told_too(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    out = json.loads(api.juju("run", "-m", MODEL, "tiny/0", "echo", "what=x", "--format", "json"))
    number = out["tiny/0"]["id"]
    api.until(model, lambda: told(model, number)["status"] == "completed")
    assert told(model, number)["results"]["said"] == "x"


def test_charms_log_in_order(api: api_world.ApiLab, tiny: typing.Any, tmp_path: pathlib.Path) -> None:
    task = done(api, api.run(tiny.units[0].run("juju-log first; juju-log second", block=True)))
    assert task.results["return-code"] == 0
    lines = api.juju("debug-log", "-m", MODEL, "--replay", "--no-tail")
    assert lines.index("first") < lines.index("second")
