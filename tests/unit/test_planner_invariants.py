"""What holds of every plan, whatever a unit knows: the invariants that planner.py names."""

from __future__ import annotations

import dataclasses

import hypothesis
from hypothesis import strategies

import config
import facts
import planner
import problems
from steps import Step
from tests.fakes import known
from tests.unit.test_planner import GARBAGE, INSTALLED, OTHER_CLUSTER
from workload import cluster, datadir, snap

# Invariants over random facts


def members_in(states: list[str], primary: int | None) -> cluster.ClusterView:
    return known.view(
        len(states), primary, changes={number: {"state": state} for number, state in enumerate(states) if state}
    )


views = strategies.none() | strategies.builds(
    members_in,
    strategies.lists(strategies.sampled_from(["", "starting", "creating replica", "stopped"]), max_size=4),
    strategies.none() | strategies.integers(0, 3),
)
numbers = strategies.none() | strategies.integers(0, 4)


@strategies.composite
def any_facts(draw: strategies.DrawFn) -> facts.Facts:
    number, count = draw(strategies.integers(0, 3)), draw(strategies.integers(1, 4))
    booleans = strategies.booleans()
    own = known.address(number)
    return known.settled(
        number,
        max(count, number + 1),
        leader=draw(booleans),
        ready=draw(booleans),
        leaving=draw(booleans),
        planned=draw(strategies.none() | strategies.frozensets(strategies.integers(0, 4))),
        failed=draw(strategies.frozensets(strategies.integers(0, 4))),
        published_address=draw(strategies.sampled_from([None, own, "10.0.0.99"])),
        published_cluster_id=draw(strategies.sampled_from([None, known.IDENTIFIER])),
        cluster_id=draw(strategies.sampled_from([None, known.IDENTIFIER])),
        bootstrap_unit=draw(numbers),
        passwords=draw(strategies.sampled_from([None, known.PASSWORDS])),
        config=draw(strategies.sampled_from([None, config.Config(), config.Config(synchronous_node_count=0)])),
        cluster=draw(views),
        refresh=draw(
            strategies.none() | strategies.builds(facts.RefreshFacts, booleans, strategies.just("416"), booleans)
        ),
        role_passwords_current=draw(booleans),
        machine_address=draw(strategies.sampled_from([None, own])),
        machine_storages_missing=draw(strategies.sampled_from([(), ("data",)])),
        machine_storages_unmounted=draw(strategies.sampled_from([(), (), ("logs",)])),
        machine_storages_full=draw(strategies.sampled_from([(), ("data",)])),
        machine_snap=draw(
            strategies.sampled_from(
                [None, facts.NOT_INSTALLED, INSTALLED, snap.SnapState("366", True), snap.SnapState("416", False)]
            )
        ),
        machine_data=draw(strategies.sampled_from([facts.NO_DATA, known.DATA, OTHER_CLUSTER, GARBAGE])),
        machine_other_major_version=draw(strategies.sampled_from([None, None, "14"])),
        machine_patroni_running=draw(booleans),
        machine_has_raft_state=draw(booleans),
        machine_configured_address=draw(strategies.sampled_from([None, own, "10.0.0.99"])),
        machine_ports_taken=draw(strategies.sampled_from([(), (5432,)])),
    )


TOUCHING = {
    Step.INSTALL_SNAP,
    Step.HOLD_SNAP,
    Step.PREPARE_DIRECTORIES,
    Step.PREPARE_SERVICE,
    Step.CONFIGURE,
    Step.MOVE,
    Step.START,
}


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(any_facts())
def test_invariants(given: facts.Facts) -> None:
    steps = planner.plan(given)
    machine, data = given.machine, given.machine.data
    assert len(set(steps)) == len(steps)
    if given.leaving:
        assert set(steps) <= {Step.LEAVE}
    if given.leaving or not given.ready or machine.storages_missing or machine.storages_unmounted:
        assert not (TOUCHING - {Step.HOLD_SNAP}) & set(steps)
    snap_state = machine.snap
    if not given.leaving and snap_state is not None and snap_state.revision is not None and not snap_state.held:
        assert Step.HOLD_SNAP in steps
    if Step.START in steps:
        assert Step.CONFIGURE in steps
        assert not machine.patroni_running
        assert not machine.ports_taken
        assert not machine.storages_full
        assert data.content is not datadir.Content.OTHER or machine.has_raft_state
        foreign = data.content is datadir.Content.CLUSTER and data.system_identifier != given.cluster_id
        founder = given.cluster_id is None and given.bootstrap_unit in (None, given.number)
        assert not foreign or founder
        if not machine.has_raft_state:
            assert (given.cluster_id is None and given.bootstrap_unit == given.number) or (
                given.cluster is not None and given.cluster.primary is not None and not given.cluster.unhealthy
            )
    if Step.SET_ROLES in steps or Step.CREATE_TEMPORARY_TABLESPACE in steps:
        assert given.is_primary
    leader_only = {Step.GENERATE_CREDENTIALS, Step.CLAIM_BOOTSTRAP, Step.RECORD_CLUSTER}
    if not given.leader:
        assert not {*leader_only, Step.CHANGE_DYNAMIC_CONFIGURATION} & set(steps)
    if Step.ALLOW_NEXT_UNIT in steps:
        assert given.refresh is not None
        assert machine.snap == INSTALLED
        assert problems.unhealthy(given) is None


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(any_facts())
def test_a_member_that_does_not_run_is_started_again(given: facts.Facts) -> None:
    healthy = dataclasses.replace(
        given,
        ready=True,
        leaving=False,
        passwords=known.PASSWORDS,
        config=config.Config(),
        cluster_id=known.IDENTIFIER,
        machine=dataclasses.replace(
            known.settled(given.number).machine, patroni_running=False, snap=given.machine.snap or INSTALLED
        ),
    )
    assert Step.START in planner.plan(healthy)
