"""What all plain HTTP requests share: who asks, and how errors look."""

from __future__ import annotations

import asyncio
import base64
import binascii
import collections.abc
import pathlib
import tempfile
import typing

from aiohttp import web

from lab.api import connection, errors, session
from lab.controller.operations_common import Json, OperationError

CHUNK = 1 << 20

_STATUSES = {errors.UNAUTHORIZED: 401, "not found": 404, errors.MODEL_NOT_FOUND: 404, "": 500}

Handler = collections.abc.Callable[[session.Context, web.Request], collections.abc.Awaitable[web.StreamResponse]]


def guarded(
    context: session.Context, handler: Handler
) -> collections.abc.Callable[[web.Request], collections.abc.Awaitable[web.StreamResponse]]:
    """The handler for those who have given user and password; errors become answers."""

    async def respond(request: web.Request) -> web.StreamResponse:
        if context.controller.outage:
            raise web.HTTPServiceUnavailable
        try:
            _authenticate(context, request)
            return await handler(context, request)
        except web.HTTPException:
            raise
        except Exception as error:
            return refusal(errors.from_exception(error))

    return respond


def refusal(error: OperationError) -> web.Response:
    """An error as the answer to a request."""
    content = {"error": error.message, "error-code": error.code}
    return web.json_response(content, status=_STATUSES.get(error.code, 400))


def _authenticate(context: session.Context, request: web.Request) -> None:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = password = ""
    if kind != "Basic" or not connection.authentic(context, user, password):
        raise OperationError(errors.UNAUTHORIZED, "invalid entity name or password")


async def receive(request: web.Request, directory: pathlib.Path) -> pathlib.Path:
    """Writes a request's body to a new file in a directory, which is made if need be; whoever calls removes it."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=directory, prefix="upload-", delete=False) as file:
        path = pathlib.Path(file.name)
        try:
            async for chunk in request.content.iter_chunked(CHUNK):
                file.write(chunk)
        except BaseException:
            path.unlink()
            raise
    return path


async def in_thread(function: collections.abc.Callable[..., typing.Any], *arguments: typing.Any) -> typing.Any:
    """Calls what blocks."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def model_of(context: session.Context, request: web.Request) -> str:
    """The UUID of the model in a request's path.

    Raises:
        OperationError: there is no such model.
    """
    reference = request.match_info["model"]
    try:
        return context.scope(reference).uuid
    except OperationError:
        raise OperationError(errors.MODEL_NOT_FOUND, f'unknown model: "{reference}"') from None


def json_response(content: Json) -> web.Response:
    """An answer that all went well."""
    return web.json_response(content)
