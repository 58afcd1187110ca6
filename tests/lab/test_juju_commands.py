"""Command lines of `juju`: what they ask the controller for, what they print where, and what they refuse."""

from __future__ import annotations

import base64
import io
import pathlib
import shlex
import sys
import typing
from collections.abc import Callable, Iterator

import juju_support
import pytest
import yaml

from lab.controller import core
from lab.juju import __main__ as juju
from lab.juju import command, registry, version

Params = dict[str, typing.Any]


@pytest.fixture
def lab(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[juju_support.CannedController]:
    canned = juju_support.CannedController(tmp_path)
    monkeypatch.setenv("JUJU_DATA", str(tmp_path / "juju"))
    monkeypatch.setenv("JUJU_MODEL", "prod")
    monkeypatch.chdir(tmp_path)
    yield canned
    canned.close()


class Result(typing.NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[[str], Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def runner(line: str) -> Result:
        status = juju.main(shlex.split(line))
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return runner


DEPLOYED = {"application": "pg", "charm-name": "pg", "revision": 0, "origin": "local", "base": "ubuntu@24.04"}


# What reaches the controller


@pytest.mark.parametrize(
    ("line", "method", "params"),
    [
        ("add-unit pg", "add_unit", {"application": "pg", "num_units": 1, "attach_storage": [], "to": []}),
        ("add-unit -n 3 pg --to 1,2", "add_unit", {"num_units": 3, "to": ["1", "2"]}),
        ("add-unit pg --attach-storage data/0,logs/1", "add_unit", {"attach_storage": ["data/0", "logs/1"]}),
        ("remove-unit pg/1 --no-prompt --force --no-wait --destroy-storage", "remove_unit",
         {"unit": "pg/1", "force": True, "no_wait": True, "destroy_storage": True, "dry_run": False}),
        ("remove-unit pg/1 --dry-run", "remove_unit", {"dry_run": True}),
        ("remove-application pg --no-prompt", "remove_application",
         {"application": "pg", "destroy_storage": False, "force": False}),
        ("integrate pg:db app", "integrate", {"endpoints": ["pg:db", "app"]}),
        ("relate pg app", "integrate", {"endpoints": ["pg", "app"]}),
        ("remove-relation pg app:db", "remove_relation", {"endpoints": ["pg", "app:db"], "force": False}),
        ("remove-relation 7 --force", "remove_relation", {"relation": 7, "force": True}),
        ("config pg a=1 b=x=y", "set_config", {"application": "pg", "config": {"a": "1", "b": "x=y"}}),
        ("config pg --reset a,b --reset c", "reset_config", {"keys": ["a", "b", "c"]}),
        ("trust pg", "trust", {"application": "pg", "remove": False}),
        ("trust pg --remove", "trust", {"remove": True}),
        ("expose pg", "expose", {"application": "pg"}),
        ("unexpose pg", "unexpose", {"application": "pg"}),
        ("resolved pg/0 pg/1", "resolved", {"units": ["pg/0", "pg/1"], "all": False, "no_retry": False}),
        ("resolve --no-retry --all", "resolved", {"units": [], "all": True, "no_retry": True}),
        ("grant-secret mine pg,app", "grant_secret", {"secret": "mine", "applications": ["pg", "app"]}),
        ("revoke-secret mine pg", "revoke_secret", {"secret": "mine", "applications": ["pg"]}),
        ("remove-secret mine", "remove_secret", {"secret": "mine", "revision": None}),
        ("remove-secret mine --revision 2", "remove_secret", {"revision": 2}),
        ("update-secret mine --info text --name theirs --auto-prune", "update_secret",
         {"secret": "mine", "content": None, "description": "text", "name": "theirs", "auto_prune": True}),
        ("attach-storage pg/0 data/1", "attach_storage", {"unit": "pg/0", "storage": "data/1"}),
        ("detach-storage data/1 --force", "detach_storage", {"storage": "data/1", "force": True}),
        ("remove-storage data/1", "remove_storage", {"storage": "data/1", "force": False, "destroy": True}),
        ("remove-storage data/1 --no-destroy --force", "remove_storage", {"force": True, "destroy": False}),
        ("remove-machine 1 --no-prompt --force", "remove_machine", {"machine": "1", "force": True}),
        ("set-model-constraints mem=4G cores=2", "set_model_constraints", {"constraints": "mem=4G cores=2"}),
    ],
)  # fmt: skip
def test_requests(lab: juju_support.CannedController, run: Run, line: str, method: str, params: Params) -> None:
    lab.answers[method] = None
    result = run(line)
    assert (result.status, lab.params(method)["model"]) == (0, "prod")
    assert {key: lab.params(method)[key] for key in params} == params


def test_the_model_comes_from_the_option_first(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["expose"] = None
    for line in ("expose -m other pg", "expose pg --model=lab:admin/other", "expose pg -mother"):
        lab.calls.clear()
        assert run(line).status == 0
        assert lab.params("expose")["model"] == "other"


def test_deploy(lab: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    lab.answers["deploy"] = DEPLOYED
    (tmp_path / "pg.charm").write_bytes(b"")
    (tmp_path / "tuning.conf").write_text("x")
    (tmp_path / "password").write_text("from a file")
    (tmp_path / "config.yaml").write_text("pg: {profile: testing}")
    result = run(
        "deploy ./pg.charm pg -n 3 --config config.yaml --config profile=production --config secret=@password "
        "--storage data=lab,2G,1 --storage logs=512M --resource tuning=tuning.conf --resource other=5 --trust "
        "--base ubuntu@24.04 --constraints mem=4G --constraints cores=2"
    )
    assert result == (
        0,
        "",
        'Located local charm "pg", revision 0\n'
        'Deploying "pg" from local charm "pg", revision 0 on ubuntu@24.04/stable\n',
    )
    assert lab.params("deploy") == {
        "model": "prod",
        "charm": str(tmp_path / "pg.charm"),
        "application": "pg",
        "num_units": 3,
        "config": {"profile": "production", "secret": "from a file"},
        "config_yaml": "pg: {profile: testing}",
        "storage": {"data": {"pool": "lab", "size": 2048, "count": 1}, "logs": {"size": 512}},
        "attach_storage": [],
        "resources": {"tuning": str(tmp_path / "tuning.conf"), "other": 5},
        "trust": True,
        "base": "ubuntu@24.04",
        "constraints": "mem=4G cores=2",
        "to": [],
        "channel": None,
        "revision": None,
        "force": False,
    }


def test_deploy_from_charmhub(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["deploy"] = DEPLOYED | {"origin": "charmhub", "revision": 25, "channel": "16/stable"}
    result = run("deploy pg --channel 16/stable --revision 25 --attach-storage data/0")
    assert result.err == (
        'Deployed "pg" from charm-hub charm "pg", revision 25 in channel 16/stable on ubuntu@24.04/stable\n'
    )
    params = lab.params("deploy")
    assert (params["charm"], params["application"], params["channel"], params["revision"]) == (
        "pg",
        None,
        "16/stable",
        25,
    )
    assert params["attach_storage"] == ["data/0"]


REFRESHED = {"charm-name": "pg", "revision": 1, "origin": "local"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (REFRESHED, 'Added local charm "pg", revision 1, to the model\n'),
        (REFRESHED | {"origin": "charmhub", "channel": "14/stable"},
         'Added charm-hub charm "pg", revision 1 in channel 14/stable, to the model\n'),
        (REFRESHED | {"up-to-date": True}, 'charm "pg": already up-to-date\n'),
        (REFRESHED | {"up-to-date": True, "channel-changed": True, "channel": "edge"},
         'charm "pg": already up-to-date\nNote: all future refreshes will now use channel "edge"\n'),
    ],
)  # fmt: skip
def test_refresh_tells_what_came_of_it(lab: juju_support.CannedController, run: Run, answer: Params, told: str) -> None:
    lab.answers["refresh"] = answer
    assert run("refresh pg --path ./x.charm") == (0, "", told)


def test_refresh(lab: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    lab.answers["refresh"] = REFRESHED
    run("refresh pg --path ./x.charm --force-units --config a=1 --storage data=1G --trust=false")
    params = lab.params("refresh")
    assert params["path"] == str(tmp_path / "x.charm")
    assert (params["force_units"], params["trust"], params["config"]) == (True, False, {"a": "1"})
    assert params["storage"] == {"data": {"size": 1024}}
    assert (params["switch"], params["channel"], params["revision"]) == (None, None, None)


def test_secrets_content(lab: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    lab.answers["add_secret"] = "secret:d4f0e2mr0ui3e8a215n4"
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    (tmp_path / "content.yaml").write_text("user: admin\npassword: old\n")
    result = run(
        "add-secret mine --info text --file content.yaml password=new key#file=binary done#base64=AA==",
    )
    assert result == (0, "secret:d4f0e2mr0ui3e8a215n4\n", "")
    decoded = {key: base64.b64decode(value) for key, value in lab.params("add_secret")["content"].items()}
    assert decoded == {"user": b"admin", "password": b"new", "key": b"\xff\x00", "done": b"\0"}
    assert lab.params("add_secret")["description"] == "text"


def test_storage_is_added_by_directive(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["add_storage"] = ["data/4", "data/5"]
    assert run("add-storage pg/0 data=lab,2").err == "added storage data/4 to pg/0\nadded storage data/5 to pg/0\n"
    assert lab.params("add_storage") == {"model": "prod", "unit": "pg/0", "storage": "data", "pool": "lab", "count": 2}


def test_config_is_shown(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["get_config"] = {
        "application": "pg",
        "charm": "pg",
        "application-config": {"trust": {"value": True, "type": "bool", "source": "user"}},
        "settings": {"profile": {"value": "testing", "type": "string"}, "empty": {"type": "string"}},
    }
    assert run("config pg profile").out == "testing\n"
    assert run("config pg trust").out == "true\n"
    assert run("config pg empty").out == "\n"
    assert list(yaml.safe_load(run("config pg").out)) == ["application", "application-config", "charm", "settings"]
    assert run("config pg nothing") == (
        1, "", 'ERROR key "nothing" not found in "pg" application config or charm settings.\n'
    )  # fmt: skip


def test_config_from_standard_input(
    lab: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.answers["set_config"] = None
    monkeypatch.setattr(sys, "stdin", io.StringIO("pg: {profile: testing}"))
    assert run("config pg --file -").status == 0
    assert lab.params("set_config")["config_yaml"] == "pg: {profile: testing}"


MODEL_CONFIG = {
    "name": {"value": "prod", "source": "model"},
    "development": {"value": False, "source": "default"},
    "update-status-hook-interval": {"value": "5m", "source": "default"},
}


def test_model_config(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers |= {"model_config": MODEL_CONFIG, "set_model_config": None}
    assert run("model-config").out == (
        "Attribute                    From     Value\n"
        "development                  default  false\n"
        "update-status-hook-interval  default  5m\n"
    )
    assert run("model-config development").out == "False\n"
    assert run("model-config development --format json").out == ('{"development":{"Value":false,"Source":"default"}}\n')
    assert run("model-config update-status-hook-interval=10s odd=1 --reset development").err == (
        'WARNING key "odd" is not defined in the current model configuration: possible misspelling\n'
    )
    assert lab.params("set_model_config") == {
        "model": "prod",
        "values": {"update-status-hook-interval": "10s", "odd": "1"},
        "reset": ["development"],
    }
    assert run("model-config nothing") == (
        1, "", 'ERROR "nothing" is not a key of the currently targeted model: "prod"\n'
    )  # fmt: skip


# Actions and commands


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


def test_run(lab: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "params.yaml").write_text("file: {kind: tar}\nkeep: 1\n")
    lab.answers |= {
        "run_action": enqueued(task()),
        "show_task": task(results={"return-code": 0, "size": "5", "deep": {"a": "b"}, "stdout": "written\n"}),
    }
    result = run("run pg/leader backup --params params.yaml out=x file.quality=high n=3 flag=y --wait 5s")
    assert result == (0, 'deep:\n  a: b\nsize: "5"\n\nwritten\n', PROGRESS)
    assert lab.params("run_action") == {
        "model": "prod",
        "units": ["pg/leader"],
        "action": "backup",
        "parameters": {
            "out": "x", "n": 3, "flag": "y", "keep": 1, "file": {"kind": "tar", "quality": "high"},
        },
    }  # fmt: skip


def test_run_passes_raw_texts_on_request(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers |= {"run_action": enqueued(task()), "show_task": task()}
    run("run pg/0 backup n=3 flag=true --string-args")
    assert lab.params("run_action")["parameters"] == {"n": "3", "flag": "true"}


def test_run_fails_with_the_actions_return_code_only(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["run_action"] = enqueued(task())
    lab.answers["show_task"] = task(status="failed", message="no quorum")
    result = run("run pg/0 backup --format json --utc")
    assert result.status == 0, "Juju looks at the return code, and action-fail leaves it at 0"
    assert '"status":"failed"' in result.out
    lab.answers["show_task"] = task(status="failed", message="exit status 3", results={"return-code": 3})
    result = run("run pg/0 backup --format json")
    assert result.status == 1
    assert result.err == PROGRESS + (
        'ERROR the following task failed:\n - id "2" with return code 3\n\n'
        "use 'juju show-task' to inspect the failure\n\n"
    )
    assert '"return-code":3' in result.out


def test_run_on_several_units(lab: juju_support.CannedController, run: Run) -> None:
    tasks = {"2": task(), "3": task("3", "pg/1", results={"return-code": 0, "x": "y"})}
    lab.answers["run_action"] = enqueued(*tasks.values())
    lab.answers["show_task"] = lambda model, task: tasks[task]
    result = run("run pg/0 pg/1 backup")
    assert yaml.safe_load(result.out) == {
        "pg/0": {"id": "2", "output": "", "status": "completed"},
        "pg/1": {"id": "3", "output": "x: y\n", "status": "completed"},
    }
    assert "Running operation 1 with 2 tasks\n" in result.err


def test_run_of_what_the_charm_does_not_have(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["run_action"] = enqueued({"error": 'action "nothing" not defined on unit "pg/0"'})
    assert run("run pg/0 nothing") == (
        0, "", '\nOperation 1 failed to schedule any tasks:\naction "nothing" not defined on unit "pg/0"\n'
    )  # fmt: skip


def test_run_gives_up_in_time(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers |= {"run_action": enqueued(task()), "show_task": task(status="running")}
    result = run("run pg/0 backup --wait 50ms")
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith("ERROR timed out waiting for results from: unit pg/0\n")


def test_run_shows_the_log_as_it_comes(lab: juju_support.CannedController, run: Run) -> None:
    line = {"time": "2025-11-21T10:00:00Z", "message": "one"}
    answers = iter([task(status="running", log=[line]), task(log=[line, line | {"message": "two"}])])
    lab.answers |= {"run_action": enqueued(task()), "show_task": lambda model, task: next(answers)}
    assert run("run pg/0 backup --utc").err == PROGRESS + "10:00:00 one\n10:00:00 two\n\n\n"


def test_run_in_the_background(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["run_action"] = enqueued(task())
    assert run("run pg/0 backup --background") == (
        0,
        "",
        "Scheduled operation 1 with task 2\nCheck operation status with 'juju show-operation 1'\n"
        "Check task status with 'juju show-task 2'\n",
    )


def test_exec(lab: juju_support.CannedController, run: Run) -> None:
    tasks = {
        "2": task(results={"return-code": 0, "stdout": "one", "stderr": "two\n"}),
        "3": task("3", "pg/1", results={"return-code": 0, "stdout": "three\n"}),
    }
    lab.answers |= {"exec": enqueued(tasks["2"]), "show_task": lambda model, task: tasks[task]}
    assert run("exec --unit pg/leader -- echo 'a b' c") == (0, "one\ntwo\n", "")
    assert lab.params("exec")["command"] == "echo 'a b' c"
    assert lab.params("exec")["units"] == ["pg/leader"]
    assert lab.params("exec")["timeout"] == 300
    lab.calls.clear()
    lab.answers["exec"] = enqueued(*tasks.values())
    assert run("exec --application pg 'echo a | cat'").out == "pg/0:\none\ntwo\n\npg/1:\nthree\n\n"
    assert lab.params("exec")["command"] == "echo a | cat"


def test_cancel_task(lab: juju_support.CannedController, run: Run) -> None:
    def cancel(model: str, task: str) -> None:
        if task != "2":
            raise juju_support.Refusal("not found", f'task "{task}" not found')

    lab.answers |= {"cancel_task": cancel, "show_task": task(status="cancelled", results={})}
    result = run("cancel-task 2 9")
    assert result.status == 1
    assert yaml.safe_load(result.out)["actions"][0]["status"] == "cancelled"
    assert result.err == 'ERROR The following tasks could not be cancelled:\nid: 9\nerror: task "9" not found\n'


# Removal


REMOVAL = {"units": ["pg/0", "pg/1"], "destroyed-storage": ["logs/1"], "detached-storage": ["data/0"]}
GOING = (
    "will remove application pg\n- will remove unit pg/0\n- will remove unit pg/1\n- will remove storage logs/1\n"
    "- will detach storage data/0\n"
)


def answering(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_removal_tells_what_goes(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["remove_application"] = REMOVAL
    assert run("remove-application pg --no-prompt") == (0, GOING, "")


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_removal_asks(
    lab: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, removed: bool
) -> None:
    lab.answers["remove_application"] = REMOVAL
    answering(monkeypatch, answer)
    result = run("remove-application pg")
    assert result.out == GOING
    assert result.err.startswith("WARNING This command will perform the following actions:\n\nContinue [y/N]? ")
    assert result.err.endswith("ERROR application removal: aborted\n") != removed
    assert result.status == (0 if removed else 1)
    assert [params["dry_run"] for _, params in lab.calls] == ([True, False] if removed else [True])


def test_the_environment_may_skip_the_question(
    lab: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.answers["remove_unit"] = None
    monkeypatch.setenv("JUJU_SKIP_CONFIRMATION", "true")
    assert run("remove-unit pg/0") == (0, "will remove unit pg/0\n", "")
    monkeypatch.setenv("JUJU_SKIP_CONFIRMATION", "perhaps")
    assert run("remove-unit pg/0").status == 2


def test_one_failure_does_not_stop_the_others(lab: juju_support.CannedController, run: Run) -> None:
    def remove(unit: str, **_: typing.Any) -> None:
        if unit == "pg/0":
            raise juju_support.Refusal("not found", 'unit "pg/0" not found')

    lab.answers["remove_unit"] = remove
    assert run("remove-unit pg/0 pg/1 --no-prompt") == (
        1, "will remove unit pg/1\n", 'ERROR removing unit pg/0 failed: unit "pg/0" not found\n'
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "method", "err"),
    [
        ("remove-application a b --no-prompt", "remove_application", "ERROR removing application a failed: no\n"),
        ("remove-machine 1 2 --no-prompt", "remove_machine", "ERROR removing machine 1 failed: no\n"),
        (
            "add-storage pg/0 a=1 b=1",
            "add_storage",
            'failed to add storage "a" to pg/0: no\nadded storage b/1 to pg/0\n',
        ),
        ("attach-storage pg/0 a/1 b/1", "attach_storage", "failed to attach a/1 to pg/0: no\nattaching b/1 to pg/0\n"),
        ("detach-storage a/1 b/1", "detach_storage", "failed to detach a/1: no\ndetaching b/1\n"),
        ("remove-storage a/1 b/1", "remove_storage", "failed to remove a/1: no\nremoving b/1\n"),
    ],
)
def test_a_partial_failure_is_a_failure(
    lab: juju_support.CannedController, run: Run, line: str, method: str, err: str
) -> None:
    answers = iter([juju_support.Refusal("bad request", "no"), ["b/1"] if method == "add_storage" else {}])

    def answer(**_: typing.Any) -> typing.Any:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    lab.answers[method] = answer
    result = run(line)
    assert (result.status, result.err) == (1, err)


def test_destroy_model_asks_for_the_name_and_waits(
    lab: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = False

    def destroy(**_: typing.Any) -> None:
        nonlocal gone
        gone = True

    def status(model: str, **_: typing.Any) -> Params:
        if gone:
            raise juju_support.Refusal("model not found", f'model "{model}" not found')
        return {"machines": {"0": {"instance-id": "juju-0"}}, "applications": {"pg": {}}}

    model = {"short-name": "prod", "model-uuid": "uuid-1"}
    lab.answers |= {"show_model": model, "models": [], "storage": {}, "status": status, "destroy_model": destroy}
    answering(monkeypatch, "other\n")
    result = run("destroy-model prod")
    assert result.status == 1
    assert not gone
    assert '"0 (juju-0)"' in result.err
    answering(monkeypatch, "prod\n")
    result = run("destroy-model prod")
    assert (result.status, gone) == (0, True)
    assert result.err.endswith("Destroying model\nModel destroyed.\n")


def test_destroy_model_keeps_storage_unless_told(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers |= {
        "show_model": {"short-name": "prod", "model-uuid": "uuid-1"},
        "storage": {"storage": {"data/0": {"persistent": True}}},
    }
    result = run("destroy-model prod --no-prompt")
    assert result.status == 1
    assert "The model has persistent storage remaining" in result.err
    assert "destroy_model" not in [method for method, _ in lab.calls]


# Models


def test_switch_and_the_current_model(
    lab: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUJU_MODEL")
    known = {name: {"short-name": name, "model-uuid": f"uuid-{name}", "owner": "admin"} for name in ("one", "two")}
    lab.answers |= {
        "models": list(known.values()),
        "show_model": lambda model: known[model],
        "add_model": {"short-name": "two"},
        "expose": None,
    }
    assert run("expose pg").err.startswith("ERROR No selected model.\n")
    assert run("switch one").err == "lab -> lab:admin/one\n"
    assert run("switch").out == "lab:admin/one\n"
    run("expose pg")
    assert lab.params("expose")["model"] == "one"
    assert run("add-model two").err == "Added 'two' model on lab/default for user 'admin'\n"
    assert run("switch").out == "lab:admin/two\n"
    assert run("switch -").err == "lab:admin/two -> lab:admin/one\n"
    assert run("switch lab:admin/one").err == "lab:admin/one (no change)\n"
    assert run("add-model two --no-switch").status == 0
    assert run("whoami").out == "Controller:  lab\nModel:       one\nUser:        admin\n"


def test_models_yaml_is_in_the_form_of_jujus_client(
    lab: juju_support.CannedController, run: Run, tmp_path: pathlib.Path
) -> None:
    lab.answers |= {"models": [{"short-name": "one", "model-uuid": "uuid-1"}], "add_model": {}}
    run("add-model one --config update-status-hook-interval=1m")
    assert lab.params("add_model") == {"name": "one", "config": {"update-status-hook-interval": "1m"}}
    assert yaml.safe_load((tmp_path / "juju/models.yaml").read_text()) == {
        "controllers": {
            "lab": {"models": {"admin/one": {"uuid": "uuid-1", "type": "iaas"}}, "current-model": "admin/one"}
        }
    }


# The log


LINE = {"sequence": 1, "time": "2025-11-21T10:00:00.123456+00:00", "entity": "unit-pg-0", "level": "WARNING",
        "module": "unit.pg/0.install", "message": "careful", "location": "x.go:5"}  # fmt: skip


def test_debug_log(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["debug_log"] = [LINE]
    assert run("debug-log --limit 5 --utc").out == "unit-pg-0: 10:00:00 WARNING unit.pg/0.install careful\n"
    assert run("debug-log --no-tail --replay --utc --date --ms --location").out == (
        "unit-pg-0: 2025-11-21 10:00:00.123 WARNING unit.pg/0.install x.go:5 careful\n"
    )
    assert [params["limit"] for _, params in lab.calls] == [5, None]


def test_debug_log_shows_all_where_it_does_not_follow(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["debug_log"] = []
    for line in ("debug-log", "debug-log --limit 0", "debug-log --no-tail"):
        lab.calls.clear()
        assert run(line) == (0, "", "")
        assert lab.params("debug_log")["limit"] is None
    lab.calls.clear()
    run("debug-log --lines 3 --no-tail -i pg/0 --include machine-1 -x 2 --include-module unit --level error")
    assert lab.params("debug_log") == {
        "model": "prod",
        "limit": 3,
        "after": 0,
        "include": ["unit-pg-0", "machine-1"],
        "exclude": ["machine-2"],
        "include_module": ["unit"],
        "exclude_module": [],
        "level": "ERROR",
    }


# What is refused


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("status --nonsense", "option provided but not defined: --nonsense"),
        ("status --format xml", 'invalid value "xml" for option --format: unknown format "xml"'),
        ("deploy", "no charm or bundle specified"),
        ("deploy a b c", 'unrecognized args: ["c"]'),
        ("deploy a Bad_name", 'invalid application name "Bad_name"'),
        ("deploy a -n 2 --attach-storage data/0", "--attach-storage cannot be used with -n"),
        ("deploy a --attach-storage data", 'storage ID "data" not valid'),
        ("deploy a --revision 5", "when using --revision option, you must also use --channel option"),
        ("deploy a -n -1", "--num-units must be a positive integer"),
        ("deploy a --to lxd:1",
         'unsupported placement directive "lxd:1": the lab places units on machines by number'),
        ("deploy a --storage data", 'expected "name=constraints" or "name", got "data"'),
        ("deploy a --storage data=0",
         'cannot parse storage directives for storage "data": count must be greater than zero'),
        ("deploy a --storage data=1X%",
         'cannot parse storage directives for storage "data": unrecognized storage directive "1X%"'),
        ("refresh", "no application specified"),
        ("refresh a b", 'unrecognized args: ["b"]'),
        ("refresh a --path ./x --revision 1", "--path and --revision are mutually exclusive"),
        ("refresh a --switch x --path ./x", "--switch and --path are mutually exclusive"),
        ("refresh a --switch x --revision 1", "--switch and --revision are mutually exclusive"),
        ("run", "no unit specified"),
        ("run pg/0", "no action specified"),
        ("run pg/0 Backup", 'invalid unit or action name "Backup"'),
        ("run pg/0 app/0 backup", "all units must be of the same application"),
        ("run pg/0 backup word", 'argument "word" must be of the form key.key.key...=value'),
        ("run pg/0 backup A=1", 'key "A" must start and end with lowercase alphanumeric, and contain only lowercase '
                                "alphanumeric and hyphens"),
        ("run pg/0 backup --background --wait 1s", "cannot specify both --wait and --background"),
        ("run pg/0 backup --wait 5", 'invalid value "5" for option --wait: time: missing unit in duration "5"'),
        ("exec", "no commands specified"),
        ("exec ls", "You must specify a target, either through --all, --machine, --application or --unit"),
        ("exec --all --unit pg/0 ls", "You cannot specify --all and individual units"),
        ("exec --unit pg ls", 'The following exec targets are not valid:\n  "pg" is not a valid unit name'),
        ("config", "no application name specified"),
        ("config a=b", "no application name specified"),
        ("config pg a b=1", "cannot set and retrieve values simultaneously"),
        ("config pg a b", "can only retrieve a single value, or all values"),
        ("config pg a=1 --reset a", 'key "a" cannot be both set and reset in the same command'),
        ("add-unit", "no application specified"),
        ("add-unit pg -n 0", "--num-units must be a positive integer"),
        ("remove-unit", "no units specified"),
        ("remove-unit pg", 'invalid unit name "pg"'),
        ("remove-unit pg --num-units 1", "--num-units for non k8s models not valid"),
        ("remove-unit pg/0 --no-wait", "--no-wait without --force not valid"),
        ("remove-application", "no application specified"),
        ("remove-application pg/0", 'invalid application name "pg/0"'),
        ("integrate pg", "an integration must involve two applications"),
        ("integrate pg other.app", '"other.app" is in another model: the lab does not have cross-model relations'),
        ("integrate pg app --via 1.2.3.0/24",
         "the --via option can only be used when relating to offers in a different model"),
        ("remove-relation pg", 'relation ID "pg" not valid'),
        ("resolved", "no unit specified"),
        ("resolved --all pg/0", "specifying unit names(s) with --all not supported"),
        ("show-unit", "an unit name must be supplied"),
        ("show-unit pg", 'unit name "pg" not valid'),
        ("show-application", "an application name must be supplied"),
        ("add-secret", "secret name needs to be supplied as the first argument"),
        ("add-secret mine", "missing secret value or filename"),
        ("add-secret mine X=1", 'key "X" not valid'),
        ("add-secret mine key#zip=1", 'key "key#zip" not valid'),
        ("update-secret mine", "specify an update to the secret"),
        ("grant-secret mine", "missing application name"),
        ("show-secret", "secret ID is required"),
        ("show-secret a --revisions --reveal", "specify either --revisions or --reveal but not both"),
        ("storage data/0", "specifying IDs only supported with --filesystem and --volume options"),
        ("storage --filesystem --volume", "--filesystem and --volume can not be used together"),
        ("add-storage pg/0", "add-storage requires a unit and a storage directive"),
        ("attach-storage pg/0", "attach-storage requires a unit ID and at least one storage ID"),
        ("detach-storage", "detach-storage requires at least one storage ID"),
        ("remove-storage data", 'storage ID "data" not valid'),
        ("attach-resource pg", "no resource specified"),
        ("attach-resource pg x", 'expected name=path format for resource, got "x"'),
        ("show-operation", "no operation ID specified"),
        ("show-operation x", 'operation ID "x" not valid'),
        ("show-operation 1 --watch --wait 1s", "specify either --watch or --wait but not both"),
        ("operations --status odd", '"odd" is not a valid task status, want one of [pending running completed failed '
                                    "cancelled aborting aborted error]"),
        ("actions", "no application name specified"),
        ("actions pg --schema --format tabular", "full schema not compatible with tabular output"),
        ("add-model", "model name is required"),
        ("add-model Bad",
         '"Bad" is not a valid name: model names may only contain lowercase letters, digits and hyphens'),
        ("destroy-model", "no model specified"),
        ("destroy-model x --timeout 5s", "--timeout can only be used with --force (dangerous)"),
        ("destroy-model x --destroy-storage --release-storage",
         "--destroy-storage and --release-storage cannot both be specified"),
        ("debug-log --tail --no-tail", "setting --tail and --no-tail not valid"),
        ("debug-log --level odd", 'level value "odd" is not one of "TRACE, DEBUG, INFO, WARNING, ERROR"'),
        ("ssh", "no target name specified"),
        ("scp x", "at least two arguments required"),
        ("add-machine ssh:me@host", 'the lab makes its machines itself: "ssh:me@host" is not supported'),
        ("remove-machine x", 'invalid machine id "x"'),
        ("--cheese status", "option provided but not defined: --cheese"),
    ],
)  # fmt: skip
def test_wrong_command_lines(lab: juju_support.CannedController, run: Run, line: str, message: str) -> None:
    assert run(line) == (2, "", f"ERROR {message}\n")
    assert lab.calls == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("exec --unit pg/0 --operator ls", "only k8s models support the --operator flag"),
        ("deploy ./bundle.yaml", 'the lab does not deploy bundles: "./bundle.yaml" is one'),
        ("deploy ./nothing.charm", 'no charm was found at "./nothing.charm"'),
        ("deploy x --overlay y.yaml", "the lab does not deploy bundles: --overlay and --map-machines are for bundles"),
        ("deploy pg.charm", 'The charm or bundle "pg.charm" is ambiguous: prefix a path with "./"'),
        ("deploy a --config x --config y", "only a single config YAML file can be specified, got 2"),
        ("deploy a --config nothing.yaml", "open nothing.yaml: no such file or directory"),
        ("model-config agent-version=4.0", '"agent-version" must be set via "upgrade-model"'),
        ("offer pg:db", 'juju: "offer" is a juju command that the lab does not have. See "juju --help".'),
        ("model-defaults", 'juju: "model-defaults" is a juju command that the lab does not have. See "juju --help".'),
        ("statu", 'juju: "statu" is not a juju command. See "juju --help".\n\nDid you mean:\n\tstatus'),
        ("ssh nowhere!", 'target "nowhere!" is not a valid target: a unit, APPLICATION/leader or a machine number'),
    ],
)
def test_refusals(lab: juju_support.CannedController, run: Run, line: str, message: str) -> None:
    assert run(line) == (1, "", f"ERROR {message}\n")
    assert lab.calls == []


def test_what_the_controller_refuses(lab: juju_support.CannedController, run: Run) -> None:
    def refuse(**_: typing.Any) -> None:
        raise juju_support.Refusal("bad request", "cannot expose it")

    lab.answers["expose"] = refuse
    assert run("expose pg") == (1, "", "ERROR cannot expose it\n")


def test_no_controller(run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUJU_DATA", str(tmp_path / "juju"))
    result = run("expose pg -m x")
    assert result.status == 1
    assert result.err.startswith(f"ERROR cannot reach the controller at {tmp_path}/controller.socket")
    assert "lab up" in result.err


def test_without_juju_data_the_labs_settings_say_where_it_is(
    run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    canned = juju_support.CannedController(tmp_path / "other")
    canned.answers["expose"] = None
    monkeypatch.delenv("JUJU_DATA", raising=False)
    monkeypatch.setenv("LAB_STATE", str(tmp_path))
    monkeypatch.setenv("LAB_NAME", "other")
    assert run("expose pg -m x").status == 0
    canned.close()


def test_a_socket_deep_below(run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    monkeypatch.chdir(deep)
    canned = juju_support.CannedController(pathlib.Path())
    canned.answers["expose"] = None
    monkeypatch.setenv("JUJU_DATA", str(deep / "juju"))
    assert run("expose pg -m x").status == 0
    canned.close()


# Help and the rest


@pytest.mark.parametrize("name", registry.names())
def test_every_command_explains_itself(run: Run, name: str, tmp_path: pathlib.Path) -> None:
    found = registry.find(name)
    assert found is not None
    for line in (f"help {name}", f"{name} --help", f"--help {name}"):
        text = run(line).out
        assert text.startswith(f"Usage: juju {name} [options]")
        assert found.purpose in text
    assert all(flag.usage for flag in found.own_flags)
    assert found.detail


def test_registry_is_consistent() -> None:
    for name in registry.names():
        found = registry.find(name)
        assert found is not None
        assert found.name == name
        assert all(registry.ALIASES[alias] == name for alias in found.aliases), name
    assert not registry.UNSUPPORTED & {*registry.names(), *registry.ALIASES}
    assert len(command.COMMANDS) == len(registry.names())


def test_help_of_commands(run: Run) -> None:
    lines = run("help commands").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted([*registry.names(), *registry.ALIASES])
    assert run("help nothing").out == 'ERROR juju: "nothing" is not a juju command. See "juju --help".\n'
    assert run("").out == run("--help").out == run("help").out


def test_version(run: Run) -> None:
    assert version.JUJU_VERSION == core.JUJU_VERSION
    assert run("version").out.startswith("3.6.")
    assert run("--version").out == run("version").out
    assert run("version --format json").out == f'"{run("version").out.strip()}"\n'


def test_output_goes_to_a_file(lab: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    assert run("version --format json -o v.json") == (0, "", "")
    assert (tmp_path / "v.json").read_text().startswith('"3.6.')


def test_quiet(lab: juju_support.CannedController, run: Run) -> None:
    lab.answers["deploy"] = DEPLOYED
    assert run("deploy --quiet pg") == (0, "", "")
    assert run("--quiet deploy pg") == (0, "", "")
