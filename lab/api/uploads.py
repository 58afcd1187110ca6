"""Uploads over HTTP: charms, and files of resources."""

from __future__ import annotations

import hashlib
import pathlib

from aiohttp import web

from lab.api import http, session
from lab.controller import operations_common, views_lookup
from lab.controller.operations_common import Json

CHARM = "/model/{model}/charms"
RESOURCE = "/model/{model}/applications/{application}/resources/{resource}"


async def charm(context: session.Context, request: web.Request) -> web.StreamResponse:
    """`POST /model/UUID/charms`: takes in a charm, answers its URL. The series that a client names means nothing."""
    model = http.model_of(context, request)
    path = await http.receive(request, context.controller.state / "charms" / model)
    try:
        url = await http.in_thread(context.operations.upload_charm, model, str(path))
    finally:
        path.unlink(missing_ok=True)
    return http.json_response({"charm-url": url})


async def resource(context: session.Context, request: web.Request) -> web.StreamResponse:
    """`PUT /model/UUID/applications/APP/resources/NAME`: takes in a file.

    With `?pendingid=` it waits for the deployment or refresh that names it; without, it is the application's next
    revision of the resource.
    """
    model = http.model_of(context, request)
    path = await http.receive(request, context.controller.state / "resources" / model / "pending")
    pending = request.query.get("pendingid")
    try:
        size = await http.in_thread(_check, path, request.headers.get("Content-Sha384"))
        if pending:
            context.pending.uploaded(pending, path)
        else:
            application, name = request.match_info["application"], request.match_info["resource"]
            await http.in_thread(context.operations.attach_resource, model, application, name, str(path))
    except BaseException:
        path.unlink()
        raise
    if not pending:
        path.unlink()
    return http.json_response(_described(context, request, size))


def _check(path: pathlib.Path, fingerprint: str | None) -> int:
    """The size of an upload.

    Raises:
        OperationError: it is not what the client has sent.
    """
    content = path.read_bytes()
    found = hashlib.sha384(content).hexdigest()
    if fingerprint and fingerprint != found:
        raise operations_common.bad_request(f"fingerprint of the upload is {found}, {fingerprint} was announced")
    return len(content)


def _described(context: session.Context, request: web.Request, size: int) -> Json:
    now = views_lookup.time(context.controller.now())
    application, name = request.match_info["application"], request.match_info["resource"]
    described = {"id": f"{application}/{name}", "application": application, "name": name, "size": size}
    return {"resource": described | {"username": session.USER, "timestamp": now}, "timestamp": now}
