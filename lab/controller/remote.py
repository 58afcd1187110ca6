"""What the model wants of one unit: the half of the resolver's knowledge that the agent does not keep itself."""

from __future__ import annotations

import dataclasses

from lab.controller.entities import models


@dataclasses.dataclass(frozen=True)
class RelationSnapshot:
    """One relation as the model has it: the members that the unit should see, with the versions of their databags."""

    id: int
    life: models.Life
    peer: bool
    remote_application: str
    members: dict[str, int]
    applications: dict[str, int]
    implemented: bool = True


@dataclasses.dataclass(frozen=True)
class StorageSnapshot:
    """One storage attachment as the model has it."""

    id: str
    life: models.Life
    attached: bool


@dataclasses.dataclass(frozen=True)
class SecretSnapshot:
    """A secret event that is due; the revision is 0 for a rotation."""

    id: str
    revision: int
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Remote:
    """What the model wants of one unit."""

    life: models.Life
    application_life: models.Life
    charm_url: str
    charm_modified_version: int
    force_charm: bool
    resolved: str
    leader: bool
    leader_settings_version: int
    config_hash: str
    trust_hash: str
    address_hash: str
    relations: tuple[RelationSnapshot, ...] = ()
    storage: tuple[StorageSnapshot, ...] = ()
    tasks: tuple[int, ...] = ()
    commands: tuple[str, ...] = ()
    secrets_expired: tuple[SecretSnapshot, ...] = ()
    secrets_rotate: tuple[SecretSnapshot, ...] = ()
    secrets_changed: tuple[SecretSnapshot, ...] = ()
    secrets_obsolete: tuple[SecretSnapshot, ...] = ()
    update_status_version: int = 0
    retry_version: int = 0
