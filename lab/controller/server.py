"""Serves operations and views over the controller's socket.

One line of JSON a request, `{"method", "params"}`; one back, `{"result"}` or `{"error": {"code", "message"}}`.
A connection may carry any number of requests, one after the other.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import pathlib
import socket
import socketserver
import threading
import typing

from lab.controller import operations, operations_common, views
from lab.controller import store as store_module

_logger = logging.getLogger(__name__)


class Dispatcher:
    """Finds the method that a request names, and calls it."""

    def __init__(self, operations_: operations.Operations, views_: views.Views) -> None:
        self._controller = operations_.controller
        self._methods = _public(views_) | _public(operations_)

    def answer(self, line: bytes) -> bytes:
        """The answer to one request; errors are answers too."""
        try:
            result = self._call(json.loads(line))
        except operations_common.OperationError as error:
            return _error(error.code, error.message)
        except store_module.NotFoundError as error:
            return _error("not found", str(error))
        except (ValueError, TypeError) as error:
            _logger.warning("request refused", exc_info=True)
            return _error("bad request", str(error))
        except Exception as error:
            _logger.exception("request failed")
            return _error("", f"{type(error).__name__}: {error}")
        return json.dumps({"result": result}, separators=(",", ":")).encode() + b"\n"

    def _call(self, request: dict[str, typing.Any]) -> typing.Any:
        name = request["method"]
        method = self._methods.get(name)
        if method is None:
            raise operations_common.OperationError("not implemented", f'no such method: "{name}"')
        if self._controller.outage and not name.startswith("fault_"):
            raise operations_common.OperationError("connection refused", "cannot connect to the controller")
        params = request.get("params") or {}
        try:
            inspect.signature(method).bind(**params)
        except TypeError as error:
            raise operations_common.bad_request(f"{name}: {error}") from error
        return method(**params)


def _public(instance: object) -> dict[str, typing.Callable[..., typing.Any]]:
    members = inspect.getmembers(instance, inspect.ismethod)
    return {name: method for name, method in members if not name.startswith("_")}


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, separators=(",", ":")).encode() + b"\n"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Server)
        for line in self.rfile:
            try:
                self.wfile.write(self.server.dispatcher.answer(line))
            except (BrokenPipeError, ConnectionResetError):
                return


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The controller's RPC server: a thread a connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: pathlib.Path, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self._path = path
        super().__init__(str(path), _Handler, bind_and_activate=False)

    def _bind_short(self) -> None:
        """Binds through the directory's descriptor: a socket's address holds 107 bytes only."""
        assert isinstance(self.socket, socket.socket)
        directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        umask = os.umask(0o177)
        try:
            self.socket.bind(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.umask(umask)
            os.close(directory)
        self.server_address = str(self._path)

    def start(self) -> None:
        """Binds the socket, which tells that the controller is there, and serves in a thread of its own."""
        self._path.unlink(missing_ok=True)
        self._bind_short()
        self.server_activate()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="rpc", daemon=True).start()

    def stop(self) -> None:
        """Ends serving and removes the socket."""
        self.shutdown()
        self.server_close()
        self._path.unlink(missing_ok=True)
