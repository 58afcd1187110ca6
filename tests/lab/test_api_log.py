"""The model's log over Juju's client API."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import pathlib
import ssl
import typing
from collections.abc import Iterator

import api_world
import pytest
import websockets
import yaml
from juju.client import connection

MODEL = "logged"


@pytest.fixture(scope="module")
def model(api: api_world.ApiLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[typing.Any]:
    """A model whose only unit has logged something."""
    made = api.add_model(MODEL)
    tiny = api.deploy(made, api_world.charm(tmp_path_factory.mktemp("charm")))
    command = "juju-log -l WARNING beware; for number in 1 2 3; do juju-log line $number; done"
    api.run(tiny.units[0].run(command, block=True))
    yield made
    api.run(made.disconnect())
    api.rpc("destroy_model", model=MODEL, destroy_storage=True)


def lines(api: api_world.ApiLab, model: typing.Any, query: str, password: str | None = None) -> list[dict[str, str]]:
    """What the log's socket sends until it is closed."""
    controller = yaml.safe_load((api.data / "controllers.yaml").read_text())["controllers"]["lab"]
    account = yaml.safe_load((api.data / "accounts.yaml").read_text())["controllers"]["lab"]
    tls = ssl.create_default_context(cadata=controller["ca-cert"])
    credentials = base64.b64encode(f"user-admin:{password or account['password']}".encode()).decode()

    async def read() -> list[dict[str, str]]:
        address = f"wss://{controller['api-endpoints'][0]}/model/{model.uuid}/log?{query}"
        headers = {"Authorization": f"Basic {credentials}"}
        async with websockets.connect(address, ssl=tls, additional_headers=headers) as socket:
            assert json.loads(await socket.recv()) == {}
            return [json.loads(frame) async for frame in socket]

    return api.run(read())


@pytest.mark.api("GET /model/{model}/log")
def test_the_log_comes_as_it_is_written(api: api_world.ApiLab, model: typing.Any) -> None:
    sink = io.StringIO()
    nothing: dict[str, typing.Any] = {key: [] for key in ("include", "exclude", "include_module", "exclude_module")}
    # Model.debug_log of this version hands on an argument that its own connection does not take.
    parameters = model.connection().connect_params() | {
        "debug_log_conn": sink,
        "debug_log_params": nothing | {"level": "", "limit": 1000},
    }

    async def follow() -> None:
        follower = await connection.Connection.connect(**parameters)
        while "line 3" not in sink.getvalue():
            await asyncio.sleep(0.02)
        before = sink.getvalue()
        await (await model.units["tiny/0"].run("juju-log and one more", block=True)).wait()
        while "and one more" not in sink.getvalue():
            await asyncio.sleep(0.02)
        assert sink.getvalue().startswith(before)
        await follower.close()

    api.run(follow())
    assert "unit-tiny-0" in sink.getvalue()


def test_what_the_query_asks_for(api: api_world.ApiLab, model: typing.Any) -> None:
    everything = lines(api, model, "replay=true&noTail=true")
    printed = api.juju("debug-log", "-m", MODEL, "--replay", "--no-tail").splitlines()
    assert len(everything) == len(printed) > 10
    assert {"tag", "ts", "sev", "mod", "loc", "msg"} == set(everything[0])
    assert [line["msg"] for line in lines(api, model, "replay=true&noTail=true&level=WARNING")][-1] == "beware"
    assert lines(api, model, "backlog=3&noTail=true") == everything[-3:]
    assert lines(api, model, "replay=true&maxLines=2") == everything[:2]
    assert lines(api, model, "replay=true&noTail=true&includeEntity=machine-9") == []
    excluded = lines(api, model, "replay=true&noTail=true&excludeModule=unit.tiny/0")
    assert excluded and not [line for line in excluded if line["mod"].startswith("unit.tiny/0")]


def test_the_log_is_not_for_everybody(api: api_world.ApiLab, model: typing.Any) -> None:
    with pytest.raises(websockets.InvalidStatus, match="401"):
        lines(api, model, "noTail=true", password="guessed")


def test_it_ends_with_its_reader(api: api_world.ApiLab, model: typing.Any, tmp_path: pathlib.Path) -> None:
    """Readers that go away leave nothing behind that would keep the controller's threads busy."""
    for _ in range(40):  # more than there are threads
        assert lines(api, model, "backlog=1&maxLines=1")
    assert api.run(model.get_status()).applications
