"""The main path: deploy, refresh up to the pause, roll back, refresh again with a confirmation, and lose nothing."""

from __future__ import annotations

import pathlib
import shlex

import charm_versions
import client
import database
import pytest

pytestmark = pytest.mark.main_path

UNITS = 3
SERVER_LOGS = "/var/snap/charmed-postgresql/common/var/log/postgresql/*.log"
LONGEST_GAP = 15.0
"""Seconds without an acknowledged write in a planned hand-over, on a host that is busy; it takes about two."""
FAILED = "Failed to refresh"
"""What charm-refresh logs on a unit that has had its turn and whose snap is not at the revision that is pinned."""


@pytest.fixture(scope="module")
async def deployed(application: database.Database, earlier: pathlib.Path) -> database.Database:
    """Three units of the earlier version."""
    await application.deploy(earlier, UNITS)
    await application.settle(UNITS, database.DEPLOYING)
    return application


async def test_three_units_serve_with_the_earlier_workload(cluster: database.Database) -> None:
    """Deploying gives three members of one cluster: one that takes writes, two that have each of them."""
    version = charm_versions.EARLIER
    assert await cluster.revisions() == dict.fromkeys(await cluster.units(), version.revision)
    assert (await cluster.status()).workload_version == version.workload
    async with client.Writing(cluster) as writing:
        await writing.await_write()
    for unit, server in (await cluster.replayed("SHOW server_version")).items():
        assert server.split()[0] == version.workload, unit


async def test_the_refresh_is_planned_before_it_begins(cluster: database.Database) -> None:
    """The operator learns that nothing stands against a refresh and how it will go; nothing is changed."""
    assert await cluster.action(await cluster.leader(), "pre-refresh-check")
    report = await cluster.report("get-refresh-status")
    assert (report["state"], report["blockers"]) == ("idle", [])
    assert report["plan"]["order"] == list(reversed(await cluster.units()))
    assert report["plan"]["confirm-before"] == [(await cluster.units())[-2]]


async def _times_followed(cluster: database.Database) -> int:
    """Return how often the units' servers have begun to follow a primary, as PostgreSQL's own logs tell."""
    line = shlex.quote(f"cat {SERVER_LOGS} | grep -c 'entering standby mode' || true")
    counts = [await cluster.ssh(unit, f"sudo sh -c {line}") for unit in await cluster.units()]
    return sum(map(int, counts))


async def _paused(cluster: database.Database) -> bool:
    return (await cluster.report("get-refresh-status"))["state"] == "paused"


async def _have_revisions(cluster: database.Database, expected: dict[str, str]) -> None:
    wrong = await cluster.unlike(expected)
    assert not wrong, f"the highest unit, and it alone, is refreshed before the pause: {wrong}"


async def _refresh_to_the_pause(
    cluster: database.Database, charm: pathlib.Path, revision: str, before: str
) -> tuple[str, str]:
    """Refresh until the operator is asked; return the unit that was refreshed, and the one that is next."""
    *others, following, highest = await cluster.units()
    expected = dict.fromkeys([*others, following], before) | {highest: revision}
    earlier_errors = await cluster.errors()
    await cluster.refresh(charm)

    question = (
        f"Check units >={database.number(highest)} are healthy & run `resume-refresh` on unit "
        f"{database.number(following)}. To rollback, `juju refresh --path FILE`"
    )

    async def asked() -> bool:
        # Until its turn the highest unit has the old revision; that a turn came to nothing is in its log alone.
        failed = [line for line in await cluster.errors() if FAILED in line and line not in earlier_errors]
        if failed and (wrong := await cluster.unlike(expected)):
            pytest.fail(f"{wrong}: {failed[-1]}")
        await cluster.raise_on_errors()
        level, text = await cluster.message()
        if level == "active" and (await cluster.revisions())[following] == revision:
            pytest.fail(f"{following} was refreshed to revision {revision} of the snap though nobody has confirmed it")
        # Before the highest unit has refreshed, the status names that unit as the next one.
        return level == "blocked" and question in text

    # The highest unit refreshes its snap: a download and a restart.
    try:
        await cluster.until(f"the refresh pauses: {question}", asked)
    except AssertionError as error:
        wrong = await cluster.unlike(expected) or "each unit has the revision of the snap that was to come"
        raise AssertionError(f"{wrong}\n{error}") from None
    await _have_revisions(cluster, expected)

    async def healthy() -> bool:
        units = (await cluster.status()).units
        return all(map(database.is_well, units.values())) and database.healthy(await cluster.members(), UNITS)

    await cluster.until("all units serve during the pause", healthy)
    await _have_revisions(cluster, expected)
    return highest, following


async def test_a_refresh_pauses_after_the_first_unit_and_is_rolled_back(
    cluster: database.Database,
    earlier: pathlib.Path,
    later: pathlib.Path,
    later_version: charm_versions.Version,
) -> None:
    """One unit is refreshed, the others wait; going back refreshes that one alone, and no write is lost."""
    old = charm_versions.EARLIER.revision
    async with client.Writing(cluster) as writing:
        _, following = await _refresh_to_the_pause(cluster, later, later_version.revision, old)
        await cluster.until("the refreshed unit allows the next one", lambda: _paused(cluster))
        assert await cluster.primary() != following, f"{following} is next to stop, and has not been handed over"
        await writing.await_write()
        await cluster.refresh(earlier)
        await cluster.settle(UNITS, revision=old)
        await writing.await_write()
    assert writing.gap < LONGEST_GAP
    assert (await cluster.report("get-refresh-status"))["history"][-1]["outcome"] == "rolled back"


async def test_a_refresh_is_confirmed_and_completes(
    cluster: database.Database, later: pathlib.Path, later_version: charm_versions.Version
) -> None:
    """The confirmation lets the others follow; no unit stops while it is the primary, which moves at most twice."""
    timeline, followed = await cluster.timeline(), await _times_followed(cluster)
    async with client.Writing(cluster) as writing:
        highest, following = await _refresh_to_the_pause(
            cluster, later, later_version.revision, charm_versions.EARLIER.revision
        )
        [*_, wrong] = [unit for unit in await cluster.units() if unit != following]
        assert f"unit {database.number(following)}" in await cluster.refusal(wrong, "resume-refresh")
        assert (await cluster.revisions())[following] == charm_versions.EARLIER.revision
        await cluster.resume(following)
        await cluster.settle(UNITS, revision=later_version.revision)
        await writing.await_write()
    assert writing.gap < LONGEST_GAP
    moves = await cluster.timeline() - timeline
    assert 1 <= moves <= 2
    # Each unit follows after its own refresh, and a primary that has handed over follows before it as well.
    times = await _times_followed(cluster) - followed
    assert times >= UNITS + moves, "a unit was stopped for its refresh while it was the primary: not handed over"
    assert (await cluster.status()).workload_version == later_version.workload
    for unit, server in (await cluster.replayed("SHOW server_version")).items():
        assert server.split()[0] == later_version.workload, unit
    report = await cluster.report("get-refresh-status", highest)
    assert (report["state"], report["history"][-1]["outcome"]) == ("idle", "completed")


async def test_nothing_went_wrong_on_the_way(cluster: database.Database) -> None:
    """The units' logs have no error, and nobody wrote a password into them."""
    assert await cluster.errors() == []
    log = await cluster.juju("debug-log", "--replay", "--no-tail")
    assert f"unit-{cluster.name}-0" in log, "the log does not show the units"
    assert [key for key, password in (await cluster.passwords()).items() if password in log] == []
