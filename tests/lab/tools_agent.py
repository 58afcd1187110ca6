"""A server on a real socket in the place of a unit's agent, for tests that run the tools' executable."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import threading
import typing
from collections.abc import Callable


class Agent:
    """Answers the client as a unit's agent does, and keeps what it was asked."""

    def __init__(self, directory: pathlib.Path, respond: Callable[[bytes], bytes]) -> None:
        self.directory = directory
        self.requests: list[bytes] = []
        self._respond = respond
        here = os.open(".", os.O_RDONLY)
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            os.chdir(directory)  # the whole path is longer than an address may be
            self._socket.bind("agent.socket")
        finally:
            os.fchdir(here)
            os.close(here)
        self._socket.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                self.requests.append(stream.readline())
                connection.sendall(self._respond(self.requests[-1]))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def environment(self, **more: str) -> dict[str, str]:
        address = str(self.directory / "agent.socket")
        return {"JUJU_CONTEXT_ID": "this", "JUJU_AGENT_SOCKET_ADDRESS": address, **more}

    def run(self, tool: str, *arguments: str | bytes, **more: typing.Any) -> tuple[int, bytes, bytes]:
        options: dict[str, typing.Any] = {"env": self.environment(), "stdin": subprocess.DEVNULL, **more}
        if "input" in options:
            del options["stdin"]
        command = [str(self.directory / "tools" / tool), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=20, **options)
        return done.returncode, done.stdout, done.stderr
