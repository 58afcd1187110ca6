from __future__ import annotations

import datetime

import pytest

from lab.controller import secrets_events as events
from lab.controller.entities import relations, uniter
from lab.controller.entities import secrets as entities
from tests.lab import tools_world

MODEL = tools_world.MODEL


@pytest.fixture
def world() -> tools_world.World:
    return tools_world.World()


def add(world: tools_world.World, unit: str = "pg/0", *arguments: str) -> str:
    run = world.start(unit)
    uri = run.out("secret-add", "key=one", *arguments).strip()
    run.commit()
    return uri.removeprefix("secret:")


def change(world: tools_world.World, identifier: str, *arguments: str, unit: str = "pg/0") -> None:
    run = world.start(unit)
    run.out("secret-set", identifier, *arguments)
    run.commit()


def changed(world: tools_world.World, unit: str, *, leader: bool = False) -> dict[str, int]:
    return events.changed(world.store, MODEL, unit, leader=leader)


def test_changed_goes_to_readers_that_are_behind(world: tools_world.World) -> None:
    secret = add(world)
    run = world.start("pg/0")
    run.out("secret-grant", secret, "-r", "2")
    run.commit()
    for unit in ("pg/0", "pg/1", "web/0"):
        world.start(unit).out("secret-get", secret)
    assert changed(world, "web/0") == {}
    change(world, secret, "key=two")
    assert changed(world, "web/0") == changed(world, "pg/1") == {secret: 2}
    assert changed(world, "web/1") == {}  # it has never read it
    assert changed(world, "pg/0", leader=True) == {}  # it made the revision
    world.start("web/0").out("secret-get", secret, "--peek")
    assert changed(world, "web/0") == {secret: 2}
    world.start("web/0").out("secret-get", secret, "--refresh")
    assert changed(world, "web/0") == {}


def test_metadata_alone_is_no_change(world: tools_world.World) -> None:
    secret = add(world)
    world.start("pg/1").out("secret-get", secret)
    change(world, secret, "--description", "text")
    assert changed(world, "pg/1") == {}


def rotations(world: tools_world.World, unit: str = "pg/0", *, leader: bool = True) -> list[str]:
    return events.rotations(world.store, MODEL, unit, world.clock.now(), leader=leader)


def test_rotate_comes_when_it_is_due_and_to_the_owner_only(world: tools_world.World) -> None:
    secret = add(world, "pg/0", "--rotate", "hourly")
    world.clock.advance(3599)
    assert rotations(world) == []
    world.clock.advance(1)
    assert rotations(world) == [secret]
    assert rotations(world, leader=False) == rotations(world, "pg/1", leader=False) == rotations(world, "web/0") == []
    assert rotations(world, "pg/1") == [secret]  # a new leader


def test_rotate_comes_again_after_the_interval_or_sooner_without_a_new_revision(world: tools_world.World) -> None:
    secret = add(world, "pg/0", "--rotate", "hourly")
    world.clock.advance(3600)
    hook = uniter.Hook("secret-rotate", secret=secret)
    world.start("pg/0", hook).commit()
    assert rotations(world) == []
    world.clock.advance(300)
    assert rotations(world) == [secret]
    run = world.start("pg/0", hook)
    run.out("secret-set", secret, "key=two")
    run.commit()
    assert world.secret(secret).next_rotate == world.clock.now() + tools_world.HOUR


def test_a_failed_rotate_hook_stays_due(world: tools_world.World) -> None:
    secret = add(world, "pg/0", "--rotate", "hourly")
    world.clock.advance(3600)
    world.start("pg/0", uniter.Hook("secret-rotate", secret=secret)).context.discard()
    assert rotations(world) == [secret]


def expirations(world: tools_world.World, unit: str = "pg/0", *, leader: bool = True) -> list[tuple[str, int]]:
    return events.expirations(world.store, MODEL, unit, world.clock.now(), leader=leader)


def test_expired_repeats_until_the_revision_is_removed(world: tools_world.World) -> None:
    secret = add(world, "pg/0", "--expire", "1h")
    assert expirations(world) == []
    world.clock.advance(3600)
    assert expirations(world) == [(secret, 1)]
    assert expirations(world, "pg/1", leader=False) == []
    hook = uniter.Hook("secret-expired", secret=secret, secret_revision=1)
    world.start("pg/0", hook).commit()
    assert expirations(world) == []
    world.clock.advance(300)
    assert expirations(world) == [(secret, 1)]
    run = world.start("pg/0", hook)
    run.out("secret-set", secret, "key=two")
    run.commit()
    world.clock.advance(300)
    run = world.start("pg/0", hook)
    run.out("secret-remove", secret, "--revision", "1")
    run.commit()
    world.clock.advance(3600)
    assert expirations(world) == []
    assert world.revisions(secret) == [2]


def test_what_a_unit_owns_is_its_own(world: tools_world.World) -> None:
    secret = add(world, "pg/1", "--owner", "unit", "--rotate", "hourly", "--expire", "1h")
    world.clock.advance(3600)
    assert rotations(world) == []
    assert rotations(world, "pg/1", leader=False) == [secret]
    assert expirations(world, "pg/1", leader=False) == [(secret, 1)]


def test_obsolete_revisions_are_the_owners_to_remove(world: tools_world.World) -> None:
    secret = add(world)
    world.start("pg/1").out("secret-get", secret)
    change(world, secret, "key=two")
    assert events.obsolete(world.store, MODEL, "pg/0", leader=True) == {}
    change(world, secret, "key=three")
    assert events.obsolete(world.store, MODEL, "pg/0", leader=True) == {secret: [2]}
    assert events.obsolete(world.store, MODEL, "pg/1", leader=False) == {}
    world.start("pg/1").out("secret-get", secret, "--refresh")
    assert events.obsolete(world.store, MODEL, "pg/0", leader=True) == {secret: [1, 2]}
    run = world.start("pg/0")
    run.out("secret-remove", secret, "--revision", "1")
    run.out("secret-remove", secret, "--revision", "2")
    run.commit()
    assert events.obsolete(world.store, MODEL, "pg/0", leader=True) == {}
    assert world.revisions(secret) == [3]


def test_next_due_is_the_earliest_of_rotation_and_expiry(world: tools_world.World) -> None:
    def due() -> datetime.datetime | None:
        return events.next_due(world.store, MODEL, "pg/0", leader=True)

    start = world.clock.now()
    assert due() is None
    add(world, "pg/0", "--rotate", "daily")
    assert due() == start + datetime.timedelta(days=1)
    secret = add(world, "pg/0", "--expire", "1h")
    assert due() == start + tools_world.HOUR
    world.clock.advance(3600)
    world.start("pg/0", uniter.Hook("secret-expired", secret=secret, secret_revision=1)).commit()
    assert due() == world.clock.now() + datetime.timedelta(minutes=5)


def test_labels_of_events(world: tools_world.World) -> None:
    secret = add(world, "pg/0", "--label", "owners")
    run = world.start("pg/0")
    run.out("secret-grant", secret, "-r", "2")
    run.commit()
    world.start("web/0").out("secret-get", secret, "--label", "readers")
    assert events.label(world.store, MODEL, "pg/0", secret) == "owners"
    assert events.label(world.store, MODEL, "pg/1", secret) == "owners"
    assert events.label(world.store, MODEL, "web/0", secret) == "readers"
    assert events.label(world.store, MODEL, "web/1", secret) == ""


def test_a_relation_that_is_gone_takes_its_grants_along(world: tools_world.World) -> None:
    secret = add(world)
    run = world.start("pg/0")
    run.out("secret-grant", secret, "-r", "2")
    run.commit()
    world.start("web/0").out("secret-get", secret)
    change(world, secret, "key=two")
    assert events.obsolete(world.store, MODEL, "pg/0", leader=True) == {}
    events.forget_relation(world.store, MODEL, tools_world.DATABASE)
    world.store.delete(world.store.require(relations.Relation, MODEL, tools_world.DATABASE))
    assert world.store.find(entities.SecretGrant) == []
    assert events.obsolete(world.store, MODEL, "pg/0", leader=True) == {secret: [1]}
    assert changed(world, "web/0") == {}


def test_a_unit_that_is_gone_takes_its_secrets_along(world: tools_world.World) -> None:
    own = add(world, "pg/1", "--owner", "unit")
    shared = add(world)
    world.start("pg/1").out("secret-get", shared)
    change(world, shared, "key=two")
    events.forget_unit(world.store, MODEL, "pg/1")
    assert [one.id for one in world.store.find(entities.Secret)] == [shared]
    assert world.revisions(own) == []
    assert events.obsolete(world.store, MODEL, "pg/0", leader=True) == {shared: [1]}
    events.forget_application(world.store, MODEL, "pg")
    assert world.store.find(entities.Secret) == []
