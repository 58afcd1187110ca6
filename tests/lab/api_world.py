"""A lab of root-less machines whose controller python-libjuju speaks to, and what tests of its API share.

The controller is a process of its own, as in a real lab; python-libjuju runs here, on one event loop for all tests.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import pathlib
import re
import subprocess
import sys
import time
import typing
from collections.abc import Coroutine

import jubilant_charm
import pytest
import requests
from juju import controller, errors, model
from juju.client import connection

from lab.api import charmhub_info, log_stream, uploads
from lab.juju import client as rpc_client

ROOT = pathlib.Path(__file__).parents[2]
START_TIMEOUT = 30.0
TIMEOUT = 60.0
"""Seconds that anything in these tests may take."""

Result = typing.TypeVar("Result")

_PATHS = {
    r"/model/[^/]+/charms": uploads.CHARM,
    r"/model/[^/]+/applications/[^/]+/resources/[^/]+": uploads.RESOURCE,
}


class ApiLab:
    """One lab, and a client of it. What python-libjuju gives is untyped here: its own types tell too little."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.data = state / "juju"
        self.runner = asyncio.Runner()
        # python-libjuju leaves futures whose errors nobody asks for. Their finalizers print these with tracebacks;
        # where that happens amid a compilation, Python 3.11 dies of "AST constructor recursion depth mismatch".
        self.runner.get_loop().set_exception_handler(lambda _loop, _context: None)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the controller; return when it serves."""
        self.state.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "lab.controller", "--state", str(self.state), "--machines", "rootless"]
        with (self.state / "controller.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while not (self.state / "controller.socket").exists():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, "the controller did not start"
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What the controller has logged."""
        return (self.state / "controller.log").read_text()

    def stop(self) -> None:
        """End the controller cleanly."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def kill(self) -> None:
        """End the controller as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)
        (self.state / "controller.socket").unlink()

    def close(self) -> None:
        """End all."""
        self.runner.close()
        self.stop()

    def run(self, coroutine: Coroutine[typing.Any, typing.Any, Result], timeout: float = TIMEOUT) -> Result:
        """What a coroutine returns."""
        return self.runner.run(asyncio.wait_for(coroutine, timeout))

    def rpc(self, method: str, **parameters: typing.Any) -> typing.Any:
        """Ask the controller as the `juju` command does."""
        client = rpc_client.Client(self.state / "controller.socket")
        try:
            return client.call(method, **parameters)
        finally:
            client.close()

    def juju(self, *words: str) -> str:
        """What a command of `juju` prints."""
        environment = os.environ | {"JUJU_DATA": str(self.data)}
        done = subprocess.run(
            [ROOT / "lab/bin/juju", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def connect(self) -> typing.Any:
        """A connection to the controller."""
        found = controller.Controller()
        self.run(found.connect())
        return found

    def connect_model(self, name: str) -> typing.Any:
        """A connection to a model."""
        found = model.Model()
        self.run(found.connect(name))
        return found

    def add_model(self, name: str) -> typing.Any:
        """A new model."""
        found = self.connect()
        made = self.run(found.add_model(name))
        self.run(found.disconnect())
        return made

    def deploy(self, found: typing.Any, charm: pathlib.Path, name: str = "tiny", **arguments: typing.Any) -> typing.Any:
        """Deploy a charm and wait until all of it is idle."""
        deployed = self.run(found.deploy(str(charm), application_name=name, **arguments))
        self.idle(found, apps=[name])
        return deployed

    def idle(self, found: typing.Any, **arguments: typing.Any) -> None:
        """Wait until everything in a model is active and idle."""
        wanted = {"status": "active", "idle_period": 0.5, "check_freq": 0.1, "timeout": TIMEOUT}
        self.run(found.wait_for_idle(**(wanted | arguments)), TIMEOUT + 10)

    def until(self, found: typing.Any, *conditions: typing.Callable[[], bool]) -> None:
        """Wait until a model's watcher has told of something."""
        self.run(found.block_until(*conditions, timeout=TIMEOUT, wait_period=0.05))

    def call(
        self, connected: typing.Any, facade: str, request: str, version: int = 0, **parameters: typing.Any
    ) -> typing.Any:
        """The answer to one request, without what python-libjuju makes of it."""
        known: connection.Connection = connected.connection()
        message: dict[str, typing.Any] = {
            "type": facade,
            "request": request,
            "version": version or known.facades.get(facade, 1),
            "params": parameters,
        }
        return self.run(known.rpc(message))["response"]

    def refusal(
        self, connected: typing.Any, facade: str, request: str, version: int = 0, **parameters: typing.Any
    ) -> tuple[str, str]:
        """The code and the message with which a request is refused."""
        with pytest.raises(errors.JujuAPIError) as caught:
            self.call(connected, facade, request, version, **parameters)
        return caught.value.error_code, caught.value.message


def charm(directory: pathlib.Path, version: str = "1", name: str = "tiny") -> pathlib.Path:
    """A packed charm."""
    return jubilant_charm.pack(directory, version=version, name=name)


def record(patch: pytest.MonkeyPatch) -> set[str]:
    """Write down from now on which calls are answered: `Facade.Request`, and `METHOD /path` for HTTP requests made."""
    made: set[str] = set()
    rpc, open_ = connection.Connection.rpc, connection.Connection._open
    request, ask = http.client.HTTPSConnection.request, requests.Session.request

    async def recording_rpc(self: typing.Any, message: dict[str, typing.Any], encoder: typing.Any = None) -> typing.Any:
        call = f"{message['type']}.{message['request']}"
        answer = await rpc(self, message, encoder)
        # Only now: what is refused raises, and a test of refusals alone does not cover a call.
        made.add(call)
        return answer

    def recording_request(self: typing.Any, method: str, url: str, *others: typing.Any, **named: typing.Any) -> None:
        path = url.partition("?")[0]
        made.add(f"{method} {next((shown for known, shown in _PATHS.items() if re.fullmatch(known, path)), path)}")
        request(self, method, url, *others, **named)

    async def recording_open(self: typing.Any, *arguments: typing.Any) -> typing.Any:
        if self.is_debug_log_connection:
            made.add(f"GET {log_stream.PATH}")
        return await open_(self, *arguments)

    def recording_ask(self: typing.Any, method: str, url: str, *others: typing.Any, **named: typing.Any) -> typing.Any:
        if re.search("/v2/charms/info/[^/]+$", url.partition("?")[0]):
            made.add(f"{method.upper()} {charmhub_info.PATH}")
        return ask(self, method, url, *others, **named)

    patch.setattr(connection.Connection, "rpc", recording_rpc)
    patch.setattr(connection.Connection, "_open", recording_open)
    patch.setattr(requests.Session, "request", recording_ask)
    patch.setattr(http.client.HTTPSConnection, "request", recording_request)
    return made
