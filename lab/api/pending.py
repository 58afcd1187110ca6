"""Resources that a client has announced or uploaded, and that its next deployment or refresh will name.

They are kept in memory: a client whose controller starts anew in between has to begin again, and is told so.
"""

from __future__ import annotations

import dataclasses
import pathlib
import threading
import typing
import uuid

from lab.controller import operations_common
from lab.controller.operations_common import Json


@dataclasses.dataclass(frozen=True)
class PendingResource:
    """One resource: a revision of the local Charmhub's (-1: what comes with the charm), or a file once uploaded."""

    name: str
    origin: str
    revision: int = -1
    path: pathlib.Path | None = None


class PendingResources:
    """All pending resources, by their identifiers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resources: dict[str, PendingResource] = {}

    def add(self, resource: Json) -> str:
        """Takes note of a resource as a client describes it; returns its identifier."""
        identifier = str(uuid.uuid4())
        revision = resource.get("revision")
        with self._lock:
            self._resources[identifier] = PendingResource(
                name=resource.get("name", ""),
                origin=resource.get("origin", "upload"),
                revision=-1 if revision is None else int(revision),
            )
        return identifier

    def uploaded(self, identifier: str, path: pathlib.Path) -> None:
        """Takes note of a resource's file."""
        with self._lock:
            self._resources[identifier] = dataclasses.replace(self._get(identifier), path=path)

    def _get(self, identifier: str) -> PendingResource:
        found = self._resources.get(identifier)
        if found is None:
            raise operations_common.not_found("pending resource", identifier)
        return found

    def take(self, identifiers: dict[str, str] | None) -> dict[str, typing.Any]:
        """What `deploy` and `refresh` take for resources, from identifiers by name; the files are to be removed after.

        Raises:
            OperationError: an identifier is unknown, or its file was not uploaded.
        """
        result: dict[str, typing.Any] = {}
        with self._lock:
            for name, identifier in (identifiers or {}).items():
                found = self._get(identifier)
                if found.origin == "store":
                    if found.revision >= 0:
                        result[name] = found.revision
                elif found.path is None:
                    raise operations_common.bad_request(f'resource "{name}" was announced, but not uploaded')
                else:
                    result[name] = str(found.path)
            for identifier in (identifiers or {}).values():
                del self._resources[identifier]
        return result
