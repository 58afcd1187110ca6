"""What `juju refresh` to which revision does, when: the rows of docs/reference/refresh.md that no other test plays."""

from __future__ import annotations

import ast
import dataclasses
import json
import re

import pytest

from tests.fakes import builds, juju
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import FORCE, is_complete, primary_on, resume, revisions

THIRD = builds.Charm("16/1.2.0", "16.16", {"x86_64": "420", "aarch64": "419"}, "ch:amd64/postgresql-machine-5")
PAGE = builds.REPOSITORY / "docs/reference/refresh.md"


def begin(deployed: Deployed, build: builds.Charm = builds.NEW) -> juju.Application:
    on = deployed(3)
    on.refresh(build)
    on.settle()
    return on


def test_an_incompatible_refresh_is_forced(deployed: Deployed) -> None:
    on = begin(deployed, dataclasses.replace(builds.NEW, version="16/1.1.0.post1.dev0+71201f4"))
    assert on.units[2].act("force-refresh-start", **FORCE).failure == (
        "Must run with at least one of `check-compatibility`, `run-pre-refresh-checks`, or `check-workload-container`"
        " parameters `=false`"
    )
    refused = on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False}))
    assert refused.failure == "Refresh incompatible. Rollback with `juju refresh`"
    result = on.units[2].act("force-refresh-start", **(FORCE | {"check-compatibility": False}))
    assert (result.failure, result.results) == (None, {"result": "Refreshed unit 2"})
    on.settle()
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_forcing_without_the_check_of_the_snap_still_checks_the_rest(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"prepared_transactions": 2}
    on.refresh(builds.NEW)
    on.settle()
    result = on.units[2].act("force-refresh-start", **(FORCE | {"check-workload-container": False}))
    assert result.failure == (
        "Pre-refresh check failed: 2 prepared transactions; see pg_prepared_xacts. Rollback with `juju refresh`"
    )
    assert set(revisions(on).values()) == {"366"}


def test_there_is_nothing_to_force_or_to_resume_where_no_refresh_is_in_progress(deployed: Deployed) -> None:
    on = deployed(3)
    assert on.units[2].act("force-refresh-start", **(FORCE | {"check-compatibility": False})).failure == (
        "No refresh in progress"
    )
    assert resume(on, 2).failure == "No refresh in progress"


def test_the_same_version_again_does_nothing(deployed: Deployed) -> None:
    on = begin(deployed, dataclasses.replace(builds.OLD, url="ch:amd64/postgresql-machine-7"))
    is_complete(on, "366")
    assert [unit.machine.stops for unit in on.units.values()] == [0, 0, 0]
    assert on.world.switchovers == []
    report = json.loads(on.units[0].act("get-refresh-status", format="json").results["status"])
    assert (report["state"], report["history"]) == ("idle", [])


def test_a_third_revision_on_the_way(deployed: Deployed) -> None:
    on = begin(deployed)
    on.refresh(THIRD)
    on.settle()
    # It is a refresh of its own: from the highest unit on, checked, and paused again.
    assert revisions(on) == {0: "366", 1: "366", 2: "420"}
    assert on.units[2].machine.installs == ["366", "416", "420"]
    assert "resume-refresh` on unit 1" in on.status.message
    assert on.status.message.endswith("`juju refresh --revision 1`")
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "420")
    assert len(on.world.switchovers) == 1
    report = json.loads(on.units[0].act("get-refresh-status", format="json").results["status"])
    assert [entry["outcome"] for entry in report["history"]] == ["replaced", "completed"]
    assert len(report["history"][1]["write-affecting"]) == 1


def test_from_a_third_revision_back_to_the_first(deployed: Deployed) -> None:
    on = begin(deployed)
    on.refresh(THIRD)
    on.settle()
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    is_complete(on, "366")


def test_a_refresh_that_failed_is_retried_by_itself(deployed: Deployed) -> None:
    on = deployed(3)
    on.units[2].machine.store_reachable = False
    on.refresh(builds.NEW)
    on.run(60)
    assert on.units[2].failures
    assert revisions(on)[2] == "366"
    on.units[2].machine.store_reachable = True
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}


def test_after_one_that_failed_another_revision_is_taken(deployed: Deployed) -> None:
    on = deployed(3)
    on.units[2].machine.refresh_fault = "unchanged"
    on.refresh(builds.NEW)
    on.run(60)
    assert on.units[2].failures
    on.units[2].machine.refresh_fault = None
    on.refresh(THIRD)
    on.settle()
    assert resume(on, 1).failure is None
    on.settle()
    assert on.are_active(), on.summary()
    assert set(revisions(on).values()) == {"420"}


def test_going_back_after_the_end_is_a_downgrade(deployed: Deployed) -> None:
    on = begin(deployed)
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    assert on.status.message == "Refresh incompatible. Rollback with `juju refresh --revision 2`"
    assert set(revisions(on).values()) == {"416"}
    assert on.units[2].act("force-refresh-start", **(FORCE | {"check-compatibility": False})).failure is None
    on.settle()
    assert revisions(on) == {0: "416", 1: "416", 2: "366"}


@pytest.mark.parametrize("primary", [0, 1])
def test_a_rollback_hands_over_once_to_the_unit_that_stayed_behind(deployed: Deployed, primary: int) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="all")
    primary_on(on, primary)
    on.refresh(builds.NEW)
    on.settle()
    resume(on, 1)
    on.settle()
    assert on.primary.number == 2
    on.world.switchovers.clear()
    on.refresh(dataclasses.replace(builds.OLD))
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    is_complete(on, "366")
    assert on.world.switchovers == [(on.units[2].member_name, on.units[0].member_name)]


# Who sees what in `juju status`


def seen(on: juju.Application) -> dict[int, str]:
    return {number: unit.message for number, unit in on.units.items()}


def test_versions_stand_side_by_side_until_the_end(deployed: Deployed) -> None:
    on = begin(deployed)
    outdated = "PostgreSQL 16.14 running; Snap revision 366 (outdated); Charm revision 2"
    refreshed = "PostgreSQL 16.15 running; Snap revision 416; Charm revision 2"
    assert seen(on) == {0: outdated, 1: outdated, 2: refreshed}
    # The application's version is the charm's from the start, as its revision is.
    assert on.workload_version == "16.15"
    resume(on, 1)
    on.settle()
    assert sorted(seen(on).values()) == ["Primary", "Synchronous standby", "Synchronous standby"]
    assert on.workload_version == "16.15"


def test_after_a_rollback_only_the_old_version_is_seen(deployed: Deployed) -> None:
    on = begin(deployed)
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    assert sorted(seen(on).values()) == ["Primary", "Synchronous standby", "Synchronous standby"]
    assert on.workload_version == "16.14"


def test_while_it_rolls_back_the_new_version_is_the_outdated_one(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="all")
    on.refresh(builds.NEW)
    on.settle()
    resume(on, 1)
    on.settle()
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    assert seen(on)[1] == "PostgreSQL 16.15 running; Snap revision 416 (outdated); Charm revision 1"
    assert seen(on)[2] == "PostgreSQL 16.14 running; Snap revision 366; Charm revision 1"


# The page


def test_each_row_of_the_page_names_a_test_that_is_there() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\|.*`test_", line)]
    assert len(rows) >= 20
    named = {name for row in rows for name in re.findall(r"`(test_\w+)`", row)}
    there = set()
    for file in (builds.REPOSITORY / "tests").rglob("test_*.py"):
        tree = ast.parse(file.read_text())
        there |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert named <= there, named - there
    played = {
        node.name
        for node in ast.parse(own_text()).body
        if isinstance(node, ast.FunctionDef) and "deployed" in {argument.arg for argument in node.args.args}
    }
    # And each test of this module stands in a row.
    assert {name for name in played if name.startswith("test_")} <= named, played - named


def own_text() -> str:
    return (builds.REPOSITORY / "tests/unit/test_refresh_semantics.py").read_text()
