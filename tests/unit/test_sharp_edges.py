"""What charm-refresh and Juju do that surprises, one test each: what happens, and what the charm does about it.

The real charm_refresh runs. Where the charm has a guard, the test fails without it.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import json
import typing
from unittest import mock

import charm_refresh
import pytest
from scenario import mocking

import prechecks
import refresh
from tests.fakes import builds, juju, units
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import FORCE, is_complete, resume, revisions

PAUSED = (
    "Refreshing. Check units >=2 are healthy & run `resume-refresh` on unit 1. To rollback, `juju refresh --revision 1`"
)
CODE_ONLY = builds.Charm("16/1.0.1", url="ch:amd64/postgresql-machine-3")


@contextlib.contextmanager
def without_guard() -> collections.abc.Iterator[None]:
    """charm-refresh as it is."""
    with (
        mock.patch.object(refresh, "Machines", charm_refresh.Machines),
        mock.patch.object(charm_refresh.Machines, "held", False, create=True),
    ):
        yield


def paused(deployed: Deployed, count: int = 3) -> juju.Application:
    on = deployed(count)
    on.refresh(builds.NEW)
    on.settle()
    assert [number for number, revision in revisions(on).items() if revision == "416"] == [count - 1]
    return on


# 1. Units that join or leave un-pause


def test_1_charm_refresh_alone_goes_on_when_a_unit_joins(deployed: Deployed) -> None:
    with without_guard():
        on = paused(deployed)
        on.add_unit()
        on.settle()
        assert set(revisions(on).values()) == {"416"}


def test_1_charm_refresh_alone_goes_on_when_the_only_refreshed_unit_leaves(deployed: Deployed) -> None:
    with without_guard():
        on = paused(deployed)
        on.remove_unit(2)
        on.settle()
        assert revisions(on) == {0: "366", 1: "416"}


def test_1_a_unit_that_joins_confirms_nothing(deployed: Deployed) -> None:
    on = paused(deployed)
    on.add_unit()
    on.settle()
    on.update_status()
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416", 3: "416"}
    assert on.status.message == PAUSED
    assert resume(on, 0).failure == "Must run action on unit 1"
    result = resume(on, 1)
    assert (result.failure, result.results) == (None, {"result": "Refreshed unit 1"})
    on.settle()
    is_complete(on, "416")


def test_1_nor_does_the_only_refreshed_unit_when_it_leaves(deployed: Deployed) -> None:
    on = paused(deployed)
    on.remove_unit(2)
    on.settle()
    on.update_status()
    on.settle()
    assert revisions(on) == {0: "366", 1: "366"}
    assert "run `resume-refresh` on unit 1." in on.status.message
    assert resume(on, 0).failure == "Must run action on unit 1"
    result = resume(on, 1)
    assert (result.failure, result.results) == (None, {"result": "Refresh resumed. Unit 1 has refreshed"})
    on.settle()
    assert "run `resume-refresh` on unit 0." in on.status.message
    assert resume(on, 0).failure is None
    on.settle()
    is_complete(on, "416")


def test_1_a_unit_that_waits_so_resumes_only_in_a_healthy_cluster(deployed: Deployed) -> None:
    on = paused(deployed)
    on.remove_unit(2)
    on.settle()
    process = on.units[0].machine.patroni
    assert process is not None
    process.state = "stopped"
    waiting = on.units[1]
    assert waiting.machine.patroni is not None
    failure = resume(on, 1).failure
    assert failure is not None
    assert "Refresh will not resume." in failure
    assert waiting.machine.revision == "366"
    process.state, process.since = "starting", on.world.now
    on.settle()
    waiting.machine.refresh_fault = "unchanged"
    result = resume(on, 1)
    assert result.failure is not None
    assert result.failure.startswith("Failed to refresh snap.")
    assert "cannot refresh: the pre-refresh hook failed" in result.log
    waiting.machine.refresh_fault = None
    assert waiting.machine.patroni is not None
    on.settle()
    assert resume(on, 1, **{"check-health-of-refreshed-units": False}).failure is None
    assert waiting.machine.revision == "416"


def test_1_nor_does_it_resume_where_the_checks_have_not_passed(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(builds.NEW)
    on.settle()
    on.remove_unit(2)
    on.settle()
    for check in (True, False):
        failure = resume(on, 1, **{"check-health-of-refreshed-units": check}).failure
        assert failure == "Refresh has not started; get-refresh-status tells why. Refresh will not resume."
    assert revisions(on) == {0: "366", 1: "366"}


def test_1_a_rollback_needs_no_more_confirmations_for_it(deployed: Deployed) -> None:
    on = paused(deployed)
    on.add_unit()
    on.settle()
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    # Unit 3 goes back first, and charm-refresh pauses before unit 2, as it always does.
    assert revisions(on) == {0: "366", 1: "366", 2: "416", 3: "366"}
    assert resume(on, 2).failure is None
    on.settle()
    is_complete(on, "366")


# 2. A refresh of charm code only is not checked


def test_2_charm_code_only_is_never_in_progress(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(CODE_ONLY)
    on.settle()
    is_complete(on, "366")
    assert "original_charm_version" in on.application_databags["refresh-v-three"]
    assert on.application_databags["refresh-v-three"]["original_charm_version"] == '"16/1.0.1"'


def test_2_older_charm_code_changes_nothing_and_says_how_to_go_back(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(CODE_ONLY)
    on.settle()
    before = json.dumps([on.databags, on.application_databags])
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    text = (
        "Charm 16/1.0.0 cannot follow 16/1.0.1. Go back: `juju refresh --revision 3`, or force-refresh-start on unit 2"
    )
    assert (on.status.name, on.status.message) == ("blocked", text)
    assert {(unit.status.name, unit.message) for unit in on.units.values()} == {("blocked", text)}
    assert json.dumps([on.databags, on.application_databags]) == before
    assert on.primary.machine.patroni is not None
    assert resume(on, 2).failure == text
    on.refresh(dataclasses.replace(CODE_ONLY))
    on.settle()
    is_complete(on, "366")


def test_2_postgresql_is_kept_running_by_a_charm_that_is_refused(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(CODE_ONLY)
    on.settle()
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    on.units[1].machine.stop(disable=False)
    on.units[1].machine.stops = 0
    on.update_status()
    on.settle()
    assert on.units[1].machine.patroni is not None
    assert on.units[1].machine.stops == 0


def test_2_the_operator_may_accept_older_charm_code(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(CODE_ONLY)
    on.settle()
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    assert on.units[0].act("force-refresh-start", **(FORCE | {"check-compatibility": False})).failure == (
        "Must run action on unit 2"
    )
    assert on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False})).failure == (
        "Must run with `check-compatibility=false`: nothing else stands against it"
    )
    result = on.units[2].act("force-refresh-start", **(FORCE | {"check-compatibility": False}))
    assert (result.failure, result.results) == (None, {"result": "Charm 16/1.0.0 accepted"})
    on.settle()
    is_complete(on, "366")
    # What was accepted once is not accepted for ever.
    on.refresh(dataclasses.replace(CODE_ONLY))
    on.settle()
    is_complete(on, "366")
    assert not any("accepted-charm" in bag for bag in on.databags["database-peers"].values())
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    assert on.status.name == "blocked"


# 3. Charms from files have no revision


def test_3_the_way_back_of_a_charm_from_a_file_names_a_file(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    status_set = mocking._MockModelBackend.status_set

    def note(self: mocking._MockModelBackend, status: typing.Any, message: str = "", **keywords: typing.Any) -> None:
        shown.append(message)
        status_set(self, status, message, **keywords)

    monkeypatch.setattr(mocking._MockModelBackend, "status_set", note)
    on = deployed(3)
    local = dataclasses.replace(CODE_ONLY, url="local:postgresql-machine-0")
    on.refresh(local)
    on.settle()
    assert on.leader is not None
    ready = on.leader.act("pre-refresh-check").results["result"]
    assert ready.endswith("`juju refresh postgresql-machine --path FILE`")
    on.refresh(dataclasses.replace(builds.NEW, url="local:postgresql-machine-1"))
    on.settle()
    assert on.status.message.endswith("To rollback, `juju refresh --path FILE`")
    assert not [message for message in shown if "--revision None" in message]
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


# 4. Ignoring the health of refreshed units ignores more than that


def test_4_resume_without_the_check_of_health_waits_for_the_hook_that_brings_the_charm(
    deployed: Deployed,
) -> None:
    on = paused(deployed)
    waiting = on.units[1]
    waiting.unpack(dataclasses.replace(builds.NEW, version="16/1.2.0", url="ch:amd64/postgresql-machine-4"))
    # Its hook has not come, so charm-refresh does not trust the code. Its action would use it all the same.
    result = resume(on, 1, **{"check-health-of-refreshed-units": False})
    assert result.failure is not None
    assert result.failure.startswith("Refresh has not started")
    assert waiting.machine.revision == "366"


# 5. An action that raises


@pytest.mark.parametrize("fault", ["unchanged", "changed"])
def test_5_a_snap_refresh_that_fails_in_an_action_is_answered_and_the_workload_runs(
    deployed: Deployed, fault: str
) -> None:
    on = paused(deployed)
    waiting = on.units[1]
    waiting.machine.refresh_fault = fault
    result = resume(on, 1)
    waiting.machine.refresh_fault = None
    assert (result.failure is not None) is (fault == "unchanged")
    assert "cannot refresh" in result.log[-1]
    assert waiting.machine.patroni is not None
    told = on.databags["refresh-v-three"][1]["installed_snap_revision"]
    assert told == ('"366"' if fault == "unchanged" else '"416"')


def test_5_so_is_one_that_fails_in_force_refresh_start(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(builds.NEW)
    on.settle()
    on.units[2].machine.refresh_fault = "unchanged"
    result = on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False}))
    assert result.results == {
        "result": "Refresh started. Failed to refresh unit 2. Unit 2 will retry refresh on the next Juju event"
    }
    assert "cannot refresh: the pre-refresh hook failed" in result.log
    assert on.units[2].machine.patroni is not None
    on.units[2].machine.refresh_fault = None
    on.update_status()
    on.settle()
    assert revisions(on)[2] == "416"


# 6. An unexpected exception in a check


def test_6_a_check_that_crashes_stops_the_highest_unit_s_hooks_and_nothing_else(deployed: Deployed) -> None:
    on = deployed(3)
    with mock.patch.object(prechecks, "reasons", side_effect=ZeroDivisionError):
        on.refresh(builds.NEW)
        on.run(60)
    assert on.units[2].failures
    assert [on.units[number].failures for number in (0, 1)] == [[], []]
    assert set(revisions(on).values()) == {"366"}
    assert [unit.machine.stops for unit in on.units.values()] == [0, 0, 0]
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    assert on.are_active(), on.summary()


# 7. Old charm code with the new snap


def parameters(unit: units.Unit) -> dict[str, str]:
    return unit.machine.settings()["postgresql"]["parameters"]


def test_7_after_a_rollback_the_old_charm_does_not_configure_the_new_snap(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="all")
    on.refresh(builds.NEW)
    on.settle()
    resume(on, 1)
    on.settle()
    assert revisions(on) == {0: "366", 1: "416", 2: "416"}
    before = parameters(on.units[1])
    on.refresh(dataclasses.replace(builds.OLD))
    # The old charm would write other parameters.
    on.set_config(profile="testing")
    on.settle()
    assert revisions(on) == {0: "366", 1: "416", 2: "366"}
    assert parameters(on.units[1]) == before
    assert parameters(on.units[2])["shared_buffers"] == "128MB"
    resume(on, 1)
    on.settle()
    is_complete(on, "366")
    assert parameters(on.units[1])["shared_buffers"] == "128MB"


def test_7_nor_does_the_new_charm_configure_the_old_snap(deployed: Deployed) -> None:
    on = paused(deployed)
    on.set_config(profile="testing")
    on.settle()
    assert {unit.number: parameters(unit)["shared_buffers"] for unit in on.units.values()} == dict.fromkeys(
        range(3), "2048MB"
    )
    resume(on, 1)
    on.settle()
    is_complete(on, "416")
    assert {parameters(unit)["shared_buffers"] for unit in on.units.values()} == {"128MB"}


def test_7_but_a_unit_that_joins_is_let_in_meanwhile(deployed: Deployed) -> None:
    on = paused(deployed)
    added = on.add_unit()
    on.settle()
    assert f"host replication replication {added.machine.address}/32 scram-sha-256" in "\n".join(
        on.units[0].machine.settings()["postgresql"]["pg_hba"]
    )
