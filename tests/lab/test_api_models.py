"""Models over Juju's client API: made, listed, configured, destroyed; clouds and the controller itself."""

from __future__ import annotations

import asyncio
import json
import pathlib
import typing
from collections.abc import Iterator

import api_world
import pytest
from juju import errors
from juju.client import client


@pytest.fixture(scope="module")
def controller(api: api_world.ApiLab) -> Iterator[typing.Any]:
    found = api.connect()
    yield found
    api.run(found.disconnect())


@pytest.fixture(scope="module")
def model(api: api_world.ApiLab) -> Iterator[typing.Any]:
    made = api.add_model("looked-at")
    yield made
    api.run(made.disconnect())
    api.rpc("destroy_model", model="looked-at")


@pytest.mark.api("ModelManager.ListModelSummaries", "Controller.ControllerAPIInfoForModels")
def test_the_controller_tells_where_it_is(api: api_world.ApiLab, controller: typing.Any) -> None:
    (endpoint,) = api.run(controller.info()).results[0].addresses
    assert endpoint == controller.connection().endpoint
    assert controller.controller_name == "lab"
    listed = json.loads(api.juju("controllers", "--format", "json"))["controllers"]["lab"]
    assert (listed["api-endpoints"], listed["uuid"]) == ([endpoint], controller.controller_uuid)
    shown = json.loads(api.juju("show-controller", "--format", "json"))["lab"]
    assert shown["details"]["api-endpoints"] == [endpoint]
    assert "password" not in shown["account"]
    shown = json.loads(api.juju("show-controller", "--show-password", "--format", "json"))["lab"]
    assert shown["account"]["password"] == controller.connection().password


@pytest.mark.api("Controller.ControllerConfig", "Controller.ControllerVersion")
def test_the_controller_tells_what_it_is(api: api_world.ApiLab, controller: typing.Any) -> None:
    shown = api.rpc("show_controller")
    config = api.call(controller, "Controller", "ControllerConfig")["config"]
    assert (config["controller-uuid"], config["controller-name"]) == (shown["uuid"], "lab")
    assert controller.connection().endpoint.endswith(f":{config['api-port']}")
    assert api.call(controller, "Controller", "ControllerVersion")["version"] == shown["version"]


@pytest.mark.api("Cloud.Clouds", "Cloud.Cloud")
def test_there_is_one_cloud(api: api_world.ApiLab, controller: typing.Any) -> None:
    assert api.run(controller.get_cloud()) == "lab"
    assert api.run(controller.cloud("lab")).cloud.auth_types == ["empty"]
    assert list(json.loads(api.juju("clouds", "--format", "json"))) == ["lab"]
    assert json.loads(api.juju("credentials", "--format", "json")) == {}
    with pytest.raises(errors.JujuError, match='cloud "moon" not found'):
        api.run(controller.cloud("moon"))


@pytest.mark.api("ModelManager.CreateModel", "ModelManager.ModelInfo", "ModelManager.DestroyModels")
def test_a_model_comes_and_goes(api: api_world.ApiLab, controller: typing.Any) -> None:
    made = api.run(controller.add_model("short", config={"update-status-hook-interval": "7m"}))
    assert (made.info.name, made.info.type_, made.info.life) == ("short", "iaas", "alive")
    shown = json.loads(api.juju("show-model", "short", "--format", "json"))["short"]
    assert shown["model-uuid"] == made.uuid
    assert (
        json.loads(api.juju("model-config", "-m", "short", "--format", "json"))["update-status-hook-interval"]["Value"]
        == "7m"
    )
    (info,) = api.call(controller, "ModelManager", "ModelInfo", entities=[{"tag": f"model-{made.uuid}"}])["results"]
    assert info["result"]["users"][0]["access"] == "admin"
    api.run(made.disconnect())
    api.run(controller.destroy_model("short", destroy_storage=True))

    async def gone() -> None:
        while "short" in await controller.list_models():
            await asyncio.sleep(0.05)

    api.run(gone())
    assert "short" not in api.juju("models")


def test_a_model_is_refused_as_juju_does(api: api_world.ApiLab, controller: typing.Any, model: typing.Any) -> None:
    assert api.refusal(controller, "ModelManager", "CreateModel", name="looked-at") == (
        "already exists",
        'model "looked-at" for admin already exists',
    )
    code, message = api.refusal(controller, "ModelManager", "CreateModel", name="No Name")
    assert code == "bad request" and "is not a valid name" in message
    with pytest.raises(errors.JujuError, match='model "none" not found'):
        api.call(controller, "ModelManager", "DestroyModels", models=[{"model-tag": "model-none"}])
    with pytest.raises(errors.JujuError, match='"unit-a-0" is not a valid model tag'):
        api.call(controller, "ModelManager", "ModelInfo", entities=[{"tag": "unit-a-0"}])


@pytest.mark.api("Controller.AllModels")
def test_models_are_found_by_name(api: api_world.ApiLab, model: typing.Any) -> None:
    """A client whose own files do not know the model asks the controller."""
    found = api.connect_model("looked-at")
    assert (found.uuid, found.name) == (model.uuid, "looked-at")
    api.run(found.disconnect())


@pytest.mark.api("ModelManager.ListModels", "ModelManager.ListModelSummaries", "ModelManager.ModelStatus")
def test_models_are_listed(
    api: api_world.ApiLab, controller: typing.Any, model: typing.Any, tmp_path: pathlib.Path
) -> None:
    listed = api.call(controller, "ModelManager", "ListModels", tag="user-admin")["user-models"]
    assert {one["model"]["name"]: one["model"]["uuid"] for one in listed}["looked-at"] == model.uuid
    uuids = api.run(controller.model_uuids())
    assert uuids["looked-at"] == model.uuid
    assert "controller" in uuids
    api.deploy(model, api_world.charm(tmp_path), num_units=1)
    (status,) = api.call(controller, "ModelManager", "ModelStatus", entities=[{"tag": model.tag}])["results"]
    assert (status["application-count"], status["hosted-machine-count"], status["unit-count"]) == (1, 1, 1)
    assert [one["id"] for one in status["filesystems"]] == ["data/0"]
    summaries = api.call(controller, "ModelManager", "ListModelSummaries")["results"]
    (summary,) = [one["result"] for one in summaries if one["result"]["uuid"] == model.uuid]
    assert {one["entity"]: one["count"] for one in summary["counts"]} == {"machines": 1, "units": 1}
    api.run(model.remove_application("tiny", block_until_done=True, destroy_storage=True))
    api.until(model, lambda: not model.machines)


def test_persistent_storage_is_not_lost_by_mistake(api: api_world.ApiLab, tmp_path: pathlib.Path) -> None:
    kept = api.add_model("with-storage")
    api.deploy(kept, api_world.charm(tmp_path))
    api.run(kept.disconnect())
    controller = api.connect()
    with pytest.raises(errors.JujuError, match="contains persistent storage"):
        api.call(controller, "ModelManager", "DestroyModels", models=[{"model-tag": kept.tag}])
    api.run(controller.destroy_model("with-storage", destroy_storage=True, force=True, max_wait=0))
    api.run(controller.disconnect())


@pytest.mark.api("ModelConfig.ModelGet", "ModelConfig.ModelSet", "ModelConfig.ModelUnset")
def test_model_config(api: api_world.ApiLab, model: typing.Any) -> None:
    key = "update-status-hook-interval"
    assert (api.run(model.get_config())[key].value, api.run(model.get_config())[key].source) == ("5m", "default")
    api.run(model.set_config({key: "10m"}))
    assert api.run(model.get_config())[key].value == "10m"
    assert api.juju("model-config", "-m", "looked-at", key) == "10m\n"
    api.call(model, "ModelConfig", "ModelUnset", keys=[key])
    assert api.juju("model-config", "-m", "looked-at", key) == "5m\n"
    code, message = api.refusal(model, "ModelConfig", "ModelSet", config={"automatically-retry-hooks": "perhaps"})
    assert code == "bad request" and "automatically-retry-hooks: expected bool" in message


def test_model_config_may_be_sent_back(api: api_world.ApiLab, model: typing.Any) -> None:
    """Clients that change one key send all that they have got, and the rest stays the default."""
    config: dict[str, client.ConfigValue] = api.run(model.get_config())
    api.run(model.set_config({key: value for key, value in config.items() if isinstance(value.value, str)}))
    assert {key: value.source for key, value in api.run(model.get_config()).items()} == {
        key: value.source for key, value in config.items()
    }


@pytest.mark.api("ModelConfig.GetModelConstraints", "ModelConfig.SetModelConstraints")
def test_model_constraints(api: api_world.ApiLab, model: typing.Any) -> None:
    assert api.run(model.get_constraints()) == {}
    wanted = {"mem": 2048, "cores": 2, "tags": ["a", "b"]}
    api.call(model, "ModelConfig", "SetModelConstraints", constraints=wanted)
    assert api.juju("model-constraints", "-m", "looked-at").strip() == "cores=2 mem=2048M tags=a,b"
    assert api.run(model.get_constraints()) == wanted
    api.call(model, "ModelConfig", "SetModelConstraints", constraints={})
    assert api.run(model.get_constraints()) == {}


@pytest.mark.api("Annotations.Get", "Annotations.Set", "Client.WatchAll", "AllWatcher.Next")
def test_annotations(api: api_world.ApiLab, model: typing.Any) -> None:
    api.run(model.set_annotations({"owner": "me", "note": "x"}))
    assert api.run(model.get_annotations()) == {"owner": "me", "note": "x"}
    api.run(model.set_annotations({"note": ""}))
    assert api.run(model.get_annotations()) == {"owner": "me"}
    other = api.connect_model("looked-at")
    entity = other.state.get_entity("annotation", model.tag)
    assert entity.annotations == {"owner": "me"}
    api.run(other.disconnect())
