"""Builds of the charm: what each pins, and the metadata that all of them have."""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib

import ops
import yaml

REPOSITORY = pathlib.Path(__file__).parents[2]
METADATA = yaml.safe_load((REPOSITORY / "charmcraft.yaml").read_text())
APPLICATION = METADATA["name"]
CHARM_METADATA = ops.CharmMeta(METADATA, METADATA["actions"])
ENDPOINTS = tuple(METADATA["peers"])
NETWORK_ENDPOINT = ENDPOINTS[0]


@dataclasses.dataclass(frozen=True)
class Charm:
    """One build of the charm: what it pins, and its URL."""

    version: str = "16/1.0.0"
    workload: str = "16.14"
    revisions: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"x86_64": "366", "aarch64": "365"}
    )
    url: str = "ch:amd64/postgresql-machine-1"

    def refresh_versions(self) -> str:
        """The content of its refresh_versions.toml."""
        revisions = "\n".join(f'{name} = "{value}"' for name, value in self.revisions.items())
        return (
            f'charm_major = 1\nworkload = "{self.workload}"\ncharm = "{self.version}"\n\n'
            f'[snap]\nname = "charmed-postgresql"\n\n[snap.revisions]\n{revisions}\n'
        )


OLD = Charm()
NEW = Charm("16/1.1.0", "16.15", {"x86_64": "416", "aarch64": "415"}, "ch:amd64/postgresql-machine-2")
