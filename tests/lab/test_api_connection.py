"""Connections to Juju's client API of the lab: who may, what is refused and in which words, and how it is found."""

from __future__ import annotations

import asyncio
import datetime
import pathlib
import ssl
import stat
import time
import typing

import api_world
import pytest
import requests
import yaml
from juju import controller, errors
from juju.client import connection

from lab.api import certificate, client_files, parameters, registry
from lab.controller import operations_common


def controllers(api: api_world.ApiLab) -> dict[str, typing.Any]:
    return yaml.safe_load((api.data / "controllers.yaml").read_text())["controllers"]["lab"]


def connect(api: api_world.ApiLab, **changed: typing.Any) -> connection.Connection:
    described = controllers(api)
    account = yaml.safe_load((api.data / "accounts.yaml").read_text())["controllers"]["lab"]
    arguments: dict[str, typing.Any] = {
        "endpoint": described["api-endpoints"],
        "username": account["user"],
        "password": account["password"],
        "cacert": described["ca-cert"],
        "retries": 0,
    }
    arguments |= changed
    return api.run(connection.Connection.connect(**arguments))


@pytest.mark.api("Admin.Login", "Pinger.Ping")
def test_login_tells_what_there_is(api: api_world.ApiLab) -> None:
    found = connect(api)
    info: typing.Any = found.info
    api.run(found.rpc({"type": "Pinger", "request": "Ping"}))
    assert info["server-version"] == api.rpc("show_controller")["version"]
    assert info["controller-tag"] == f"controller-{api.rpc('show_controller')['uuid']}"
    names = {facade["name"] for facade in info["facades"]}
    assert {"Admin", "ModelManager", "Controller", "Cloud"} <= names
    assert "Application" not in names
    api.run(found.close())


def test_every_facade_is_one_that_the_client_knows_at_that_version(api: api_world.ApiLab) -> None:
    from juju.client import facade_versions

    registry.load()
    known = facade_versions.client_facade_versions
    assert {name: known[name] for name in registry.FACADES if registry.FACADES[name].version not in known[name]} == {}


@pytest.mark.parametrize("wrong", [{"password": "guessed"}, {"password": ""}, {"username": "somebody"}])
def test_whoever_does_not_know_the_password_stays_out(api: api_world.ApiLab, wrong: dict[str, str]) -> None:
    with pytest.raises(errors.JujuAPIError, match="invalid entity name or password") as caught:
        connect(api, **wrong)
    assert caught.value.error_code == "unauthorized access"


def test_a_model_that_is_not_there_has_no_connection(api: api_world.ApiLab) -> None:
    with pytest.raises(errors.JujuAPIError, match='unknown model: "00000000-0000-4000-8000-000000000000"') as caught:
        connect(api, uuid="00000000-0000-4000-8000-000000000000")
    assert caught.value.error_code == "model not found"


def test_nothing_is_answered_before_the_login(api: api_world.ApiLab) -> None:
    async def ask() -> str:
        import json

        import websockets

        described = controllers(api)
        tls = ssl.create_default_context(cadata=described["ca-cert"])
        (endpoint,) = described["api-endpoints"]
        async with websockets.connect(f"wss://{endpoint}/api", ssl=tls) as socket:
            await socket.send('{"request-id": 7, "type": "Pinger", "version": 1, "request": "Ping"}')
            first = json.loads(await socket.recv())
            assert first["request-id"] == 7
            await socket.send("no frame at all")
            assert "error" in json.loads(await socket.recv())
            return f"{first['error-code']}: {first['error']}"

    assert api.run(ask()) == "unauthorized access: not logged in"


@pytest.mark.parametrize(
    ("facade", "request_", "version", "code", "message"),
    [
        ("Nonsense", "Do", 1, "not implemented", 'unknown object type "Nonsense"'),
        ("Pinger", "Pong", 1, "not implemented", "no such request - method Pinger(1).Pong is not implemented"),
        ("Pinger", "Ping", 9, "not implemented", 'unknown version (9) of interface "Pinger"'),
        ("Cloud", "AddCloud", 7, "not implemented", "no such request - method Cloud(7).AddCloud is not implemented"),
        ("Admin", "RedirectInfo", 3, "not implemented", "method Admin(3).RedirectInfo is not implemented"),
        ("Admin", "Login", 2, "not implemented", 'unknown version (2) of interface "Admin"'),
        ("Application", "Deploy", 20, "not supported",
         'facade "Application" not supported for controller API connection'),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused_by_name(
    api: api_world.ApiLab, facade: str, request_: str, version: int, code: str, message: str
) -> None:
    found = api.connect()
    refused = api.refusal(found, facade, request_, version)
    api.run(found.disconnect())
    assert refused[0] == code
    assert message in refused[1]


def test_model_connections_have_the_facades_of_models(api: api_world.ApiLab) -> None:
    model = api.add_model("facades")
    refused = api.refusal(model, "ModelManager", "ListModels", 10)
    assert refused == ("not supported", 'facade "ModelManager" not supported for model API connection')
    api.run(model.disconnect())


def test_http_wants_the_password_too(api: api_world.ApiLab, tmp_path: pathlib.Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(str(controllers(api)["ca-cert"]))
    (endpoint,) = controllers(api)["api-endpoints"]
    for credentials in (None, ("user-admin", "guessed")):
        address = f"https://{endpoint}/model/x/charms"
        answer = requests.post(address, data=b"", verify=str(authority), timeout=10, auth=credentials)
        assert (answer.status_code, answer.json()["error-code"]) == (401, "unauthorized access")
    answer = requests.get(f"https://{endpoint}/model/x/backups", verify=str(authority), timeout=10)
    assert answer.json()["error"] == "GET /model/x/backups is not implemented"


def test_client_files_are_for_their_owner_and_hold_together(api: api_world.ApiLab) -> None:
    private = ("accounts.yaml", "controllers.yaml", "ssh/juju_id_rsa", "cookies/lab.json")
    assert {stat.S_IMODE((api.data / name).stat().st_mode) for name in private} == {0o600}
    assert stat.S_IMODE((api.state / "controller.pem").stat().st_mode) == 0o600
    described = controllers(api)
    assert described["uuid"] == api.rpc("show_controller")["uuid"]
    (endpoint,) = described["api-endpoints"]
    assert str(endpoint).startswith("127.0.0.1:")
    assert (api.data / "ssh/juju_id_rsa.pub").read_text().startswith("ssh-rsa ")
    password = yaml.safe_load((api.data / "accounts.yaml").read_text())["controllers"]["lab"]["password"]
    assert len(password) >= 32
    assert password not in api.log


def test_two_labs_have_nothing_in_common(tmp_path: pathlib.Path) -> None:
    first, second = (client_files.ClientFiles(tmp_path / name, "lab") for name in ("one", "two"))
    assert first.password == first.password != second.password
    now = datetime.datetime.now(datetime.UTC)
    assert certificate.ensure(tmp_path / "1.pem", now) == certificate.ensure(tmp_path / "1.pem", now)
    assert certificate.ensure(tmp_path / "1.pem", now) != certificate.ensure(tmp_path / "2.pem", now)


def test_the_certificate_satisfies_strict_verifiers(api: api_world.ApiLab) -> None:
    import socket

    tls = ssl.create_default_context(cadata=controllers(api)["ca-cert"])
    tls.verify_flags |= ssl.VERIFY_X509_STRICT
    (endpoint,) = controllers(api)["api-endpoints"]
    host, _, port = str(endpoint).partition(":")
    with socket.create_connection((host, int(port)), 10) as plain, tls.wrap_socket(plain, server_hostname=host) as safe:
        assert safe.version() == "TLSv1.3"


def test_a_controller_that_starts_anew_is_found_where_it_was(api: api_world.ApiLab, tmp_path: pathlib.Path) -> None:
    """Also where another lab has the usual port, as the one that tests share has it or somebody else."""
    lab = api_world.ApiLab(tmp_path / "lab")
    lab.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUJU_DATA", str(lab.data))
            assert controllers(lab)["api-endpoints"] not in (["127.0.0.1:17070"], controllers(api)["api-endpoints"])
            files = {path.name: path.read_text() for path in lab.data.glob("*.yaml")}
            model = lab.add_model("kept")
            lab.kill()
            lab.start()
            assert {path.name: path.read_text() for path in lab.data.glob("*.yaml")} == files
            again = lab.connect_model("kept")
            assert again.uuid == model.uuid
            # A connection of before the crash comes back by itself.
            lab.until(model, lambda: model.is_connected())
            status = lab.run(model.get_status())
            assert status.model is not None
            assert status.model.name == "kept"
            lab.run(model.disconnect())
            lab.run(again.disconnect())
    finally:
        lab.close()


def test_in_an_outage_clients_find_the_controller_gone(api: api_world.ApiLab) -> None:
    found = api.connect()
    api.rpc("fault_outage", on=True)
    try:

        async def ask() -> None:
            await found.connection()._ws.send('{"request-id": 1, "type": "Pinger", "version": 1, "request": "Ping"}')
            while found.connection().is_open:
                await asyncio.sleep(0.01)

        api.run(ask())
        with pytest.raises(Exception, match="503"):
            api.run(controller.Controller().connect())
    finally:
        api.rpc("fault_outage", on=False)
    api.run(found.disconnect())
    api.run(api.connect().disconnect())


def test_names_of_parameters_match_in_any_case() -> None:
    for given in ("CharmName", "charmname", "CHARMNAME"):
        assert parameters.pick({given: "x"}, "CharmName") == "x"
        assert parameters.pick({given: None}, "CharmName", "default") == "default"
    with pytest.raises(operations_common.OperationError, match='parameter "name" is None: a text is wanted'):
        parameters.text({}, "name")
    with pytest.raises(operations_common.OperationError, match="a list is wanted"):
        parameters.items({"units": {}}, "units")


def test_requests_of_one_connection_do_not_wait_for_each_other(api: api_world.ApiLab) -> None:
    """A watcher that waits for news, as that of any model's connection, holds up nothing."""
    model = api.add_model("at-once")
    started = time.monotonic()
    for _ in range(20):
        api.call(model, "ModelConfig", "ModelGet")
    assert time.monotonic() - started < 5
    api.run(model.disconnect())
