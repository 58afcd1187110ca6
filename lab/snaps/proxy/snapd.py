"""The connection to the real snapd."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import pathlib
import platform
import socket
import struct
import threading
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# System calls by number, since the C library's functions of these names change all threads of the process.
_SETRESUID, _SETRESGID = {"x86_64": (117, 119), "aarch64": (147, 149)}[platform.machine()]
_libc = ctypes.CDLL(None, use_errno=True)
_UNCHANGED = ctypes.c_long(-1)


@dataclass(frozen=True)
class Caller:
    """Who asks: the user and group at the other end of a Unix socket."""

    uid: int = 0
    gid: int = 0

    @classmethod
    def of(cls, connection: socket.socket) -> Caller:
        """The peer of a connected Unix socket."""
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, gid = struct.unpack("3i", credentials)
        return cls(uid, gid)


ROOT = Caller()


@contextlib.contextmanager
def _acting_as(caller: Caller) -> Iterator[None]:
    """Take on the caller's effective user and group in this thread, so that snapd sees them in SO_PEERCRED."""
    if caller.uid == 0:
        yield
        return
    try:
        _system_call(_SETRESGID, caller.gid)
        _system_call(_SETRESUID, caller.uid)
        yield
    finally:
        _system_call(_SETRESUID, 0)
        _system_call(_SETRESGID, 0)


def _system_call(number: int, effective: int) -> None:
    if _libc.syscall(ctypes.c_long(number), _UNCHANGED, ctypes.c_long(effective), _UNCHANGED) != 0:
        raise OSError(ctypes.get_errno(), "cannot change the effective user or group")


class Connection(http.client.HTTPConnection):
    """HTTP over snapd's Unix socket, on behalf of a caller."""

    def __init__(self, path: pathlib.Path, caller: Caller = ROOT):
        super().__init__("localhost")
        self._path = path
        self._caller = caller

    def connect(self) -> None:
        """Connect; snapd decides by the caller's identity what is allowed."""
        self.sock = socket.socket(socket.AF_UNIX)
        with _acting_as(self._caller):
            self.sock.connect(str(self._path))

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None,
        headers: Mapping[str, str],
        chunked: bool = False,
    ) -> http.client.HTTPResponse:
        """Send a request and return the answer, which may come before the request's end: snapd refuses early."""
        with contextlib.suppress(BrokenPipeError):
            self.request(method, path, body, headers, encode_chunked=chunked)
        return self.getresponse()


class Snapd:
    """Questions that the proxy itself asks snapd, as root."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def get(self, path: str) -> typing.Any:
        """The result of a GET, or None where snapd answers with an error."""
        connection = Connection(self.path)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        return answer["result"] if response.status < 400 else None

    def snap(self, name: str) -> dict[str, typing.Any] | None:
        """The installed snap of this name."""
        return self.get(f"/v2/snaps/{name}")

    def local_revisions(self, name: str) -> list[str]:
        """The revisions of a snap that are on the machine, as snapd numbers them."""
        return [str(snap["revision"]) for snap in self.get(f"/v2/snaps?select=all&snaps={name}") or []]

    def wait(self, change: str, interval: float = 0.1) -> dict[str, typing.Any]:
        """The state of a change, once it is ready."""
        pause = threading.Event()
        while not (state := self.get(f"/v2/changes/{change}") or {"ready": True, "status": "Unknown"})["ready"]:
            pause.wait(interval)
        return state
