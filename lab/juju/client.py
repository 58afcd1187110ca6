"""The RPC of the lab's controller: one JSON line a request, one JSON line an answer, over its Unix socket."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import typing


class RemoteError(Exception):
    """An error that the controller answered; `code` is one of the codes of Juju's API, such as "not found"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NotRunning(Exception):
    """No controller listens on the socket: the lab is down, or another lab was meant."""


class Client:
    """One connection to a controller; connects at the first call.

    Args:
        socket_path: The controller's socket.
        timeout: Seconds that one call may take; None waits without end.
    """

    def __init__(self, socket_path: pathlib.Path, timeout: float | None = 600.0) -> None:
        self.socket_path = socket_path
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._reader: typing.BinaryIO | None = None

    def call(self, method: str, **params: typing.Any) -> typing.Any:
        """Ask the controller for one thing.

        Raises:
            RemoteError: The controller refused.
            NotRunning: The controller cannot be reached, or went away before it answered.
        """
        request = json.dumps({"method": method, "params": params}, separators=(",", ":"))
        try:
            line = self._exchange(request.encode() + b"\n")
        except OSError as error:
            self.close()
            raise NotRunning(f"cannot reach the controller at {self.socket_path}: {error}") from error
        if not line.endswith(b"\n"):
            self.close()
            raise NotRunning(f"the controller at {self.socket_path} closed the connection")
        answer = json.loads(line)
        if "error" in answer:
            raise RemoteError(answer["error"].get("code", ""), answer["error"].get("message", ""))
        return answer.get("result")

    def _exchange(self, request: bytes) -> bytes:
        if self._socket is None or self._reader is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(self._timeout)
            self._connect(self._socket)
            self._reader = self._socket.makefile("rb")
        self._socket.sendall(request)
        return self._reader.readline()

    def _connect(self, unconnected: socket.socket) -> None:
        """Connect through the directory's descriptor: a socket's address holds 107 bytes only."""
        directory = os.open(self.socket_path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            unconnected.connect(f"/proc/self/fd/{directory}/{self.socket_path.name}")
        finally:
            os.close(directory)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._reader is not None:
            self._reader.close()
        if self._socket is not None:
            self._socket.close()
        self._reader = self._socket = None
