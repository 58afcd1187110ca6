"""Command lines of `juju` for actions and commands on units: what is asked for, waited for and printed."""

from __future__ import annotations

import pathlib
import typing

import juju_support
import pytest
import yaml

Params = dict[str, typing.Any]
Run = juju_support.Run


def task(identifier: str = "2", unit: str = "pg/0", **more: typing.Any) -> Params:
    return {
        "id": identifier,
        "operation": "1",
        "name": "backup",
        "receiver-kind": "unit",
        "receiver": unit,
        "parameters": {},
        "status": "completed",
        "message": "",
        "results": {"return-code": 0},
        "log": [],
        "enqueued": "2025-11-21T10:00:00Z",
        "started": "2025-11-21T10:00:00Z",
        "completed": "2025-11-21T10:00:01Z",
        **more,
    }


def enqueued(*tasks: Params) -> Params:
    return {"operation": "1", "tasks": list(tasks)}


PROGRESS = "Running operation 1 with 1 task\n  - task 2 on unit-pg-0\n\nWaiting for task 2...\n\n"


def test_run(canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "params.yaml").write_text("file: {kind: tar}\nkeep: 1\n")
    canned.answers |= {
        "run_action": enqueued(task()),
        "show_task": task(results={"return-code": 0, "size": "5", "deep": {"a": "b"}, "stdout": "written\n"}),
    }
    result = run("run pg/leader backup --params params.yaml out=x file.quality=high n=3 flag=y --wait 5s")
    assert result == (0, 'deep:\n  a: b\nsize: "5"\n\nwritten\n', PROGRESS)
    assert canned.params("run_action") == {
        "model": "prod",
        "units": ["pg/leader"],
        "action": "backup",
        "parameters": {
            "out": "x", "n": 3, "flag": "y", "keep": 1, "file": {"kind": "tar", "quality": "high"},
        },
    }  # fmt: skip


def test_run_passes_raw_texts_on_request(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers |= {"run_action": enqueued(task()), "show_task": task()}
    run("run pg/0 backup n=3 flag=true --string-args")
    assert canned.params("run_action")["parameters"] == {"n": "3", "flag": "true"}


def test_run_fails_with_the_actions_return_code_only(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["run_action"] = enqueued(task())
    canned.answers["show_task"] = task(status="failed", message="no quorum")
    result = run("run pg/0 backup --format json --utc")
    assert result.status == 0, "Juju looks at the return code, and action-fail leaves it at 0"
    assert '"status":"failed"' in result.out
    canned.answers["show_task"] = task(status="failed", message="exit status 3", results={"return-code": 3})
    result = run("run pg/0 backup --format json")
    assert result.status == 1
    assert result.err == PROGRESS + (
        'ERROR the following task failed:\n - id "2" with return code 3\n\n'
        "use 'juju show-task' to inspect the failure\n\n"
    )
    assert '"return-code":3' in result.out


def test_run_on_several_units(canned: juju_support.CannedController, run: Run) -> None:
    tasks = {"2": task(), "3": task("3", "pg/1", results={"return-code": 0, "x": "y"})}
    canned.answers["run_action"] = enqueued(*tasks.values())
    canned.answers["show_task"] = lambda model, task: tasks[task]
    result = run("run pg/0 pg/1 backup")
    assert yaml.safe_load(result.out) == {
        "pg/0": {"id": "2", "output": "", "status": "completed"},
        "pg/1": {"id": "3", "output": "x: y\n", "status": "completed"},
    }
    assert "Running operation 1 with 2 tasks\n" in result.err


def test_run_of_what_the_charm_does_not_have(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["run_action"] = enqueued({"error": 'action "nothing" not defined on unit "pg/0"'})
    assert run("run pg/0 nothing") == (
        0, "", '\nOperation 1 failed to schedule any tasks:\naction "nothing" not defined on unit "pg/0"\n'
    )  # fmt: skip


def test_run_gives_up_in_time(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers |= {"run_action": enqueued(task()), "show_task": task(status="running")}
    result = run("run pg/0 backup --wait 50ms")
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith("ERROR timed out waiting for results from: unit pg/0\n")


def test_run_shows_the_log_as_it_comes(canned: juju_support.CannedController, run: Run) -> None:
    line = {"time": "2025-11-21T10:00:00Z", "message": "one"}
    answers = iter([task(status="running", log=[line]), task(log=[line, line | {"message": "two"}])])
    canned.answers |= {"run_action": enqueued(task()), "show_task": lambda model, task: next(answers)}
    assert run("run pg/0 backup --utc").err == PROGRESS + "10:00:00 one\n10:00:00 two\n\n\n"


def test_run_in_the_background(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["run_action"] = enqueued(task())
    assert run("run pg/0 backup --background") == (
        0,
        "",
        "Scheduled operation 1 with task 2\nCheck operation status with 'juju show-operation 1'\n"
        "Check task status with 'juju show-task 2'\n",
    )


def test_exec(canned: juju_support.CannedController, run: Run) -> None:
    tasks = {
        "2": task(results={"return-code": 0, "stdout": "one", "stderr": "two\n"}),
        "3": task("3", "pg/1", results={"return-code": 0, "stdout": "three\n"}),
    }
    canned.answers |= {"exec": enqueued(tasks["2"]), "show_task": lambda model, task: tasks[task]}
    assert run("exec --unit pg/leader -- echo 'a b' c") == (0, "one\ntwo\n", "")
    assert canned.params("exec")["command"] == "echo 'a b' c"
    assert canned.params("exec")["units"] == ["pg/leader"]
    assert canned.params("exec")["timeout"] == 300
    canned.calls.clear()
    canned.answers["exec"] = enqueued(*tasks.values())
    assert run("exec --application pg 'echo a | cat'").out == "pg/0:\none\ntwo\n\npg/1:\nthree\n\n"
    assert canned.params("exec")["command"] == "echo a | cat"


def test_cancel_task(canned: juju_support.CannedController, run: Run) -> None:
    def cancel(model: str, task: str) -> None:
        if task != "2":
            raise juju_support.Refusal("not found", f'task "{task}" not found')

    canned.answers |= {"cancel_task": cancel, "show_task": task(status="cancelled", results={})}
    result = run("cancel-task 2 9")
    assert result.status == 1
    assert yaml.safe_load(result.out)["actions"][0]["status"] == "cancelled"
    assert result.err == 'ERROR The following tasks could not be cancelled:\nid: 9\nerror: task "9" not found\n'


@pytest.mark.parametrize("line", ["show-operation 1", "show-task 2"])
@pytest.mark.parametrize(
    ("wait", "asked"), [("", 1), ("--wait -1s", 1), ("--wait 0", 4), ("--wait 0s", 4), ("--watch", 4), ("--wait 1m", 4)]
)
def test_how_long_an_end_is_waited_for(
    canned: juju_support.CannedController, run: Run, line: str, wait: str, asked: int
) -> None:
    calls: list[str] = []

    def answer(**_: typing.Any) -> Params:
        calls.append(line)
        status = "completed" if len(calls) == 4 else "running"
        if line.startswith("show-task"):
            return task(status=status)
        times = {"enqueued": "2025-11-21T10:00:00Z", "started": "", "completed": ""}
        return {"id": "1", "summary": "s", "status": status, "fail": "", "tasks": [], **times}

    canned.answers |= {"show_operation": answer, "show_task": answer}
    assert run(f"{line} {wait}").status == 0
    assert len(calls) in (asked, asked + (line == "show-task 2"))


@pytest.mark.parametrize(
    ("line", "message"), [("show-operation 1", "timeout reached"), ("show-task 2", "maximum wait time reached")]
)
def test_a_wait_that_ends_too_early_fails(
    canned: juju_support.CannedController, run: Run, line: str, message: str
) -> None:
    times = {"enqueued": "2025-11-21T10:00:00Z", "started": "", "completed": ""}
    operation = {"id": "1", "summary": "s", "status": "running", "fail": "", "tasks": [], **times}
    canned.answers |= {"show_operation": operation, "show_task": task(status="running")}
    assert run(f"{line} --wait 50ms") == (1, "", f"ERROR {message}\n")


# What actions there are


def test_show_action_tells_of_defaults_and_of_no_other_key(canned: juju_support.CannedController, run: Run) -> None:
    properties = {
        "prefix": {"type": "string", "description": "Before the name", "default": "", "enum": ["", "a"]},
        "full": {"default": False, "type": "boolean"},
        "odd": None,
    }
    canned.answers["actions"] = {"backup": {"description": "Copy it.\n", "schema": {"properties": properties}}}
    assert run("show-action pg backup") == (
        0,
        """\
Copy it.


Arguments
full:
  type: boolean
  description: null
  default: false
prefix:
  type: string
  description: Before the name
  default: ""

""",
        "",
    )


def test_show_action_of_an_unknown_one(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["actions"] = {}
    assert run("show-action pg nothing") == (1, "", 'unknown action "nothing"\n')
    assert run("show-action pg nothing --quiet") == (1, "", "")
