"""A controller of canned answers on a real socket, for tests of the `juju` command."""

from __future__ import annotations

import collections.abc
import json
import pathlib
import socketserver
import threading
import typing


class Result(typing.NamedTuple):
    """What became of a command line."""

    status: int
    out: str
    err: str


Run = collections.abc.Callable[[str], Result]
"""Runs a command line of `juju`, given without that word."""

Answer = typing.Any | collections.abc.Callable[..., typing.Any]
CONTROLLER = {"name": "lab", "uuid": "c0ffee00-0000-4000-8000-000000000000", "version": "3.6.12"}


class Refusal(Exception):
    """What a canned answer raises to let the controller refuse."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class CannedController:
    """Answers each method with what the test has put into `answers`, and keeps the calls."""

    def __init__(self, state: pathlib.Path) -> None:
        self.answers: dict[str, Answer] = {"show_controller": CONTROLLER | {"cloud": "lab", "region": "default"}}
        self.calls: list[tuple[str, dict[str, typing.Any]]] = []
        controller = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(json.dumps(controller.answer(json.loads(line))).encode() + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self.server = Server(str(state / "controller.socket"), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def answer(self, request: dict[str, typing.Any]) -> dict[str, typing.Any]:
        method, params = request["method"], request["params"]
        self.calls.append((method, params))
        if method not in self.answers:
            return {"error": {"code": "not implemented", "message": f"no such method: {method}"}}
        answer = self.answers[method]
        try:
            return {"result": answer(**params) if callable(answer) else answer}
        except Refusal as refusal:
            return {"error": {"code": refusal.code, "message": refusal.message}}

    def params(self, method: str) -> dict[str, typing.Any]:
        """The parameters of the only call of a method."""
        (found,) = [params for called, params in self.calls if called == method]
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
