"""The listener: a thread with an event loop, TLS, and which path goes where.

It listens on the loopback interface only. A lab has network namespaces of its own, so its API is reached from inside
(`python -m lab enter`), as its machines are. Where machines are root-less, that is the host's loopback interface.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import logging
import pathlib
import ssl
import threading

from aiohttp import web

from lab.api import (
    certificate,
    charmhub_info,
    client_files,
    connection,
    errors,
    http,
    log_stream,
    registry,
    session,
    uploads,
)
from lab.controller.operations_common import OperationError

ADDRESS = "127.0.0.1"
PORT = 17070
"""Juju's own port; another one if somebody has it already."""

PATHS: tuple[tuple[str, str, http.Handler], ...] = (
    ("GET", log_stream.PATH, log_stream.stream),
    ("POST", uploads.CHARM, uploads.charm),
    ("PUT", uploads.RESOURCE, uploads.resource),
)
"""What is asked for over HTTP, beside the websockets of the API itself."""

_THREADS = 32
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0

_logger = logging.getLogger(__name__)


class Server:
    """Serves Juju's client API, and writes the files by which clients find it."""

    def __init__(self, context: session.Context) -> None:
        registry.load()
        self._context = context
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> None:
        """Returns when clients can connect.

        Raises:
            OSError: no port is free, or a file cannot be written.
        """
        self._thread.start()
        self._started.result(_START_TIMEOUT)

    def stop(self) -> None:
        """Ends all connections."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._started.done():
                _logger.exception("the API has ended")
            else:
                self._started.set_exception(error)

    async def _serve(self) -> None:
        context, state = self._context, self._context.controller.state
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(_THREADS, "api"))
        context.changes.follow(context.controller.store)
        files = client_files.ClientFiles(state / "juju", context.described.name)
        keys = state / "controller.pem"
        context.ca_certificate = certificate.ensure(keys, context.controller.now())
        context.password = files.password
        runners = [
            web.AppRunner(application(context), access_log=None),
            web.AppRunner(charmhub_info.handler(state / "charmhub"), access_log=None),
        ]
        try:
            for runner in runners:
                await runner.setup()
            port = await _listen(runners[0], (files.port or PORT, PORT, 0), _tls(keys))
            charmhub_port = await _listen(runners[1], (0,), None)
            context.endpoint = f"{ADDRESS}:{port}"
            context.controller.charmhub_url = f"http://{ADDRESS}:{charmhub_port}"
            files.write(context)
            _logger.info("Juju's client API is at %s", context.endpoint)
            self._started.set_result(None)
            await self._stop.wait()
        finally:
            for runner in runners:
                await runner.cleanup()


def _tls(keys: pathlib.Path) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(keys)
    return tls


async def _listen(runner: web.AppRunner, ports: tuple[int, ...], tls: ssl.SSLContext | None) -> int:
    """Listens on the first port that is free; 0 is whichever is. Returns the port."""
    for port in ports:
        site = web.TCPSite(runner, ADDRESS, port, ssl_context=tls, shutdown_timeout=1, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await site.stop()
            if error.errno != errno.EADDRINUSE or port == ports[-1]:
                raise
        else:
            return runner.addresses[0][1]
    raise OSError(errno.EADDRINUSE, "no port is free")


def application(context: session.Context) -> web.Application:
    """All paths of the API."""
    made = web.Application()

    async def connect(request: web.Request) -> web.StreamResponse:
        if context.controller.outage:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(max_msg_size=connection.LARGEST_FRAME)
        await socket.prepare(request)
        await connection.Connection(context, request.match_info.get("model")).serve(socket)
        return socket

    async def unknown(request: web.Request) -> web.StreamResponse:
        message = f"{request.method} {request.path} is not implemented"
        return http.refusal(OperationError(errors.NOT_IMPLEMENTED, message))

    router = made.router
    router.add_get("/api", connect)
    router.add_get("/model/{model}/api", connect)
    for method, path, handler in PATHS:
        router.add_route(method, path, http.guarded(context, handler))
    router.add_route("*", "/{rest:.*}", unknown)
    return made
