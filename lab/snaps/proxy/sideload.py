"""The form with which snaps' files are handed to snapd."""

from __future__ import annotations

import json
import pathlib
import uuid
from collections.abc import Iterator, Mapping

from . import refusal, snapd

BLOCK = 1 << 20


class Form:
    """A multipart form: fields, then the snaps' files. snapd makes one change of all of them.

    Raises:
        refusal.Refusal: a file that the index names is not there.
    """

    def __init__(self, fields: Mapping[str, str], *paths: pathlib.Path):
        boundary = uuid.uuid4().hex
        start = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        self._files: list[tuple[bytes, pathlib.Path]] = []
        for path in paths:
            disposition = f'Content-Disposition: form-data; name="snap"; filename="{path.name}"'
            head = f"{start}--{boundary}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
            self._files.append((head.encode(), path))
            start = "\r\n"  # what follows a file begins a line of its own
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        size = sum(len(head) + _size(path) for head, path in self._files) + len(self._tail)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(size),
        }

    def blocks(self) -> Iterator[bytes]:
        """The form, block by block."""
        for head, path in self._files:
            yield head
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block
        yield self._tail


def _size(path: pathlib.Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise refusal.Refusal(404, "", f"the store's file {path.name} is missing") from None


def send(daemon: snapd.Snapd, form: Form, caller: snapd.Caller) -> str:
    """Side-load a snap and return the number of snapd's change.

    Raises:
        refusal.Refusal: snapd refuses it.
    """
    connection = snapd.Connection(daemon.path, caller)
    try:
        response = connection.exchange("POST", "/v2/snaps", form.blocks(), form.headers)
        answer = json.loads(response.read())
    finally:
        connection.close()
    if response.status >= 400:
        result = answer["result"]
        raise refusal.Refusal(response.status, result.get("kind", ""), result["message"], result.get("value"))
    return answer["change"]
