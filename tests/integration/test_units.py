"""Units come and go, and storage outlives them: one unit, three, others, one, three, and a new start."""

from __future__ import annotations

import json
import pathlib

import charm_versions
import client
import database
import pytest

STORAGES = ("data", "logs", "archive", "temp")
SHORT_LIVED = ("loop", "rootfs", "tmpfs")
"""Juju's providers whose storage ends with the machine."""


async def _pool(application: database.Database) -> str:
    """Return a pool whose storage outlives machines: on LXD `lxd`."""
    pools = json.loads(await application.juju("storage-pools", "--format", "json"))
    return next(name for name, told in sorted(pools.items()) if told["provider"] not in SHORT_LIVED)


async def _storage(application: database.Database, unit: str) -> list[str]:
    """Return the identifiers of the storage that is attached to a unit."""
    listed = json.loads(await application.juju("storage", "--format", "json"))["storage"]
    return sorted(name for name, told in listed.items() if unit in told.get("attachments", {}).get("units", {}))


async def _deploy(application: database.Database, charm: pathlib.Path, *options: str) -> None:
    await application.juju("deploy", str(charm), application.name, "--config", "profile=testing", *options)


@pytest.fixture(scope="module")
async def deployed(application: database.Database, earlier: pathlib.Path) -> database.Database:
    """One unit of the earlier version, with storage that can be kept."""
    pool = await _pool(application)
    await _deploy(application, earlier, *(word for name in STORAGES for word in ("--storage", f"{name}={pool},1G")))
    await application.settle(1, database.DEPLOYING)
    return application


async def _remove(cluster: database.Database, *units: str) -> None:
    staying = [unit for unit in await cluster.units() if unit not in units]
    await cluster.juju("remove-unit", *units, "--no-prompt")
    # Hand-over, leaving Raft, a clean stop: each is bounded, together a minute.
    assert await cluster.settle(len(staying)) == staying


async def test_a_unit_alone_is_refreshed(
    deployed: database.Database, later: pathlib.Path, later_version: charm_versions.Version
) -> None:
    """Nobody can take over, so there is an outage; it is the refresh itself, and nothing that was promised is lost."""
    async with client.Writing(deployed) as writing:
        await deployed.refresh(later)
        await deployed.settle(1, revision=later_version.revision)
        await writing.await_write()
    assert writing.gap < 60, "stop, refresh and start take seconds"
    version = await deployed.sql(f"{deployed.name}/0", "SHOW server_version")
    assert version.split()[0] == later_version.workload


async def test_one_unit_becomes_three(deployed: database.Database) -> None:
    """The new units get all that was written before; the first goes on to take writes meanwhile."""
    async with client.Writing(deployed):
        await deployed.application.add_unit(2)
        assert await deployed.settle(3) == [f"{deployed.name}/{number}" for number in range(3)]


async def test_the_leader_is_removed(deployed: database.Database) -> None:
    """Juju elects another leader, the cluster loses no write, and a new unit takes the place."""
    leader = await deployed.leader()
    staying = next(unit for unit in await deployed.units() if unit != leader)
    async with client.Writing(deployed, staying) as writing:
        await _remove(deployed, leader)
        assert await deployed.leader() != leader
        await writing.await_write()
    assert writing.gap < 15
    await deployed.application.add_unit(1)
    await deployed.settle(3)


async def test_the_primary_is_removed(deployed: database.Database) -> None:
    """The primary hands over before it goes: that is one move, of seconds, and not a failover."""
    primary = await deployed.primary()
    staying = next(unit for unit in await deployed.units() if unit != primary)
    async with client.Writing(deployed, staying) as writing:
        await _remove(deployed, primary)
        await writing.await_write()
    assert writing.gap < 15
    assert writing.moves == 1


async def test_one_unit_is_left_and_becomes_three_again(deployed: database.Database) -> None:
    """The last unit serves alone: nobody who has gone is waited for. Then two more join it."""
    staying, *leaving = await deployed.units()
    async with client.Writing(deployed, staying) as writing:
        await _remove(deployed, *leaving)
        await writing.await_write()
    assert await deployed.primary() == staying
    async with client.Writing(deployed, staying):
        await deployed.application.add_unit(2)
        units = await deployed.settle(3)
    assert units == sorted(units, key=database.number)
    assert units[0] == staying


async def test_storage_is_kept_and_serves_again(deployed: database.Database, later: pathlib.Path) -> None:
    """The application goes and its storage stays; another one, deployed with it, has every row."""
    async with client.Writing(deployed) as writing:
        await writing.await_write()
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    primary = await deployed.primary()
    before, kept = await deployed.sql(primary, tables), await _storage(deployed, primary)
    rows = await deployed.sql(primary, f"SELECT count(*) FROM {before.splitlines()[-1]}")
    password = (await deployed.passwords())["operator-password"]
    await deployed.juju("remove-application", deployed.name, "--no-prompt")

    async def gone() -> bool:
        status = await deployed.model.get_status()
        return deployed.name not in status.applications and not status.machines

    # Each unit leaves the cluster in order, then its machine is taken away.
    await deployed.until("the application and its machines are gone", gone)
    assert {name.partition("/")[0] for name in kept} == set(STORAGES)
    await _deploy(deployed, later, "--attach-storage", ",".join(kept))
    [unit] = await deployed.settle(1)
    assert await _storage(deployed, unit) == kept
    assert await deployed.sql(unit, tables) == before
    assert await deployed.sql(unit, f"SELECT count(*) FROM {before.splitlines()[-1]}") == rows
    assert (await deployed.passwords())["operator-password"] != password, "a new application has passwords of its own"


async def test_nothing_went_wrong_on_the_way(deployed: database.Database) -> None:
    """The units' logs have no error: not those of units that have left, either."""
    assert await deployed.errors() == []
    log = await deployed.juju("debug-log", "--replay", "--no-tail")
    assert f"unit-{deployed.name}-0" in log, "the log does not show the units"
