"""What one unit agent remembers between operations; in Juju, files of the agent's directory on its machine."""

from __future__ import annotations

import dataclasses
import enum

import lab.controller.store as store_module


@dataclasses.dataclass(frozen=True)
class Hook:
    """One hook that is to be run, with all that distinguishes it from another of the same kind.

    `kind` is the event without the endpoint's, storage's or container's name: `install`, `relation-changed`,
    `storage-attached`, `secret-rotate`. `remote_unit` is None for a change of the remote application's databag.
    """

    kind: str
    relation: int | None = None
    remote_unit: str | None = None
    remote_application: str | None = None
    departing_unit: str | None = None
    change_version: int = 0
    storage: str | None = None
    secret: str | None = None
    secret_revision: int | None = None
    secret_label: str | None = None


class Kind(enum.StrEnum):
    """What an agent is in the midst of."""

    INSTALL = "install"  # the first deployment of the charm's files
    UPGRADE = "upgrade"  # a later one
    RUN_HOOK = "run-hook"
    RUN_ACTION = "run-action"
    CONTINUE = "continue"  # nothing


class Step(enum.StrEnum):
    """How far it is with that."""

    QUEUED = "queued"
    PENDING = "pending"
    DONE = "done"


@dataclasses.dataclass(frozen=True)
class RelationState:
    """What the agent knows of one relation whose scope it has entered: the versions it has told the charm about."""

    members: dict[str, int] = dataclasses.field(default_factory=dict)
    applications: dict[str, int] = dataclasses.field(default_factory=dict)
    changed_pending: str | None = None
    created: bool = False


@store_module.table("uniter_states", key=("model", "unit"), journal=False)
@dataclasses.dataclass(frozen=True)
class UniterState:
    """The state of one unit's agent.

    `hook` is the hook of RUN_HOOK, or the hook in error behind a RUN_ACTION or UPGRADE. `storage` tells for each
    attachment whether storage-attached has run. `consumed_secrets` maps secrets to the latest revision that
    secret-changed told of, `obsolete_secrets` to the revisions that secret-remove told of.
    """

    model: str
    unit: str
    kind: Kind = Kind.INSTALL
    step: Step = Step.QUEUED
    hook: Hook | None = None
    task: int | None = None
    charm_url: str | None = None
    charm_modified_version: int = 0
    installed: bool = False
    started: bool = False
    stopped: bool = False
    removed: bool = False
    status_set: bool = False
    leader: bool = False
    config_hash: str = ""
    trust_hash: str = ""
    address_hash: str = ""
    boot_id: str = ""
    relations: dict[int, RelationState] = dataclasses.field(default_factory=dict)
    storage: dict[str, bool] = dataclasses.field(default_factory=dict)
    consumed_secrets: dict[str, int] = dataclasses.field(default_factory=dict)
    obsolete_secrets: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    @property
    def in_error(self) -> bool:
        """Whether a hook has failed, or was cut off, and waits for its retry."""
        return self.kind is Kind.RUN_HOOK and self.step is Step.PENDING
