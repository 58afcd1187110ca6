"""What a hook does with secrets, through the tools."""

from __future__ import annotations

import datetime
import re

import pytest
import yaml

from lab.controller import context
from lab.controller.entities import secrets as entities
from lab.controller.tools import errors, secret
from tests.lab import tools_world

UNKNOWN = "secret:" + "a" * 20
NOT_RELATED = 'cannot specify unit "pg/1" in relation to application "web"'


@pytest.fixture
def world() -> tools_world.World:
    return tools_world.World()


def add(world: tools_world.World, unit: str, *arguments: str) -> str:
    run = world.start(unit)
    uri = run.out("secret-add", "key=one", *arguments).strip()
    run.commit()
    return uri


def denied(world: tools_world.World, run: tools_world.Run, reason: str = "permission denied") -> None:
    """The hook fails at its end, and nothing of it is kept."""
    run.out("state-set", "canary=1")
    with pytest.raises(context.CommitError, match=re.escape(reason)):
        run.commit()
    assert world.start(run.context.unit).json("state-get") == {}


# Adding


def test_a_secret_is_readable_at_once_and_there_at_the_end(world: tools_world.World) -> None:
    run = world.start("pg/0")
    out = run.out("secret-add", "key=one", "other-key#base64=AA==", "--label", "own")
    assert re.fullmatch(r"secret:[0-9a-v]{20}\n", out)
    uri = out.strip()
    assert run.json("secret-get", uri) == {"key": "one", "other-key": "\0"}
    assert run.json("secret-get", "--label", "own")["key"] == "one"
    assert run.out("secret-get", uri, "key#base64") == "b25l\n"
    assert yaml.safe_load(run.out("secret-get", uri)) == {"key": "one", "other-key": "\0"}
    assert world.store.find(entities.Secret) == []
    run.commit()
    assert world.secret(uri).owner == "application-pg"
    assert world.start("pg/1").json("secret-get", uri, "key") == "one"


def test_a_failed_hook_leaves_no_secret(world: tools_world.World) -> None:
    run = world.start("pg/0")
    uri = run.out("secret-add", "key=one").strip()
    run.context.discard()
    assert world.start("pg/0").error("secret-get", uri)[1].endswith("not found")


def test_whose_a_secret_is(world: tools_world.World) -> None:
    assert world.secret(add(world, "pg/1", "--owner", "unit")).owner == "unit-pg-1"
    assert world.secret(add(world, "pg/0", "--owner", "application")).owner == "application-pg"
    assert world.start("pg/1").error("secret-add", "key=one") == (1, "this unit is not the leader")


def test_leadership_lost_in_the_hook_fails_it(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("secret-add", "key=one")
    world.lead("pg/1")
    denied(world, run)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing secret value or filename"),
        (["key"], 'key value "key" not valid'),
        (["K=1"], 'key "K" not valid'),
        (["key=1", "--rotate", "often"], 'rotate policy "often" not valid'),
        (["key=1", "--owner", "me"], 'secret owner "me" not valid'),
        (["key=1", "--expire", "soon"], 'expire time or duration "soon" not valid'),
        (["key=1", "--expire", "-1h"], 'negative expire duration "-1h" not valid'),
        (["key=1", "--expire", "0s"], 'negative expire duration "0s" not valid'),
    ],
)
def test_secret_add_usage(world: tools_world.World, arguments: list[str], message: str) -> None:
    assert world.start("pg/0").error("secret-add", *arguments) == (2, message)


def test_content_comes_from_files(world: tools_world.World) -> None:
    run = world.start("pg/0")
    asking = run.call("secret-add", "key#file=a", "plain=x", "--file", "/tmp/b", directory="/home")
    assert asking.reads == ("/home/a", "/tmp/b")
    files = {"/home/a": "from a\n", "/tmp/b": "plain: over\nmore: 1\n"}
    uri = run.out("secret-add", "key#file=a", "plain=x", "--file", "/tmp/b", directory="/home", files=files)
    assert run.json("secret-get", uri.strip()) == {"key": "from a\n", "plain": "over", "more": "1"}
    missing = run.error("secret-add", "key#file=a", directory="/home", files={"/home/a": None})
    assert missing == (2, "open /home/a: no such file or directory")


NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW + datetime.timedelta(days=1)),
        ("1h30m", NOW + datetime.timedelta(minutes=90)),
        ("1.5h", NOW + datetime.timedelta(minutes=90)),
        ("90s", NOW + datetime.timedelta(seconds=90)),
        ("500ms", NOW + datetime.timedelta(milliseconds=500)),
        ("2026-02-01T00:00:00Z", NOW.replace(month=2)),
        ("2026-02-01T00:00:00", NOW.replace(month=2)),
        ("2026-02-01T02:00:00+02:00", NOW.replace(month=2)),
    ],
)
def test_expiry(text: str, expected: datetime.datetime) -> None:
    assert secret.expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "1", "1d", "h", "1h2", "2026-02-01", "tomorrow"])
def test_bad_expiry(text: str) -> None:
    with pytest.raises(errors.UsageError):
        secret.expiry(text, NOW)


# Labels


def test_a_label_twice_in_a_hook_is_refused_at_once(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("secret-add", "key=one", "--label", "own")
    error = run.error("secret-add", "key=two", "--label", "own")
    assert error == (1, 'secret with label "own" already exists')


def test_a_label_that_is_taken_fails_the_hook(world: tools_world.World) -> None:
    add(world, "pg/0", "--label", "own")
    run = world.start("pg/0")
    run.out("secret-add", "key=two", "--label", "own")
    denied(world, run, 'secret with label "own" already exists')


def test_owner_labels_work_for_all_units_of_the_application(world: tools_world.World) -> None:
    uri = add(world, "pg/0", "--label", "own")
    assert world.start("pg/1").json("secret-get", "--label", "own") == {"key": "one"}
    assert world.start("web/0").error("secret-get", "--label", "own") == (1, 'secret with label "own" not found')
    assert world.start("pg/1").json("secret-get", uri, "--label", "own") == {"key": "one"}


def test_a_new_label_works_within_the_hook(world: tools_world.World) -> None:
    uri = add(world, "pg/0", "--label", "old")
    run = world.start("pg/0")
    run.out("secret-set", uri, "--label", "new")
    assert run.json("secret-get", "--label", "new") == {"key": "one"}
    run.commit()
    assert world.start("pg/0").json("secret-get", "--label", "new") == {"key": "one"}
    assert world.start("pg/0").error("secret-get", "--label", "old")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "require either a secret URI or label"),
        (["nonsense"], 'secret URI "nonsense" not valid'),
        ([UNKNOWN, "--peek", "--refresh"], "specify one of --peek or --refresh but not both"),
        ([UNKNOWN, "key", "more"], 'unrecognized args: ["more"]'),
        ([UNKNOWN, "--format", "smart"], 'invalid value "smart" for option --format: unknown format "smart"'),
    ],
)
def test_secret_get_usage(world: tools_world.World, arguments: list[str], message: str) -> None:
    assert world.start("pg/0").error("secret-get", *arguments) == (2, message)


def test_a_missing_key_is_an_error(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    assert world.start("pg/0").error("secret-get", uri, "nope")[0] == 1


# Changing


def test_several_sets_in_a_hook_are_one_revision(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    run = world.start("pg/0")
    run.out("secret-set", uri, "key=two", "--description", "text")
    run.out("secret-set", uri, "key=three", "--label", "own")
    assert run.json("secret-get", uri, "--peek") == {"key": "three"}
    run.commit()
    assert world.revisions(uri) == [1, 2]
    found = world.secret(uri)
    assert (found.label, found.description) == ("own", "text")


def test_a_set_of_the_hooks_own_secret_changes_what_is_created(world: tools_world.World) -> None:
    run = world.start("pg/0")
    uri = run.out("secret-add", "key=one").strip()
    run.out("secret-set", uri, "key=two", "--rotate", "daily")
    assert run.json("secret-get", uri) == {"key": "two"}
    run.commit()
    assert world.revisions(uri) == [1]
    assert world.secret(uri).rotate == "daily"


def test_a_pending_revision_is_seen_where_the_latest_is_asked_for(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    world.start("pg/0").out("secret-get", uri)
    run = world.start("pg/0")
    run.out("secret-set", uri, "key=two")
    assert run.json("secret-get", uri, "key") == "one"
    assert run.json("secret-get", uri, "key", "--peek") == "two"
    assert run.json("secret-get", uri, "key") == "one"
    assert run.json("secret-get", uri, "key", "--refresh") == "two"
    run.commit()
    assert world.start("pg/0").json("secret-get", uri, "key") == "two"


def test_tracking_is_kept_though_the_hook_fails(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    run = world.start("pg/1")
    run.out("secret-get", uri)
    run.context.discard()
    run = world.start("pg/0")
    run.out("secret-set", uri, "key=two")
    run.commit()
    assert world.start("pg/1").json("secret-get", uri, "key") == "one"
    run = world.start("pg/1")
    run.out("secret-get", uri, "--refresh")
    run.context.discard()
    assert world.start("pg/1").json("secret-get", uri, "key") == "two"


@pytest.mark.parametrize("tool", ["secret-set", "secret-remove", "secret-revoke"])
@pytest.mark.parametrize("unit", ["pg/1", "web/0"])
def test_who_does_not_manage_a_secret_fails_at_the_end(world: tools_world.World, tool: str, unit: str) -> None:
    uri = add(world, "pg/0")
    run = world.start(unit)
    more = {"secret-set": ["key=two"], "secret-remove": [], "secret-revoke": ["--app", "web"]}[tool]
    run.out(tool, uri, *more)
    denied(world, run)
    assert world.revisions(uri) == [1]


def test_a_secret_that_is_not_there_fails_the_hook(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("secret-set", UNKNOWN, "key=two")
    denied(world, run, "not found")


def test_removing_drops_what_else_the_hook_did_to_the_secret(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    run = world.start("pg/0")
    new = run.out("secret-add", "key=x").strip()
    run.out("secret-grant", new, "-r", "2")
    run.out("secret-remove", new)
    run.out("secret-set", uri, "key=two")
    run.out("secret-grant", uri, "-r", "2")
    run.out("secret-remove", uri)
    assert run.json("secret-ids") == []
    run.commit()
    assert world.store.find(entities.Secret) == world.store.find(entities.SecretGrant) == []


def test_removing_several_revisions(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    for content in ("key=two", "key=three"):
        run = world.start("pg/0")
        run.out("secret-set", uri, content)
        run.commit()
    run = world.start("pg/0")
    run.out("secret-remove", uri, "--revision", "1")
    run.out("secret-remove", uri, "--revision=2")
    assert run.json("secret-ids") == [uri.removeprefix("secret:")]
    run.commit()
    assert world.revisions(uri) == [3]
    run = world.start("pg/0")
    run.out("secret-remove", uri, "--revision", "1")
    denied(world, run, "not found")


# Grants


def test_a_grant_is_for_the_related_application_or_one_of_its_units(world: tools_world.World) -> None:
    all_units, one_unit = add(world, "pg/0"), add(world, "pg/0")
    run = world.start("pg/0")
    run.out("secret-grant", all_units, "--relation", "database:2")
    run.out("secret-grant", one_unit, "-r", "2", "--unit", "web/1")
    assert world.start("web/0").error("secret-get", all_units) == (1, "permission denied")
    run.commit()
    assert world.start("web/0").json("secret-get", all_units) == {"key": "one"}
    assert world.start("web/1").json("secret-get", one_unit) == {"key": "one"}
    assert world.start("web/0").error("secret-get", one_unit) == (1, "permission denied")
    run = world.start("pg/0")
    run.out("secret-revoke", all_units, "-r", "2")
    run.out("secret-revoke", one_unit, "--unit", "web/1")
    run.commit()
    assert world.start("web/0").error("secret-get", all_units) == (1, "permission denied")
    assert world.start("web/1").error("secret-get", one_unit) == (1, "permission denied")


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "message"),
    [
        ("secret-grant", ["-r", "2", "--unit", "pg/1"], 2, NOT_RELATED),
        ("secret-grant", ["-r", "2", "--unit", "web"], 2, 'unit "web" not valid'),
        ("secret-grant", ["-r", "9"], 2, 'invalid value "9" for option -r: relation not found'),
        ("secret-grant", [], 2, "no relation id specified"),
        ("secret-revoke", [], 2, "missing relation or application or unit"),
        ("secret-revoke", ["--app", "web", "--unit", "web/0"], 2, "specify only one of application or unit"),
        ("secret-revoke", ["--app", "web", "-r", "2"], 2, "do not specify both relation and app"),
    ],
)
def test_grant_usage(world: tools_world.World, tool: str, arguments: list[str], code: int, message: str) -> None:
    uri = add(world, "pg/0")
    assert world.start("pg/0").error(tool, uri, *arguments) == (code, message)
    assert world.start("pg/0").error(tool) == (2, "missing secret URI")


def test_only_managers_grant(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    assert world.start("pg/1").error("secret-grant", uri, "-r", "2")[1].endswith("not found")


def test_an_application_grant_needs_unit_grants_revoked_before(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    run = world.start("pg/0")
    run.out("secret-grant", uri, "-r", "2", "--unit", "web/0")
    run.commit()
    code, message = world.start("pg/0").error("secret-grant", uri, "-r", "2")
    assert code == 1 and message.startswith("any unit level grants need to be revoked")
    run = world.start("pg/0")
    run.out("secret-revoke", uri, "--unit", "web/0")
    run.out("secret-grant", uri, "-r", "2")
    run.commit()
    assert world.start("web/1").json("secret-get", uri) == {"key": "one"}


def test_a_unit_grant_below_an_application_grant_changes_nothing(world: tools_world.World) -> None:
    uri = add(world, "pg/0")
    run = world.start("pg/0")
    run.out("secret-grant", uri, "-r", "2")
    run.out("secret-grant", uri, "-r", "2", "--unit", "web/0")
    run.commit()
    assert [one.subject for one in world.store.find(entities.SecretGrant)] == ["application-web"]


# Metadata


def test_secret_info_get(world: tools_world.World) -> None:
    uri = add(world, "pg/0", "--label", "own", "--rotate", "daily", "--expire", "2026-02-01T00:00:00Z")
    run = world.start("pg/0")
    run.out("secret-grant", uri, "-r", "2")
    run.out("secret-set", uri, "--description", "text")
    expected = {
        "revision": 1,
        "label": "own",
        "owner": "application",
        "description": "text",
        "rotation": "daily",
        "expiry": "2026-02-01T00:00:00Z",
        "rotates": "2026-01-02T00:00:00Z",
        "access": [{"target": "application-web", "scope": "relation-web.db#pg.database", "role": "view"}],
    }
    assert run.json("secret-info-get", "--label", "own") == {uri.removeprefix("secret:"): expected}
    for unit in ("pg/1", "web/0"):
        assert world.start(unit).error("secret-info-get", uri)[1].endswith("not found")
    both = run.error("secret-info-get", uri, "--label", "own")
    assert both == (2, "specify either a secret URI or label but not both")


def test_secret_ids_are_those_that_a_unit_manages(world: tools_world.World) -> None:
    of_application = add(world, "pg/0").removeprefix("secret:")
    of_unit = add(world, "pg/1", "--owner", "unit").removeprefix("secret:")
    run = world.start("pg/0")
    new = run.out("secret-add", "key=x").strip().removeprefix("secret:")
    assert set(run.json("secret-ids")) == {of_application, new}
    assert world.start("pg/1").json("secret-ids") == [of_unit]
    world.lead("pg/1")
    assert set(world.start("pg/1").json("secret-ids")) == {of_application, of_unit}
