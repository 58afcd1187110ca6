"""The form with which a snap's file is handed to snapd."""

from __future__ import annotations

import json
import pathlib
import uuid
from collections.abc import Iterator, Mapping

from . import refusal, snapd

BLOCK = 1 << 20


class Form:
    """A multipart form: fields, then the snap's file.

    Raises:
        refusal.Refusal: the file that the index names is not there.
    """

    def __init__(self, fields: Mapping[str, str], path: pathlib.Path):
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="snap"; filename="{path.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._path = path
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise refusal.Refusal(404, "", f"the store's file {path.name} is missing") from None
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + size + len(self._tail)),
        }

    def blocks(self) -> Iterator[bytes]:
        """The form, block by block."""
        yield self._head
        with self._path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
        yield self._tail


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
