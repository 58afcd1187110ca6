"""How an agent's memory changes with what it has done. Pure functions from one `UniterState` to the next."""

from __future__ import annotations

import dataclasses

from lab.controller import remote as remote_module
from lab.controller.entities.uniter import Hook, Kind, RelationState, Step, UniterState


def deployed(local: UniterState, url: str, modified_version: int, *, upgrade: bool) -> UniterState:
    """The charm's files are in place. A hook that was in error stays so; else install or upgrade-charm comes next."""
    in_place = dataclasses.replace(local, charm_url=url, charm_modified_version=modified_version, task=None)
    if local.hook is not None:
        return dataclasses.replace(in_place, kind=Kind.RUN_HOOK, step=Step.PENDING)
    hook = Hook("upgrade-charm" if upgrade else "install")
    return dataclasses.replace(in_place, kind=Kind.RUN_HOOK, step=Step.QUEUED, hook=hook)


def started_upgrade(local: UniterState) -> UniterState:
    """The upgrade is under way; if it is cut off, it is resumed. A hook in error is remembered behind it."""
    return dataclasses.replace(local, kind=Kind.UPGRADE, step=Step.PENDING)


def started_hook(local: UniterState, hook: Hook) -> UniterState:
    """The hook is about to run. An agent that finds this after a crash treats the hook as failed."""
    return dataclasses.replace(local, kind=Kind.RUN_HOOK, step=Step.PENDING, hook=hook, task=None)


def requeued_hook(local: UniterState, hook: Hook) -> UniterState:
    """The hook is to run again from its beginning, without having failed."""
    return dataclasses.replace(local, kind=Kind.RUN_HOOK, step=Step.QUEUED, hook=hook)


def started_task(local: UniterState, task: int) -> UniterState:
    """The task is about to run; a hook in error is remembered behind it."""
    return dataclasses.replace(local, kind=Kind.RUN_ACTION, step=Step.PENDING, task=task)


def ended_task(local: UniterState) -> UniterState:
    """The task is over; back to the hook in error, or to nothing."""
    if local.hook is not None:
        return dataclasses.replace(local, kind=Kind.RUN_HOOK, step=Step.PENDING, task=None)
    return dataclasses.replace(local, kind=Kind.CONTINUE, step=Step.PENDING, task=None)


def accepted_leadership(local: UniterState) -> UniterState:
    """The unit leads, and leader-elected comes next."""
    return dataclasses.replace(local, leader=True, kind=Kind.RUN_HOOK, step=Step.QUEUED, hook=Hook("leader-elected"))


def resigned_leadership(local: UniterState) -> UniterState:
    """The unit no longer leads."""
    return dataclasses.replace(local, leader=False)


def entered_scope(local: UniterState, relation: int) -> UniterState:
    """The unit has entered a relation."""
    return dataclasses.replace(local, relations={**local.relations, relation: RelationState()})


def forgot_relations(local: UniterState, gone: set[int]) -> UniterState:
    """Relations that ended without a hook, by force or with the application."""
    kept = {number: state for number, state in local.relations.items() if number not in gone}
    return dataclasses.replace(local, relations=kept)


def completed_hook(local: UniterState, hook: Hook, remote: remote_module.Remote) -> UniterState:
    """The hook has succeeded, or was skipped; what follows directly is queued."""
    done = dataclasses.replace(local, kind=Kind.CONTINUE, step=Step.PENDING, hook=None, task=None)
    match hook.kind:
        case "install":
            return dataclasses.replace(done, installed=True, removed=False)
        case "start":
            return dataclasses.replace(done, started=True, stopped=False)
        case "stop":
            return dataclasses.replace(done, stopped=True)
        case "remove":
            return dataclasses.replace(done, removed=True)
        case "upgrade-charm":
            return requeued_hook(done, Hook("config-changed"))
        case "config-changed":
            return _configured(done, remote)
        case "storage-attached" | "storage-detaching":
            return _storage(done, hook)
        case "secret-changed" | "secret-remove":
            return _secret(done, hook)
    return _relation(done, hook) if hook.relation is not None else done


def _configured(local: UniterState, remote: remote_module.Remote) -> UniterState:
    seen = dataclasses.replace(
        local, config_hash=remote.config_hash, trust_hash=remote.trust_hash, address_hash=remote.address_hash
    )
    return seen if local.started else requeued_hook(seen, Hook("start"))


def _storage(local: UniterState, hook: Hook) -> UniterState:
    assert hook.storage is not None
    if hook.kind == "storage-attached":
        attached = dataclasses.replace(local, storage={**local.storage, hook.storage: True})
        return attached if local.installed else requeued_hook(attached, Hook("install"))
    return forgot_storage(local, hook.storage)


def forgot_storage(local: UniterState, storage: str) -> UniterState:
    """The storage is no longer the unit's."""
    return dataclasses.replace(local, storage={name: told for name, told in local.storage.items() if name != storage})


def _secret(local: UniterState, hook: Hook) -> UniterState:
    assert hook.secret is not None
    assert hook.secret_revision is not None
    if hook.kind == "secret-changed":
        told = {**local.consumed_secrets, hook.secret: hook.secret_revision}
        return dataclasses.replace(local, consumed_secrets=told)
    revisions = [*local.obsolete_secrets.get(hook.secret, []), hook.secret_revision]
    return dataclasses.replace(local, obsolete_secrets={**local.obsolete_secrets, hook.secret: revisions})


def _relation(local: UniterState, hook: Hook) -> UniterState:
    assert hook.relation is not None
    if hook.kind == "relation-broken":
        return forgot_relations(local, {hook.relation})
    state = local.relations.get(hook.relation)
    if state is None:
        return local
    members, applications, pending = dict(state.members), dict(state.applications), state.changed_pending
    if hook.kind == "relation-changed" and hook.remote_unit is None:
        applications[hook.remote_application or ""] = hook.change_version
    elif hook.kind in ("relation-joined", "relation-changed"):
        assert hook.remote_unit is not None
        members[hook.remote_unit] = hook.change_version
        pending = hook.remote_unit if hook.kind == "relation-joined" else None
    elif hook.kind == "relation-departed" and hook.remote_unit is not None:
        members.pop(hook.remote_unit, None)
    created = state.created or hook.kind == "relation-created"
    after = RelationState(members, applications, pending, created)
    return dataclasses.replace(local, relations={**local.relations, hook.relation: after})
