"""Problems, checks before a refresh and statuses: each says what, why and the remedy, in short."""

from __future__ import annotations

import typing

import hypothesis
import pytest

import config
import facts
import problems
import statuses
from tests.fakes import known
from tests.unit.test_planner import GARBAGE, OTHER_CLUSTER, READY
from tests.unit.test_planner_invariants import any_facts
from workload import cluster, datadir, paths, snap

# problems


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (known.settled(), None),
        (known.settled(2), None),
        (known.settled(0, 1), None),
        (known.settled(machine_patroni_running=False), "Patroni is not running"),
        (known.settled(cluster=None), "Patroni does not answer"),
        (
            known.settled(cluster=known.view(3, primary=None)),
            "The cluster has no primary; see the action get-cluster-status",
        ),
        (
            known.settled(cluster=known.view(3, primary=None), raft=known.raft_view(3, 0, connected=())),
            "No majority: 1 of 3 members reachable; start the others, or see force-majority",
        ),
        (known.settled(3, 4, cluster=known.view(3)), "This unit is no member of the cluster"),
        (known.settled(cluster=known.view(2)), "postgresql-machine-2 is not a member of the cluster"),
        (
            known.settled(cluster=known.view(3, changes={2: {"state": "creating replica"}})),
            "postgresql-machine-2 is creating replica",
        ),
        (
            known.settled(1, cluster=known.view(3, changes={1: {"state": "starting"}, 2: {"state": "stopped"}})),
            "postgresql-machine-1 is starting",
        ),
        (
            known.settled(cluster=known.view(3, changes={2: {"state": "running"}})),
            "postgresql-machine-2 is not streaming",
        ),
        (known.settled(cluster=known.view(3, synchronous=())), "No synchronous standby"),
        (known.settled(cluster=known.view(3, synchronous=()), config=config.Config(synchronous_node_count=0)), None),
        (
            known.settled(2, cluster=known.view(3, synchronous={1}, changes={2: {"lag": None}})),
            "postgresql-machine-2's lag is not known yet",
        ),
        (
            known.settled(2, cluster=known.view(3, synchronous={1}, changes={2: {"lag": 2**20 + 1}})),
            "postgresql-machine-2 lags by 1048577 bytes",
        ),
        (known.settled(2, cluster=known.view(3, synchronous={1}, changes={2: {"lag": 2**20}})), None),
    ],
)
def test_unhealthy(given: facts.Facts, reason: str | None) -> None:
    assert problems.unhealthy(given) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"machine_architecture_supported": False}, "Unsupported architecture"),
        (
            {"machine_storages_missing": ("data", "temp")},
            "Storage missing: data, temp; attach with `juju attach-storage`",
        ),
        (
            {"machine_storages_unmounted": ("data", "temp")},
            "Storage not mounted: data, temp; mend it, then as root: `mount -a`",
        ),
        ({"machine_data": GARBAGE, "machine_has_raft_state": False}, "files that are no database cluster"),
        # While it is being copied from the primary it is not complete.
        ({"machine_data": GARBAGE, "machine_has_raft_state": True}, None),
        ({"machine_data": OTHER_CLUSTER}, f"is of cluster 42, not {known.IDENTIFIER}; attach another storage"),
        ({"machine_data": OTHER_CLUSTER, "cluster_id": None, "bootstrap_unit": 0}, None),
        ({"machine_data": OTHER_CLUSTER, "cluster_id": None, "bootstrap_unit": None}, None),
        ({"machine_data": OTHER_CLUSTER, "cluster_id": None, "bootstrap_unit": 1}, "deploy one unit with it first"),
        (
            {"machine_data": datadir.DataDirectory(datadir.Content.CLUSTER, known.IDENTIFIER, "15")},
            "holds PostgreSQL 15",
        ),
        (
            {"machine_data": datadir.DataDirectory(datadir.Content.CLUSTER, known.IDENTIFIER, "16", False)},
            "Storage logs lacks the write-ahead log of storage data; attach the one that was kept with it",
        ),
        ({"machine_other_major_version": "14"}, "holds PostgreSQL 14, this charm runs 16"),
    ],
)
def test_prevent_installation(changes: dict[str, typing.Any], reason: str | None) -> None:
    found = problems.prevent_installation(known.settled(**changes))
    assert (found is None) if reason is None else (found is not None and reason in found)


@pytest.mark.parametrize(("skew", "told"), [(0.0, False), (5.0, False), (5.1, True), (86400.0, True)])
def test_clock(skew: float, told: bool) -> None:
    assert (problems.clock(known.settled(machine_clock_skew_seconds=skew)) is not None) is told


# statuses

SERVES = "active"
LOG = "tail /var/snap/charmed-postgresql/common/var/log/postgresql/*.log"


@pytest.mark.parametrize(
    ("given", "failure", "expected"),
    [
        (known.settled(), None, (SERVES, "Primary")),
        (known.settled(1), None, (SERVES, "Synchronous standby")),
        (known.settled(2, cluster=known.view(3, synchronous={1})), None, (SERVES, "Standby")),
        (
            known.settled(
                cluster=known.view(3, changes={0: {"pending_restart": True}}), machine_storages_full=("data",)
            ),
            None,
            (SERVES, "Primary; restart pending; storage nearly full: data"),
        ),
        (
            known.settled(
                1, cluster=known.view(3, changes={1: {"state": "start failed"}}), machine_storages_full=("logs",)
            ),
            None,
            ("blocked", "Storage full: logs; make room or attach a larger one"),
        ),
        (
            known.settled(1, cluster=known.view(3, changes={1: {"state": "start failed"}})),
            None,
            ("blocked", f"PostgreSQL: start failed; as root: `{LOG}`"),
        ),
        (
            known.settled(1, cluster=known.view(3, changes={1: {"state": "crashed"}})),
            None,
            ("maintenance", f"PostgreSQL crashed; if this lasts, as root: `{LOG}`"),
        ),
        (
            known.settled(1, cluster=known.view(3, changes={1: {"state": "running"}})),
            None,
            ("waiting", f"Standby does not stream; if this lasts, as root: `{LOG}`"),
        ),
        (
            known.new(
                2, **READY, cluster_id=known.IDENTIFIER, cluster=known.view(2, changes={1: {"state": "running"}})
            ),
            None,
            ("waiting", "Waiting to join: postgresql-machine-1 (not streaming)"),
        ),
        (known.settled(leaving=True), "x", ("maintenance", "Leaving the cluster")),
        (known.settled(config=None, config_error="profile: wrong"), "x", ("blocked", "profile: wrong")),
        (known.settled(), "Failed to x: y", ("waiting", "Failed to x: y; tried again at the next event")),
        (known.settled(), "y" * 89, ("waiting", "y" * 89 + "; tried again at the next event")),
        (known.settled(), "y" * 90, ("waiting", "y" * 88 + "…; tried again at the next event")),
        (
            known.settled(machine_snap=None, machine_snap_error="snapd does not answer: refused"),
            None,
            ("waiting", "snapd does not answer: refused; see `systemctl status snapd`"),
        ),
        (known.new(ready=False), None, ("waiting", "Waiting for the other units")),
        (known.new(passwords=None), None, ("waiting", "Waiting for the leader to generate passwords")),
        (known.new(machine_address=None), None, ("waiting", "Waiting for an address")),
        (known.new(**READY), None, ("maintenance", "Founding the cluster")),
        (known.new(1, **READY), None, ("waiting", "Waiting for the cluster to be founded")),
        (known.new(1, **READY, cluster_id=known.IDENTIFIER), None, ("waiting", "Waiting for the cluster to answer")),
        (
            known.new(2, **READY, cluster_id=known.IDENTIFIER, cluster=known.view(2)),
            None,
            ("waiting", "Waiting for its turn to join the cluster"),
        ),
        (
            known.new(
                2,
                **READY,
                cluster_id=known.IDENTIFIER,
                cluster=known.view(2, changes={1: {"state": "creating replica"}}),
            ),
            None,
            ("waiting", "Waiting to join: postgresql-machine-1 (creating replica)"),
        ),
        (known.settled(machine_patroni_running=False), None, ("maintenance", "Starting PostgreSQL")),
        (
            known.settled(machine_patroni_running=False, machine_ports_taken=(5432, 8008)),
            None,
            ("blocked", "Port 5432 is taken by another program; find it with `ss -ltnp 'sport = :5432'`"),
        ),
        (
            known.settled(machine_patroni_running=False, machine_storages_full=("data",)),
            None,
            ("blocked", "Storage full: data; make room or attach a larger one"),
        ),
        (
            known.settled(machine_patroni_running=False, machine_storages_full=("data", "logs", "archive", "temp")),
            None,
            ("blocked", "Storage full: data, logs; make room or attach a larger one"),
        ),
        (
            known.settled(machine_patroni_running=False, machine_storages_full=("archive", "temp")),
            None,
            ("maintenance", "Starting PostgreSQL"),
        ),
        (known.settled(cluster=None), None, ("maintenance", "Waiting for Patroni to answer")),
        (
            known.settled(cluster=None, raft=known.raft_view(3, 0, connected=())),
            None,
            ("blocked", "No majority: 1 of 3 members reachable; start the others, or see force-majority"),
        ),
        (
            known.settled(cluster=known.view(3, primary=None), raft=known.raft_view(1, 0, connected=())),
            None,
            ("waiting", "The cluster has no primary; see the action get-cluster-status"),
        ),
        (known.settled(2, cluster=known.view(2)), None, ("maintenance", "Joining the cluster")),
        (
            known.settled(2, cluster=known.view(2), machine_clock_skew_seconds=29.5),
            None,
            ("maintenance", "Joining the cluster; Clock differs by 30 s from other units; check `timedatectl`"),
        ),
        (
            known.settled(1, cluster=known.view(3, primary=None), machine_clock_skew_seconds=29.5),
            None,
            (
                "waiting",
                "The cluster has no primary; clocks differ by 30 s; check `timedatectl` on each unit",
            ),
        ),
        (
            known.settled(1, cluster=known.view(3, primary=None, changes={1: {"state": "running"}})),
            None,
            ("waiting", "The cluster has no primary; see the action get-cluster-status"),
        ),
        (
            known.settled(1, cluster=known.view(3, primary=None, changes={1: {"state": "starting"}})),
            None,
            ("maintenance", "PostgreSQL is starting"),
        ),
        (
            known.settled(1, cluster=known.view(3, changes={1: {"state": "in archive recovery"}})),
            None,
            ("maintenance", "PostgreSQL is in archive recovery"),
        ),
        (
            known.settled(1, cluster=known.view(3, primary=None)),
            None,
            ("waiting", "The cluster has no primary; see the action get-cluster-status"),
        ),
    ],
)
def test_unit_status(given: facts.Facts, failure: str | None, expected: tuple[str, str]) -> None:
    found = statuses.unit(given, failure)
    assert (found.level.value, found.message) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (known.settled(), (SERVES, "")),
        (known.settled(config=None, config_error="profile: wrong"), ("blocked", "profile: wrong")),
        (known.new(), ("maintenance", "Founding the cluster")),
        (
            known.new(machine_storages_missing=("data",)),
            ("blocked", "Storage missing: data; attach with `juju attach-storage`"),
        ),
        (known.new(bootstrap_unit=1, machine_storages_missing=("data",)), ("maintenance", "Founding the cluster")),
        (
            known.settled(cluster=None, machine_patroni_running=False),
            ("waiting", "The cluster does not answer on this unit; run get-cluster-status on another one"),
        ),
        (
            known.settled(cluster=known.view(3, primary=None)),
            ("blocked", "The cluster has no primary; see the action get-cluster-status"),
        ),
        (known.settled(cluster=known.view(2)), (SERVES, "postgresql-machine-2 is no member")),
        (
            known.settled(2, cluster=known.view(2), machine_clock_skew_seconds=29.5),
            (
                SERVES,
                "postgresql-machine-2 is no member; Clock differs by 30 s from other units; check `timedatectl`",
            ),
        ),
        # The clock of another unit is that unit's to tell.
        (
            known.settled(1, cluster=known.view(2), machine_clock_skew_seconds=29.5),
            (SERVES, "postgresql-machine-2 is no member"),
        ),
        (
            known.settled(cluster=known.view(3, primary=None), machine_clock_skew_seconds=29.5),
            ("blocked", "The cluster has no primary; clocks differ by 30 s; check `timedatectl` on each unit"),
        ),
        (
            known.settled(cluster=known.view(3, changes={1: {"state": "starting"}})),
            (SERVES, "postgresql-machine-1 is starting"),
        ),
        (
            known.settled(cluster=known.view(3, changes={1: {"state": "running"}})),
            (SERVES, "postgresql-machine-1 is not streaming"),
        ),
    ],
)
def test_application_status(given: facts.Facts, expected: tuple[str, str]) -> None:
    found = statuses.application(given)
    assert (found.level.value, found.message) == expected


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(any_facts())
def test_a_status_is_never_longer_than_is_shown_and_never_says_nothing_when_something_is_wrong(
    given: facts.Facts,
) -> None:
    for found in (statuses.unit(given), statuses.unit(given, "x" * 500), statuses.application(given)):
        assert len(found.message) <= 120
        assert found.message or found.level is statuses.Level.ACTIVE


def test_a_long_text_is_cut_visibly() -> None:
    assert statuses.Status(statuses.Level.BLOCKED, "x" * 121).message == "x" * 119 + "…"
    assert statuses.Status(statuses.Level.BLOCKED, "x" * 120).message == "x" * 120


def test_the_longest_texts_of_the_charm_are_not_cut() -> None:
    identifier = "18446744073709551615"
    data = datadir.DataDirectory(datadir.Content.CLUSTER, identifier, "16")
    worst = known.settled(cluster_id=identifier[:-1] + "4", machine_data=data)
    assert not statuses.unit(worst).message.endswith("…")
    refused = known.settled(machine_snap=snap.SnapState(None), config=None, config_error=str(wrong_option()))
    assert not statuses.unit(refused).message.endswith("…")


@pytest.mark.parametrize("state", [*sorted(problems.FAILED_STATES), "crashed", "running"])
def test_where_the_log_is_is_not_cut(state: str) -> None:
    sick = known.settled(1, cluster=known.view(3, changes={1: {"state": state}}))
    assert statuses.unit(sick).message.endswith(f"as root: `{LOG}`")
    assert str(paths.Paths().postgresql_log) in LOG


def wrong_option() -> config.ConfigError:
    with pytest.raises(config.ConfigError) as caught:
        config.Config.parse({"pause-after-unit-refresh": "after each and every unit, please"})
    return caught.value


def test_a_member_of_a_role_that_the_charm_does_not_know_is_active_without_a_word() -> None:
    odd = known.view(3, changes={1: {"role": cluster.Role("standby_leader")}})
    assert statuses.unit(known.settled(1, cluster=odd)) == statuses.Status(statuses.Level.ACTIVE, "")
