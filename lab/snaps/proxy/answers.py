"""snapd's answers as they would be with a store: revision numbers, channels and publishers."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from . import index, memory

LOCAL_REVISION = re.compile(r"\bx[0-9]+\b")
QUOTED_NAME = re.compile(r'"([a-z0-9-]+)"')
FROM_FILE = re.compile(r'snap from file "[^"]*"')
CHANGE_KINDS = {"install": "install-snap", "refresh": "refresh-snap", "switch": "switch-snap"}


class Answers:
    """Rewrites what snapd says about the store's snaps, and speaks for the store itself."""

    def __init__(self, offered: index.IndexFile, remembered: memory.Memory):
        self._index = offered
        self._memory = remembered

    def snap(self, answer: dict[str, typing.Any]) -> None:
        """Give an installed snap its revision, channel, publisher and identifier of the store, in place."""
        name, local = answer["name"], str(answer["revision"])
        offered, revision = self._index.get(name), self._memory.revision(name, local)
        if offered is None or revision == local:
            return
        answer["revision"] = revision
        if tracking := self._memory.tracking(name):
            answer["tracking-channel"] = tracking
        if channel := self._memory.channel(name, local):
            answer["channel"] = index.short_channel(channel)
        if offered.id:
            answer["id"] = offered.id
        if offered.publisher:
            answer["publisher"] = dict(offered.publisher)
            answer["developer"] = offered.publisher["username"]
        if "mounted-from" in answer:
            answer["mounted-from"] = answer["mounted-from"].replace(f"_{local}.snap", f"_{revision}.snap")

    def change(self, answer: dict[str, typing.Any]) -> None:
        """Tell a change, its tasks and their logs as if the snap had come from the store, in place."""
        asked = self._memory.change(str(answer.get("id")))
        if asked is not None and asked.action in CHANGE_KINDS:
            answer["kind"] = CHANGE_KINDS[asked.action]
        if asked is not None and asked.all_of:
            names = ", ".join(f'"{name}"' for name in asked.all_of)
            answer["summary"] = f"Refresh {'snaps ' if len(asked.all_of) > 1 else ''}{names}"
            answer.setdefault("data", {})["snap-names"] = list(asked.all_of)
        for key in ("summary", "err"):
            if key in answer:
                answer[key] = self._text(answer[key], asked)
        for task in answer.get("tasks") or []:
            task["summary"] = self._text(task["summary"], asked)
            if task.get("log"):
                task["log"] = [self._text(line, asked) for line in task["log"]]

    def snapshot(self, answer: dict[str, typing.Any]) -> None:
        """Give the snap of a snapshot its revision of the store, in place."""
        answer["revision"] = self._memory.revision(answer["snap"], str(answer["revision"]))

    def _text(self, text: str, asked: memory.Change | None) -> str:
        name = None
        if asked is not None:
            name = asked.name or None
            text = FROM_FILE.sub(f'snap from "{asked.channel}" channel', text)
            if asked.action == "refresh":
                text = re.sub(r'^Install (?=")', "Refresh ", text)
        if quoted := QUOTED_NAME.search(text):
            name = quoted[1]

        def number(match: re.Match[str]) -> str:
            if asked is not None and asked.revision and (name, match[0]) == (asked.name, asked.local_revision):
                return asked.revision
            return self._memory.revision(name, match[0]) if name else match[0]

        return LOCAL_REVISION.sub(number, text)


NOTHING_TO_REFRESH = {
    "id": "0",  # snapd's own changes begin at 1
    "kind": "refresh-snap",
    "summary": "Refresh all snaps: no updates",
    "status": "Done",
    "ready": True,
    "tasks": [],
}
"""The change with which snapd answers a refresh of all snaps where there is nothing to do."""


def offer(snap: index.Snap, revision: index.Revision, channel: str) -> dict[str, typing.Any]:
    """A snap of the store as `find` and `info` show it."""
    return {
        "id": snap.id,
        "name": snap.name,
        "title": snap.name,
        "summary": revision.summary,
        "description": revision.description,
        "publisher": dict(snap.publisher),
        "developer": snap.publisher.get("username", ""),
        "status": "available",
        "type": revision.type,
        "base": revision.base,
        "version": revision.version,
        "channel": channel,
        "revision": revision.number,
        "confinement": revision.confinement,
        "ignore-validation": False,
        "private": False,
        "devmode": False,
        "jailmode": False,
        "contact": "",
        "download-size": revision.size,
        "apps": [{"snap": snap.name, "name": app} for app in revision.apps],
        "channels": {channel: _channel(channel, snap.revisions[number]) for channel, number in snap.channels.items()},
        "tracks": list(dict.fromkeys(channel.split("/")[0] for channel in snap.channels)),
    }


def _channel(channel: str, revision: index.Revision) -> Mapping[str, typing.Any]:
    return {
        "revision": revision.number,
        "confinement": revision.confinement,
        "version": revision.version,
        "channel": channel,
        "epoch": {"read": [0], "write": [0]},
        "size": revision.size,
        "released-at": revision.released_at,
    }
