from __future__ import annotations

import dataclasses
import datetime

import pytest

from lab.controller import secrets, secrets_content, secrets_rotation
from lab.controller.entities import relations
from lab.controller.entities import secrets as entities
from tests.lab import tools_world

MODEL = tools_world.MODEL
ONE, TWO = "a" * 20, "b" * 20
PG, PG0, PG1, WEB, USER = "application-pg", "unit-pg-0", "unit-pg-1", "application-web", f"model-{MODEL}"


@pytest.fixture
def world() -> tools_world.World:
    return tools_world.World()


def create(world: tools_world.World, identifier: str = ONE, owner: str = PG, **changes: object) -> entities.Secret:
    options = {"content": tools_world.encoded(key="1"), **changes}
    return secrets.create(
        world.store,
        world.clock.now(),
        MODEL,
        identifier,
        owner,
        secrets.Changes(**options),
    )


def update(world: tools_world.World, identifier: str = ONE, **changes: object) -> entities.Secret:
    return secrets.update(
        world.store,
        world.clock.now(),
        MODEL,
        identifier,
        secrets.Changes(**changes),  # pyright: ignore[reportArgumentType]
    )


def read(world: tools_world.World, unit: str, identifier: str = ONE, **options: object) -> str:
    content = secrets.read(world.store, MODEL, identifier, unit, **options)  # pyright: ignore[reportArgumentType]
    return secrets_content.decode(content)["key"]


def obsolete(world: tools_world.World) -> list[int]:
    found = world.store.find(entities.SecretRevision, model=MODEL, secret=ONE)
    return [one.revision for one in found if one.obsolete]


# Writing


@pytest.mark.parametrize("text", [f"secret:{ONE}", ONE, f"secret://{MODEL}/{ONE}"])
def test_identifiers(text: str) -> None:
    assert secrets_content.identifier(text) == ONE


@pytest.mark.parametrize("text", ["", "secret:", "secret:short", f"secret:{ONE}x", f"http://{ONE}", ONE.upper()])
def test_what_is_no_identifier(text: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        secrets_content.identifier(text)


def test_content_is_kept_in_base64() -> None:
    assert secrets_content.encode({"key": "value", "raw#base64": "AA=="}) == {"key": "dmFsdWU=", "raw": "AA=="}
    assert secrets_content.decode({"key": "dmFsdWU=", "raw": "AA=="}) == {"key": "value", "raw": "\0"}


@pytest.mark.parametrize("key", ["ab", "Key", "1key", "key-", "key_a", "k--a", "key#file", "key#b64"])
def test_keys_have_rules(key: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        secrets_content.encode({key: "value"})


def test_raw_content_must_be_base64() -> None:
    with pytest.raises(ValueError, match="base64"):
        secrets_content.encode({"key#base64": "not base64!"})


# Access


@pytest.mark.parametrize(
    ("owner", "unit", "leader", "manages", "reads"),
    [
        (PG, "pg/0", True, True, True),
        (PG, "pg/1", False, False, True),
        (PG0, "pg/0", False, True, True),
        (PG0, "pg/1", False, False, False),
        (PG0, "pg/1", True, False, False),
        (PG, "web/0", True, False, False),
        (USER, "pg/0", True, False, False),
    ],
)
def test_who_may(world: tools_world.World, owner: str, unit: str, leader: bool, manages: bool, reads: bool) -> None:
    secret = create(world, owner=owner)
    assert secrets.may_manage(secret, unit, leader=leader) is manages
    assert secrets.may_read(world.store, secret, unit) is reads


@pytest.mark.parametrize(
    ("subject", "readers"),
    [(WEB, {"web/0", "web/1"}), ("unit-web-0", {"web/0"}), (PG1, {"pg/1"}), ("unit-web-9", set())],
)
def test_a_grant_lets_read(world: tools_world.World, subject: str, readers: set[str]) -> None:
    secret = create(world, owner=PG0)
    secrets.grant(world.store, MODEL, ONE, subject, tools_world.DATABASE)
    units = {"pg/1", "pg/2", "web/0", "web/1"}
    assert {unit for unit in units if secrets.may_read(world.store, secret, unit)} == readers


def test_a_grant_ends_with_its_relation(world: tools_world.World) -> None:
    secret = create(world)
    secrets.grant(world.store, MODEL, ONE, WEB, tools_world.DATABASE)
    world.store.delete(world.store.require(relations.Relation, MODEL, tools_world.DATABASE))
    assert not secrets.may_read(world.store, secret, "web/0")
    assert secrets.grants(world.store, MODEL, ONE) == []


def test_a_grant_without_relation_stays(world: tools_world.World) -> None:
    secret = create(world, owner=USER, label="mine")
    secrets.grant(world.store, MODEL, ONE, PG)
    assert secrets.may_read(world.store, secret, "pg/1")
    secrets.revoke(world.store, MODEL, ONE, PG)
    assert not secrets.may_read(world.store, secret, "pg/1")


def test_revoking_an_application_revokes_its_units(world: tools_world.World) -> None:
    secret = create(world)
    secrets.grant(world.store, MODEL, ONE, "unit-web-0", tools_world.DATABASE)
    secrets.grant(world.store, MODEL, ONE, "unit-webhook-0", tools_world.DATABASE)
    secrets.revoke(world.store, MODEL, ONE, WEB)
    assert not secrets.may_read(world.store, secret, "web/0")
    assert secrets.may_read(world.store, secret, "webhook/0")


def test_reading_without_leave_is_refused(world: tools_world.World) -> None:
    create(world)
    with pytest.raises(secrets.AccessDeniedError, match="permission denied"):
        read(world, "web/0")
    with pytest.raises(secrets.SecretNotFoundError, match=f'secret "{TWO}" not found'):
        read(world, "web/0", TWO)


# Tracking


def test_a_reader_stays_with_its_revision(world: tools_world.World) -> None:
    create(world)
    assert read(world, "pg/1") == "1"
    update(world, content=tools_world.encoded(key="2"))
    assert read(world, "pg/1") == "1"
    assert read(world, "pg/1", peek=True) == "2"
    assert read(world, "pg/1") == "1"
    assert read(world, "pg/2") == "2"
    assert read(world, "pg/1", refresh=True) == "2"
    update(world, content=tools_world.encoded(key="3"))
    assert read(world, "pg/1") == "2"


def test_peeking_first_tracks_too(world: tools_world.World) -> None:
    create(world)
    assert read(world, "pg/1", peek=True) == "1"
    update(world, content=tools_world.encoded(key="2"))
    assert read(world, "pg/1") == "1"


def test_the_same_content_is_no_new_revision(world: tools_world.World) -> None:
    create(world)
    assert update(world, content=tools_world.encoded(key="1"), label="new").latest_revision == 1
    assert update(world, content=tools_world.encoded(key="2")).latest_revision == 2


def test_a_revision_is_obsolete_once_nobody_tracks_it(world: tools_world.World) -> None:
    create(world)
    update(world, content=tools_world.encoded(key="2"))
    assert obsolete(world) == [1]
    read(world, "pg/1")
    update(world, content=tools_world.encoded(key="3"))
    assert obsolete(world) == [1]
    read(world, "pg/1", refresh=True)
    assert obsolete(world) == [1, 2]


def test_user_secrets_may_prune_themselves(world: tools_world.World) -> None:
    create(world, owner=USER, label="mine")
    secrets.grant(world.store, MODEL, ONE, PG)
    secrets.update(world.store, world.clock.now(), MODEL, ONE, secrets.Changes(), auto_prune=True)
    read(world, "pg/0")
    update(world, content=tools_world.encoded(key="2"))
    assert world.revisions(ONE) == [1, 2]
    read(world, "pg/0", refresh=True)
    assert world.revisions(ONE) == [2]


def test_removing_revisions_and_the_secret(world: tools_world.World) -> None:
    create(world)
    update(world, content=tools_world.encoded(key="2"))
    secrets.remove(world.store, MODEL, ONE, 1)
    assert world.revisions(ONE) == [2]
    with pytest.raises(secrets.SecretNotFoundError, match=f'secret revision "{ONE}/1" not found'):
        secrets.remove(world.store, MODEL, ONE, 1)
    read(world, "pg/0")
    secrets.grant(world.store, MODEL, ONE, WEB)
    secrets.remove(world.store, MODEL, ONE, 2)
    for kind in (entities.Secret, entities.SecretRevision, entities.SecretConsumer, entities.SecretGrant):
        assert world.store.find(kind) == []


def test_an_empty_update_or_secret_is_refused(world: tools_world.World) -> None:
    create(world)
    with pytest.raises(secrets.SecretError, match="at least one attribute"):
        update(world)
    with pytest.raises(secrets.SecretError, match="empty secret value"):
        create(world, TWO, content=None)


# Labels


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [(PG, PG, True), (PG, PG0, True), (PG0, PG, True), (PG0, PG0, True), (PG0, PG1, False), (PG, WEB, False)],
)
def test_an_owners_labels_are_unique(world: tools_world.World, first: str, second: str, clash: bool) -> None:
    create(world, owner=first, label="label")
    if clash:
        with pytest.raises(secrets.SecretError, match='secret with label "label" already exists'):
            create(world, TWO, owner=second, label="label")
        create(world, TWO, owner=second)
        with pytest.raises(secrets.SecretError, match="already exists"):
            update(world, TWO, label="label")
    else:
        create(world, TWO, owner=second, label="label")


def test_a_label_may_be_set_again_on_the_same_secret(world: tools_world.World) -> None:
    create(world, label="label")
    assert update(world, label="label").label == "label"


def test_a_readers_label_is_its_own(world: tools_world.World) -> None:
    create(world, owner=WEB, label="theirs")
    create(world, TWO, owner=PG0, label="taken")
    secrets.grant(world.store, MODEL, ONE, PG)
    assert read(world, "pg/0", label="mine") == "1"
    found = secrets.by_label(world.store, MODEL, "pg/0", "mine")
    assert found is not None and found.id == ONE
    assert secrets.by_label(world.store, MODEL, "pg/1", "mine") is None
    assert secrets.by_label(world.store, MODEL, "pg/0", "theirs") is None
    with pytest.raises(secrets.SecretError, match='label "taken" already exists'):
        read(world, "pg/0", label="taken")
    assert read(world, "pg/0", label="other") == "1"
    assert secrets.by_label(world.store, MODEL, "pg/0", "mine") is None
    read(world, "pg/0", refresh=True)
    assert secrets.by_label(world.store, MODEL, "pg/0", "other") is not None


def test_names_of_user_secrets_are_unique(world: tools_world.World) -> None:
    assert create(world, owner=USER, label="mine").name == "mine"
    with pytest.raises(secrets.SecretError, match='secret with name "mine" already exists'):
        create(world, TWO, owner=USER, label="mine")
    create(world, TWO, owner=USER, label="other")
    with pytest.raises(secrets.SecretError, match="already exists"):
        update(world, TWO, label="mine")


# Rotation and expiry

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("never", None),
        ("hourly", NOON.replace(hour=13)),
        ("daily", NOON.replace(month=2, day=1)),
        ("weekly", NOON.replace(month=2, day=7)),
        ("monthly", NOON.replace(month=3, day=3)),  # there is no 31 February
        ("quarterly", NOON.replace(month=5, day=1)),
        ("yearly", NOON.replace(year=2027)),
    ],
)
def test_rotation_policies(policy: str, expected: datetime.datetime | None) -> None:
    assert secrets_rotation.next_time(policy, NOON) == expected


def test_a_shorter_policy_counts_from_now_a_longer_one_from_the_next_rotation(world: tools_world.World) -> None:
    start = world.clock.now()
    assert create(world, rotate="daily").next_rotate == start + datetime.timedelta(days=1)
    world.clock.advance(60)
    hourly = update(world, rotate="hourly").next_rotate
    assert hourly == world.clock.now() + tools_world.HOUR
    world.clock.advance(60)
    assert update(world, rotate="weekly").next_rotate == hourly
    assert update(world, description="x").next_rotate == hourly
    assert update(world, rotate="never").next_rotate is None


def test_expiry_is_the_latest_revisions(world: tools_world.World) -> None:
    soon = world.clock.now() + tools_world.HOUR
    create(world, expires=soon)
    update(world, content=tools_world.encoded(key="2"))
    latest = secrets.revision(world.store, MODEL, ONE, 2)
    assert latest.expires is None
    update(world, expires=soon)
    assert secrets.revision(world.store, MODEL, ONE, 2) == dataclasses.replace(latest, expires=soon)
