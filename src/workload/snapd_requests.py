"""A request to snapd on this machine: over its socket, answered in JSON (snapd documentation, "snapd REST API")."""

import http.client
import json
import socket
import typing
import urllib.parse

SOCKET = "/run/snapd.socket"
TIMEOUT_SECONDS = 10.0

NO_UPDATE = "snap-no-update-available"
"""The kind of snapd's error where there is nothing to refresh to (client.ErrorKindSnapNoUpdateAvailable)."""


class SnapOperationError(Exception):
    """snapd could not be reached or refused; the message is snapd's."""


class SnapdUnreachableError(SnapOperationError):
    """snapd does not answer, or has still to end what it has begun."""


class NoUpdateError(SnapOperationError):
    """There is no update of a snap that was to refresh."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request(
    method: str,
    path: str,
    query: dict[str, str] | None = None,
    body: object = None,
    timeout: float = TIMEOUT_SECONDS,
    address: str = SOCKET,
) -> dict[str, typing.Any]:
    """The answer; of a file, which is no JSON, its `size` only.

    body: sent as JSON. timeout: in seconds. address: path of the socket. Raises SnapOperationError with snapd's own
    words where it does not succeed.
    """
    connection = _Connection(address, timeout)
    url = f"{path}?{urllib.parse.urlencode(query)}" if query else path
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, url, None if body is None else json.dumps(body).encode(), headers)
        response = connection.getresponse()
        content = response.read()
        size = response.getheader("Snap-Length")
        if size is not None:  # the one answer that is no JSON
            return {"size": int(size)}
        answer = json.loads(content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SnapdUnreachableError(f"snapd does not answer: {error}") from error
    finally:
        connection.close()
    if answer.get("type") == "error":
        told = str(answer["result"].get("message") or response.reason)
        kind = NoUpdateError if answer["result"].get("kind") == NO_UPDATE else SnapOperationError
        raise kind(told)
    return answer
