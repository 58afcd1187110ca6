"""Secrets and storage over Juju's client API."""

from __future__ import annotations

import base64
import json
import pathlib
import typing
from collections.abc import Iterator

import api_world
import pytest
from juju import errors

MODEL = "things"


@pytest.fixture(scope="module")
def model(api: api_world.ApiLab) -> Iterator[typing.Any]:
    made = api.add_model(MODEL)
    yield made
    api.run(made.disconnect())
    api.rpc("destroy_model", model=MODEL, destroy_storage=True)


@pytest.fixture(scope="module")
def tiny(api: api_world.ApiLab, model: typing.Any, tmp_path_factory: pytest.TempPathFactory) -> typing.Any:
    return api.deploy(model, api_world.charm(tmp_path_factory.mktemp("charm")))


def plain(secret: typing.Any) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret.value.data.items()}


@pytest.mark.api("Secrets.CreateSecrets", "Secrets.UpdateSecrets", "Secrets.ListSecrets", "Secrets.RemoveSecrets")
def test_secrets(api: api_world.ApiLab, model: typing.Any) -> None:
    uri = api.run(model.add_secret("mine", ["token=s3cret"], info="described"))
    assert uri.startswith("secret:")
    (secret,) = api.run(model.list_secrets(show_secrets=True))
    assert (secret.uri, secret.label, secret.description, secret.latest_revision) == (uri, "mine", "described", 1)
    assert (plain(secret), secret.owner_tag) == ({"token": "s3cret"}, model.tag)
    shown = json.loads(api.juju("show-secret", "-m", MODEL, "mine", "--reveal", "--format", "json"))
    assert shown[uri.removeprefix("secret:")]["content"]["Data"] == {"token": "s3cret"}
    api.run(model.update_secret("mine", ["token=changed"], new_name="ours"))
    (secret,) = api.run(model.list_secrets(show_secrets=True))
    assert (secret.label, secret.description, secret.latest_revision) == ("ours", "described", 2)
    assert plain(secret) == {"token": "changed"}
    (hidden,) = api.run(model.list_secrets(filter={"label": "ours"}))
    assert hidden.value is None
    assert api.run(model.list_secrets(filter={"label": "mine"})) == []
    assert api.run(model.list_secrets(filter={"owner-tag": "application-tiny"})) == []
    (first,) = api.run(model.list_secrets(filter={"uri": uri, "revision": 1}, show_secrets=True))
    assert plain(first) == {"token": "s3cret"}
    with pytest.raises(errors.JujuError, match="secret"):
        api.run(model.add_secret("ours", ["token=x"]))
    api.run(model.remove_secret("ours", revision=1))
    (left,) = api.run(model.list_secrets())
    assert [one.revision for one in left.revisions] == [2]
    api.run(model.remove_secret("ours"))
    assert api.run(model.list_secrets()) == []
    with pytest.raises(errors.JujuError, match='secret "ours" not found'):
        api.run(model.remove_secret("ours"))


@pytest.mark.api("Secrets.GrantSecret", "Secrets.RevokeSecret")
def test_grants(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    uri = api.run(model.add_secret("granted", ["token=s3cret"]))
    read = f"secret-get {uri} token"
    assert api.run(tiny.units[0].run(read, block=True)).results["return-code"] == 1
    api.run(model.grant_secret("granted", "tiny"))
    (secret,) = api.run(model.list_secrets())
    assert [(one.target_tag, one.role) for one in secret.access] == [("application-tiny", "view")]
    assert api.run(tiny.units[0].run(read, block=True)).results["stdout"] == "s3cret\n"
    with pytest.raises(errors.JujuError, match='application "none" not found'):
        api.run(model.grant_secret("granted", "none"))
    api.run(model.revoke_secret("granted", "tiny"))
    assert api.run(tiny.units[0].run(f"{read} --refresh", block=True)).results["return-code"] == 1
    api.run(model.remove_secret("granted"))


@pytest.mark.api("Storage.ListStorageDetails", "Storage.StorageDetails", "Storage.ListFilesystems")
def test_storage_is_shown(api: api_world.ApiLab, model: typing.Any, tiny: typing.Any) -> None:
    (listed,) = api.run(model.list_storage())
    assert (listed["storage-tag"], listed["owner-tag"], listed["life"]) == ("storage-data-0", "unit-tiny-0", "alive")
    assert listed["status"].status == "attached"
    assert listed["attachments"]["unit-tiny-0"].location == "/srv/data"
    (shown,) = api.run(model.show_storage_details("data/0"))
    assert shown["attachments"]["unit-tiny-0"].machine_tag == "machine-0"
    printed = json.loads(api.juju("storage", "-m", MODEL, "--format", "json"))
    (filesystem,) = api.run(model.list_storage(filesystem=True))
    (same,) = printed["filesystems"].values()
    assert (filesystem["info"].filesystem_id, filesystem["info"].size) == (same["provider-id"], same["size"])
    (found,) = api.call(model, "Storage", "ListFilesystems", filters=[{"machines": ["machine-7"]}])["results"]
    assert found["result"] == []
    with pytest.raises(errors.JujuError, match='storage instance "data/9" not found'):
        api.run(model.show_storage_details("data/9"))


@pytest.mark.api("Storage.ListVolumes", "Storage.ListPools")
def test_pools_and_volumes(api: api_world.ApiLab, model: typing.Any) -> None:
    assert api.run(model.list_storage(volume=True)) == []
    pools = {pool["name"]: pool for pool in api.run(model.list_storage_pools())}
    assert set(pools) == set(json.loads(api.juju("storage-pools", "-m", MODEL, "--format", "json")))
    (found,) = api.call(model, "Storage", "ListPools", filters=[{"names": ["rootfs"]}])["results"]
    assert [pool["name"] for pool in found["storage-pools"]] == ["rootfs"]


@pytest.mark.api("Storage.Attach", "Storage.DetachStorage", "Storage.Remove", "Storage.AddToUnit")
def test_storage_outlives_its_unit(
    api: api_world.ApiLab, model: typing.Any, tmp_path: pathlib.Path, tiny: typing.Any
) -> None:
    first = api.deploy(model, api_world.charm(tmp_path), "first")
    api.run(first.units[0].run("echo kept > data", block=True))
    tag = next(one["storage-tag"] for one in api.run(model.list_storage()) if one["owner-tag"] == "unit-first-0")
    identifier = tag.removeprefix("storage-").replace("-", "/")
    with pytest.raises(errors.JujuError, match="is attached"):
        api.call(model, "Storage", "Remove", storage=[{"tag": tag, "destroy-storage": True}])
    with pytest.raises(errors.JujuError, match="at most 1 instances supported"):
        api.run(first.units[0].add_storage("data"))
    api.run(first.units[0].detach_storage(identifier))

    def detached() -> bool:
        (shown,) = api.rpc("show_storage", model=MODEL, storage=[identifier]).values()
        return shown["status"]["current"] == "detached"

    api.until(model, detached)
    api.run(first.units[0].attach_storage([identifier]))
    api.until(model, lambda: not detached())
    with pytest.raises(errors.JujuError, match="it is attached already"):
        api.run(first.units[0].attach_storage([identifier]))
    api.idle(model)
    api.run(first.units[0].destroy())
    api.until(model, lambda: not first.units)
    (again,) = api.run(first.add_unit(attach_storage=[tag]))
    api.idle(model)
    (shown,) = api.run(model.show_storage_details(identifier))
    assert list(shown["attachments"]) == [again.tag]
    api.run(again.detach_storage(identifier))
    api.until(model, detached)
    (added,) = api.run(again.add_storage("data"))
    assert {one["storage-tag"]: one["owner-tag"] for one in api.run(model.list_storage())}[added] == again.tag
    api.idle(model)
    api.run(model.remove_application("first", block_until_done=True))
    assert detached()
    with pytest.raises(errors.JujuError, match='"data/1" is not a valid storage tag'):
        api.call(model, "Storage", "Remove", storage=[{"tag": "data/1"}])
    for each in (tag, added):
        api.run(model.remove_storage(each, destroy_storage=True))
    assert not {tag, added} & {one["storage-tag"] for one in api.run(model.list_storage())}
