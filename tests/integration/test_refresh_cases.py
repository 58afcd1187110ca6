"""Refreshes that go another way: incompatible, stopped by a check, without a pause, with many, with units that come."""

from __future__ import annotations

import pathlib

import charm_versions
import client
import database
import pytest

UNITS = 3
OLD = charm_versions.EARLIER.revision
CHECK_FAILED = "Rollback with `juju refresh`. Pre-refresh check failed: "


@pytest.fixture(scope="module")
async def deployed(application: database.Database, earlier: pathlib.Path) -> database.Database:
    """Three units of the earlier version."""
    await application.deploy(earlier, UNITS)
    await application.settle(UNITS, database.DEPLOYING)
    return application


async def test_an_incompatible_version_is_refused_forced_and_rolled_back(
    cluster: database.Database,
    packed: pathlib.Path,
    earlier: pathlib.Path,
    later_version: charm_versions.Version,
    tmp_path: pathlib.Path,
) -> None:
    """An older PostgreSQL may not follow: nothing is stopped. The operator can force it, and can go back."""
    older = charm_versions.Version("16/1.0.1", "16.2", later_version.revisions)
    *_, highest = await cluster.units()
    async with client.Writing(cluster) as writing:
        await cluster.refresh(charm_versions.write(packed, older, tmp_path))
        said = await cluster.await_status("blocked", "Refresh incompatible. Rollback with `juju refresh", seconds=120)
        assert len(said) <= 120
        assert set((await cluster.revisions()).values()) == {OLD}, "a unit was refreshed to what is incompatible"
        await cluster.action(highest, "force-refresh-start", check_compatibility=False)
        await cluster.await_status("blocked", "resume-refresh")
        revisions = await cluster.revisions()
        assert revisions.pop(highest) == later_version.revision
        assert set(revisions.values()) == {OLD}
        await cluster.refresh(earlier)
        await cluster.settle(UNITS, revision=OLD)
    assert writing.gap < 15


async def test_a_check_that_fails_stops_a_refresh_until_it_is_remedied(
    cluster: database.Database, later: pathlib.Path, later_version: charm_versions.Version
) -> None:
    """With Patroni paused nobody would take over, so nothing is stopped; once resumed the refresh goes on by itself.

    It goes on to its end: the option says that it is not to pause.
    """
    await cluster.configure(pause_after_unit_refresh="none")
    await cluster.settle(UNITS)
    *_, highest = units = await cluster.units()
    async with client.Writing(cluster) as writing:
        await cluster.ssh(highest, "sudo charmed-postgresql.patronictl pause --wait")
        assert "Patroni is paused" in await cluster.refusal(await cluster.leader(), "pre-refresh-check")
        await cluster.refresh(later)
        said = await cluster.await_status("blocked", CHECK_FAILED, highest, seconds=120)
        assert said == CHECK_FAILED + "Patroni is paused; run `charmed-postgresql.patronictl resume`"
        assert await cluster.revisions() == dict.fromkeys(units, OLD), "a unit was refreshed in spite of the check"
        await writing.await_write()
        await cluster.ssh(highest, "sudo charmed-postgresql.patronictl resume --wait")
        await cluster.settle(UNITS, revision=later_version.revision)
    assert writing.gap < 15


async def test_with_all_each_unit_is_confirmed_and_units_come_and_go_meanwhile(
    cluster: database.Database, packed: pathlib.Path, later_version: charm_versions.Version, tmp_path: pathlib.Path
) -> None:
    """A unit that joins during a pause, and one that leaves, confirm nothing: each unit still waits."""
    await cluster.configure(pause_after_unit_refresh="all")
    # Any snap that differs will do; that it is called by the workload's newest version makes it compatible.
    another = charm_versions.Version("16/1.2.0", later_version.workload, charm_versions.EARLIER.revisions)
    lowest, middle, highest = units = await cluster.units()
    async with client.Writing(cluster) as writing:
        await cluster.refresh(charm_versions.write(packed, another, tmp_path))
        asked = f"Check units >={database.number(highest)} are healthy & run `resume-refresh` on unit "
        await cluster.await_status("blocked", f"{asked}{database.number(middle)}.")
        await cluster.application.add_unit(1)
        before = dict.fromkeys([lowest, middle], later_version.revision) | {highest: OLD}
        *_, joined = await _members(cluster, UNITS + 1)
        assert joined not in units
        assert await cluster.revisions() == before | {joined: OLD}, "a unit that joins may confirm nothing"
        await cluster.juju("remove-unit", joined, "--no-prompt")
        assert await _members(cluster, UNITS) == units
        assert await cluster.revisions() == before, "a unit that leaves may confirm nothing"
        await cluster.await_status("blocked", f"{asked}{database.number(middle)}.")
        await cluster.resume(middle)
        asked = f"Check units >={database.number(middle)} are healthy & run `resume-refresh` on unit "
        await cluster.await_status("blocked", f"{asked}{database.number(lowest)}.")
        assert await cluster.revisions() == before | {middle: OLD}
        await cluster.resume(lowest)
        await cluster.settle(UNITS, revision=OLD)
    assert writing.gap < 15
    await cluster.configure(pause_after_unit_refresh="first")


async def _members(cluster: database.Database, count: int) -> list[str]:
    """Wait until there are that many units and all are members, while a refresh is paused; return them."""
    units: list[str] = []

    async def joined() -> bool:
        units[:] = await cluster.units()
        return len(units) == count and database.healthy(await cluster.members(), count, synchronous=False)

    # A unit comes with its machine, its snap and a copy of the data.
    await cluster.until(f"{count} units, all of them members", joined)
    return units


async def test_the_units_log_no_error_but_what_was_provoked(cluster: database.Database) -> None:
    """An incompatible refresh and a failed check are told by statuses; nothing of the charm has failed."""
    provoked = ("Refresh incompatible", "check", "compatib")
    assert [line for line in await cluster.errors() if not any(word in line for word in provoked)] == []
