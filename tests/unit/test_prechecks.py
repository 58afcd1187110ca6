"""Checks before a refresh: each has one text of what is wrong and what mends it, within charm-refresh's limit."""

from __future__ import annotations

import dataclasses
import typing

import hypothesis
import pytest

import config
import facts
import prechecks
import room
from tests.fakes import known
from tests.unit.test_planner_invariants import any_facts
from workload import cluster, sql

IDLE = sql.Activity(0.0, 0, 0, False, False)
ROOM = room.Room(10 * 1024**3, 10 * 1024**3)
LOST: dict[str, typing.Any] = {
    "cluster": known.view(3, primary=None),
    "raft": known.raft_view(3, 0, connected=()),
}


def texts(
    given: facts.Facts | None = None,
    activity: sql.Activity | None = IDLE,
    free: room.Room = ROOM,
    clocks: dict[int, float] | None = None,
    standbys: dict[int, sql.Activity] | None = None,
) -> list[str]:
    primary = {} if activity is None else {known.name(0): activity}
    others = {known.name(number): each for number, each in (standbys or {}).items()}
    return [reason.text for reason in prechecks.reasons(given or known.settled(), primary | others, free, clocks or {})]


def test_nothing_stands_against_it_where_all_is_well() -> None:
    for number in range(3):
        assert texts(known.settled(number)) == []
        assert prechecks.reasons(known.settled(number), {known.name(0): IDLE}, ROOM, {}) == ()
    assert texts(known.settled(0, 1)) == []
    assert texts(free=room.Room(None, None)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"machine_patroni_running": False}, "Patroni is down on this unit; see `juju debug-log`"),
        (
            {"machine_patroni_running": False, "machine_snap": known.DISABLED},
            "Snap disabled on this unit; `snap enable charmed-postgresql`",
        ),
        ({"cluster": None}, "Patroni does not answer on this unit; see `juju debug-log`"),
        ({"cluster": known.view(3, primary=None)}, "The cluster has no primary; run get-cluster-status"),
        ({"cluster": known.view(3, paused=True)}, "Patroni is paused; run `charmed-postgresql.patronictl resume`"),
        (
            {"cluster": known.view(3, changes={2: {"state": "creating replica"}})},
            "Unit 2 is creating replica; wait until it streams",
        ),
        (
            {"cluster": known.view(3, changes={2: {"state": "running"}})},
            "Unit 2 is not streaming; wait until it streams",
        ),
        ({"cluster": known.view(2)}, "Unit 2 is not a member; wait, or remove that unit"),
        ({"cluster": known.view(4)}, "Unit 3 is a member, but not yet met here; wait some seconds"),
        ({"cluster": known.view(3, synchronous=())}, "No synchronous standby; wait, or run get-cluster-status"),
        (
            {"cluster": known.view(3, synchronous={1}, changes={2: {"lag": None}})},
            "Unit 2's lag is not known yet; wait some seconds",
        ),
        (
            {"cluster": known.view(3, synchronous={1}, changes={2: {"lag": 3 * 2**20 + 1}})},
            "Unit 2 lags by 3 MiB; wait until it has caught up",
        ),
        ({"raft": known.raft_view(3, 0, connected={1})}, "Raft: 2 of 3 nodes connected; start the other units"),
        ({"raft": known.raft_view(5, 0, connected={1, 2})}, "Raft: 3 of 5 nodes connected; start the other units"),
        ({"raft": known.raft_view(5, 0, connected={1})}, "No Raft majority: 2 of 5 nodes; start the other units"),
        (
            {"config": None, "config_error": "profile: 'x' is not allowed (a, b); set with `juju config`"},
            "profile: 'x' is not allowed (a, b); use `juju config`",
        ),
        ({"machine_storages_full": ("logs",)}, "Storage nearly full: logs; make room"),
    ],
)
def test_the_cluster_and_the_machine(changes: dict[str, typing.Any], expected: str) -> None:
    assert texts(known.settled(**changes)) == [expected]


def test_clocks() -> None:
    assert texts(clocks={1: 5.0, 2: 0.0}) == []
    assert texts(clocks={2: 42.4, 1: 5.6}) == [
        "Clock differs by 6 s from unit 1's; check `timedatectl`",
        "Clock differs by 42 s from unit 2's; check `timedatectl`",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (None, "The primary cannot be asked; see `juju debug-log`"),
        ({"longest_transaction_seconds": 61.0}, "A transaction is open for 61 s; see pg_stat_activity"),
        ({"prepared_transactions": 3}, "3 prepared transactions; see pg_prepared_xacts"),
        ({"temporary_bytes": 1024}, "1 KiB in temporary tablespace; wait for the query"),
        ({"backup_running": True}, "A backup is running; wait for its end"),
        ({"archiver_failing": True}, "Archiving of WAL fails; see pg_stat_archiver"),
    ],
)
def test_what_goes_on_in_the_database(changes: dict[str, typing.Any] | None, expected: str) -> None:
    assert texts(activity=None if changes is None else dataclasses.replace(IDLE, **changes)) == [expected]


def test_a_transaction_may_last_a_minute() -> None:
    assert texts(activity=dataclasses.replace(IDLE, longest_transaction_seconds=60.0)) == []


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (room.Room(512 * 2**20, 512 * 2**20), []),
        (room.Room(512 * 2**20 - 1, None), ["511 MiB free for the snap, 512 needed; make room"]),
        (room.Room(None, 512 * 2**20 - 1), ["511 MiB free on storage logs, 512 needed; make room"]),
    ],
)
def test_disk_space(free: room.Room, expected: list[str]) -> None:
    assert texts(free=free) == expected


def test_disk_space_of_other_units() -> None:
    given = known.settled(
        2,
        peers=(
            known.peer(0, short_of_room=frozenset({"logs", "data"})),
            known.peer(1, short_of_room=frozenset({"snap"})),
        ),
    )
    assert texts(given) == [
        "Unit 0: storage nearly full: data, logs; make room",
        "Unit 1: no room for the snap; make room",
    ]


def test_what_goes_on_in_standbys() -> None:
    busy = dataclasses.replace(IDLE, backup_running=True, longest_transaction_seconds=61.0, archiver_failing=True)
    assert texts(standbys={1: IDLE, 2: busy}) == [
        "Unit 2: a backup is running; wait for its end",
        "Unit 2: a transaction is open for 61 s; see pg_stat_activity",
    ]


def test_what_a_standby_has_still_to_replay() -> None:
    # It would be replayed while nobody can write, also by a synchronous standby.
    late = known.view(3, changes={2: {"replay_lag": 64 * 2**20 + 1}})
    assert texts(known.settled(cluster=late)) == ["Unit 2 has 64 MiB to replay; wait until it has caught up"]
    busy = known.view(3, changes={2: {"replay_lag": 64 * 2**20}})
    assert texts(known.settled(cluster=busy)) == []


def test_without_synchronous_mode_no_synchronous_standby_is_needed() -> None:
    given = known.settled(cluster=known.view(3, synchronous=()), config=config.Config(synchronous_node_count=0))
    assert texts(given) == []


def test_all_reasons_are_told_and_the_first_is_charm_refresh_s() -> None:
    given = known.settled(**LOST)
    busy = dataclasses.replace(IDLE, backup_running=True, prepared_transactions=1)
    assert texts(given, None, room.Room(0, 0)) == [
        "The cluster has no primary; run get-cluster-status",
        "No Raft majority: 1 of 3 nodes; start the other units",
        "0 MiB free on storage logs, 512 needed; make room",
        "0 MiB free for the snap, 512 needed; make room",
    ]
    given = known.settled(cluster=known.view(3, synchronous=()))
    assert texts(given, busy) == [
        "No synchronous standby; wait, or run get-cluster-status",
        "A backup is running; wait for its end",
        "1 prepared transactions; see pg_prepared_xacts",
    ]
    # Where that says already why it may not answer, that it does not is left out.
    assert texts(given, None) == texts(given)


def worst_facts() -> facts.Facts:
    """Everything is wrong, and all that has a name or a number is long."""
    member = cluster.Member("x" * 63, cluster.Role.STANDBY, "running custom bootstrap script failed", "10.0.0.9")
    lagging = cluster.Member("y" * 63, cluster.Role.STANDBY, "streaming", "10.0.0.8", lag=2**60)
    late = cluster.Member("z" * 63, cluster.Role.STANDBY, "streaming", "10.0.0.7", replay_lag=2**60)
    return known.settled(
        cluster=cluster.ClusterView((*known.view(3, synchronous=()).members, member, lagging, late), paused=True),
        raft=known.raft_view(3, 0, connected=()),
        config=None,
        config_error="pause-after-unit-refresh: 'after each and every unit' is not allowed (all, first, none); set",
        machine_storages_full=("data", "logs", "archive", "temp"),
        peers=(known.peer(1000, short_of_room=frozenset({"data", "logs", "archive", "temp", "snap"})),),
    )


def check(reason: prechecks.Reason) -> None:
    assert len(reason.text) <= 64, reason.text
    assert reason.text.endswith(f"; {reason.remedy}")
    # What is cut is cut between words, and said to be.
    told = reason.text.removesuffix(f"; {reason.remedy}")
    whole = reason.problem.split()
    assert told == reason.problem or told.removesuffix(" …").split() == whole[: len(told.split()) - 1]


def test_the_longest_texts_fit_and_keep_their_remedy() -> None:
    busy = sql.Activity(10.0**8, 10**6, 2**60, True, True)
    worst = worst_facts()
    activities = {name: busy for name in ("x" * 63, "y" * 63, known.name(0), known.name(1))}
    found = prechecks.reasons(worst, activities, room.Room(0, 0), {8: 10.0**9})
    assert len(found) >= 12
    for reason in found:
        check(reason)


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(any_facts())
def test_every_text_fits_and_is_whole(given: facts.Facts) -> None:
    found = prechecks.reasons(given, {}, room.Room(0, 0), {1: 9.0})
    assert found
    for reason in found:
        check(reason)
