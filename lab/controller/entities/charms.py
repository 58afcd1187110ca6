"""Charms as they were uploaded or taken from the local Charmhub directory."""

from __future__ import annotations

import dataclasses
import typing

import lab.controller.store as store_module


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One endpoint of a charm; role is provider, requirer or peer, scope global or container."""

    name: str
    role: str
    interface: str
    scope: str = "global"
    limit: int | None = None
    optional: bool = True


@store_module.table("charms", key=("model", "url"))
@dataclasses.dataclass(frozen=True)
class Charm:
    """One revision of a charm in a model.

    `url` is Juju's: `local:NAME-0`, `ch:amd64/NAME-5`. `archive` is the zip file's path. The dictionaries are the
    parsed `metadata.yaml`, `config.yaml` (its options), `actions.yaml` and `manifest.yaml`.
    """

    model: str
    url: str
    name: str
    revision: int
    archive: str
    sha256: str
    metadata: dict[str, typing.Any]
    options: dict[str, dict[str, typing.Any]]
    actions: dict[str, dict[str, typing.Any]]
    manifest: dict[str, typing.Any]
    version: str = ""

    @property
    def local(self) -> bool:
        """Whether it was uploaded, not taken from Charmhub."""
        return self.url.startswith("local:")

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """All endpoints by name, Juju's implicit `juju-info` not among them."""
        result: dict[str, Endpoint] = {}
        for key, role in (("provides", "provider"), ("requires", "requirer"), ("peers", "peer")):
            for name, value in (self.metadata.get(key) or {}).items():
                # The short form `db: postgresql_client` names the interface only.
                described: dict[str, typing.Any] = {"interface": value} if isinstance(value, str) else dict(value)
                result[name] = Endpoint(
                    name=name,
                    role=role,
                    interface=described["interface"],
                    scope=described.get("scope", "global"),
                    limit=described.get("limit"),
                    optional=described.get("optional", True),
                )
        return result

    @property
    def storage(self) -> dict[str, dict[str, typing.Any]]:
        """The storages that the charm declares, by name."""
        return self.metadata.get("storage") or {}

    @property
    def resources(self) -> dict[str, dict[str, typing.Any]]:
        """The resources that the charm declares, by name."""
        return self.metadata.get("resources") or {}
