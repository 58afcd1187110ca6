"""Applications, units, machines and relations over Juju's client API, on the state that the `juju` command shows."""

from __future__ import annotations

import hashlib
import json
import pathlib
import typing
from collections.abc import Iterator

import api_world
import pytest
from juju import errors
from juju.client import client

MODEL = "applications"


@pytest.fixture(scope="module")
def charm(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return api_world.charm(tmp_path_factory.mktemp("charm"))


@pytest.fixture(scope="module")
def model(api: api_world.ApiLab) -> Iterator[typing.Any]:
    made = api.add_model(MODEL)
    yield made
    api.run(made.disconnect())
    api.rpc("destroy_model", model=MODEL, destroy_storage=True)


@pytest.fixture(scope="module")
def tiny(api: api_world.ApiLab, model: typing.Any, charm: pathlib.Path) -> typing.Any:
    """Two units of an application."""
    blob = charm.with_name("blob")
    blob.write_text("first")
    return api.deploy(
        model,
        charm,
        num_units=2,
        config={"greeting": "hi", "count": 3},
        storage={"data": {"size": 2048, "count": 1}},
        resources={"blob": str(blob)},
        constraints={"mem": 2048},
        trust=True,
    )


def status(api: api_world.ApiLab) -> dict[str, typing.Any]:
    return json.loads(api.juju("status", "-m", MODEL, "--format", "json"))


# Deployment


def test_deploy(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    assert [(unit.name, unit.workload_status, unit.agent_status) for unit in tiny.units] == [
        ("tiny/0", "active", "idle"),
        ("tiny/1", "active", "idle"),
    ]
    assert (tiny.status, tiny.charm_name, tiny.safe_data["charm-url"]) == ("active", "tiny", "local:tiny-0")
    machine = tiny.units[0].machine
    assert (machine.id, machine.status, machine.agent_status, machine.series) == ("0", "running", "started", "noble")
    shown = status(api)
    assert machine.hostname == shown["machines"]["0"]["hostname"]
    assert machine.dns_name == tiny.units[0].public_address == shown["machines"]["0"]["dns-name"]
    config = api.rpc("get_config", model=MODEL, application="tiny")
    assert {key: config["settings"][key]["value"] for key in ("greeting", "count")} == {"greeting": "hi", "count": 3}
    assert config["application-config"]["trust"]["value"] is True
    assert [one["size"] for one in shown["storage"]["filesystems"].values()] == [2048, 2048]
    assert api.juju("exec", "-m", MODEL, "--unit", "tiny/0", "--", "cat $(resource-get blob)").strip() == "first"


@pytest.mark.api("Client.FullStatus")
def test_full_status_is_that_of_the_command_line(api: api_world.ApiLab, tiny: typing.Any, model: typing.Any) -> None:
    full, shown = api.run(model.get_status()), status(api)
    assert set(full.applications) == set(shown["applications"])
    application, printed = full.applications["tiny"], shown["applications"]["tiny"]
    assert (application.charm, application.status.status) == (
        printed["charm"],
        printed["application-status"]["current"],
    )
    assert application.workload_version == printed["version"] == "1"
    assert application.endpoint_bindings == printed["endpoint-bindings"]
    for name, unit in application.units.items():
        view = printed["units"][name]
        assert (unit.workload_status.status, unit.workload_status.info) == (
            view["workload-status"]["current"],
            view["workload-status"]["message"],
        )
        assert (unit.agent_status.status, unit.machine) == (view["juju-status"]["current"], view["machine"])
        assert bool(unit.leader) == view.get("leader", False)
    assert {name: machine.instance_id for name, machine in full.machines.items()} == {
        name: machine["instance-id"] for name, machine in shown["machines"].items()
    }
    assert full.model.name == MODEL
    assert [relation.key for relation in full.relations] == ["tiny:peers"]
    some = api.run(model.get_status(filters=["tiny/1"]))
    assert list(some.applications["tiny"].units) == ["tiny/1"]


def test_both_ways_of_waiting(
    api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.idle(model, apps=["tiny"], wait_for_exact_units=2)
    monkeypatch.setenv("JUJU_NEW_WAIT_FOR_IDLE", "1")
    api.idle(model, apps=["tiny"], wait_for_exact_units=2)


@pytest.mark.api("Application.Leader", "Application.UnitsInfo", "Application.ApplicationsInfo")
def test_units_and_applications_in_detail(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    leaders = [unit.name for unit in tiny.units if api.run(unit.is_leader_from_status())]
    facade = client.ApplicationFacade.from_connection(model.connection())
    assert [api.run(facade.Leader(tag="application-tiny")).result] == leaders
    refused = api.refusal(model, "Application", "Leader", tag="application-none")
    assert refused == ("not found", 'application "none" not found')
    (unit,) = api.call(model, "Application", "UnitsInfo", entities=[{"tag": "unit-tiny-1"}])["results"]
    assert (unit["result"]["machine"], unit["result"]["workload-version"]) == ("1", "1")
    assert unit["result"]["public-address"] == api.run(tiny.units[1].get_public_address())
    (found,) = api.call(model, "Application", "ApplicationsInfo", entities=[{"tag": "application-tiny"}])["results"]
    assert (found["result"]["charm"], found["result"]["base"]["channel"]) == ("tiny", "24.04/stable")
    with pytest.raises(errors.JujuError, match='unit "tiny/9" not found'):
        api.call(model, "Application", "UnitsInfo", entities=[{"tag": "unit-tiny-9"}])


def test_deploy_is_refused_as_juju_does(
    api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, charm: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(errors.JujuError, match='cannot add application "tiny": application already exists'):
        api.run(model.deploy(str(charm), application_name="tiny"))
    with pytest.raises(errors.JujuError, match='unknown option "colour"'):
        api.run(model.deploy(str(charm), application_name="other", config={"colour": "red"}))
    with pytest.raises(errors.JujuError, match='charm "local:tiny-99" not found'):
        api.call(model, "Application", "Deploy", applications=[{"application": "other", "charm-url": "local:tiny-99"}])
    broken = tmp_path / "broken.charm"
    broken.write_text("no zip")
    with pytest.raises(errors.JujuError, match="cannot read charm archive"):
        api.run(model.add_local_charm_dir(broken, ""))
    assert list(status(api)["applications"]) == ["tiny"]
    assert not list((api.state / "charms" / model.uuid).glob("upload-*"))


def test_a_deployment_is_all_or_nothing(
    api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, charm: pathlib.Path
) -> None:
    url = api.run(model.add_local_charm_dir(charm, ""))
    wanted = {"charm-url": url, "num-units": 1}
    with pytest.raises(errors.JujuError, match='invalid application name "No"'):
        api.call(
            model,
            "Application",
            "Deploy",
            applications=[wanted | {"application": "No"}, wanted | {"application": "yes"}],
        )
    assert set(status(api)["applications"]) == {"tiny", "yes"}
    api.run(model.block_until(lambda: "yes" in model.applications))
    api.run(model.remove_application("yes", block_until_done=True))


@pytest.mark.api("Application.Deploy", "POST /model/{model}/charms")
def test_placement(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, charm: pathlib.Path) -> None:
    beside = api.deploy(model, charm, "beside", to="1")
    assert [unit.machine.id for unit in beside.units] == ["1"]
    with pytest.raises(errors.JujuError, match="only machines of the model work"):
        api.run(model.deploy(str(charm), application_name="inside", to="lxd:0"))
    api.run(model.remove_application("beside", block_until_done=True, destroy_storage=True))


# Settings


@pytest.mark.api("Application.Get", "Application.SetConfigs", "Application.UnsetApplicationsConfig")
def test_config(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    before = api.run(tiny.get_config())["greeting"]
    assert (before["value"], before["source"], before["default"], before["type"]) == ("hi", "user", "hello", "string")
    api.run(tiny.set_config({"greeting": "bye", "count": "5"}))
    assert api.juju("config", "-m", MODEL, "tiny", "greeting") == "bye\n"
    api.until(model, lambda: {unit.workload_status_message for unit in tiny.units} == {"greeting bye"})
    assert api.run(tiny.get_config())["count"]["value"] == 5
    api.run(tiny.reset_config(["greeting", "count"]))
    assert api.run(tiny.get_config())["greeting"]["source"] == "default"
    for config, message in (({"colour": "red"}, 'unknown option "colour"'), ({"count": "many"}, "expected int")):
        with pytest.raises(errors.JujuError, match=message):
            api.run(tiny.set_config(config))
    api.idle(model)


@pytest.mark.api("Application.GetConfig")
def test_config_of_several(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    (found,) = api.call(model, "Application", "GetConfig", entities=[{"tag": "application-tiny"}])["results"]
    assert found["config"]["count"]["default"] == 1
    with pytest.raises(errors.JujuError, match='application "none" not found'):
        api.call(model, "Application", "GetConfig", entities=[{"tag": "application-none"}])


def test_trust(api: api_world.ApiLab, tiny: typing.Any, model: typing.Any) -> None:
    assert api.run(tiny.get_trusted()) is True
    api.run(tiny.set_trusted(False))
    assert api.run(tiny.get_trusted()) is False
    assert api.rpc("get_config", model=MODEL, application="tiny")["application-config"]["trust"]["value"] is False


@pytest.mark.api("Application.GetConstraints", "Application.SetConstraints")
def test_constraints(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    assert api.run(tiny.get_constraints())["mem"] == 2048
    api.run(tiny.set_constraints({"cores": 2, "mem": 4096}))
    (found,) = api.call(model, "Application", "GetConstraints", entities=[{"tag": "application-tiny"}])["results"]
    assert found["constraints"] == {"cores": 2, "mem": 4096}
    api.until(model, lambda: tiny.constraints == {"cores": 2, "mem": 4096})


@pytest.mark.api("Application.Expose", "Application.Unexpose")
def test_expose(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    api.run(tiny.expose())
    api.until(model, lambda: tiny.exposed)
    assert status(api)["applications"]["tiny"]["exposed"] is True
    api.run(tiny.unexpose())
    api.until(model, lambda: not tiny.exposed)


# Units and machines


@pytest.mark.api("Application.AddUnits", "Application.DestroyUnit")
def test_units_come_and_go(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    (added,) = api.run(tiny.add_unit())
    assert added.name in status(api)["applications"]["tiny"]["units"]
    api.idle(model, wait_for_exact_units=3)
    host = added.machine.id
    (storage,) = [one["storage-tag"] for one in api.run(model.list_storage()) if one["owner-tag"] == added.tag]
    (kept,) = api.call(model, "Application", "DestroyUnit", units=[{"unit-tag": added.tag, "dry-run": True}])["results"]
    assert [one["tag"] for one in kept["info"]["detached-storage"]] == [storage]
    assert added.alive
    api.run(added.destroy(destroy_storage=True))
    api.until(model, lambda: len(tiny.units) == 2 and host not in model.machines)
    assert set(status(api)["applications"]["tiny"]["units"]) == {"tiny/0", "tiny/1"}
    with pytest.raises(errors.JujuError, match='unit "tiny/9" not found'):
        api.run(tiny.destroy_units("tiny/9"))


@pytest.mark.api("MachineManager.AddMachines", "MachineManager.DestroyMachineWithParams")
def test_machines_come_and_go(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    machine = api.run(model.add_machine())
    api.until(model, lambda: machine.agent_status == "started")
    number = machine.id
    assert number in status(api)["machines"]
    api.run(machine.destroy())
    assert machine.dead
    assert number not in status(api)["machines"]
    with pytest.raises(errors.JujuError, match=r'machine 0 has unit "tiny/0" assigned'):
        api.run(model.machines["0"].destroy())
    with pytest.raises(ValueError, match="machines have no containers"):
        api.run(model.add_machine("lxd"))


@pytest.mark.api("Application.ResolveUnitErrors")
def test_a_hook_in_error_is_resolved(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    api.run(model.set_config({"automatically-retry-hooks": "false"}))
    unit = tiny.units[0]
    api.run(tiny.set_config({"fail": "true"}))
    api.until(model, lambda: all(unit.workload_status == "error" for unit in tiny.units))
    assert unit.workload_status_message == 'hook failed: "config-changed"'
    with pytest.raises(errors.JujuUnitError):
        api.run(model.wait_for_idle(apps=["tiny"], timeout=5))
    api.run(tiny.set_config({"fail": "false"}))
    api.run(unit.resolved(retry=True))
    api.until(model, lambda: unit.workload_status == "active")
    api.call(model, "Application", "ResolveUnitErrors", all=True, retry=True)
    api.until(model, lambda: all(unit.workload_status == "active" for unit in tiny.units))
    api.idle(model)
    with pytest.raises(errors.JujuError, match='unit "tiny/0" is not in an error state'):
        api.run(unit.resolved(retry=True))
    api.call(model, "ModelConfig", "ModelUnset", keys=["automatically-retry-hooks"])


# Refresh


@pytest.mark.api("Application.GetCharmURLOrigin", "Application.SetCharm", "Resources.AddPendingResources",
                 "PUT /model/{model}/applications/{application}/resources/{resource}")  # fmt: skip
def test_refresh(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, tmp_path: pathlib.Path) -> None:
    blob = tmp_path / "blob"
    blob.write_text("second")
    origin = api.call(model, "Application", "GetCharmURLOrigin", application="tiny")
    assert origin["url"] == tiny.safe_data["charm-url"]
    assert origin["charm-origin"]["source"] == "local"
    api.run(tiny.refresh(path=str(api_world.charm(tmp_path, "2")), resources={"blob": str(blob)}))
    url = tiny.safe_data["charm-url"]
    assert url != origin["url"]
    api.until(model, lambda: {unit.safe_data["charm-url"] for unit in tiny.units} == {url})
    api.idle(model)
    assert {unit.workload_status_message for unit in tiny.units} == {"greeting hello"}
    application = status(api)["applications"]["tiny"]
    assert (application["charm"], application["charm-rev"]) == (url, int(url.rpartition("-")[2]))
    assert api.juju("exec", "-m", MODEL, "--unit", "tiny/0", "--", "cat $(resource-get blob)").strip() == "second"
    assert not list((api.state / "resources" / model.uuid / "pending").iterdir())


def test_a_refresh_by_either_client_is_the_same_refresh(
    api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, charm: pathlib.Path
) -> None:
    api.juju("refresh", "-m", MODEL, "tiny", "--path", str(charm))
    printed = status(api)["applications"]["tiny"]["charm"]
    api.until(model, lambda: tiny.safe_data["charm-url"] == printed)
    api.idle(model)


@pytest.mark.api("Resources.ListResources", "PUT /model/{model}/applications/{application}/resources/{resource}")
def test_resources(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, tmp_path: pathlib.Path) -> None:
    blob = tmp_path / "blob"
    blob.write_text("third")
    before = int(api.rpc("resources", model=MODEL, application="tiny")["resources"][0]["revision"])
    with blob.open() as file:
        tiny.attach_resource("blob", "blob.txt", file)
    assert api.run(tiny.get_resources())["blob"].revision == before + 1
    (listed,) = api.call(model, "Resources", "ListResources", entities=[{"tag": "application-tiny"}])["results"]
    (resource,) = listed["resources"]
    assert (resource["origin"], resource["username"], resource["size"]) == ("upload", "admin", 5)
    with blob.open() as file, pytest.raises(errors.JujuError, match="not found"):
        tiny.attach_resource("none", "none", file)
    connection, headers, path = model.connection().https_connection()
    target = f"{path}/applications/tiny/resources/blob"
    connection.request("PUT", target, b"cut o", headers | {"Content-Sha384": hashlib.sha384(b"cut off").hexdigest()})
    answer = connection.getresponse()
    assert (answer.status, "fingerprint of the upload is" in answer.read().decode()) == (400, True)
    announced = [{"name": "blob", "origin": "upload"}]
    (pending,) = api.call(model, "Resources", "AddPendingResources", tag="application-tiny", resources=announced)[
        "pending-ids"
    ]
    code, message = api.refusal(
        model, "Application", "SetCharm", application="tiny", resource_ids={}, **{
            "charm-url": tiny.safe_data["charm-url"], "resource-ids": {"blob": pending}},
    )  # fmt: skip
    assert (code, message) == ("bad request", 'resource "blob" was announced, but not uploaded')
    api.idle(model)


# Relations


@pytest.mark.api("Application.AddRelation", "Application.DestroyRelation")
def test_relations(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any, charm: pathlib.Path) -> None:
    api.deploy(model, charm, "other")
    relation = api.run(model.integrate("tiny:web", "other:backend"))
    assert (relation.requires.application_name, relation.provides.name) == ("other", "web")
    shown = status(api)["applications"]["tiny"]["relations"]["web"]
    assert [one["related-application"] for one in shown] == ["other"]
    # Once more it is the same one.
    assert api.run(model.integrate("tiny:web", "other:backend")).id == relation.id
    for ends, message in (
        (["tiny:none", "other"], 'application "tiny" has no "none" relation'),
        (["tiny", "nobody"], 'application "nobody" not found'),
    ):
        assert message in api.refusal(model, "Application", "AddRelation", endpoints=ends)[1]
    api.idle(model)
    api.run(tiny.remove_relation("web", "other:backend", block_until_done=True))
    assert "web" not in status(api)["applications"]["tiny"]["relations"]
    again = api.run(model.integrate("tiny:web", "other:backend"))
    api.call(model, "Application", "DestroyRelation", **{"relation-id": again.id, "force": True})
    api.until(model, lambda: again.dead)
    code, _ = api.refusal(model, "Application", "DestroyRelation", endpoints=["tiny:web", "other:backend"])
    assert code == "not found"
    api.run(model.remove_application("other", block_until_done=True, destroy_storage=True))


# Removal


@pytest.mark.api("Application.DestroyApplication")
def test_remove_application(api: api_world.ApiLab, model: typing.Any, charm: pathlib.Path) -> None:
    gone = api.deploy(model, charm, "gone")
    wanted = {"application-tag": gone.tag, "destroy-storage": True, "dry-run": True}
    (planned,) = api.call(model, "Application", "DestroyApplication", applications=[wanted])["results"]
    assert planned["info"]["destroyed-units"] == [{"tag": "unit-gone-0"}]
    assert len(planned["info"]["destroyed-storage"]) == 1
    host = gone.units[0].machine.id
    api.run(model.remove_application("gone", block_until_done=True, destroy_storage=True, timeout=30))
    api.until(model, lambda: host not in model.machines)
    shown = status(api)
    assert "gone" not in shown["applications"]
    assert host not in shown["machines"]
    with pytest.raises(errors.JujuError, match='application "gone" not found'):
        api.call(model, "Application", "DestroyApplication", applications=[wanted])


def test_remove_by_force_without_waiting(api: api_world.ApiLab, model: typing.Any, charm: pathlib.Path) -> None:
    stuck = api.deploy(model, charm, "stuck")
    api.run(model.set_config({"automatically-retry-hooks": "false"}))
    api.run(stuck.set_config({"fail": "true"}))
    api.until(model, lambda: stuck.units[0].workload_status == "error")
    api.run(model.remove_application("stuck", block_until_done=True, force=True, no_wait=True, timeout=30))
    assert "stuck" not in status(api)["applications"]
