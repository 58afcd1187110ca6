"""Hooks that come without being asked for: config-changed, update-status, and those around a reboot."""

from __future__ import annotations

import itertools
import time
import typing

from engine_world import World

from lab.controller.entities import statuses

PEERS = {"peers": {"interface": "p"}}


# config-changed


def test_config_changed_only_where_something_has(world: World) -> None:
    world.deploy(world.charm(config={"a": {"type": "string", "default": "x"}}))
    world.hooks()
    world.operations.set_config("m", "tiny", {"a": "x"})
    world.settle()
    assert world.hooks() == []
    world.operations.set_config("m", "tiny", {"a": "y"})
    world.settle()
    assert world.hooks() == ["config-changed"]
    world.operations.reset_config("m", "tiny", ["a"])
    world.settle()
    assert world.hooks() == ["config-changed"]
    world.operations.trust("m", "tiny")
    world.settle()
    assert world.hooks() == ["config-changed"]


def test_a_new_address_is_told_and_written_into_databags(world: World) -> None:
    world.deploy(world.charm(peers=PEERS), num_units=2)
    before = world.databag("tiny:peers", "tiny/0")
    world.hooks()
    machine: typing.Any = world.controller.machine(world.model, "0")
    machine.address = "127.9.9.9"
    machine.save()
    world.settle()
    after = world.databag("tiny:peers", "tiny/0")
    assert before["ingress-address"] != after["ingress-address"] == after["private-address"] == "127.9.9.9"
    assert after["egress-subnets"] == "127.9.9.9/32"
    assert [(run.unit, run.hook, run.remote_unit) for run in world.runs()] == [
        ("tiny/0", "config-changed", ""),
        ("tiny/1", "peers-relation-changed", "tiny/0"),
    ]


# update-status


def test_update_status_keeps_to_its_interval(world: World) -> None:
    world.deploy()
    world.hooks()
    times: list[int] = []
    for second in range(0, 3000, 10):
        world.advance(10)
        if world.hooks() == ["update-status"]:
            times.append(second)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert 8 <= len(times) <= 12
    assert all(230 <= gap <= 370 for gap in gaps)
    assert len(set(gaps)) > 1


def test_the_interval_can_be_changed(world: World) -> None:
    world.deploy()
    world.operations.set_model_config("m", {"update-status-hook-interval": "10s"})
    world.settle()
    world.hooks()
    world.advance(13)
    assert world.hooks() == ["update-status"]


def test_any_hook_absorbs_a_pending_update_status(world: World) -> None:
    world.deploy()
    world.hooks()
    world.change_config()
    world.advance(400)
    assert world.hooks() == ["config-changed"]


def test_update_status_is_not_shown_as_executing(world: World) -> None:
    world.deploy()
    world.advance(400)
    messages = [entry.message for entry in statuses.history(world.store, world.model, statuses.agent("tiny/0"))]
    assert not [message for message in messages if "update-status" in message]


# Reboot


def test_reboot_after_the_hook(world: World) -> None:
    world.deploy()
    machine = world.controller.machine(world.model, "0")
    before = machine.boot_id
    world.script("config-changed", "juju-reboot; state-set a=1")
    world.script("start", 'status-set active "$(state-get a)"')
    world.hooks()
    world.change_config()
    world.settle()
    assert machine.boot_id != before
    assert world.hooks() == ["config-changed", "start"]
    assert world.status("tiny/0") == ("active", "1")


def test_reboot_now_runs_the_hook_again(world: World) -> None:
    world.deploy()
    machine = world.controller.machine(world.model, "0")
    before = machine.boot_id
    once = world.directory / "once"
    world.script("config-changed", f"[ -f {once} ] || {{ touch {once}; juju-reboot --now; sleep 30; }}")
    world.hooks()
    world.change_config()
    begun = time.monotonic()
    world.settle()
    assert time.monotonic() - begun < 20
    assert machine.boot_id != before
    assert world.hooks() == ["config-changed", "config-changed", "start"]
    assert not [line for line in world.log() if "failed" in line]
