"""What an operator sees and does day by day: the cluster, its rows, actions, options, secrets and logs."""

from __future__ import annotations

import json
import pathlib
import zipfile

import client
import database
import pytest
from juju import errors

UNITS = 3
ELSEWHERE = "postgresql-machine/77"


@pytest.fixture(scope="module")
async def deployed(application: database.Database, later: pathlib.Path) -> database.Database:
    """Three units."""
    await application.deploy(later, UNITS)
    await application.settle(UNITS, database.DEPLOYING)
    return application


async def test_three_members_replicate_synchronously(cluster: database.Database) -> None:
    """Patroni, PostgreSQL and the charm's own report tell one and the same cluster."""
    primary, units = await cluster.primary(), await cluster.units()
    report = await cluster.report("get-cluster-status")
    assert [member["unit"] for member in report["members"]] == units
    assert [member["unit"] for member in report["members"] if member["role"] == "primary"] == [primary]
    streams = await cluster.sql(
        primary, "SELECT application_name, state, sync_state FROM pg_stat_replication ORDER BY application_name"
    )
    standbys = [unit.replace("/", "-") for unit in units if unit != primary]
    assert [line.split("|")[:2] for line in streams.splitlines()] == [[name, "streaming"] for name in standbys]
    assert {line.split("|")[2] for line in streams.splitlines()} <= {"sync", "quorum"}
    for unit in units:
        assert await cluster.sql(unit, "SELECT pg_is_in_recovery()") == ("f" if unit == primary else "t")
        identifier = await cluster.sql(unit, "SELECT system_identifier FROM pg_control_system()")
        assert identifier == report["cluster-id"]
        assert await cluster.message(unit) == ("active", "Primary" if unit == primary else "Synchronous standby")


async def test_each_unit_takes_writes_when_it_is_the_primary_and_shows_what_others_took(
    cluster: database.Database,
) -> None:
    """Every unit can be made the primary, takes a row then, and no other unit does; all rows are on all units."""
    await cluster.sql(await cluster.primary(), "CREATE TABLE greetings (unit text PRIMARY KEY)")
    units = await cluster.units()
    first = await cluster.primary()
    for unit in [first, *(each for each in units if each != first)]:
        if unit != await cluster.primary():
            moved = await cluster.action(await cluster.leader(), "switchover", candidate=unit)
            assert moved["new-primary"] == unit
            await cluster.settle(UNITS)
        await cluster.sql(unit, f"INSERT INTO greetings VALUES ('{unit}')")
    primary = await cluster.primary()
    standby = next(unit for unit in units if unit != primary)
    with pytest.raises(AssertionError, match="read-only transaction"):
        await cluster.sql(standby, "INSERT INTO greetings VALUES ('nobody')")
    for rows in (await cluster.replayed("SELECT unit FROM greetings ORDER BY unit")).values():
        assert rows.splitlines() == units


async def test_a_switchover_loses_no_write(cluster: database.Database) -> None:
    """The primary moves once, to where the operator wants it, while a client writes."""
    primary = await cluster.primary()
    async with client.Writing(cluster) as writing:
        moved = await cluster.action(await cluster.leader(), "switchover")
        assert (moved["old-primary"], await cluster.primary()) == (primary, moved["new-primary"])
        await writing.await_write()
    assert writing.moves == 1
    assert writing.gap < 15, "a planned switchover takes about two seconds, a failover twenty"


async def test_actions_say_what_is_wrong(cluster: database.Database) -> None:
    """Bad input to actions is refused with its value, what is allowed, or the reason; nothing is changed."""
    leader, primary, timeline = await cluster.leader(), await cluster.primary(), await cluster.timeline()
    for unit in await cluster.units():
        assert await cluster.action(unit, "get-primary") == {"primary": primary, "return-code": 0}
    units = ", ".join(await cluster.units())
    assert await cluster.refusal(leader, "switchover", candidate=ELSEWHERE) == (
        f"No switchover: '{ELSEWHERE}' is no unit of this application; units: {units}"
    )
    said = await cluster.refusal(leader, "switchover", candidate=primary)
    assert said == f"No switchover: {primary} is the primary already"
    for action in ("resume-refresh", "force-refresh-start"):
        assert "No refresh in progress" in await cluster.refusal((await cluster.units())[-1], action)
    with pytest.raises(ValueError, match="nonsense"):
        await cluster.action(leader, "nonsense")
    assert (await cluster.primary(), await cluster.timeline()) == (primary, timeline)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("pause-after-unit-refresh", "sometimes", "all, first, none"),
        ("synchronous-node-count", "9", "all, majority, 0 to 8"),
        ("profile", "huge", "production, testing"),
    ],
)
async def test_a_wrong_option_is_told_and_changes_nothing(
    cluster: database.Database, option: str, value: str, allowed: str
) -> None:
    """A wrong value blocks, names itself and what is allowed, and the database goes on; the right one ends it."""
    good = (await cluster.application.get_config())[option]["value"]
    await cluster.application.set_config({option: value})
    text = f"{option}: '{value}' is not allowed ({allowed}); set with `juju config`"
    for unit in await cluster.units():
        assert await cluster.await_status("blocked", text, unit, seconds=60) == text
    await cluster.await_status("blocked", option, seconds=60)
    assert database.healthy(await cluster.members(), UNITS)
    await cluster.application.set_config({option: good})


async def test_juju_refuses_an_option_that_is_not_there(cluster: database.Database) -> None:
    """What the charm does not know it is not told."""
    with pytest.raises(errors.JujuError, match="nonsense"):
        await cluster.application.set_config({"nonsense": "1"})


async def test_synchronous_standbys_follow_the_option(cluster: database.Database) -> None:
    """With one synchronous standby wanted, one of the two is; with all, both are again."""
    await cluster.configure(synchronous_node_count="1")

    async def one() -> bool:
        return sorted(member["role"] for member in await cluster.members()) == ["leader", "replica", "sync_standby"]

    # Patroni looks at its configuration once a loop, every few seconds.
    await cluster.until("one of two standbys is synchronous", one, 60)
    await cluster.configure(synchronous_node_count="all")


STRANGER = {
    "metadata.yaml": "name: stranger\nsummary: Another application\ndescription: Reads what it is given.\n",
    "manifest.yaml": "charmcraft-version: '4'\nbases:\n"
    + "".join(
        f"- {{name: ubuntu, channel: '24.04', architectures: [{architecture}]}}\n"
        for architecture in ("amd64", "arm64")
    ),
    "dispatch": "#!/bin/sh\nstatus-set active\n",
}
"""The smallest charm that there is."""


async def test_the_passwords_are_a_secret_of_the_application(
    cluster: database.Database, tmp_path: pathlib.Path
) -> None:
    """An operator finds the secret and reads it; units of another application cannot, and no databag shows it."""
    identifier, passwords = await cluster.secret(), await cluster.passwords()
    assert set(passwords) >= {"operator-password", "replication-password"}
    charm = tmp_path / "stranger.charm"
    with zipfile.ZipFile(charm, "w") as archive:
        for name, text in STRANGER.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o100755 if name == "dispatch" else 0o100644) << 16
            archive.writestr(member, text)
    [machine] = {(await cluster.status()).units[unit].machine for unit in (await cluster.units())[:1]}
    await cluster.juju("deploy", str(charm), "stranger", "--to", machine)
    stranger = database.Database(cluster.ops_test, "stranger")
    await stranger.await_status("active", "", "stranger/0", seconds=120)
    code, printed, said = await cluster.command("exec", "--unit", "stranger/0", "--", "secret-get", identifier)
    assert code != 0, printed
    assert "permission denied" in said + printed
    assert not any(password in said + printed for password in passwords.values())
    own = await cluster.juju("exec", "--unit", f"{cluster.name}/leader", "--", "secret-get", identifier)
    assert passwords["operator-password"] in own
    for unit in await cluster.units():
        shown = await cluster.juju("show-unit", unit)
        assert "address" in shown, "the databags are not shown"
        assert [key for key, password in passwords.items() if password in shown] == []
    await cluster.juju("remove-application", "stranger", "--force", "--no-prompt")


async def test_nothing_went_wrong_on_the_way(cluster: database.Database) -> None:
    """The units' logs have no error; statuses and logs have no password."""
    assert await cluster.errors() == []
    log = await cluster.juju("debug-log", "--replay", "--no-tail")
    assert f"unit-{cluster.name}-0" in log, "the log does not show the units"
    seen = log + await cluster.juju("status", "--format", "json", "--relations", "--storage")
    assert json.loads(await cluster.juju("status", "--format", "json"))["applications"]
    assert [key for key, password in (await cluster.passwords()).items() if password in seen] == []
