"""Charms of the local Charmhub, deployed and refreshed by python-libjuju."""

from __future__ import annotations

import json
import pathlib
import typing
from collections.abc import Iterator

import api_world
import pytest
import requests
from juju import errors

from lab.controller import charmhub

MODEL = "from-charmhub"


@pytest.fixture(scope="module")
def model(api: api_world.ApiLab) -> Iterator[typing.Any]:
    made = api.add_model(MODEL)
    yield made
    api.run(made.disconnect())
    api.rpc("destroy_model", model=MODEL, destroy_storage=True)


@pytest.fixture(scope="module")
def published(api: api_world.ApiLab, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The charm `hub`, at its first revision in 1/stable and at its second in 1/edge."""
    directory, root = tmp_path_factory.mktemp("charm"), api.state / "charmhub"
    charmhub.publish(root, "hub", api_world.charm(directory, name="hub"), ["1/stable"])
    charmhub.publish(root, "hub", api_world.charm(directory, "2", name="hub"), ["1/edge"])
    index = root / "hub" / "index.json"
    described = json.loads(index.read_text())
    (root / "hub" / "resources").mkdir()
    for revision, content in ((1, "old"), (2, "new")):
        described["revisions"][str(revision)]["resources"] = {"blob": revision}
        (root / "hub" / "resources" / f"blob_r{revision}").write_text(content)
    index.write_text(json.dumps(described))
    return 2


@pytest.mark.api("Charms.ResolveCharms", "Charms.AddCharm", "Application.DeployFromRepository")
def test_deploy_and_refresh(api: api_world.ApiLab, model: typing.Any, published: int) -> None:
    hub = api.run(model.deploy("hub", channel="1/stable", config={"greeting": "hi"}, trust=True, num_units=1))
    api.idle(model)
    assert hub.safe_data["charm-url"].endswith("/hub-1")
    shown = json.loads(api.juju("status", "-m", MODEL, "--format", "json"))["applications"]["hub"]
    assert (shown["charm-origin"], shown["charm-rev"], shown["charm-channel"]) == ("charmhub", 1, "1/stable")
    assert api.rpc("get_config", model=MODEL, application="hub")["settings"]["greeting"]["value"] == "hi"
    assert api.run(hub.get_trusted()) is True
    blob = "cat $(resource-get blob)"
    assert api.run(hub.units[0].run(blob, block=True)).results["stdout"].strip() == "old"
    api.run(hub.refresh(channel="1/edge", revision=2))
    assert hub.safe_data["charm-url"].endswith("/hub-2")
    api.idle(model)
    assert api.run(hub.units[0].run(blob, block=True)).results["stdout"].strip() == "new"
    shown = json.loads(api.juju("status", "-m", MODEL, "--format", "json"))["applications"]["hub"]
    assert (shown["charm-rev"], shown["charm-channel"]) == (2, "1/edge")
    origin = api.call(model, "Application", "GetCharmURLOrigin", application="hub")["charm-origin"]
    assert (origin["source"], origin["track"], origin["risk"], origin["revision"]) == ("charm-hub", "1", "edge", 2)
    api.run(model.remove_application("hub", block_until_done=True, destroy_storage=True))


def test_a_revision_of_a_channel(api: api_world.ApiLab, model: typing.Any, published: int) -> None:
    api.run(model.deploy("hub", "pinned", channel="1/edge", revision=1))
    api.idle(model)
    shown = json.loads(api.juju("status", "-m", MODEL, "--format", "json"))["applications"]["pinned"]
    assert (shown["charm-rev"], shown["charm-channel"]) == (1, "1/edge")
    api.run(model.remove_application("pinned", block_until_done=True, destroy_storage=True))


def test_what_is_not_published(api: api_world.ApiLab, model: typing.Any, published: int) -> None:
    with pytest.raises(errors.JujuError, match='charm or bundle not found for channel "", name "none"'):
        api.run(model.deploy("none", channel="1/stable"))
    with pytest.raises(errors.JujuError, match='not found for channel "9/stable", name "hub"'):
        api.run(model.deploy("hub", channel="9/stable"))
    result = api.call(model, "Application", "DeployFromRepository", Args=[{"CharmName": "none"}])["results"]
    assert [error["code"] for error in result[0]["Errors"]] == ["not found"]
    code, message = api.refusal(model, "Charms", "AddCharm", url="ch:hub-7")
    assert (code, message) == ("not found", 'charm "hub" has no revision 7')
    code, message = api.refusal(model, "Charms", "AddCharm", url="cs:old-1")
    assert (code, message) == ("bad request", 'cannot parse charm URL "cs:old-1"')


@pytest.mark.api("GET /v2/charms/info/{name}")
def test_what_charmhub_is_asked(api: api_world.ApiLab, model: typing.Any, published: int) -> None:
    address = api.run(model.get_config())["charmhub-url"].value
    assert address.startswith("http://127.0.0.1:")
    found = requests.get(f"{address}/v2/charms/info/hub", timeout=10).json()
    assert (found["name"], found["type"]) == ("hub", "charm")
    assert found["default-release"]["revision"] == {"revision": 1, "version": "1", "subordinate": False}
    assert found["default-release"]["resources"][0]["revision"] == 1
    channels = {one["channel"]["name"]: one["revision"]["revision"] for one in found["channel-map"]}
    assert channels == {"1/stable": 1, "1/edge": 2}
    assert requests.get(f"{address}/v2/charms/info/none", timeout=10).status_code == 404
    assert [one["name"] for one in api.run(model.charmhub.list_resources("hub"))] == ["blob"]


def test_a_charm_that_was_uploaded_takes_the_place_of_one_from_charmhub(
    api: api_world.ApiLab, model: typing.Any, published: int, tmp_path: pathlib.Path
) -> None:
    hub = api.run(model.deploy("hub", "switched", channel="1/stable"))
    api.idle(model)
    api.run(hub.refresh(path=str(api_world.charm(tmp_path, "3", name="hub"))))
    api.idle(model)
    shown = json.loads(api.juju("status", "-m", MODEL, "--format", "json"))["applications"]["switched"]
    assert shown["charm-origin"] == "local"
    assert "charm-channel" not in shown
