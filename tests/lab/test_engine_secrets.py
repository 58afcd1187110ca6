"""Secret events, as the agents bring them to charms."""

from __future__ import annotations

import pytest
from engine_world import World

from lab.controller import operations_common
from lab.controller.entities import secrets

CONTENT = {"a-key": "b25l"}
NEW_CONTENT = {"a-key": "dHdv"}
OPTION = {"key": {"type": "secret"}}


@pytest.fixture
def reader(world: World) -> World:
    """A unit that reads a user secret from its config-changed on."""
    uri = world.operations.add_secret("m", "s", CONTENT)
    world.script(
        "config-changed",
        """
        uri=$(config-get key)
        [ -n "$uri" ] || exit 0
        value=$(secret-get $uri a-key) || exit 1
        status-set active "$value"
        """,
    )
    world.deploy(world.charm(config=OPTION))
    world.operations.grant_secret("m", "s", ["tiny"])
    world.operations.set_config("m", "tiny", {"key": uri})
    world.settle()
    world.hooks()
    return world


def test_a_user_secret_is_read_with_a_grant_only(world: World) -> None:
    uri = world.operations.add_secret("m", "s", CONTENT)
    world.script("config-changed", "secret-get $(config-get key) a-key")
    world.deploy(world.charm(config=OPTION), config={"key": uri})
    assert world.agent_status("tiny/0") == "error"
    assert any("permission denied" in line for line in world.log())
    world.operations.grant_secret("m", "s", ["tiny"])
    world.advance(5)
    assert world.agent_status("tiny/0") == "idle"


def test_a_new_revision_is_told_and_read_on_refresh(reader: World) -> None:
    assert reader.status("tiny/0") == ("active", "one")
    reader.script(
        "secret-changed",
        """
        read_() { secret-get "$JUJU_SECRET_ID" a-key "$@"; }
        status-set active "$(read_) $(read_ --peek) $(read_ --refresh)"
        """,
    )
    reader.operations.update_secret("m", "s", content=NEW_CONTENT)
    reader.settle()
    assert reader.hooks() == ["secret-changed"]
    assert reader.status("tiny/0") == ("active", "one two two")
    reader.operations.update_secret("m", "s", content=NEW_CONTENT)
    reader.settle()
    assert reader.hooks() == []


def test_secret_changed_comes_once_for_a_revision_that_is_not_taken(reader: World) -> None:
    reader.operations.update_secret("m", "s", content=NEW_CONTENT)
    reader.settle()
    assert reader.hooks() == ["secret-changed"]
    reader.operations.fault_crash_agent("m", "tiny/0")
    reader.settle()
    assert "secret-changed" not in reader.hooks()
    reader.operations.update_secret("m", "s", content=CONTENT)
    reader.settle()
    assert reader.hooks() == ["secret-changed"]


def test_a_grant_can_be_taken_back(reader: World) -> None:
    reader.operations.revoke_secret("m", "s", ["tiny"])
    reader.change_config()
    reader.settle()
    assert reader.agent_status("tiny/0") == "error"


def test_secrets_of_an_application(world: World) -> None:
    world.operations.set_model_config("m", {"update-status-hook-interval": "60m"})
    world.script("leader-elected", "secret-add --owner application --label shared --rotate hourly a-key=one")
    world.script("start", "secret-get --label shared >/dev/null || true")
    world.script("secret-rotate", 'secret-set "$JUJU_SECRET_ID" a-key=two')
    world.deploy(num_units=2)
    leader, follower = world.leader(), world.follower()
    world.hooks()
    world.operations.fault_crash_agent("m", follower)
    runs: list[tuple[str, str]] = []
    for _ in range(75):
        world.advance(50)
        runs += [(run.unit, run.hook) for run in world.runs() if run.hook.startswith("secret")]
    assert runs == [(leader, "secret-rotate"), (follower, "secret-changed")]


def test_an_obsolete_revision_is_told_to_its_owner_once(world: World) -> None:
    world.script("install", "secret-add --owner unit --label own a-key=one")
    world.deploy()
    world.script("config-changed", "secret-get --label own --refresh >/dev/null; secret-set $(secret-ids) a-key=two")
    world.script("update-status", "secret-get --label own --refresh >/dev/null")
    world.change_config()
    world.settle()
    world.hooks()
    world.advance(400)
    assert world.hooks() == ["update-status", "secret-remove"]
    environment = world.environment("tiny/0", "secret-remove")
    assert environment["JUJU_SECRET_REVISION"] == "1"
    assert environment["JUJU_SECRET_ID"].startswith("secret:")
    world.operations.fault_crash_agent("m", "tiny/0")
    world.settle()
    assert "secret-remove" not in world.hooks()


def test_secrets_of_a_unit_end_with_it(world: World) -> None:
    world.script("install", "secret-add --owner unit a-key=one")
    world.deploy(num_units=2)
    assert len(world.store.find(secrets.Secret)) == 2
    world.operations.remove_unit("m", "tiny/1")
    world.settle()
    assert [secret.owner for secret in world.store.find(secrets.Secret)] == ["unit-tiny-0"]


def test_what_is_refused(world: World) -> None:
    world.operations.add_secret("m", "s", CONTENT)
    with pytest.raises(operations_common.OperationError):
        world.operations.add_secret("m", "s", CONTENT)
    with pytest.raises(operations_common.OperationError, match='secret "none" not found'):
        world.operations.update_secret("m", "none", content=CONTENT)
    with pytest.raises(operations_common.OperationError, match='application "tiny" not found'):
        world.operations.grant_secret("m", "s", ["tiny"])
    world.script("install", "secret-add --owner unit a-key=one")
    world.deploy()
    (own,) = world.store.find(secrets.Secret, owner="unit-tiny-0")
    with pytest.raises(operations_common.OperationError, match="permission denied"):
        world.operations.remove_secret("m", own.id)
    world.operations.remove_secret("m", "s")
    assert len(world.store.find(secrets.Secret)) == 1
