"""Jubilant, unchanged, drives a lab of root-less machines through the `juju` command."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import jubilant
import jubilant_charm
import pytest

ROOT = pathlib.Path(__file__).parents[2]
START_TIMEOUT = 30.0


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    """The state directory of a lab whose controller runs."""
    directory = tmp_path_factory.mktemp("labs") / "lab"
    directory.mkdir()
    with (directory / "controller.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.controller", "--state", str(directory), "--machines", "rootless"],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not (directory / "controller.socket").exists():
            assert process.poll() is None, (directory / "controller.log").read_text()
            assert time.monotonic() < deadline, "the controller did not start"
            time.sleep(0.05)
        yield directory
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def environment(state: pathlib.Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUJU_DATA", str(state / "juju"))
        patch.delenv("JUJU_MODEL", raising=False)
        yield


def client(model: str) -> jubilant.Juju:
    return jubilant.Juju(model=model, cli_binary=str(ROOT / "lab/bin/juju"), wait_timeout=60)


@pytest.fixture(scope="module")
def charm(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return jubilant_charm.pack(tmp_path_factory.mktemp("charm"))


@pytest.fixture(scope="module")
def juju(environment: None, charm: pathlib.Path) -> Iterator[jubilant.Juju]:
    """A model with two units of the charm."""
    found = client("")
    found.model = None
    found.add_model("first")
    found.deploy(charm, "tiny", num_units=2, config={"greeting": "hi", "count": 3}, resources={"blob": str(charm)})
    found.wait(jubilant.all_agents_idle)
    yield found
    found.destroy_model("first", destroy_storage=True, force=True)
    assert found.model is None


def active(juju: jubilant.Juju, *applications: str) -> jubilant.Status:
    return juju.wait(
        lambda status: jubilant.all_active(status, *applications) and jubilant.all_agents_idle(status, *applications),
        error=jubilant.any_error,
        delay=0.1,
    )


def test_deploy_and_status(juju: jubilant.Juju) -> None:
    status = active(juju)
    application = status.apps["tiny"]
    assert (application.charm_name, application.charm_origin, application.charm_rev) == ("tiny", "local", 0)
    assert application.version == "1"
    assert set(application.units) == {"tiny/0", "tiny/1"}
    assert sum(unit.leader for unit in application.units.values()) == 1
    assert {machine.juju_status.current for machine in status.machines.values()} == {"started"}
    assert all(unit.public_address for unit in application.units.values())
    assert application.units["tiny/0"].workload_status.message == "ready"


def test_version_and_models(juju: jubilant.Juju) -> None:
    assert juju.version().tuple >= (3, 6, 0)
    model = juju.show_model()
    assert (model.short_name, model.cloud, model.life) == ("first", "lab", "alive")
    assert "first" in [
        model["short-name"] for model in json.loads(juju.cli("models", "--format=json", include_model=False))["models"]
    ]


def test_run(juju: jubilant.Juju) -> None:
    task = juju.run("tiny/0", "echo", {"what": "a: b, c"})
    assert task.success
    assert task.results == {"said": "a: b, c", "deep": {"er": "value"}}
    assert task.stdout == "printed\n"
    assert "one line" in task.log[0]
    assert juju.run("tiny/leader", "echo", {"what": "x"}).results["said"] == "x"


def test_run_that_fails(juju: jubilant.Juju) -> None:
    with pytest.raises(jubilant.TaskError) as caught:
        juju.run("tiny/0", "fail")
    task = caught.value.task
    assert (task.status, task.message, task.return_code) == ("failed", "as asked", 0)
    assert task.results == {"before": "failing"}
    with pytest.raises(jubilant.TaskError) as caught:
        juju.run("tiny/1", "crash")
    assert (caught.value.task.status, caught.value.task.return_code) == ("failed", 3)


def test_run_what_is_not_there(juju: jubilant.Juju) -> None:
    with pytest.raises(ValueError, match='action "nothing" not defined'):
        juju.run("tiny/0", "nothing")
    with pytest.raises(ValueError, match="not found"):
        juju.run("tiny/9", "echo")


def test_run_takes_too_long(juju: jubilant.Juju) -> None:
    with pytest.raises(TimeoutError):
        juju.run("tiny/1", "slow", wait=0.3)
    (operation,) = json.loads(juju.cli("operations", "--actions", "slow", "--format", "json")).values()
    (task,) = operation["tasks"]
    juju.cli("cancel-task", task)
    assert json.loads(juju.cli("show-task", task, "--wait", "20s", "--format=json"))["status"] in (
        "aborted",
        "cancelled",
    )
    active(juju)


def test_exec(juju: jubilant.Juju) -> None:
    task = juju.exec("echo $JUJU_UNIT_NAME; echo problem >&2", unit="tiny/1")
    assert (task.stdout, task.stderr, task.return_code) == ("tiny/1\n", "problem\n", 0)
    with pytest.raises(jubilant.TaskError) as caught:
        juju.exec("exit 5", unit="tiny/leader")
    assert caught.value.task.return_code == 5
    assert juju.exec("echo", "a  b", machine=0).stdout == "a  b\n"


def test_config(juju: jubilant.Juju) -> None:
    config = juju.config("tiny")
    assert (config["greeting"], config["count"], config["fail"]) == ("hi", 3, False)
    assert "token" not in config
    juju.config("tiny", {"greeting": "bye", "count": 5})
    juju.wait(
        lambda status: {unit.workload_status.message for unit in status.get_units("tiny").values()} == {"greeting bye"},
        delay=0.1,
    )
    juju.config("tiny", reset=["greeting", "count"])
    config = juju.config("tiny")
    assert (config["greeting"], config["count"]) == ("hello", 1)
    assert juju.config("tiny", app_config=True)["trust"] is False
    juju.trust("tiny")
    assert juju.config("tiny", app_config=True)["trust"] is True
    with pytest.raises(jubilant.CLIError, match='unknown option "nothing"'):
        juju.config("tiny", {"nothing": 1})
    active(juju)


def test_model_config(juju: jubilant.Juju) -> None:
    juju.model_config({"update-status-hook-interval": "10m"})
    assert juju.model_config()["update-status-hook-interval"] == "10m"
    juju.model_config(reset="update-status-hook-interval")
    assert juju.model_config()["update-status-hook-interval"] == "5m"


def test_hook_error_and_resolved(juju: jubilant.Juju) -> None:
    juju.model_config({"automatically-retry-hooks": False})
    juju.config("tiny", {"fail": True})
    status = juju.wait(lambda status: jubilant.all_error(status, "tiny"), delay=0.1, successes=1)
    unit = status.apps["tiny"].units["tiny/0"]
    assert unit.workload_status.message == 'hook failed: "config-changed"'
    juju.config("tiny", {"fail": False})
    juju.cli("resolved", "--all")
    active(juju)
    juju.model_config(reset="automatically-retry-hooks")


def test_integrate(juju: jubilant.Juju, charm: pathlib.Path) -> None:
    juju.deploy(charm, "other")
    juju.integrate("tiny:web", "other:backend")
    status = active(juju)
    assert status.apps["tiny"].relations["web"][0].related_app == "other"
    unit = juju.show_unit("other/0")
    (info,) = [info for info in unit.relation_info if info.endpoint == "backend"]
    assert set(info.related_units) == {"tiny/0", "tiny/1"}
    juju.remove_relation("tiny:web", "other:backend")
    juju.wait(lambda status: "web" not in status.apps["tiny"].relations, delay=0.1)
    juju.remove_application("other")
    juju.wait(lambda status: "other" not in status.apps and len(status.machines) == 2, delay=0.1)


def test_secrets(juju: jubilant.Juju) -> None:
    uri = juju.add_secret("mine", {"token": "s3cret", "other": "x"}, info="described")
    assert uri.startswith("secret:")
    with pytest.raises(jubilant.TaskError):
        juju.exec(f"secret-get {uri} token", unit="tiny/0")
    juju.grant_secret("mine", "tiny")
    assert juju.exec(f"secret-get {uri} token", unit="tiny/0").stdout == "s3cret\n"
    juju.update_secret(uri, {"token": "changed"}, info="again")
    revealed = juju.show_secret("mine", reveal=True)
    assert (revealed.revision, revealed.content, revealed.description) == (2, {"token": "changed"}, "again")
    assert [secret.name for secret in juju.secrets() if secret.uri.unique_identifier == uri.unique_identifier] == [
        "mine"
    ]
    juju.cli("revoke-secret", "mine", "tiny")
    juju.remove_secret(uri)
    assert uri.unique_identifier not in [secret.uri.unique_identifier for secret in juju.secrets()]


def test_storage(juju: jubilant.Juju) -> None:
    status = juju.status()
    instances = status.storage.storage
    assert {name.partition("/")[0] for name in instances} == {"data"}
    assert {unit for one in instances.values() if one.attachments for unit in one.attachments.units} == {
        "tiny/0",
        "tiny/1",
    }
    juju.ssh("tiny/0", "true")
    juju.add_unit("tiny")
    active(juju)
    (added,) = set(juju.status().storage.storage) - set(instances)
    juju.remove_unit("tiny/2")
    juju.wait(lambda status: len(status.apps["tiny"].units) == 2, delay=0.1)
    detached = juju.status().storage.storage[added]
    assert (detached.status.current, detached.persistent) == ("detached", True)
    juju.add_unit("tiny", attach_storage=added)
    status = active(juju)
    attachments = status.storage.storage[added].attachments
    assert attachments is not None
    assert list(attachments.units) == ["tiny/3"]
    juju.remove_unit("tiny/3", destroy_storage=True)
    juju.wait(lambda status: added not in status.storage.storage, delay=0.1)


def test_ssh_and_scp(juju: jubilant.Juju, tmp_path: pathlib.Path) -> None:
    assert juju.ssh("tiny/0", "echo", "$((1 + 1))") == "2\n"
    file = tmp_path / "file"
    file.write_text("content")
    juju.scp(file, "tiny/leader:copy")
    juju.scp("tiny/leader:copy", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "content"
    with pytest.raises(jubilant.CLIError) as caught:
        juju.ssh("tiny/1", "exit 9")
    assert caught.value.returncode == 9


def test_debug_log(juju: jubilant.Juju) -> None:
    lines = juju.debug_log().splitlines()
    assert any(line.startswith("unit-tiny-0: ") for line in lines)
    assert juju.debug_log(limit=2).splitlines() != []


def test_refresh(juju: jubilant.Juju, tmp_path: pathlib.Path) -> None:
    before = juju.status().apps["tiny"].charm_rev
    juju.refresh("tiny", path=jubilant_charm.pack(tmp_path, version="2"))
    status = juju.wait(
        lambda status: (
            status.apps["tiny"].charm_rev > before
            and not any(unit.upgrading_from for unit in status.apps["tiny"].units.values())
            and jubilant.all_agents_idle(status)
        ),
        delay=0.1,
    )
    assert {unit.workload_status.current for unit in status.apps["tiny"].units.values()} == {"active"}
    with pytest.raises(jubilant.CLIError, match="requires either --path or --switch"):
        juju.refresh("tiny")
    with pytest.raises(jubilant.CLIError, match='cannot refresh "tiny" to "else"'):
        juju.refresh("tiny", path=jubilant_charm.pack(tmp_path, name="else"))


def test_a_model_of_its_own_for_a_test(environment: None, charm: pathlib.Path) -> None:
    os.environ["PATH"] = f"{ROOT}/lab/bin:{os.environ['PATH']}"
    with jubilant.temp_model() as juju:
        juju.wait_timeout = 60
        juju.deploy(str(charm))
        active(juju)
        name = juju.model
    listed = client("").cli("models", "--format", "json", include_model=False)
    assert name not in [model["short-name"] for model in json.loads(listed)["models"]]
