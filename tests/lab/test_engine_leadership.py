"""Leases of leadership, and what charms learn of them."""

from __future__ import annotations

from engine_world import World

from lab.controller import leases
from lab.controller.entities import leadership


def pass_time(world: World, seconds: float) -> None:
    """Lets time pass in small steps, as it does for a controller."""
    for _ in range(int(seconds / 5)):
        world.advance(5)


def test_a_live_leader_stays(world: World) -> None:
    world.deploy(num_units=3)
    leader = world.leader()
    pass_time(world, 300)
    assert world.leader() == leader
    assert world.hooks().count("leader-elected") == 1


def test_the_lease_is_renewed_when_half_of_it_is_over(world: World) -> None:
    world.deploy()

    def rest() -> float:
        lease = world.store.require(leadership.Lease, world.model, "tiny")
        return (lease.expires - world.clock.now()).total_seconds()

    assert rest() == leases.DURATION == 60
    world.advance(29)
    assert rest() == 31
    world.advance(1)
    assert rest() == 60


def test_a_dead_leader_is_succeeded_when_its_lease_has_run_out(world: World) -> None:
    world.deploy(num_units=3)
    old = world.leader()
    world.operations.fault_crash_agent("m", old, stay_down=True)
    world.settle()
    world.hooks()
    pass_time(world, 30)
    assert world.leader() == old
    pass_time(world, 30)
    new = world.leader()
    assert new != old
    assert [(run.unit, run.hook) for run in world.runs()] == [(new, "leader-elected")]
    world.operations.fault_start_agent("m", old)
    world.settle()
    assert world.hooks() == ["leader-settings-changed"]
    assert world.leader() == new


def test_no_hook_tells_a_leader_that_it_no_longer_leads(world: World) -> None:
    world.deploy(num_units=2)
    old = world.leader()
    world.operations.fault_crash_agent("m", old, stay_down=True)
    world.settle()
    pass_time(world, 65)
    world.operations.fault_start_agent("m", old)
    world.hooks()
    world.settle()
    assert "leader-deposed" not in world.hooks()
    assert not world.local(old).leader


def test_removal_hands_over_at_once(world: World) -> None:
    world.deploy(num_units=2)
    old = world.leader()
    world.hooks()
    world.operations.remove_unit("m", old)
    world.settle()
    assert world.leader() not in ("", old)
    assert world.hooks()[-1] == "leader-elected"


def test_leader_elected_is_skipped_by_a_unit_that_leads_no_longer(world: World) -> None:
    world.deploy(num_units=2)
    old, other = world.leader(), world.follower()
    world.store.put(leadership.Lease(world.model, "tiny", other, world.clock.now()))
    world.operations.fault_crash_agent("m", old, stay_down=True)
    world.engine.step()
    agent = world.controller.agents[world.model, other]
    # It has taken note of its leadership, and leader-elected is queued; now the lease goes elsewhere.
    while world.local(other).hook is None or not world.local(other).leader:
        world.engine.worker.step()
        agent.step()
    world.hooks()
    world.operations.fault_start_agent("m", old)
    later = world.clock.now().replace(year=2030)
    world.store.put(leadership.Lease(world.model, "tiny", old, later))
    agent.step()
    assert world.hooks() == []
    world.settle()
    assert "leader-elected" not in world.hooks(other)


def test_leader_settings(world: World) -> None:
    world.deploy(num_units=2)
    world.script("config-changed", "is-leader --format json | grep -q true && leader-set a=1 || true")
    world.script("leader-settings-changed", 'status-set active "$(leader-get a)"')
    world.hooks()
    world.change_config()
    world.settle()
    assert world.status(world.follower()) == ("active", "1")
    assert world.hooks().count("leader-settings-changed") == 1


def test_is_leader_may_be_true_before_leader_elected(world: World) -> None:
    world.script("install", 'status-set active "$(is-leader)"')
    world.deploy()
    assert world.status("tiny/0") == ("active", "True")
