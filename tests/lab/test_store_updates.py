"""Updates as the store proxy offers them, over real Unix sockets, in front of a stand-in of snapd."""

from __future__ import annotations

import json
import pathlib
import typing
from collections.abc import Iterator

import pytest

from lab.snaps import proxy
from tests.lab import store_world
from tests.lab.store_world import NAME, Machine, offer

PAST, FUTURE = "2001-01-01T00:00:00.123456789Z", "2101-01-01T00:00:00+01:00"


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Iterator[Machine]:
    """Two snaps, both with an update."""
    with store_world.serving(tmp_path) as machine:
        snaps = {
            "charmed_postgresql": offer(machine.store, NAME, {"366": "16.14", "416": "16.15"}),
            "tool": offer(machine.store, "tool", {"1": "1", "2": "2"}),
        }
        machine.publish(**snaps)
        for name, revision in ((NAME, "366"), ("tool", "1")):
            machine.post(name, action="install", channel="16/edge", revision=revision)
        machine.snapd.requests.clear()
        yield machine


def listed(machine: Machine) -> dict[str, str]:
    found = machine.call("GET", "/v2/find?select=refresh").result
    return {each["name"]: each["revision"] for each in found}


def refresh_all(machine: Machine) -> dict[str, typing.Any]:
    answer = machine.call("POST", "/v2/snaps", {"action": "refresh", "transaction": "per-snap"})
    assert answer.status == 202
    return machine.call("GET", f"/v2/changes/{answer.json['change']}").result


def revisions(machine: Machine) -> dict[str, str]:
    return {each["name"]: each["revision"] for each in machine.call("GET", "/v2/snaps").result}


def test_a_held_snap_is_among_the_updates_that_are_listed(machine: Machine) -> None:
    machine.snapd.holds["tool"] = FUTURE
    assert listed(machine) == {NAME: "416", "tool": "2"}


def test_a_refresh_of_all_is_one_change_and_leaves_held_snaps_out(machine: Machine) -> None:
    machine.snapd.holds["tool"] = FUTURE
    change = refresh_all(machine)

    assert change["kind"] == "refresh-snap"
    assert change["summary"] == 'Refresh "charmed-postgresql"'
    assert change["data"]["snap-names"] == [NAME]
    assert revisions(machine) == {NAME: "416", "tool": "1"}
    assert machine.snap()["tracking-channel"] == "16/edge"


def test_a_hold_that_is_over_holds_nothing(machine: Machine) -> None:
    machine.snapd.holds = {"tool": PAST, NAME: PAST}
    change = refresh_all(machine)

    assert change["summary"] == 'Refresh snaps "charmed-postgresql", "tool"'
    assert [task["summary"] for task in change["tasks"]] == [
        'Mount snap "charmed-postgresql" (416)',
        'Mount snap "tool" (2)',
    ]
    assert revisions(machine) == {NAME: "416", "tool": "2"}
    assert len(machine.side_loads()) == 1, "one request for both"
    assert listed(machine) == {}


def test_a_refresh_of_all_in_progress_tells_the_stores_numbers(machine: Machine) -> None:
    machine.snapd.outcome = "Doing"
    tasks = refresh_all(machine)["tasks"]
    assert [task["summary"] for task in tasks] == ['Mount snap "charmed-postgresql" (416)', 'Mount snap "tool" (2)']


def test_with_all_held_a_refresh_of_all_does_nothing(machine: Machine) -> None:
    machine.snapd.holds = {"tool": FUTURE, NAME: FUTURE}
    change = refresh_all(machine)
    assert (change["summary"], change["ready"], change["tasks"]) == ("Refresh all snaps: no updates", True, [])
    assert machine.side_loads() == []


def test_a_refresh_that_names_a_held_snap_succeeds(machine: Machine) -> None:
    machine.snapd.holds["tool"] = FUTURE
    assert machine.post("tool", action="refresh").status == 202
    assert revisions(machine)["tool"] == "2"


def test_snaps_in_devmode_and_disabled_ones_are_left_out(machine: Machine) -> None:
    machine.snapd.devmode.add("tool")
    machine.snapd.disabled.add(NAME)
    assert listed(machine) == {}
    refresh_all(machine)
    assert revisions(machine) == {NAME: "366", "tool": "1"}


def test_snaps_that_follow_no_channel_have_no_updates(machine: Machine) -> None:
    machine.snapd.side_load(b"other 1")
    machine.publish(
        charmed_postgresql=offer(machine.store, NAME, {"366": "16.14"}),
        tool=offer(machine.store, "tool", {"1": "1"}),
        other=offer(machine.store, "other", {"1": "1", "2": "2"}),
    )
    assert listed(machine) == {}


def test_a_missing_base_comes_before_the_update_that_needs_it(machine: Machine) -> None:
    machine.publish(
        charmed_postgresql=offer(machine.store, NAME, {"366": "16.14", "417": "16.16"}, base="core26"),
        tool=offer(machine.store, "tool", {"1": "1"}),
        core26=offer(machine.store, "core26", {"1": "1"}),
    )
    refresh_all(machine)
    assert [form["snap"] for form in machine.side_loads()] == [b"core26 1", b"charmed-postgresql 16.16"]


def test_a_store_that_is_not_reachable_refuses_a_refresh_of_all(machine: Machine) -> None:
    (machine.store / "faults.json").write_text(json.dumps([{"fault": "unreachable"}]))
    answer = machine.call("POST", "/v2/snaps", {"action": "refresh"})
    assert (answer.status, answer.kind) == (400, "dns-failure")
    assert revisions(machine) == {NAME: "366", "tool": "1"}


def test_an_error_of_one_download_refuses_a_refresh_of_all(machine: Machine) -> None:
    rule = {"fault": "error", "snap": "tool", "revision": "2", "message": "sha3-384 mismatch"}
    (machine.store / "faults.json").write_text(json.dumps([rule]))
    answer = machine.call("POST", "/v2/snaps", {"action": "refresh"})
    assert answer.result["message"] == "sha3-384 mismatch"
    assert revisions(machine) == {NAME: "366", "tool": "1"}


def test_the_snaps_of_an_image_follow_the_channels_that_it_says(tmp_path: pathlib.Path) -> None:
    proxy.install(tmp_path / "root", {"core24": "latest/stable"})
    state = tmp_path / "root/var/lib/store-proxy/memory.json"
    with store_world.serving(tmp_path) as machine:
        machine.stop()
        state.rename(machine.directory / "memory.json")
        base = offer(machine.store, "core24", {"1": "1", "2": "2"})
        base["channels"] = {store_world.ARCHITECTURE: {"latest/stable": "2"}}
        machine.publish(core24=base)
        machine.snapd.side_load(b"core24 1")
        machine.start()
        assert machine.call("GET", "/v2/snaps/core24").result["tracking-channel"] == "latest/stable"
        assert listed(machine) == {"core24": "2"}
