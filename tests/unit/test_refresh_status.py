"""The report of a refresh: each state, its units, what to do next, the plan, the history; as JSON and as a table."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

import facts
import prechecks
import problems
import refresh_facts
import refresh_standing
import refresh_status
import refresh_table
from tests.fakes import known
from workload import cluster

OLD = refresh_facts.Build("16/1.0.0", "16.14", "366", "ch:amd64/postgresql-machine-1")
NEW = refresh_facts.Build("16/1.1.0", "16.15", "416", "ch:amd64/postgresql-machine-2")
BACK = "to go back, `juju refresh postgresql-machine --revision 1`"
ANYWAY = "to go on anyway, `juju run postgresql-machine/1 resume-refresh check-health-of-refreshed-units=false`"
AWAY = "Unit 2 is no member of the cluster. If it stays so, start its machine"
REMOVE = "If it is lost for good, `juju remove-unit postgresql-machine/2 --force`"
BUSY = prechecks.Reason("A backup is running", "wait for its end")


def units(refreshed: set[int], count: int = 3, **changes: typing.Any) -> dict[int, refresh_facts.UnitState]:
    return {
        number: dataclasses.replace(
            refresh_facts.UnitState(
                "416" if number in refreshed else "366", NEW.url, next_unit_allowed=True, started=True
            ),
            **changes,
        )
        for number in range(count)
    }


def seen(refreshed: set[int], **changes: typing.Any) -> refresh_standing.Seen:
    made = refresh_standing.Seen(
        build=NEW,
        original=OLD,
        units=units(refreshed),
        pause="first",
        awaited=None,
        compatible=True,
        failed=frozenset(),
        blockers=(),
        history=(),
        promotions=(),
    )
    return dataclasses.replace(made, **changes)


def refreshing(number: int = 0, count: int = 3, **changes: typing.Any) -> facts.Facts:
    progress = facts.RefreshFacts(in_progress=True, pinned_revision="416", next_unit_allowed=True)
    return dataclasses.replace(known.settled(number, count), **({"refresh": progress} | changes))


IDLE = known.settled()
PROGRESS = facts.RefreshFacts(in_progress=True, pinned_revision="416", next_unit_allowed=True)
NO_1 = cluster.ClusterView(tuple(member for member in known.view(3).members if member.name != known.name(1)))


def tell(number: int, pause: str) -> str:
    """What tells a unit of its charm, and confirms nothing."""
    unit, command = f"postgresql-machine/{number}", "juju config postgresql-machine pause-after-unit-refresh"
    return (
        f"Wait until Juju has told {unit} of its charm. If it stays so, `{command}=invalid` and, when {unit} says that"
        f" it is not allowed, `{command}={pause}`"
    )


@pytest.mark.parametrize(
    ("given", "what", "state", "following"),
    [
        (
            IDLE,
            seen({0, 1, 2}),
            "idle",
            "Ready: `juju run postgresql-machine/leader pre-refresh-check`, then `juju refresh postgresql-machine`",
        ),
        (IDLE, seen({0, 1, 2}, blockers=(BUSY,)), "idle", f"Not ready for a refresh: {BUSY.text}"),
        (
            known.settled(refused="Charm is older. Go back: `x`"),
            seen({0, 1, 2}),
            "refused",
            "Charm is older. Go back: `x`",
        ),
        (
            known.settled(refresh=None),
            seen(set()),
            "unknown",
            "Wait until every unit has told what it runs; see `juju status`",
        ),
        (
            refreshing(),
            seen({0, 1, 2}),
            "determining",
            "Wait until every unit has told what it runs; see `juju status`",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False), compatible=False),
            "incompatible",
            f"The new versions must not follow the old ones; {BACK}; to go on at your own risk,"
            " `juju run postgresql-machine/2 force-refresh-start check-compatibility=false`",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False), blockers=(BUSY,)),
            "checks failed",
            f"{BUSY.text}. Then postgresql-machine/2 goes on by itself; {BACK}",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False)),
            "refreshing",
            "Wait: unit 2 is about to refresh",
        ),
        (refreshing(), seen(set()), "refreshing", "Wait: unit 2 is about to refresh"),
        (
            refreshing(),
            seen({2}),
            "paused",
            f"Check units >=2, then `juju run postgresql-machine/1 resume-refresh`; {BACK}",
        ),
        (refreshing(), seen({2}, pause="none"), "refreshing", "Wait: unit 1 is about to refresh"),
        # What stands against the next unit's stop is told first.
        (
            refreshing(),
            seen({2}, held="No answer from postgresql-machine-2"),
            "paused",
            "No answer from postgresql-machine-2. When it is mended, `juju run postgresql-machine/1 resume-refresh`;"
            f" {ANYWAY}; {BACK}",
        ),
        (
            refreshing(),
            seen({2}, pause="none", held="No answer from postgresql-machine-2"),
            "refreshing",
            "No answer from postgresql-machine-2. When it is mended, postgresql-machine/1 goes on by itself;"
            f" {ANYWAY}; {BACK}",
        ),
        (refreshing(), seen({1, 2}), "refreshing", "Wait: unit 0 is about to refresh"),
        (
            refreshing(),
            seen({1, 2}, pause="all"),
            "paused",
            f"Check units >=1, then `juju run postgresql-machine/0 resume-refresh`; {BACK}",
        ),
        # A wrong option is "all" to charm-refresh.
        (
            refreshing(),
            seen({1, 2}, pause="sometimes"),
            "paused",
            f"Check units >=1, then `juju run postgresql-machine/0 resume-refresh`; {BACK}",
        ),
        # A confirmation that only the charm wants.
        (
            refreshing(),
            seen({1, 2}, awaited=0),
            "paused",
            f"Check units >=1, then `juju run postgresql-machine/0 resume-refresh`; {BACK}",
        ),
        (
            refreshing(),
            seen(set(), awaited=2),
            "paused",
            f"Check the units, then `juju run postgresql-machine/2 resume-refresh`; {BACK}",
        ),
        (
            refreshing(),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Wait: unit 2 is being checked; unit 1 follows. If it stays so: {ANYWAY}; {BACK}",
        ),
        (
            refreshing(cluster=known.view(3, changes={2: {"state": "starting"}})),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Wait: unit 2 is starting; unit 1 follows. If it stays so: {ANYWAY}; {BACK}",
        ),
        # What the refreshed unit waits for before it allows the next one, whoever is asked.
        *(
            (
                refreshing(
                    number,
                    cluster=known.view(3, changes={1: {"state": "stopped"}}),
                    refresh=dataclasses.replace(PROGRESS, next_unit_allowed=number != 2),
                ),
                seen({2}, units=units({2}, next_unit_allowed=False)),
                "refreshing",
                f"Unit 2 waits: postgresql-machine-1 is stopped. When it is mended, unit 1 follows; {ANYWAY}; {BACK}",
            )
            for number in range(3)
        ),
        (
            refreshing(cluster=known.view(3, primary=1, synchronous={0})),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            "Unit 2 waits: postgresql-machine-2 is not a synchronous standby. When it is mended, unit 1 follows;"
            f" {ANYWAY}; {BACK}",
        ),
        # Nobody could take over from the next unit, whatever the operator says.
        (
            refreshing(cluster=known.view(3, primary=1, synchronous=())),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Unit 2 waits: No synchronous standby. When it is mended, unit 1 follows; {BACK}",
        ),
        (
            refreshing(cluster=known.view(3, paused=True, changes={2: {"state": "stopped"}})),
            seen({2}, units=units({2}, next_unit_allowed=False)),
            "refreshing",
            f"Unit 2 waits: {problems.PAUSED}. When it is mended, unit 1 follows; {BACK}",
        ),
        # The unit whose turn it is does not answer.
        (
            refreshing(cluster=known.view(2)),
            seen(set()),
            "refreshing",
            f"{AWAY}, and it goes on by itself. {REMOVE}; {BACK}",
        ),
        (
            refreshing(cluster=NO_1),
            seen({2}, held="postgresql-machine-1 is not a member of the cluster"),
            "paused",
            "Unit 1 is no member of the cluster. If it stays so, start its machine, then"
            " `juju run postgresql-machine/1 resume-refresh`. If it is lost for good,"
            f" `juju remove-unit postgresql-machine/1 --force`; {BACK}",
        ),
        # That it can be asked tells that it is there.
        (refreshing(2, cluster=known.view(2)), seen(set()), "refreshing", "Wait: unit 2 is about to refresh"),
        # A unit that joins has never been there.
        (
            refreshing(count=4),
            seen(set(), units={**units({0, 1, 2}), 3: refresh_facts.UnitState()}),
            "refreshing",
            "Wait: unit 3 is about to refresh",
        ),
        # Back, with one and with two to go back.
        (
            refreshing(cluster=known.view(2)),
            seen({0, 1}, build=OLD, units=units({2})),
            "refreshing",
            f"{AWAY}, and it goes on by itself. {REMOVE}",
        ),
        (
            refreshing(cluster=known.view(2)),
            seen({0}, build=OLD, units=units({1, 2})),
            "refreshing",
            f"{AWAY}, and it goes on by itself; to go on without it, `juju run postgresql-machine/1 resume-refresh"
            f" check-health-of-refreshed-units=false`. {REMOVE}",
        ),
        # Juju has not told a unit of its charm.
        (refreshing(), seen(set(), unaware=frozenset({0, 1, 2})), "refreshing", f"{tell(2, 'first')}; {BACK}"),
        (refreshing(), seen({2}, unaware=frozenset({1})), "paused", f"{tell(1, 'first')}; {BACK}"),
        (refreshing(), seen({1, 2}, unaware=frozenset({2}), pause="all"), "paused", f"{tell(2, 'all')}; {BACK}"),
        (
            refreshing(),
            seen({2}, unaware=frozenset({0})),
            "paused",
            f"Check units >=2, then `juju run postgresql-machine/1 resume-refresh`; {BACK}",
        ),
        (
            refreshing(),
            seen({2}, unaware=frozenset({1}), pause="sometimes"),
            "paused",
            "Wait until Juju has told postgresql-machine/1 of its charm. If it stays so,"
            f" `juju config postgresql-machine pause-after-unit-refresh=all`; {BACK}",
        ),
        (
            refreshing(),
            seen(set(), units=units(set(), started=False), blockers=(BUSY,), unaware=frozenset({2})),
            "checks failed",
            f"{tell(2, 'first')}; {BACK}",
        ),
        (
            refreshing(),
            seen({0, 1, 2}, unaware=frozenset({2})),
            "determining",
            "Wait until postgresql-machine/2 has told what it runs; see `juju status`",
        ),
        (
            refreshing(cluster=known.view(2)),
            seen({0, 1, 2}, unaware=frozenset({2})),
            "determining",
            f"Wait until postgresql-machine/2 has told what it runs; see `juju status`. {REMOVE}",
        ),
        # What this unit cannot know.
        (
            known.settled(refresh=None, machine_snap=None, machine_snap_error="snapd does not answer: refused"),
            seen(set()),
            "unknown",
            "snapd does not answer: refused; see `systemctl status snapd` on the machine of postgresql-machine/0, or"
            " run get-refresh-status on another unit",
        ),
        (
            known.settled(refresh=None, leaving=True),
            seen(set()),
            "unknown",
            "This unit leaves; run get-refresh-status on another one",
        ),
        (
            refreshing(),
            seen({2}, failed=frozenset({1})),
            "paused",
            "The hook of postgresql-machine/1 fails: see `juju debug-log --include postgresql-machine/1`; when it is"
            f" mended, `juju resolved postgresql-machine/1`; {BACK.removesuffix('`')} --force-units`",
        ),
        # Juju does not give it the charm to go back to, as long as its hook fails.
        (
            refreshing(),
            seen({1}, build=OLD, failed=frozenset({2}), unaware=frozenset({2})),
            "paused",
            "The hook of postgresql-machine/2 fails: see `juju debug-log --include postgresql-machine/2`; when it is"
            " mended, `juju resolved postgresql-machine/2`; to go back without what fails, `juju resolved --no-retry"
            " postgresql-machine/2`, again if another hook fails",
        ),
        # Back to what ran before: there is no way back from it.
        (
            refreshing(),
            seen({2}, build=OLD, units=units({0, 1, 2} - {0}, started=False)),
            "refreshing",
            "Wait: unit 2 is about to refresh",
        ),
        (
            refreshing(),
            seen({2}, original=dataclasses.replace(OLD, url="local:postgresql-machine-0")),
            "paused",
            "Check units >=2, then `juju run postgresql-machine/1 resume-refresh`;"
            " to go back, `juju refresh postgresql-machine --path FILE`",
        ),
    ],
)
def test_states(given: facts.Facts, what: refresh_standing.Seen, state: str, following: str) -> None:
    report = refresh_status.report(given, what)
    assert (report["state"], report["next"]) == (state, following)
    assert (report["plan"] is not None) is (state == "idle")
    assert json.loads(json.dumps(report)) == report
    assert refresh_table.render(report).splitlines()[-1] == f"Next: {following}"
