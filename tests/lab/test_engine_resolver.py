"""What an agent does next, as a pure function: precedence, and each rule alone."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from lab.controller import resolver
from lab.controller.entities import models
from lab.controller.entities.uniter import Hook, Kind, RelationState, Step, UniterState
from lab.controller.remote import RelationSnapshot, Remote, SecretSnapshot, StorageSnapshot

DYING = models.Life.DYING
ALIVE = models.Life.ALIVE
URL = "local:tiny-0"

LOCAL = UniterState(
    "u",
    "tiny/0",
    kind=Kind.CONTINUE,
    charm_url=URL,
    installed=True,
    started=True,
    config_hash="c",
    trust_hash="t",
    address_hash="a",
)
REMOTE = Remote(
    life=ALIVE,
    application_life=ALIVE,
    charm_url=URL,
    charm_modified_version=0,
    force_charm=False,
    resolved="",
    leader=False,
    leader_settings_version=0,
    config_hash="c",
    trust_hash="t",
    address_hash="a",
)
RELATION = RelationSnapshot(1, ALIVE, peer=False, remote_application="other", members={}, applications={})
KNOWN = {1: RelationState(created=True)}
FAILED = dataclasses.replace(LOCAL, kind=Kind.RUN_HOOK, step=Step.PENDING, hook=Hook("config-changed"))


def next_operation(
    local: UniterState = LOCAL, memory: resolver.Memory | None = None, **remote: typing.Any
) -> resolver.AgentOperation | None:
    known = memory or resolver.Memory(leader_settings_version=0)
    return resolver.next_operation(local, known, dataclasses.replace(REMOTE, **remote))


def hook(operation: resolver.AgentOperation | None) -> str:
    assert isinstance(operation, resolver.RunHook)
    return operation.hook.kind


def local(**changes: typing.Any) -> UniterState:
    return dataclasses.replace(LOCAL, **changes)


def relation(**changes: typing.Any) -> tuple[RelationSnapshot, ...]:
    return (dataclasses.replace(RELATION, **changes),)


def test_nothing_to_do() -> None:
    assert next_operation() is None


def test_precedence() -> None:
    """Each thing to do wins over those after it."""
    everything: list[tuple[str, dict[str, typing.Any], dict[str, typing.Any]]] = [
        ("relation-created", {"relations": {1: RelationState()}}, {"relations": (RELATION,)}),
        ("AcceptLeadership", {}, {"leader": True}),
        ("secret-expired", {}, {"secrets_expired": (SecretSnapshot("s", 1),)}),
        ("secret-rotate", {}, {"secrets_rotate": (SecretSnapshot("s", 0),)}),
        ("secret-changed", {}, {"secrets_changed": (SecretSnapshot("s", 2),)}),
        ("secret-remove", {}, {"secrets_obsolete": (SecretSnapshot("s", 1),)}),
        ("RunTask", {}, {"tasks": (4,)}),
        ("RunCommand", {}, {"commands": ("1",)}),
        ("storage-attached", {}, {"storage": (StorageSnapshot("data/0", ALIVE, True),)}),
        ("Deploy", {}, {"charm_url": "local:tiny-1"}),
        ("config-changed", {}, {"config_hash": "new"}),
        ("relation-joined", {"relations": KNOWN}, {"relations": relation(members={"other/0": 1})}),
        ("update-status", {}, {"update_status_version": 1}),
    ]
    for index, (expected, own, _) in enumerate(everything):
        state: dict[str, typing.Any] = {}
        wanted: dict[str, typing.Any] = {}
        for _, more_own, more in reversed(everything[index:]):
            state |= more_own
            wanted |= more
        state |= own
        operation = next_operation(local(**state), **wanted)
        found = operation.hook.kind if isinstance(operation, resolver.RunHook) else type(operation).__name__
        assert found == expected


def test_a_reboot_comes_first_but_not_before_a_hook_in_progress() -> None:
    memory = resolver.Memory(leader_settings_version=0, reboot_detected=True)
    assert hook(next_operation(memory=memory, leader=True)) == "start"
    queued = local(kind=Kind.RUN_HOOK, step=Step.QUEUED, hook=Hook("config-changed"))
    assert hook(next_operation(queued, memory)) == "config-changed"


@pytest.mark.parametrize(
    ("kind", "life", "expected"),
    [
        (Kind.INSTALL, ALIVE, resolver.Deploy(URL, upgrade=False)),
        (Kind.INSTALL, DYING, resolver.Terminate()),
        (Kind.UPGRADE, ALIVE, resolver.Deploy(URL, upgrade=True)),
    ],
)
def test_files(kind: Kind, life: models.Life, expected: resolver.AgentOperation) -> None:
    assert next_operation(local(kind=kind), life=life, leader=True) == expected


def test_before_install_only_storage_counts() -> None:
    new = UniterState("u", "tiny/0", kind=Kind.RUN_HOOK, step=Step.QUEUED, hook=Hook("install"), charm_url=URL)
    waiting = (StorageSnapshot("data/0", ALIVE, False),)
    ready = (StorageSnapshot("data/0", ALIVE, True),)
    busy: dict[str, typing.Any] = {"leader": True, "tasks": (4,), "relations": relation(members={"other/0": 1})}
    assert next_operation(new, storage=waiting, **busy) == resolver.Wait()
    assert hook(next_operation(new, storage=ready, **busy)) == "storage-attached"
    assert hook(next_operation(new, **busy)) == "install"
    assert next_operation(new, life=DYING) == resolver.Terminate()


def test_storage_later_waits_for_nothing() -> None:
    assert next_operation(storage=(StorageSnapshot("data/0", ALIVE, False),)) is None
    queued = local(kind=Kind.RUN_HOOK, step=Step.QUEUED, hook=Hook("start"))
    assert hook(next_operation(queued, storage=(StorageSnapshot("data/0", ALIVE, True),))) == "start"


def test_storage_that_goes() -> None:
    going = (StorageSnapshot("data/0", DYING, True),)
    assert next_operation(storage=going) == resolver.DropStorage("data/0")
    assert hook(next_operation(local(storage={"data/0": True}), storage=going)) == "storage-detaching"


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ({}, resolver.Wait()),
        ({"retry_version": 1}, resolver.RunHook(Hook("config-changed"))),
        ({"resolved": "retry-hooks"}, resolver.RunHook(Hook("config-changed"))),
        ({"resolved": "no-hooks"}, resolver.SkipHook(Hook("config-changed"), resolved=True)),
        ({"tasks": (4,)}, resolver.RunTask(4)),
        ({"commands": ("1",)}, resolver.RunCommand("1")),
        ({"charm_url": "local:tiny-1"}, resolver.Wait()),
        ({"charm_url": "local:tiny-1", "force_charm": True}, resolver.Deploy("local:tiny-1", upgrade=True)),
        ({"charm_modified_version": 1, "force_charm": True}, resolver.Deploy(URL, upgrade=True)),
        ({"force_charm": True}, resolver.Wait()),
        ({"leader": True}, resolver.Wait()),
        ({"config_hash": "new"}, resolver.Wait()),
        ({"update_status_version": 1}, resolver.Wait()),
        ({"life": DYING}, resolver.Wait()),
        ({"secrets_changed": (SecretSnapshot("s", 1),)}, resolver.Wait()),
        ({"relations": relation(members={"other/0": 1})}, resolver.Wait()),
    ],
)
def test_in_hook_error(remote: dict[str, typing.Any], expected: resolver.AgentOperation) -> None:
    failed = dataclasses.replace(FAILED, relations=KNOWN)
    assert next_operation(failed, **remote) == expected


def test_a_task_that_was_cut_off() -> None:
    cut_off = local(kind=Kind.RUN_ACTION, step=Step.PENDING, task=4)
    assert next_operation(cut_off) == resolver.FailTask(4)
    behind = dataclasses.replace(cut_off, hook=Hook("start"))
    assert next_operation(behind) == resolver.SkipHook(Hook("start"))


def test_leadership() -> None:
    assert next_operation(leader=True) == resolver.AcceptLeadership()
    assert next_operation(local(leader=True), leader=True) is None
    assert next_operation(local(leader=True)) == resolver.ResignLeadership()
    assert next_operation(local(leader=True), leader=True, life=DYING) == resolver.ResignLeadership()
    assert hook(next_operation(leader_settings_version=1)) == "leader-settings-changed"
    assert next_operation(local(leader=True), leader=True, leader_settings_version=1) is None
    assert next_operation(local(installed=False, started=False), leader=True) == resolver.RunHook(Hook("install"))
    assert hook(next_operation(leader=True, life=DYING)) == "stop"


def test_secrets_are_told_once() -> None:
    changed = (SecretSnapshot("s", 2),)
    assert next_operation(local(consumed_secrets={"s": 2}), secrets_changed=changed) is None
    assert hook(next_operation(local(consumed_secrets={"s": 1}), secrets_changed=changed)) == "secret-changed"
    obsolete = (SecretSnapshot("s", 1), SecretSnapshot("s", 2))
    operation = next_operation(local(obsolete_secrets={"s": [1]}), secrets_obsolete=obsolete)
    assert isinstance(operation, resolver.RunHook)
    assert operation.hook.secret_revision == 2
    assert hook(next_operation(life=DYING, secrets_changed=changed)) == "stop"


@pytest.mark.parametrize("key", ["config_hash", "trust_hash", "address_hash"])
def test_config_changed(key: str) -> None:
    assert hook(next_operation(LOCAL, None, **{key: "new"})) == "config-changed"


def test_relations() -> None:
    state = RelationState({"other/0": 1, "other/2": 1}, {"other": 1}, created=True)
    members = {"other/0": 2, "other/10": 1, "other/9": 1}

    def step(state: RelationState, **changes: typing.Any) -> Hook | None:
        wanted = {"members": members, "applications": {"other": 2}} | changes
        operation = next_operation(local(relations={1: state}), relations=relation(**wanted))
        return operation.hook if isinstance(operation, resolver.RunHook) else None

    pending = step(dataclasses.replace(state, changed_pending="other/0"))
    assert pending
    assert (pending.kind, pending.remote_unit, pending.change_version) == ("relation-changed", "other/0", 2)
    departed = step(state)
    assert departed
    assert (departed.kind, departed.remote_unit, departed.departing_unit) == (
        "relation-departed",
        "other/2",
        "other/2",
    )
    present = dataclasses.replace(state, members={"other/0": 1})
    changed = step(present)
    assert changed
    assert (changed.kind, changed.remote_unit, changed.remote_application) == ("relation-changed", None, "other")
    joined = step(dataclasses.replace(present, applications={"other": 2}))
    assert joined
    assert (joined.kind, joined.remote_unit) == ("relation-joined", "other/10")
    known = RelationState({"other/0": 1, "other/9": 1, "other/10": 1}, {"other": 2}, created=True)
    updated = step(known)
    assert updated
    assert (updated.kind, updated.remote_unit, updated.change_version) == ("relation-changed", "other/0", 2)
    assert step(dataclasses.replace(known, members=members)) is None


def test_a_dying_relation_departs_and_breaks() -> None:
    known = local(relations={1: RelationState({"other/0": 1}, created=True)})
    gone = relation(life=DYING, members={"other/0": 1})
    operation = next_operation(known, relations=gone)
    assert hook(operation) == "relation-departed"
    empty = local(relations=KNOWN)
    assert hook(next_operation(empty, relations=gone)) == "relation-broken"
    assert next_operation(empty, relations=relation(life=DYING, peer=True)) is None
    assert next_operation(relations=gone) is None


@pytest.mark.parametrize(
    ("remote", "departing"),
    [({}, "other/0"), ({"life": DYING}, "tiny/0"), ({"application_life": DYING}, "tiny/0")],
)
def test_who_departs(remote: dict[str, typing.Any], departing: str) -> None:
    known = local(relations={1: RelationState({"other/0": 1}, created=True)})
    operation = next_operation(known, relations=relation(), **remote)
    assert isinstance(operation, resolver.RunHook)
    assert operation.hook.departing_unit == departing


def test_teardown() -> None:
    broken = local(relations=KNOWN)
    assert hook(next_operation(broken, life=DYING, relations=(RELATION,))) == "relation-broken"
    assert hook(next_operation(life=DYING)) == "stop"
    assert hook(next_operation(local(stopped=True), life=DYING)) == "remove"
    assert hook(next_operation(local(started=False), life=DYING)) == "remove"
    assert next_operation(local(started=False, installed=False), life=DYING) == resolver.Terminate()
    assert next_operation(local(removed=True)) == resolver.Terminate()
    assert next_operation(life=models.Life.DEAD) == resolver.Terminate()
