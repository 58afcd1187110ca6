"""HTTP between a client and snapd: bodies and answers pass through as they come."""

from __future__ import annotations

import http.client
import http.server
import json
import pathlib
import socket
import typing
from collections.abc import Callable, Iterable, Iterator

from . import refusal, snapd

BLOCK = 1 << 16
# Each connection has its own framing; these headers do not cross.
HOP_BY_HOP = frozenset({"connection", "content-length", "date", "expect", "host", "server", "transfer-encoding"})
Rewrite = Callable[[int, dict[str, typing.Any]], None]


class Relay(http.server.BaseHTTPRequestHandler):
    """One client's connection. Subclasses say what becomes of a request."""

    protocol_version = "HTTP/1.1"
    snapd_socket: pathlib.Path

    def setup(self) -> None:
        """Note who calls, before anything is read."""
        self.caller = snapd.Caller.of(typing.cast(socket.socket, self.request))
        super().setup()

    def address_string(self) -> str:
        """A Unix socket's client has no address."""
        return f"uid {self.caller.uid}"

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: snapd's clients poll several times a second."""

    def body(self) -> Iterator[bytes]:
        """The request's body, block by block."""
        if self._chunked:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield from self._read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            yield from self._read(int(self.headers.get("Content-Length") or 0))

    def request_headers(self, *left_out: str) -> dict[str, str]:
        """The request's headers that go on to snapd."""
        drop = HOP_BY_HOP.union(left_out)
        return {key: value for key, value in self.headers.items() if key.lower() not in drop}

    def forward(
        self,
        *,
        path: str | None = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        rewrite: Rewrite | None = None,
    ) -> None:
        """Send the request on to snapd and its answer back.

        Args:
            path: instead of the request's own.
            body: instead of the request's own; an iterable needs its Content-Length among the headers.
            headers: instead of the request's own.
            rewrite: is given status and content of a JSON answer, to change in place before the client sees it.
        """
        connection = snapd.Connection(self.snapd_socket, self.caller)
        headers = self.request_headers() if headers is None else headers
        chunked = False
        if body is None and self._chunked:
            body, chunked = self.body(), True
        elif body is None and (length := int(self.headers.get("Content-Length") or 0)):
            body, headers["Content-Length"] = self.body(), str(length)
        try:
            answer = connection.exchange(self.command, path or self.path, body, headers, chunked)
            if rewrite is not None and (answer.getheader("Content-Type") or "").startswith("application/json"):
                content = json.loads(answer.read())
                rewrite(answer.status, content)
                self._send(answer.status, json.dumps(content).encode(), answer.getheaders())
            else:
                self._stream(answer)
        finally:
            connection.close()

    def answer(self, result: object, **fields: object) -> None:
        """Answer in snapd's stead."""
        content = {"type": "sync", "status-code": 200, "status": "OK", "result": result, **fields}
        self._send(200, json.dumps(content).encode(), [("Content-Type", "application/json")])

    def accept(self, change: str) -> None:
        """Answer in snapd's stead that a change has begun."""
        content = {"type": "async", "status-code": 202, "status": "Accepted", "result": None, "change": change}
        self._send(202, json.dumps(content).encode(), [("Content-Type", "application/json")])

    def refuse(self, error: refusal.Refusal) -> None:
        """Answer with an error in snapd's stead."""
        content = {
            "type": "error",
            "status-code": error.status,
            "status": http.client.responses[error.status],
            "result": {"message": error.message, "kind": error.kind, "value": error.value},
        }
        self._send(error.status, json.dumps(content).encode(), [("Content-Type", "application/json")])

    @property
    def _chunked(self) -> bool:
        return "chunked" in (self.headers.get("Transfer-Encoding") or "").lower()

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            block = self.rfile.read(min(size, BLOCK))
            if not block:
                raise ConnectionResetError("the client went away in the middle of its request")
            size -= len(block)
            yield block

    def _send(self, status: int, content: bytes, headers: Iterable[tuple[str, str]]) -> None:
        self.send_response(status)
        self._pass_headers(headers)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        """Pass an answer on as it comes: logs and notices stay open for as long as the client likes."""
        self.send_response(answer.status)
        self._pass_headers(answer.getheaders())
        length = answer.getheader("Content-Length")
        has_body = self.command != "HEAD" and answer.status not in (204, 304)
        if length is not None:
            self.send_header("Content-Length", length)
        elif has_body:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while has_body and (block := answer.read1(BLOCK)):
            self.wfile.write(block if length is not None else b"%x\r\n%s\r\n" % (len(block), block))
            self.wfile.flush()
        if has_body and length is None:
            self.wfile.write(b"0\r\n\r\n")

    def _pass_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        for key, value in headers:
            if key.lower() not in HOP_BY_HOP:
                self.send_header(key, value)
