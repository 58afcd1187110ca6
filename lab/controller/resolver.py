"""Decides what a unit's agent does next, from what it knows and what the model wants of it.

Pure functions, in the order of precedence of Juju's uniter: reboot, an upgrade that was cut off, relation-created,
leadership, secrets, actions, commands, storage, the hook in error or queued, and then, with nothing in progress,
teardown, install, upgrade, config-changed, relations, update-status.
"""

from __future__ import annotations

import dataclasses
import random

from lab.controller import remote as remote_module
from lab.controller.entities import models
from lab.controller.entities.uniter import Hook, Kind, Step, UniterState

Dying = models.Life.DYING
Alive = models.Life.ALIVE


@dataclasses.dataclass
class Memory:
    """What an agent knows only as long as it runs; an agent that starts again begins with these values.

    `reboot_detected`: the machine has been booted anew since the charm was started, and the charm has not been told.
    """

    leader_settings_version: int = -1
    update_status_version: int = 0
    retry_version: int = 0
    reboot_detected: bool = False


@dataclasses.dataclass(frozen=True)
class RunHook:
    """Run a hook."""

    hook: Hook


@dataclasses.dataclass(frozen=True)
class SkipHook:
    """Count a hook as done without running it."""

    hook: Hook
    resolved: bool = False


@dataclasses.dataclass(frozen=True)
class Deploy:
    """Put the charm's files in place: for the first time, or (`upgrade`) over those of another revision."""

    charm_url: str
    upgrade: bool


@dataclasses.dataclass(frozen=True)
class AcceptLeadership:
    """Take note of being the leader, and queue leader-elected."""


@dataclasses.dataclass(frozen=True)
class ResignLeadership:
    """Take note of no longer being the leader. No hook tells the charm."""


@dataclasses.dataclass(frozen=True)
class RunTask:
    """Run an action or a command that a client asked for."""

    task: int


@dataclasses.dataclass(frozen=True)
class FailTask:
    """Fail a task whose run was cut off; it is never run again."""

    task: int


@dataclasses.dataclass(frozen=True)
class RunCommand:
    """Run what `juju-exec` on the machine asks for."""

    command: str


@dataclasses.dataclass(frozen=True)
class DropStorage:
    """Let go of a storage that is being detached and of which the charm was never told."""

    storage: str


@dataclasses.dataclass(frozen=True)
class Terminate:
    """The unit has nothing left to do and can be removed."""


@dataclasses.dataclass(frozen=True)
class Wait:
    """Nothing can be done now, but something is missing: storage that install waits for, or a hook's retry."""


AgentOperation = (
    RunHook
    | SkipHook
    | Deploy
    | AcceptLeadership
    | ResignLeadership
    | RunTask
    | FailTask
    | RunCommand
    | DropStorage
    | Terminate
    | Wait
)


@dataclasses.dataclass(frozen=True)
class Situation:
    """All that a decision depends on."""

    local: UniterState
    memory: Memory
    remote: remote_module.Remote
    chance: random.Random | None


def next_operation(
    local: UniterState, memory: Memory, remote: remote_module.Remote, chance: random.Random | None = None
) -> AgentOperation | None:
    """The operation that the agent has to run next; None if there is nothing to do.

    Args:
        local: What the agent remembers.
        memory: What it knows since it runs.
        remote: What the model wants.
        chance: Decides where Juju leaves the order open (relations among each other); by number without it.
    """
    at = Situation(local, memory, remote, chance)
    if remote.life is models.Life.DEAD or local.removed:
        return Terminate()
    for resolve in (_reboot, _files, _created_relations, _leadership, _secrets, _tasks, _commands, _storage):
        if (operation := resolve(at)) is not None:
            return operation
    if local.kind is Kind.RUN_HOOK and local.hook is not None:
        if local.step is Step.PENDING:
            return _hook_error(at)
        if local.step is Step.DONE:
            return SkipHook(local.hook)
        if local.hook.kind != "install":
            return RunHook(local.hook)
    return _regular(at)


def _reboot(at: Situation) -> RunHook | None:
    if not at.memory.reboot_detected or at.local.kind is Kind.RUN_HOOK:
        return None
    return RunHook(Hook("start"))


def _files(at: Situation) -> AgentOperation | None:
    if at.local.kind is Kind.INSTALL:
        # A unit that is removed before it has its charm never gets it.
        return Terminate() if at.remote.life is Dying else Deploy(at.remote.charm_url, upgrade=False)
    if at.local.kind is Kind.UPGRADE:
        return Deploy(at.remote.charm_url, upgrade=True)
    return None


def _shuffled(at: Situation) -> list[remote_module.RelationSnapshot]:
    result = list(at.remote.relations)
    if at.chance is not None:
        at.chance.shuffle(result)
    return result


def _created_relations(at: Situation) -> RunHook | None:
    if not at.local.installed or at.remote.life is Dying or at.local.kind is not Kind.CONTINUE:
        return None
    for relation in _shuffled(at):
        state = at.local.relations.get(relation.id)
        if relation.life is Alive and state is not None and not state.created:
            return RunHook(
                Hook("relation-created", relation=relation.id, remote_application=relation.remote_application)
            )
    return None


def _leadership(at: Situation) -> AgentOperation | None:
    if not at.local.installed:
        return None
    idle = at.local.kind is Kind.CONTINUE
    if at.remote.leader and not at.local.leader and idle and at.remote.life is not Dying:
        return AcceptLeadership()
    if at.local.leader and (not at.remote.leader or at.remote.life is Dying):
        return ResignLeadership()
    told = at.memory.leader_settings_version == at.remote.leader_settings_version
    if idle and not at.local.stopped and not at.local.leader and not told:
        return RunHook(Hook("leader-settings-changed"))
    return None


def _secrets(at: Situation) -> RunHook | None:
    if not at.local.installed or at.remote.life is Dying or at.local.kind is not Kind.CONTINUE:
        return None
    for secret in at.remote.secrets_expired:
        return _secret_hook("secret-expired", secret)
    for secret in at.remote.secrets_rotate:
        return _secret_hook("secret-rotate", secret)
    for secret in at.remote.secrets_changed:
        if at.local.consumed_secrets.get(secret.id) != secret.revision:
            return _secret_hook("secret-changed", secret)
    for secret in at.remote.secrets_obsolete:
        if secret.revision not in at.local.obsolete_secrets.get(secret.id, []):
            return _secret_hook("secret-remove", secret)
    return None


def _secret_hook(kind: str, secret: remote_module.SecretSnapshot) -> RunHook:
    return RunHook(Hook(kind, secret=secret.id, secret_revision=secret.revision, secret_label=secret.label))


def _tasks(at: Situation) -> AgentOperation | None:
    if at.local.kind is Kind.RUN_ACTION and at.local.task is not None:
        if at.local.hook is not None:
            # As Juju's agents do it: the failed hook behind a task that was cut off is not retried but counted as done.
            # The task itself fails once nothing is in progress.
            return SkipHook(at.local.hook)
        return FailTask(at.local.task)
    if at.remote.tasks and (at.local.kind is Kind.CONTINUE or at.local.in_error):
        return RunTask(at.remote.tasks[0])
    return None


def _commands(at: Situation) -> RunCommand | None:
    return RunCommand(at.remote.commands[0]) if at.remote.commands else None


def _storage(at: Situation) -> AgentOperation | None:
    dying = [storage for storage in at.remote.storage if storage.life is not Alive or at.remote.life is Dying]
    for storage in dying:
        if not at.local.storage.get(storage.id):
            return DropStorage(storage.id)
    install_queued = at.local.kind is Kind.RUN_HOOK and at.local.step is Step.QUEUED and not at.local.installed
    if at.local.kind is not Kind.CONTINUE and not install_queued:
        return None
    for storage in dying:
        return RunHook(Hook("storage-detaching", storage=storage.id))
    pending = [storage for storage in at.remote.storage if not at.local.storage.get(storage.id)]
    for storage in pending:
        if storage.attached:
            return RunHook(Hook("storage-attached", storage=storage.id))
    return Wait() if pending and not at.local.installed else None


def _charm_modified(at: Situation) -> bool:
    """Whether the unit's charm files, or its resources, are not those that the application should have."""
    return (
        at.local.charm_url != at.remote.charm_url or at.local.charm_modified_version != at.remote.charm_modified_version
    )


def _hook_error(at: Situation) -> AgentOperation:
    assert at.local.hook is not None
    if at.remote.force_charm and _charm_modified(at):
        return Deploy(at.remote.charm_url, upgrade=True)
    if at.remote.resolved == "retry-hooks":
        return RunHook(at.local.hook)
    if at.remote.resolved == "no-hooks":
        return SkipHook(at.local.hook, resolved=True)
    if at.remote.retry_version > at.memory.retry_version:
        return RunHook(at.local.hook)
    return Wait()


def _regular(at: Situation) -> AgentOperation | None:
    if at.remote.life is Dying:
        return _teardown(at)
    if not at.local.installed and not at.local.started:
        return RunHook(Hook("install"))
    if _charm_modified(at):
        return Deploy(at.remote.charm_url, upgrade=True)
    seen = (at.local.config_hash, at.local.trust_hash, at.local.address_hash)
    if seen != (at.remote.config_hash, at.remote.trust_hash, at.remote.address_hash):
        return RunHook(Hook("config-changed"))
    if (operation := _relations(at)) is not None:
        return operation
    if at.memory.update_status_version != at.remote.update_status_version:
        return RunHook(Hook("update-status"))
    return None


def _teardown(at: Situation) -> AgentOperation:
    if (operation := _relations(at)) is not None:
        return operation
    if at.local.started and not at.local.stopped:
        return RunHook(Hook("stop"))
    if at.local.installed:
        return RunHook(Hook("remove"))
    return Terminate()


def _relations(at: Situation) -> RunHook | None:
    if at.local.kind is not Kind.CONTINUE:
        return None
    for relation in _shuffled(at):
        if relation.id in at.local.relations and (hook := _relation_hook(at, relation)) is not None:
            return RunHook(hook)
    return None


def _relation_hook(at: Situation, relation: remote_module.RelationSnapshot) -> Hook | None:
    state = at.local.relations[relation.id]
    broken = at.remote.life is Dying or relation.life is not Alive
    members = {} if broken else relation.members

    def hook(kind: str, unit: str | None, version: int = 0, departing: str | None = None) -> Hook:
        application = unit.partition("/")[0] if unit else relation.remote_application
        return Hook(
            kind,
            relation=relation.id,
            remote_unit=unit,
            remote_application=application,
            departing_unit=departing,
            change_version=version,
        )

    if state.changed_pending:
        return hook("relation-changed", state.changed_pending, members.get(state.changed_pending, 0))
    # Juju sorts units by name as text, so pg/10 comes before pg/2.
    for unit in sorted(set(state.members) - set(members)):
        leaving = at.remote.life is not Alive or at.remote.application_life is not Alive
        return hook("relation-departed", unit, state.members[unit], at.local.unit if leaving else unit)
    if broken:
        return None if relation.peer else hook("relation-broken", None)
    for application, version in sorted(relation.applications.items()):
        if state.applications.get(application, 0) != version:
            return dataclasses.replace(hook("relation-changed", None, version), remote_application=application)
    for unit in sorted(set(members) - set(state.members)):
        return hook("relation-joined", unit, members[unit])
    for unit in sorted(members):
        if members[unit] != state.members[unit]:
            return hook("relation-changed", unit, members[unit])
    return None


def describe(hook: Hook) -> str:
    """What an agent's status says while it runs the hook, without `running ` and the hook's full name."""
    if hook.remote_unit:
        return f" for {hook.remote_unit}"
    if hook.secret:
        revision = f"/{hook.secret_revision}" if hook.kind in ("secret-expired", "secret-remove") else ""
        return f" for secret:{hook.secret}{revision}"
    return ""
