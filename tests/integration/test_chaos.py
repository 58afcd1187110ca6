"""Processes are killed and frozen and machines restarted, by hand: the cluster serves again and has lost nothing."""

from __future__ import annotations

import pathlib

import client
import database
import pytest

UNITS = 3
SERVICE = "snap.charmed-postgresql.patroni.service"
PIDFILE = "/var/snap/charmed-postgresql/common/var/lib/postgresql/16/main/postmaster.pid"
FAILOVER = 60.0
"""Seconds until writes go on after a primary was lost: Patroni's ttl of 20 to 30, an election, and a busy host."""


@pytest.fixture(scope="module")
async def deployed(application: database.Database, later: pathlib.Path) -> database.Database:
    """Three units."""
    await application.deploy(later, UNITS)
    await application.settle(UNITS, database.DEPLOYING)
    return application


async def _primary_and_another(cluster: database.Database) -> tuple[str, str]:
    primary = await cluster.primary()
    return primary, next(unit for unit in await cluster.units() if unit != primary)


@pytest.mark.parametrize(
    "kill",
    [f"kill -KILL $(head -1 {PIDFILE})", "pkill -KILL -f [u]sr/bin/patroni"],
    ids=["postgres", "patroni"],
)
async def test_the_primarys_processes_are_killed(cluster: database.Database, kill: str) -> None:
    """PostgreSQL or Patroni dies on the primary: writes go on, there or elsewhere, and three units serve again."""
    primary, other = await _primary_and_another(cluster)
    async with client.Writing(cluster, other) as writing:
        await cluster.ssh(primary, f"sudo sh -c '{kill}'")
        await writing.await_write()
        await cluster.settle(UNITS)
    assert writing.gap < FAILOVER


async def test_the_primary_freezes_and_wakes_up(cluster: database.Database) -> None:
    """A primary that does not answer is replaced; awake again, it takes no write of its own and follows."""
    primary, other = await _primary_and_another(cluster)
    async with client.Writing(cluster, other) as writing:
        await cluster.ssh(primary, f"sudo systemctl kill --signal=STOP {SERVICE}")

        async def replaced() -> bool:
            # The frozen one does not answer, so that another one tells.
            return await cluster.primary() not in ("", primary)

        await cluster.until("another unit is the primary", replaced, FAILOVER)
        await writing.await_write()
        await cluster.ssh(primary, f"sudo systemctl kill --signal=CONT {SERVICE}")
        await cluster.settle(UNITS)
        assert await cluster.primary() != primary
    assert writing.gap < FAILOVER


async def _boot(cluster: database.Database, unit: str) -> str:
    """Return when a machine's first process was started; containers share the kernel's boot id with their host."""
    return (await cluster.ssh(unit, "cat /proc/1/stat")).rpartition(")")[2].split()[19]


async def _restart(cluster: database.Database, *units: str) -> None:
    """Restart machines, and wait until each has booted anew."""
    before = {unit: await _boot(cluster, unit) for unit in units}
    for unit in units:
        # The command comes back before the machine goes down.
        await cluster.ssh(unit, "sudo systemd-run --on-active=1 systemctl reboot")

    for unit in units:

        async def rebooted(unit: str = unit) -> bool:
            return await _boot(cluster, unit) != before[unit]

        await cluster.until(f"the machine of {unit} has booted again", rebooted, 180)


async def test_the_primarys_machine_restarts(cluster: database.Database) -> None:
    """Another unit takes over; the machine comes back by itself and its unit follows."""
    primary, other = await _primary_and_another(cluster)
    async with client.Writing(cluster, other) as writing:
        await _restart(cluster, primary)
        await writing.await_write()
        await cluster.settle(UNITS)
    assert writing.gap < FAILOVER


async def test_all_machines_restart(cluster: database.Database) -> None:
    """After a power cut for all there is the same cluster again, with all rows."""
    await cluster.sql(await cluster.primary(), "CREATE TABLE survivors AS SELECT generate_series(1, 1000) AS n")
    await _restart(cluster, *await cluster.units())
    await cluster.settle(UNITS)
    answers = await cluster.replayed("SELECT count(*) FROM survivors")
    assert answers == dict.fromkeys(await cluster.units(), "1000")
    async with client.Writing(cluster) as writing:
        await writing.await_write()
