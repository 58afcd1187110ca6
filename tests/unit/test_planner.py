"""What a unit does next: a table of situations, the invariants of the docstring over random facts, whole refreshes."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing

import pytest

import config
import facts
import membership
import planner
from steps import ChangeMembership, Step
from tests.fakes import known
from workload import configuration, datadir, snap

OTHER_CLUSTER = datadir.DataDirectory(datadir.Content.CLUSTER, "42", "16")
GARBAGE = datadir.DataDirectory(datadir.Content.OTHER)
INSTALLED = snap.SnapState(known.PINNED, held=True)

# A unit that is installed and has published its address, before it is a member.
READY: dict[str, typing.Any] = {
    "machine_snap": INSTALLED,
    "machine_has_raft_state": False,
    "machine_patroni_running": False,
    "machine_configured_address": None,
    "machine_data": facts.NO_DATA,
}


def after(steps: tuple[object, ...], *uninteresting: Step) -> tuple[object, ...]:
    """The steps without those that come in every hook."""
    return tuple(step for step in steps if step not in (Step.PREPARE_DIRECTORIES, Step.PREPARE_SERVICE, *uninteresting))


def moved(count: int, connected: collections.abc.Collection[int] | None = None, **changes: typing.Any) -> facts.Facts:
    """Unit 0 of so many, whose address is another one than that by which Raft knows it."""
    view = known.raft_view(count, 0, connected)
    return known.settled(
        0, count, **({"machine_address": "10.0.0.99", "published_address": "10.0.0.99", "raft": view} | changes)
    )


@pytest.mark.parametrize(
    ("known_facts", "expected"),
    [
        pytest.param(known.settled(), (Step.CONFIGURE,), id="settled primary"),
        pytest.param(known.settled(2), (Step.CONFIGURE,), id="settled standby"),
        pytest.param(known.settled(leaving=True), (Step.LEAVE,), id="leaving"),
        pytest.param(
            known.settled(
                leaving=True,
                machine_has_raft_state=False,
                machine_patroni_running=False,
                machine_configured_address=None,
            ),
            (),
            id="has left",
        ),
        pytest.param(
            known.settled(leaving=True, machine_has_raft_state=False, machine_patroni_running=False),
            (Step.LEAVE,),
            id="leaving, passwords are still there",
        ),
        pytest.param(
            known.settled(leaving=True, machine_has_raft_state=False), (Step.LEAVE,), id="leaving, Patroni still runs"
        ),
        pytest.param(
            known.new(ready=False, passwords=None, bootstrap_unit=None, refresh=None),
            (Step.GENERATE_CREDENTIALS, Step.CLAIM_BOOTSTRAP),
            id="the leader before the units have met",
        ),
        pytest.param(known.new(1, ready=False, passwords=None, bootstrap_unit=None), (), id="others wait for that"),
        pytest.param(known.new(), (Step.INSTALL_SNAP, Step.HOLD_SNAP, Step.PUBLISH_ADDRESS), id="the units have met"),
        pytest.param(known.new(machine_snap=None), (), id="snapd does not answer"),
        pytest.param(
            known.new(machine_snap=snap.SnapState("416"), published_address=known.address(0)),
            (Step.HOLD_SNAP, Step.CONFIGURE, Step.START),
            id="installed and not held",
        ),
        pytest.param(
            known.new(1, passwords=None),
            (Step.INSTALL_SNAP, Step.HOLD_SNAP, Step.PUBLISH_ADDRESS),
            id="no passwords yet: installed, not configured",
        ),
        pytest.param(known.new(machine_storages_missing=("data",)), (), id="storage missing"),
        pytest.param(known.new(machine_storages_unmounted=("data",)), (), id="storage not mounted"),
        pytest.param(known.new(machine_architecture_supported=False), (), id="unsupported architecture"),
        pytest.param(
            known.new(published_address=known.address(0), **READY), (Step.CONFIGURE, Step.START), id="the founder"
        ),
        pytest.param(known.new(1, published_address=known.address(1), **READY), (), id="not the founder"),
        pytest.param(
            known.new(published_address=known.address(0), **READY, config=None), (), id="nothing with a wrong config"
        ),
        pytest.param(
            known.new(published_address=known.address(0), **READY, machine_ports_taken=(5432,)),
            (Step.CONFIGURE,),
            id="port taken",
        ),
        pytest.param(
            known.new(published_address=known.address(0), **READY, machine_storages_full=("data",)),
            (Step.CONFIGURE,),
            id="storage full",
        ),
        pytest.param(
            known.settled(machine_patroni_running=False, cluster=None, raft=None),
            (Step.CONFIGURE, Step.START),
            id="a member that does not run is started",
        ),
        pytest.param(known.settled(machine_configured_address="10.0.0.99"), (Step.MOVE,), id="the address has changed"),
        pytest.param(moved(2, connected=set()), (), id="of two, the other could not let it in again"),
        pytest.param(moved(2, connected={1}), (), id="of two, though the other one is seen"),
        pytest.param(moved(3, connected={1}), (), id="of three, with one away"),
        pytest.param(moved(3, raft=known.raft_view(1)), (Step.MOVE,), id="the only member, while others wait to join"),
        pytest.param(moved(3, raft=None), (), id="nobody tells of a majority"),
        pytest.param(moved(3, raft=known.raft_view(3, 1, {0, 2})), (Step.MOVE,), id="another one tells"),
        pytest.param(moved(1), (Step.MOVE,), id="a unit alone moves"),
        pytest.param(
            moved(2, connected={1}, machine_has_raft_state=False),
            (Step.CONFIGURE,),
            id="one that has to join has not moved",
        ),
        pytest.param(
            known.settled(published_address="10.0.0.99"), (Step.PUBLISH_ADDRESS, Step.CONFIGURE), id="address to tell"
        ),
        pytest.param(
            known.settled(cluster_id=None, published_cluster_id=None),
            (Step.CONFIGURE, Step.PUBLISH_CLUSTER, Step.RECORD_CLUSTER),
            id="the founder runs and is the leader",
        ),
        pytest.param(
            known.settled(cluster_id=None, published_cluster_id=None, leader=False),
            (Step.CONFIGURE, Step.PUBLISH_CLUSTER),
            id="the founder runs",
        ),
        pytest.param(
            known.settled(cluster_id=None, published_cluster_id=known.IDENTIFIER),
            (Step.CONFIGURE, Step.RECORD_CLUSTER),
            id="the founder is the leader and records",
        ),
        pytest.param(
            known.new(
                1,
                leader=True,
                published_address=known.address(1),
                peers=(known.peer(0, cluster_id=known.IDENTIFIER), known.peer(2)),
                **READY,
            ),
            (Step.RECORD_CLUSTER,),
            id="the leader records what the founder tells",
        ),
        pytest.param(known.settled(role_passwords_current=False), (Step.CONFIGURE, Step.SET_ROLES), id="old passwords"),
        pytest.param(known.settled(1, role_passwords_current=False), (Step.CONFIGURE,), id="a standby sets no roles"),
        pytest.param(
            known.settled(temporary_tablespace_exists=False),
            (Step.CONFIGURE, Step.CREATE_TEMPORARY_TABLESPACE),
            id="no tablespace",
        ),
        pytest.param(
            known.settled(1, primary=1, leader=True, dynamic_configuration=configuration.dynamic(1)),
            (Step.CONFIGURE, Step.CHANGE_DYNAMIC_CONFIGURATION),
            id="the leader changes the shared configuration",
        ),
        pytest.param(
            known.settled(1, primary=1, dynamic_configuration=configuration.dynamic(1)),
            (Step.CONFIGURE,),
            id="others do not",
        ),
        pytest.param(
            known.settled(
                dynamic_configuration=configuration.dynamic(1),
                refresh=facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED),
            ),
            (Step.CONFIGURE,),
            id="not while a refresh is in progress",
        ),
        pytest.param(
            known.settled(
                dynamic_configuration=configuration.dynamic(0),
                refresh=facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED),
            ),
            (Step.CONFIGURE, Step.CHANGE_DYNAMIC_CONFIGURATION),
            id="but synchronous mode comes at once",
        ),
        pytest.param(
            known.settled(passwords=None, passwords_recorded=True),
            (),
            id="passwords that cannot be read are no absence",
        ),
        pytest.param(
            known.settled(2, raft=known.raft_view(2, 0)),
            (Step.CONFIGURE, ChangeMembership(membership.Add(known.node(2)))),
            id="Raft does not know this member",
        ),
        pytest.param(
            known.settled(count=3, raft=known.raft_view(4, 0, connected={1, 2})),
            (Step.CONFIGURE, ChangeMembership(membership.Remove(known.node(3)))),
            id="a dead member",
        ),
    ],
)
def test_steps(known_facts: facts.Facts, expected: tuple[object, ...]) -> None:
    assert after(planner.plan(known_facts)) == expected


# A unit that is to join a cluster of units 0 to 2.


def joiner(number: int = 3, count: int = 4, **changes: typing.Any) -> facts.Facts:
    ready = dict(READY) | {
        "published_address": known.address(number),
        "cluster_id": known.IDENTIFIER,
        "cluster": known.view(3),
        "raft": known.raft_view(3),
        "peers": tuple(known.peer(each) for each in range(count) if each != number),
    }
    return known.new(number, count, **(ready | changes))


def joins(known_facts: facts.Facts) -> bool:
    return Step.START in planner.plan(known_facts)


def test_a_unit_joins_when_it_is_its_turn() -> None:
    assert joins(joiner())


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster": None},
        {"cluster": known.view(3, primary=None)},
        {"cluster": known.view(3, changes={1: {"state": "creating replica"}})},
        {"published_address": None},
        {"published_address": "10.0.0.99"},
        {"cluster_id": None},
        {"machine_data": OTHER_CLUSTER},
        {"machine_data": GARBAGE},
        {"machine_other_major_version": "14"},
        {"passwords": None},
        {"machine_address": None},
    ],
)
def test_a_unit_does_not_join(changes: dict[str, typing.Any]) -> None:
    assert not joins(joiner(**changes))


def test_one_at_a_time_lowest_first() -> None:
    assert joins(joiner(3, 5))
    assert not joins(joiner(4, 5))


def test_a_unit_in_error_or_without_address_is_not_waited_for() -> None:
    assert joins(joiner(4, 5, failed=frozenset({3})))
    silent = tuple(known.peer(each, address=None if each == 3 else known.address(each)) for each in range(4))
    assert joins(joiner(4, 5, peers=silent))


def test_a_unit_that_is_down_is_not_waited_for() -> None:
    # It is no member any more in Patroni's eyes; Raft still has its node.
    down = known.raft_view(3, 0, connected={2})
    without = known.view(3)
    without = dataclasses.replace(
        without, members=tuple(each for each in without.members if each.name != known.name(1))
    )
    assert joins(joiner(3, 4, cluster=without, raft=down))
    never = known.raft_view(1, 0)
    assert not joins(joiner(3, 4, cluster=without, raft=never))


def test_during_a_refresh_only_synchronous_mode_changes() -> None:
    refreshing = facts.RefreshFacts(in_progress=True, pinned_revision=known.PINNED)
    given = known.settled(dynamic_configuration=configuration.dynamic(0), refresh=refreshing)
    assert planner.dynamic_configuration_patch(given) == {"synchronous_mode": True}
    off = known.settled(
        config=config.Config(synchronous_node_count=0),
        dynamic_configuration=configuration.dynamic(2),
        refresh=refreshing,
    )
    assert planner.dynamic_configuration_patch(off) == {}
    # Until it is off, Patroni lets none but a synchronous standby take over.
    assert off.is_synchronous


@pytest.mark.parametrize(
    ("primary", "planned", "changes"),
    [(0, {0}, True), (1, {0}, False), (1, {0, 1}, True), (1, None, False), (9, {0}, True)],
    ids=["the one that stays", "one that leaves", "both stay", "not known who stays", "no unit"],
)
def test_the_shared_configuration_stays_while_the_primary_leaves(
    primary: int, planned: set[int] | None, changes: bool
) -> None:
    view = known.view(3, primary=1 if primary == 9 else primary)
    if primary == 9:
        members = tuple(dataclasses.replace(each, name="other") if each.is_primary else each for each in view.members)
        view = dataclasses.replace(view, members=members)
    given = known.settled(
        cluster=view,
        planned=None if planned is None else frozenset(planned),
        leader=True,
        dynamic_configuration=configuration.dynamic(2),
    )
    assert bool(planner.dynamic_configuration_patch(given)) is changes


def test_a_founder_needs_a_published_address() -> None:
    # It has been published in an earlier hook, so that its claim is committed.
    assert Step.START not in planner.plan(known.new(**READY))


@pytest.mark.parametrize(
    ("changes", "claims"),
    [
        ({"bootstrap_unit": None}, True),
        ({"bootstrap_unit": 0}, False),
        ({"bootstrap_unit": 7}, True),
        ({"bootstrap_unit": 7, "planned": frozenset({0, 1, 2, 7})}, False),
        ({"bootstrap_unit": 7, "planned": None}, False),
        ({"bootstrap_unit": 7, "ready": False}, False),
        ({"bootstrap_unit": None, "leader": False}, False),
        ({"bootstrap_unit": 7, "cluster_id": known.IDENTIFIER}, False),
        ({"bootstrap_unit": 2, "planned": frozenset({0, 1})}, False),
    ],
)
def test_who_claims_the_founding(changes: dict[str, typing.Any], claims: bool) -> None:
    assert (Step.CLAIM_BOOTSTRAP in planner.plan(known.new(**changes))) is claims
