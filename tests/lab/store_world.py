"""The store proxy in front of a stand-in of snapd, and the store's directory: what its tests ask and look at."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import socket
import threading
import typing
from collections.abc import Iterator
from dataclasses import dataclass

from lab.snaps.proxy import __main__ as process
from tests.lab import store_snapd

NAME = "charmed-postgresql"
ARCHITECTURE = process.ARCHITECTURES[os.uname().machine]


@dataclass
class Machine:
    """The proxy, the snapd behind it and the store's directory."""

    directory: pathlib.Path
    store: pathlib.Path
    snapd: store_snapd.Daemon
    server: process.Server | None = None

    @property
    def socket(self) -> pathlib.Path:
        return self.directory / "proxy.socket"

    def start(self) -> None:
        arguments = argparse.Namespace(
            store=self.store,
            snapd=self.snapd.socket,
            state=self.directory / "memory.json",
            snaps=self.snapd.snaps_directory,
            listen=self.socket,
        )
        self.server = process.server(arguments)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection.request(method, path, data, headers or {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return Answer(response.status, content, dict(response.getheaders()))

    def post(self, name: str, **body: object) -> Answer:
        return self.call("POST", f"/v2/snaps/{name}", body)

    def snap(self) -> dict[str, typing.Any]:
        return self.call("GET", f"/v2/snaps/{NAME}").result

    def publish(self, **snaps: dict[str, typing.Any]) -> None:
        replacement = self.store / "index.new"
        replacement.write_text(json.dumps({"snaps": {key.replace("_", "-"): value for key, value in snaps.items()}}))
        replacement.replace(self.store / "index.json")

    def side_loads(self) -> list[dict[str, bytes]]:
        return [body for body in self.requested() if "snap" in body]

    def requested(self) -> list[dict[str, typing.Any]]:
        return [body for method, _, body in self.snapd.requests if method == "POST"]


@dataclass
class Answer:
    status: int
    content: bytes
    headers: dict[str, str]

    @property
    def json(self) -> dict[str, typing.Any]:
        return json.loads(self.content)

    @property
    def result(self) -> typing.Any:
        return self.json["result"]

    @property
    def kind(self) -> str:
        return self.result["kind"]


def offer(store: pathlib.Path, name: str, versions: dict[str, str], **extra: object) -> dict[str, typing.Any]:
    revisions = {}
    for number, version in versions.items():
        content = f"{name} {version}".encode()
        (store / f"{name}_{number}.snap").write_bytes(content)
        revisions[number] = {
            "file": f"{name}_{number}.snap",
            "architecture": ARCHITECTURE,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "version": version,
            **({"base": extra["base"]} if "base" in extra else {}),
        }
    channels = {"16/stable": min(versions, key=int), "16/edge": max(versions, key=int)}
    return {
        "id": "a" * 32,
        "publisher": {"id": "lab", "username": "lab", "display-name": "Lab"},
        "default-channel": "16/stable",
        "channels": {ARCHITECTURE: channels},
        "revisions": revisions,
    }


@contextlib.contextmanager
def serving(directory: pathlib.Path) -> Iterator[Machine]:
    """A machine whose store has two revisions of one snap."""
    store = directory / "store"
    store.mkdir()
    machine = Machine(directory, store, store_snapd.Daemon(directory))
    machine.publish(charmed_postgresql=offer(store, NAME, {"366": "16.14", "416": "16.15"}))
    machine.start()
    try:
        yield machine
    finally:
        machine.stop()
        machine.snapd.close()
