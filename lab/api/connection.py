"""One websocket: requests as they come, answers as they are ready, in any order.

Requests are `{"request-id", "type", "version", "request", "params", "id"}`, answers `{"request-id", "response"}` or
`{"request-id", "error", "error-code", "response"}`.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import json
import typing

from aiohttp import WSMsgType, web

from lab.api import errors, registry, session
from lab.controller.operations_common import Json, OperationError

LARGEST_FRAME = 64 * 1024 * 1024
"""Bytes, as much as clients take from a controller."""

_ADMIN_VERSION = 3


class OutageError(Exception):
    """The controller is to be found gone (a fault that a test has asked for)."""


class Connection:
    """Answers one client."""

    def __init__(self, context: session.Context, model: str | None) -> None:
        self._context = context
        self._session = session.Session(context, model)

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Answers until the client has gone."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                task = asyncio.create_task(self._respond(socket, message.data))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _respond(self, socket: web.WebSocketResponse, text: str) -> None:
        try:
            answer = await self.answer(text)
        except OutageError:
            await socket.close()
            return
        if not socket.closed:
            await socket.send_str(json.dumps(answer, separators=(",", ":")))

    async def answer(self, text: str) -> Json:
        """The answer to one request; errors are answers too.

        Raises:
            OutageError: the controller is to be found gone.
        """
        if self._context.controller.outage:
            raise OutageError
        number = 0
        try:
            request = json.loads(text)
            number = request.get("request-id", 0)
            return {"request-id": number, "response": await self._call(request)}
        except Exception as error:
            shown = errors.from_exception(error)
            return {"request-id": number, "error": shown.message, "error-code": shown.code, "response": {}}

    async def _call(self, request: Json) -> Json:
        name, version = str(request.get("type", "")), int(request.get("version") or 0)
        method, given = str(request.get("request", "")), request.get("params") or {}
        if name == "Admin":
            return await _in_thread(self._admin, version, method, given)
        if not self._session.logged_in:
            raise OperationError(errors.UNAUTHORIZED, "not logged in")
        facade, handler = registry.find(name, version, method, self._session.model is not None)
        # Go ignores the case of names, and clients write this one both ways.
        given = given | {registry.OBJECT: request.get("id") or request.get("Id")}
        if inspect.iscoroutinefunction(handler):
            return await handler(facade(self._session), given)
        return await _in_thread(typing.cast("typing.Callable[..., Json]", handler), facade(self._session), given)

    def _admin(self, version: int, method: str, given: Json) -> Json:
        if version != _ADMIN_VERSION:
            raise OperationError(errors.NOT_IMPLEMENTED, f'unknown version ({version}) of interface "Admin"')
        if method != "Login":
            message = f"no such request - method Admin({version}).{method} is not implemented"
            raise OperationError(errors.NOT_IMPLEMENTED, message)
        return self._login(given)

    def _login(self, given: Json) -> Json:
        if not authentic(self._context, given.get("auth-tag"), given.get("credentials")):
            raise OperationError(errors.UNAUTHORIZED, "invalid entity name or password")
        own: Json = {}
        if self._session.model is not None:
            try:
                model = self._context.scope(self._session.model)
            except OperationError:
                message = f'unknown model: "{self._session.model}"'
                raise OperationError(errors.MODEL_NOT_FOUND, message) from None
            self._session.model = model.uuid
            own = {"model-tag": f"model-{model.uuid}"}
        self._session.logged_in = True
        address, _, port = self._context.endpoint.rpartition(":")
        now = self._context.controller.now().isoformat()
        return own | {
            "servers": [[{"value": address, "type": "ipv4", "scope": "local-machine", "port": int(port)}]],
            "controller-tag": f"controller-{self._context.described.uuid}",
            "server-version": self._context.described.version,
            "user-info": {
                "display-name": session.USER,
                "identity": f"user-{session.USER}",
                "last-connection": now,
                "controller-access": "superuser",
                "model-access": "admin" if own else "",
            },
            "facades": [
                {"name": "Admin", "versions": [_ADMIN_VERSION]},
                *registry.served(self._session.model is not None),
            ],
        }


def authentic(context: session.Context, user: typing.Any, password: typing.Any) -> bool:
    """Whether somebody is who they say."""
    if not isinstance(user, str) or not isinstance(password, str):
        return False
    named = user.removeprefix("user-").removesuffix("@local") == session.USER
    return named and hmac.compare_digest(password.encode(), context.password.encode())


async def _in_thread(function: typing.Callable[..., Json], *arguments: typing.Any) -> Json:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)
