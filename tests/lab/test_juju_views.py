"""What commands show of a stored model, besides status."""

from __future__ import annotations

import json
import pathlib
import time
import typing
from collections.abc import Iterator

import jubilant.secrettypes
import jubilant.unittypes
import juju_support
import juju_world
import pytest
import yaml

from lab.controller import operations_common, store
from lab.juju import __main__ as juju

METHODS = (
    "actions",
    "models",
    "operations",
    "resources",
    "secrets",
    "show_application",
    "show_controller",
    "show_machine",
    "show_model",
    "show_operation",
    "show_secret",
    "show_storage",
    "show_task",
    "show_unit",
    "status",
    "status_log",
    "storage",
    "storage_pools",
)


@pytest.fixture(autouse=True)
def lab(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[juju_support.CannedController]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    stored = store.Store()
    views = juju_world.make(stored)
    canned = juju_support.CannedController(tmp_path)

    def answering(method: str) -> typing.Callable[..., typing.Any]:
        def answer(**params: typing.Any) -> typing.Any:
            try:
                return getattr(views, method)(**params)
            except operations_common.OperationError as error:
                raise juju_support.Refusal(error.code, error.message) from error

        return answer

    canned.answers |= {method: answering(method) for method in METHODS}
    monkeypatch.setenv("JUJU_DATA", str(tmp_path / "juju"))
    monkeypatch.setenv("JUJU_MODEL", "prod")
    yield canned
    canned.close()
    stored.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> typing.Callable[[str], str]:
    def runner(line: str) -> str:
        status = juju.main(line.split())
        captured = capsys.readouterr()
        assert (status, captured.err) == (0, "")
        return captured.out

    return runner


@pytest.fixture
def failing(capsys: pytest.CaptureFixture[str]) -> typing.Callable[[str], tuple[int, str]]:
    def runner(line: str) -> tuple[int, str]:
        status = juju.main(line.split())
        captured = capsys.readouterr()
        assert captured.out == ""
        return status, captured.err

    return runner


Run = typing.Callable[[str], str]


def test_show_unit(run: Run) -> None:
    assert run("show-unit pg/1") == (
        """\
pg/1:
  workload-version: "16.15"
  machine: "1"
  opened-ports:
  - 5432/tcp
  public-address: 198.18.0.3
  charm: local:postgresql-machine-1
  leader: true
  life: alive
  relation-info:
  - relation-id: 0
    endpoint: database-peers
    related-endpoint: database-peers
    application-data:
      cluster: "1"
    local-unit:
      in-scope: true
      data:
        private-address: 198.18.0.3
    related-units:
      pg/0:
        in-scope: true
        data:
          private-address: 198.18.0.2
      pg/2:
        in-scope: true
        data:
          private-address: 198.18.0.4
"""
    )
    (shown,) = json.loads(run("show-unit --format json pg/1")).values()
    unit = jubilant.unittypes.UnitInfo._from_dict(shown)
    assert unit.leader
    assert unit.relation_info[0].related_units["pg/0"].data == {"private-address": "198.18.0.2"}


def test_show_unit_filters(run: Run) -> None:
    def infos(options: str) -> list[dict[str, typing.Any]]:
        return json.loads(run(f"show-unit pg/1 --format json {options}"))["pg/1"].get("relation-info", [])

    nothing = {"in-scope": False, "data": None}
    # A relation without any data is shown to those who ask for it only.
    assert [info["endpoint"] for info in infos("--endpoint database")] == ["database"]
    assert [info["endpoint"] for info in infos("--app")] == ["database-peers", "database"]
    assert all(info["local-unit"] == nothing and "related-units" not in info for info in infos("--app"))
    assert infos("--endpoint nothing") == []
    (peers,) = infos("--related-unit pg/2")
    assert (list(peers["related-units"]), peers["local-unit"]) == (["pg/2"], nothing)
    # What the application has told is kept, whoever the unit is.
    (peers,) = infos("--related-unit pg/7")
    assert (peers["application-data"], "related-units" in peers) == ({"cluster": "1"}, False)
    (peers,) = infos("--related-unit pg/1")
    assert peers["local-unit"]["data"] == {"private-address": "198.18.0.3"}
    assert "local-unit" not in run("show-unit pg/1 --related-unit pg/2")


def test_show_application(run: Run) -> None:
    assert yaml.safe_load(run("show-application client"))["client"] == {
        "charm": "data-integrator",
        "base": "ubuntu@24.04",
        "channel": "latest/stable",
        "constraints": {},
        "principal": True,
        "exposed": True,
        "remote": False,
        "life": "alive",
        "endpoint-bindings": {"": "alpha", "postgresql": "alpha"},
    }


def test_models(run: Run, lab: juju_support.CannedController) -> None:
    assert run("models") == (
        "Controller: lab\n\n"
        "Model  Cloud/Region  Type  Status     Machines  Units  Access  Last connection\n"
        "prod   lab/default   lab   available         4      4  admin   just now\n"
    )
    (model,) = json.loads(run("models --format json"))["models"]
    assert (model["name"], model["short-name"], model["model-uuid"]) == ("admin/prod", "prod", juju_world.MODEL)


def test_show_model(run: Run) -> None:
    model = json.loads(run("show-model --format json"))["prod"]
    assert model["model-uuid"] == juju_world.MODEL
    assert model["status"] == {"current": "available", "since": "21 Nov 2025 10:00:00Z"}
    assert model["machines"]["10"] == {"cores": 0}
    assert json.loads(run(f"show-model --format json {juju_world.MODEL}"))["prod"] == model
    assert json.loads(run("show-model --format json lab:admin/prod"))["prod"] == model


def test_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run("secrets").splitlines()
    assert lines[0] == "ID                    Name       Owner    Rotation  Revision  Last updated"
    assert lines[1].startswith(f"{juju_world.SECRET}  my-secret  <model>  never            2  2025-11-21")
    assert lines[2].startswith("aaaae2mr0ui3e8a215n4  -          pg       never            1  2025-11-21")
    listed = json.loads(run("secrets --format json"))
    assert listed[juju_world.SECRET] == {
        "revision": 2,
        "owner": "<model>",
        "description": "mine",
        "name": "my-secret",
        "created": "2025-11-21T10:00:00Z",
        "updated": "2025-11-21T10:00:09Z",
    }
    assert listed["aaaae2mr0ui3e8a215n4"]["expires"] == "2025-11-21T10:15:00Z"
    assert list(json.loads(run("secrets --format json --owner application-pg"))) == ["aaaae2mr0ui3e8a215n4"]


@pytest.mark.parametrize("name", ["my-secret", juju_world.SECRET, f"secret:{juju_world.SECRET}"])
def test_show_secret_by_any_name(run: Run, name: str) -> None:
    shown = yaml.safe_load(run(f"show-secret {name}"))
    assert list(shown) == [juju_world.SECRET]
    assert "content" not in shown[juju_world.SECRET]
    scope = f"model-{juju_world.MODEL}"
    assert shown[juju_world.SECRET]["access"] == [{"target": "application-pg", "scope": scope, "role": "view"}]


def test_show_secret_reveals_on_request(run: Run) -> None:
    value = json.loads(run("show-secret my-secret --reveal --format json"))
    secret = jubilant.secrettypes.RevealedSecret._from_dict({"uri": juju_world.SECRET, **value[juju_world.SECRET]})
    assert secret.content == {"password": "hunter2", "user": "zoë"}
    assert len(secret.checksum) == 64
    value = json.loads(run("show-secret my-secret --reveal --revision 1 --format json"))
    assert value[juju_world.SECRET]["content"] == {"Data": {"password": "hunter2"}}
    assert yaml.safe_load(run("show-secret my-secret --reveal"))[juju_world.SECRET]["content"]["password"] == "hunter2"
    revisions = yaml.safe_load(run("show-secret my-secret --revisions"))[juju_world.SECRET]["revisions"]
    assert [revision["revision"] for revision in revisions] == [1, 2]


def test_storage(run: Run) -> None:
    assert run("storage") == (
        "Unit  Storage ID  Type        Pool    Size     Status    Message\n"
        "      data/10     filesystem  rootfs  512 MiB  detached  \n"
        "pg/0  data/0      filesystem  lab     2.0 GiB  attached  \n"
        "pg/1  data/1      filesystem  lab     2.0 GiB  attached  \n"
    )
    value = json.loads(run("storage --format json"))
    assert list(value) == ["storage", "filesystems"]
    assert value["filesystems"]["1"]["storage"] == "data/1"
    assert value["filesystems"]["1"]["size"] == 2048
    assert list(json.loads(run("storage --filesystem --format json"))) == ["filesystems"]
    assert run("show-storage data/0") == (
        """\
data/0:
  kind: filesystem
  status:
    current: attached
    since: 21 Nov 2025 10:00:05Z
  persistent: true
  attachments:
    units:
      pg/0:
        machine: "0"
        location: /var/data
"""
    )
    assert yaml.safe_load(run("show-storage data/10 data/0"))["data/10"]["persistent"] is False


def test_storage_pools(run: Run) -> None:
    assert set(json.loads(run("storage-pools --format json"))) >= {"lab", "rootfs"}
    assert run("storage-pools --name lab") == ("Name  Provider   Attributes\nlab   directory  outlives-machine=True\n")


def test_actions(run: Run) -> None:
    assert run("actions pg") == (
        "Action       Description\n"
        "get-primary  Print the primary.\n"
        "switchover   Hand over.\n"
        "             To a standby.\n"
    )
    schema = yaml.safe_load(run("actions pg --schema"))["switchover"]
    assert schema["required"] == ["candidate"]
    assert schema["properties"]["candidate"]["type"] == "string"


def test_show_action(run: Run) -> None:
    assert run("show-action pg switchover") == (
        "Hand over.\nTo a standby.\n\nArguments\ncandidate:\n  type: string\n  description: Unit to hand over to\n\n"
    )
    assert run("show-action pg get-primary") == "Print the primary.\n\nArguments\n{}\n\n"


def test_operations(run: Run) -> None:
    assert run("operations --utc") == (
        "ID  Status  Started              Finished             Task IDs  Summary\n"
        " 1  failed  2025-11-21T10:00:01  2025-11-21T10:00:02  2         action 'switchover' run on unit-pg-0\n"
        " 6  error                                                       get-primary\n"
    )
    assert list(json.loads(run("operations --actions juju-exec --format json"))) == ["3"]
    assert list(json.loads(run("operations --units pg/0 --format json"))) == ["1"]
    assert list(json.loads(run("operations --apps pg --status failed --format json"))) == ["1"]
    assert run("operations --limit 1").startswith(
        "Displaying operation results 1 to 1.\n"
        "Run the command again with --offset=1 --limit=1 to see the next batch.\n\n"
    )


def test_show_operation(run: Run) -> None:
    assert run("show-operation 1 --utc") == (
        """\
summary: action 'switchover' run on unit-pg-0
status: failed
action:
  name: switchover
  parameters:
    candidate: pg-1
timing:
  enqueued: 2025-11-21 10:00:00 +0000 UTC
  started: 2025-11-21 10:00:01 +0000 UTC
  completed: 2025-11-21 10:00:02 +0000 UTC
tasks:
  "2":
    host: pg/0
    status: failed
    timing:
      enqueued: 2025-11-21 10:00:00 +0000 UTC
      started: 2025-11-21 10:00:01 +0000 UTC
      completed: 2025-11-21 10:00:02 +0000 UTC
    log:
    - 2025-11-21 10:00:01 +0000 UTC asking
    - 2025-11-21 10:00:02 +0000 UTC asked
    message: no quorum
    results:
      primary:
        unit: pg/1
      return-code: 0
"""
    )


def test_show_task(run: Run) -> None:
    value = json.loads(run("show-task 2 --format json --utc"))
    assert value == {
        "id": "2",
        "log": ["2025-11-21 10:00:01 +0000 UTC asking", "2025-11-21 10:00:02 +0000 UTC asked"],
        "message": "no quorum",
        "results": {"primary": {"unit": "pg/1"}, "return-code": 0},
        "status": "failed",
        "timing": {
            "completed": "2025-11-21 10:00:02 +0000 UTC",
            "enqueued": "2025-11-21 10:00:00 +0000 UTC",
            "started": "2025-11-21 10:00:01 +0000 UTC",
        },
        "unit": "pg/0",
    }
    assert run("show-task 2") == "Action id 2 failed: no quorum\nprimary:\n  unit: pg/1\n\n"
    assert run("show-task 4") == "\njuju-5f3a1c-0\noops\n"


def test_show_status_log(run: Run) -> None:
    assert run("show-status-log pg/2") == (
        "Time                   Type       Status       Message\n"
        "21 Nov 2025 10:00:01Z  juju-unit  idle         \n"
        "21 Nov 2025 10:00:01Z  workload   maintenance  installing snap\n"
        '21 Nov 2025 10:00:30Z  juju-unit  error        hook failed: "db-relation-changed"\n'
    )
    assert len(json.loads(run("show-status-log pg/2 -n 1 --format json"))) == 1


def test_resources(run: Run) -> None:
    assert run("resources pg") == "Resource  Supplied by  Revision\ntuning    upload       -\n"
    (resource,) = json.loads(run("resources pg --format json"))["resources"]
    assert resource["path"] == "tuning.conf"


def test_machines(run: Run) -> None:
    lines = run("machines").splitlines()
    assert lines[0].split() == ["Machine", "State", "Address", "Inst", "id", "Base", "AZ", "Message"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2", "10"]
    assert list(json.loads(run("show-machine 1 --format json"))["machines"]) == ["1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("status -m nothing", "model lab:admin/nothing not found"),
        ("status -m other:prod", "controller other not found"),
        ("show-unit pg/9", 'unit "pg/9" not found'),
        ("show-application nothing", 'application "nothing" not found'),
        ("show-secret nothing", 'secret "nothing" not found'),
        ("show-storage data/7", 'storage instance "data/7" not found'),
        ("show-task 99", 'task "99" not found'),
        ("show-operation 99", 'operation "99" not found'),
        ("show-machine 7", "machine 7 not found"),
        ("show-status-log pg/0 --type strange", 'unexpected status type "strange"'),
    ],
)
def test_what_is_not_there(failing: typing.Callable[[str], tuple[int, str]], line: str, message: str) -> None:
    assert failing(line) == (1, f"ERROR {message}\n")
