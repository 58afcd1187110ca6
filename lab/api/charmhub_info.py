"""What clients themselves ask of Charmhub before they deploy: `GET /v2/charms/info/NAME`, over plain HTTP."""

from __future__ import annotations

import pathlib

from aiohttp import web

from lab.api import forms
from lab.controller import charm_archives, charmhub
from lab.controller.operations_common import Json

PATH = "/v2/charms/info/{name}"


def handler(root: pathlib.Path) -> web.Application:
    """An application that answers for the local Charmhub at `root`."""

    async def info(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(describe(root, request.match_info["name"]))
        except (charmhub.CharmhubError, charm_archives.CharmError) as error:
            content = {"error-list": [{"code": "resource-not-found", "message": str(error)}]}
            return web.json_response(content, status=404)

    application = web.Application()
    application.router.add_get(PATH, info)
    return application


def describe(root: pathlib.Path, name: str) -> Json:
    """A charm as Charmhub describes it: its default release, and all that is released.

    Raises:
        CharmhubError: there is no such charm.
        CharmError: a file of it is not a charm.
    """
    default = charmhub.find(root, name)
    released = [charmhub.find(root, name, channel) for channel in charmhub.channels(root, name)]
    return {
        "id": name,
        "name": name,
        "type": "charm",
        "default-release": _release(default),
        "channel-map": [_release(found) for found in released],
    }


def _release(found: charmhub.Found) -> Json:
    archive = charm_archives.read(found.file, "")
    track, _, risk = found.channel.partition("/")
    declared: Json = archive.metadata.get("resources") or {}
    return {
        "channel": {
            "name": found.channel,
            "track": track,
            "risk": risk,
            "base": forms.base("ubuntu@24.04") | {"architecture": forms.architecture()},
        },
        "revision": {"revision": found.revision, "version": str(found.revision), "subordinate": False},
        "resources": [
            {
                "name": name,
                "type": described.get("type", "file"),
                "filename": described.get("filename", ""),
                "description": described.get("description", ""),
                "revision": found.resources.get(name, -1),
            }
            for name, described in declared.items()
        ],
    }
