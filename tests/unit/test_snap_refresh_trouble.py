"""What a unit does where snapd, the store, the administrator or its own files are not as they should be."""

from __future__ import annotations

import datetime
import itertools
from unittest import mock

import pytest

import refresh_situation
from snap_refresh import model
from tests.fakes.snap_lives import entry, look, offer, remembered, status, wait
from tests.unit.conftest import Deployed
from workload import service


def test_a_hold_that_somebody_removed_is_put_back_and_reported(deployed: Deployed) -> None:
    on = deployed(1)
    machine = on.units[0].machine
    machine.held = False
    machine.snaps.snaps["core24"].hold = None
    wait(on, 0.1)
    assert machine.held
    assert machine.snaps.held("core24")
    assert on.units[0].message.endswith("holds were removed, put back: charmed-postgresql, core24"), on.summary()
    assert sum("hold of" in line and "WARNING" in line for line in on.juju_log) == 2
    wait(on, 25)
    assert "removed" not in on.units[0].message


def test_a_hold_of_the_administrator_is_left_alone(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    until = unit.machine.snaps.now() + datetime.timedelta(days=300)
    unit.machine.snaps.snaps["core24"].hold = until
    offer(on, "core24", "snapd")
    wait(on, 60)
    assert on.world.snap_refreshes == [(unit.machine.name, "snapd")]
    assert unit.machine.snaps.snaps["core24"].hold == until
    found = entry(unit, "core24")
    assert (found["held-by"], found["pending-revision"], found["decision"]) == ("administrator", "2", "hold")


def test_snapd_silent_changes_nothing_but_the_status(deployed: Deployed) -> None:
    on = deployed()
    unit = next(each for each in on.units.values() if each is not on.primary)
    unit.machine.snapd_running = False
    offer(on, "core24")
    wait(on, 0.2)
    assert unit.machine.patroni is not None
    assert unit.status.name == "waiting"
    assert "snapd does not answer" in unit.message
    assert unit.error is None
    unit.machine.snapd_running = True
    look(on)
    assert len(on.world.snap_refreshes) == 3
    assert on.are_active()


def test_a_unit_whose_snapd_falls_silent_in_its_turn_keeps_nobody_waiting(deployed: Deployed) -> None:
    on = deployed()
    first = max((unit for unit in on.units.values() if unit is not on.primary), key=lambda unit: unit.number)
    first.machine.snaps.refresh_fault = "fails"
    offer(on, "core24")
    wait(on, 1.2)
    assert model.Turn.parse(on.application_databags["database-peers"]["snap-refresh-turn"]).unit == first.number
    first.machine.snapd_running = False
    wait(on, 6)
    done = [name for name, _ in on.world.snap_refreshes]
    assert sorted(done) == sorted(unit.machine.name for unit in on.units.values() if unit is not first)
    first.machine.snapd_running, first.machine.snaps.refresh_fault = True, None
    look(on)
    assert [name for name, _ in on.world.snap_refreshes] == [*done, first.machine.name]
    assert on.are_active(), on.summary()


def test_what_snapd_refuses_since_it_is_at_it_is_no_attempt(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    unit.machine.snaps.refresh_fault = "slow"
    offer(on, "core24")
    unit.machine.snaps.refresh("core24")
    wait(on, 1.2)
    assert remembered(unit).attempts == {}
    unit.machine.snaps.end()
    unit.machine.snaps.refresh_fault = None
    look(on)
    assert on.world.snap_refreshes == [(unit.machine.name, "core24")]


def test_an_update_that_the_store_no_longer_has_takes_no_turn_away(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    unit.machine.snaps.refresh_fault = "slow"
    offer(on, "core24")
    wait(on, 1.2)
    unit.machine.snaps.end()
    unit.machine.snaps.refresh_fault = None
    # Withdrawn, after snapd was asked for updates.
    del on.world.store["core24"]
    unit.machine.snaps.requests.clear()
    wait(on, 0.7)
    assert unit.machine.snaps.requests.count("POST /v2/snaps/core24") == 1
    assert on.are_active(), on.summary()
    assert remembered(unit).updates == {}
    assert remembered(unit).attempts == {}
    offer(on, "core24", revision="3")
    look(on)
    assert on.world.snap_refreshes == [(unit.machine.name, "core24")]


@pytest.mark.parametrize("change", ["refused", "fails"])
def test_what_is_held_stays_held_where_the_charm_may_or_can_do_nothing_else(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    on = deployed(1)
    unit = on.units[0]
    if change == "refused":
        monkeypatch.setattr(refresh_situation.Situation, "refused", lambda _: "Charm 1 cannot follow 2. Go back")
    else:
        monkeypatch.setattr(service, "ensure_stop_signal", mock.Mock(side_effect=service.ServiceError("no")))
    wait(on, 60)
    unit.machine.held = False
    wait(on, 0.1)
    assert unit.machine.held
    assert unit.machine.snaps.held("core24")
    assert ("cannot follow" if change == "refused" else "Failed to") in unit.message


def test_a_store_that_does_not_answer_is_asked_less_often_and_told(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    unit.machine.snaps.store_fault = "cannot reach the snap store"
    unit.machine.snaps.requests.clear()
    wait(on, 1)
    assert unit.machine.snaps.requests.count("GET /v2/find") <= 3
    assert on.are_active()
    assert status(unit)["store-failure"] == "cannot reach the snap store"
    assert unit.act("run-snap-refresh").failure == "Updates are not known: cannot reach the snap store"


def test_a_refresh_that_fails_is_tried_three_times_in_an_hour_and_then_waits_for_the_limit(deployed: Deployed) -> None:
    on = deployed()
    first = max((unit for unit in on.units.values() if unit is not on.primary), key=lambda unit: unit.number)
    first.machine.snaps.refresh_fault = "fails"
    offer(on, "core24")
    times: list[float] = []
    for _ in range(40):
        before = first.machine.snaps.requests.count("POST /v2/snaps/core24")
        wait(on, 0.1)
        times += [on.world.now] * (first.machine.snaps.requests.count("POST /v2/snaps/core24") - before)
    assert len(times) == 3
    assert all(later - earlier >= 1800 for earlier, later in itertools.pairwise(times))
    assert "snapd failed 3 times to refresh core24; see `snap changes`" in first.message
    assert first.machine.snaps.held("core24")
    # The others have had their turns all the same.
    assert len(on.world.snap_refreshes) == 2
    wait(on, 48)
    assert not first.machine.snaps.held("core24")
    # A newer one is tried again.
    first.machine.snaps.refresh_fault = None
    offer(on, "core24", revision="3")
    look(on)
    assert len(on.world.snap_refreshes) == 5
    assert on.are_active()


def test_while_nothing_is_pending_a_hook_asks_snapd_once_at_most(deployed: Deployed) -> None:
    on = deployed()
    for _ in range(5):
        for unit in on.units.values():
            unit.machine.snaps.requests.clear()
        wait(on, 0.2)
        hooks = 3
        for unit in on.units.values():
            assert len(unit.machine.snaps.requests) <= hooks
            assert set(unit.machine.snaps.requests) <= {"GET /v2/find", "GET /v2/connections"}


def test_no_hook_makes_two_requests_while_nothing_is_pending(deployed: Deployed) -> None:
    on = deployed(1)
    machine = on.units[0].machine
    made: list[int] = []
    for _ in range(30):
        machine.snaps.requests.clear()
        on.world.now += 400
        on.update_status()
        on.run(4)
        made.append(len(machine.snaps.requests))
    # The store once an hour, and the connections in another hook.
    assert set(made) == {0, 1}
    assert sum(made) <= 8


def test_a_connection_that_is_made_later_is_seen_within_the_hour(deployed: Deployed) -> None:
    on = deployed(1)
    machine = on.units[0].machine
    machine.snaps.add("content")
    look(on)
    assert not machine.snaps.held("content")
    machine.snaps.connections = [("content", model.WORKLOAD, "content")]
    wait(on, 1.1)
    assert machine.snaps.held("content")
    # Whoever asks is told at once.
    machine.snaps.add("other")
    look(on)
    machine.snaps.connections.append(("content", model.WORKLOAD, "other"))
    assert entry(on.units[0], "other")["decision"] == "hold"
    assert machine.snaps.held("other")


def test_a_provider_of_content_counts_and_an_unrelated_snap_does_not(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    for name in ("content", "unrelated"):
        unit.machine.snaps.add(name)
    unit.machine.snaps.connections = [("content", model.WORKLOAD, "content")]
    look(on)
    assert unit.machine.snaps.held("content")
    assert not unit.machine.snaps.held("unrelated")
    offer(on, "content", "unrelated")
    look(on)
    assert on.world.snap_refreshes == [(unit.machine.name, "content")]


def test_a_file_that_cannot_be_read_is_begun_anew(deployed: Deployed) -> None:
    on = deployed(1)
    unit = on.units[0]
    for content in ("{", "[]", '{"asked": 5}', '{"attempts": {"core24": 1}}'):
        (unit.directory / model.FILE).write_text(content)
        wait(on, 0.1)
        assert remembered(unit).holds.keys() == {"core24", "snapd", model.WORKLOAD}
        assert [entry(unit, name)["held-by"] for name in ("core24", "snapd")] == ["charm", "charm"]
        assert unit.error is None
    assert on.are_active()
    assert any("begun anew" in line for line in on.juju_log)


def test_a_wish_that_is_not_understood_is_left_out(deployed: Deployed) -> None:
    on = deployed()
    on.databags["database-peers"][1]["snap-updates"] = "?"
    on.units[0].seen["database-peers"][1]["snap-updates"] = "?"
    offer(on, "core24")
    look(on)
    assert on.are_active(), on.summary()
