"""Sharp edges 8 to 11, after those of test_sharp_edges.py: options, crashes, versions and events that never come."""

from __future__ import annotations

import dataclasses

import pytest

from tests.fakes import builds, units
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import is_complete, primary_on, resume, revisions
from tests.unit.test_sharp_edges import paused

PAUSED = (
    "Refreshing. Check units >=2 are healthy & run `resume-refresh` on unit 1. To rollback, `juju refresh --revision 1`"
)

# 8. A wrong option


def test_8_a_wrong_pause_blocks_an_idle_application(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="sometimes")
    on.settle()
    assert on.status.message == 'pause-after-unit-refresh config must be set to "all", "first", or "none"'
    assert on.units[0].message == (
        "pause-after-unit-refresh: 'sometimes' is not allowed (all, first, none); set with `juju config`"
    )
    on.refresh(builds.NEW)
    on.settle()
    # The charm checks it before a refresh; charm-refresh would take it for "all".
    assert set(revisions(on).values()) == {"366"}
    assert "pause-after-unit-refresh: 'sometimes'" in on.units[2].message


def test_8_a_wrong_option_set_during_a_refresh_pauses_and_leaves_nothing_stopped(deployed: Deployed) -> None:
    on = paused(deployed, 4)
    resume(on, 2)
    on.set_config(pause_after_unit_refresh="sometimes")
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416", 3: "416"}
    assert resume(on, 1).failure is None
    on.settle()
    assert revisions(on)[1] == "416"
    assert on.units[1].machine.patroni is not None
    on.set_config(pause_after_unit_refresh="first")
    on.settle()
    is_complete(on, "416")


# 9. A unit that crashed after its snap had changed


def test_9_nobody_knows_whether_a_refresh_is_in_progress_until_that_unit_returns(deployed: Deployed) -> None:
    on = deployed(3)
    lost = on.units[2]
    lost.machine.refresh_fault = "changed"
    on.refresh(builds.NEW)
    while not lost.failures:
        on.tick(retry=False)
    lost.machine.crash()
    on.refresh(dataclasses.replace(builds.OLD))
    on.run(300, retry=False)
    assert on.status.message == "Determining if a refresh is in progress"
    assert on.world.raft.primary is not None
    lost.machine.refresh_fault = None
    on.reboot(2)
    on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"366"}


# 10. Versions of three parts


def test_10_a_workload_version_of_three_parts(deployed: Deployed) -> None:
    on = deployed(1)
    on.refresh(dataclasses.replace(builds.NEW, workload="16.14.1"))
    on.settle()
    is_complete(on, "416")
    assert on.workload_version == "16.14.1"


# 11. upgrade-charm may never come


@pytest.mark.parametrize("primary", [0, 2])
def test_11_without_upgrade_charm_config_changed_brings_the_refresh(deployed: Deployed, primary: int) -> None:
    on = deployed(3)
    primary_on(on, primary)
    on.charm = builds.NEW
    for unit in on.units.values():
        # As Juju does for a unit whose hook has failed.
        unit.unpack(builds.NEW)
        unit.queue.append(units.Event("config-changed"))
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    assert resume(on, 1).failure is None
    on.settle()
    assert on.are_active(), on.summary()
    assert len(on.world.switchovers) == (2 if primary == 2 else 1)
    assert "upgrade_charm" not in on.units[2].dispatched


def test_11_without_either_the_unit_waits_and_says_so(deployed: Deployed) -> None:
    on = deployed(3)
    on.charm = builds.NEW
    for unit in on.units.values():
        unit.unpack(builds.NEW)
    on.update_status()
    on.settle()
    assert set(revisions(on).values()) == {"366"}
    assert {unit.message for unit in on.units.values()} == {
        "Waiting for Juju upgrade-charm or config-changed event. See `juju debug-log`"
    }
    on.set_config(pause_after_unit_refresh="first")
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}


def test_11_actions_run_while_a_hook_has_failed(deployed: Deployed) -> None:
    on = deployed(3)
    on.units[2].machine.refresh_fault = "unchanged"
    on.refresh(builds.NEW)
    while not on.units[2].failures:
        on.tick(retry=False)
    result = on.units[2].act("get-refresh-status", format="table")
    assert result.failure is None
    assert result.results["status"].splitlines()[-1].startswith("Next: The hook of postgresql-machine/2 fails:")
