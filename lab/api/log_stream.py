"""`/model/UUID/log`: a websocket that the model's log comes through, a line a frame."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from lab.api import http, session
from lab.controller.operations_common import Json

PATH = "/model/{model}/log"

_POLL = 1.0
"""Seconds for which one thread waits for lines at a time."""


async def stream(context: session.Context, request: web.Request) -> web.StreamResponse:
    """Sends the log as the query asks: `replay`, `backlog`, `maxLines`, `noTail`, `level`, `includeEntity`, ..."""
    model = http.model_of(context, request)
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("{}\n")  # no error
    sender = asyncio.create_task(_send(context, model, request, socket))
    listener = asyncio.create_task(_until_closed(socket))
    try:
        await asyncio.wait((sender, listener), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sender, listener):
            task.cancel()
        await asyncio.gather(sender, listener, return_exceptions=True)
    await socket.close()
    return socket


async def _until_closed(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


async def _send(context: session.Context, model: str, request: web.Request, socket: web.WebSocketResponse) -> None:
    query = request.query
    criteria: Json = {
        "include": query.getall("includeEntity", []),
        "exclude": query.getall("excludeEntity", []),
        "include_module": query.getall("includeModule", []),
        "exclude_module": query.getall("excludeModule", []),
        "level": query.get("level") or None,
    }

    def read(after: int, limit: int | None, timeout: float) -> list[Json]:
        return context.operations.debug_log(model, after, limit, **criteria, timeout=timeout)

    backlog = None if query.get("replay") == "true" else int(query.get("backlog", 10))
    rest = int(query.get("maxLines", 0)) or None
    lines = await http.in_thread(read, 0, backlog, 0.0) if backlog != 0 else []
    after = lines[-1]["sequence"] if lines else 0
    while True:
        for line in lines if rest is None else lines[:rest]:
            await socket.send_str(json.dumps(_frame(line)))
        if rest is not None:
            rest -= len(lines)
        if query.get("noTail") == "true" or (rest is not None and rest <= 0):
            return
        lines = await http.in_thread(read, after, None, _POLL)
        after = lines[-1]["sequence"] if lines else after


def _frame(line: Json) -> Json:
    return {
        "tag": line["entity"],
        "ts": line["time"],
        "sev": line["level"],
        "mod": line["module"],
        "loc": line["location"],
        "msg": line["message"],
    }
