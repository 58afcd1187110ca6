"""Secrets: metadata, revisions, who reads them and who may. The rules over them are in `lab.controller.secrets`.

Owners, consumers and subjects are tags (`unit-pg-0`, `application-pg`, `model-UUID` for user secrets).
"""

from __future__ import annotations

import dataclasses
import datetime

import lab.controller.store as store_module


@store_module.table("secrets", key=("model", "id"))
@dataclasses.dataclass(frozen=True)
class Secret:
    """One secret; `id` is the bare 20 characters. `label` is the owner's, `name` a user secret's."""

    model: str
    id: str
    owner: str
    created: datetime.datetime
    updated: datetime.datetime
    latest_revision: int = 0
    label: str = ""
    name: str = ""
    description: str = ""
    rotate: str = "never"
    next_rotate: datetime.datetime | None = None
    auto_prune: bool = False


@store_module.table("secret_revisions", key=("model", "secret", "revision"))
@dataclasses.dataclass(frozen=True)
class SecretRevision:
    """One revision's content (values base64-encoded, as in Juju's interfaces)."""

    model: str
    secret: str
    revision: int
    content: dict[str, str]
    created: datetime.datetime
    expires: datetime.datetime | None = None
    obsolete: bool = False


@store_module.table("secret_consumers", key=("model", "secret", "consumer"))
@dataclasses.dataclass(frozen=True)
class SecretConsumer:
    """A unit that has read a secret, with its own label and the revision it tracks."""

    model: str
    secret: str
    consumer: str
    revision: int
    label: str = ""


@store_module.table("secret_grants", key=("model", "secret", "subject"))
@dataclasses.dataclass(frozen=True)
class SecretGrant:
    """Leave to read (`view`) a secret, for a unit or application, while relation `scope` lives (None: for ever)."""

    model: str
    secret: str
    subject: str
    role: str = "view"
    scope: int | None = None
