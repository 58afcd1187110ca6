"""get-refresh-status on a whole application, through its refreshes."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

import prechecks
import refresh_facts
from tests.fakes import builds, juju
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import FORCE, is_complete, primary_on, resume
from workload import patroni

OLD = refresh_facts.Build("16/1.0.0", "16.14", "366", "ch:amd64/postgresql-machine-1")
NEW = refresh_facts.Build("16/1.1.0", "16.15", "416", "ch:amd64/postgresql-machine-2")
BACK = "to go back, `juju refresh postgresql-machine --revision 1`"
BUSY = prechecks.Reason("A backup is running", "wait for its end")


def report(on: juju.Application, number: int) -> dict[str, typing.Any]:
    result = on.units[number].act("get-refresh-status", format="json")
    assert result.failure is None
    return json.loads(result.results["status"])


def test_on_any_unit_through_a_whole_refresh(deployed: Deployed) -> None:
    on = deployed(3)
    before = json.dumps([on.databags, on.application_databags])
    assert report(on, 0)["plan"]["rollback"] == "juju refresh postgresql-machine --revision 1"
    assert json.dumps([on.databags, on.application_databags]) == before
    on.refresh(builds.NEW)
    on.settle()
    paused = [report(on, number) for number in on.units]
    assert paused[0] == paused[1] == paused[2]
    assert (paused[0]["state"], paused[0]["refreshed"], paused[0]["rollback"]) == ("paused", 1, False)
    assert "`juju run postgresql-machine/1 resume-refresh`" in paused[0]["next"]
    resume(on, 1)
    on.settle()
    done = report(on, 2)
    assert (done["state"], done["refreshed"], done["plan"]["rollback"]) == (
        "idle",
        3,
        "juju refresh postgresql-machine --revision 2",
    )
    (one,) = done["history"]
    assert (one["outcome"], one["from"]["snap-revision"], one["to"]["snap-revision"]) == ("completed", "366", "416")
    assert [each["unit"] for each in one["write-affecting"]] == [on.primary.name]
    assert one["started"] < one["write-affecting"][0]["time"] < one["ended"]


def test_what_stands_against_it_is_told_before_and_while_it_does(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"backup_running": True, "prepared_transactions": 1}
    assert [each["problem"] for each in report(on, 1)["blockers"]] == ["A backup is running", "1 prepared transactions"]
    on.refresh(builds.NEW)
    on.settle()
    for number in on.units:
        found = report(on, number)
        assert (found["state"], len(found["blockers"])) == ("checks failed", 2)
    on.world.raft.database.activity = {}
    on.update_status()
    on.settle()
    assert report(on, 0)["state"] == "paused"


def test_an_incompatible_one(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(dataclasses.replace(builds.NEW, workload="17.1"))
    on.settle()
    for number in on.units:
        assert report(on, number)["state"] == "incompatible"
    assert on.units[2].act("force-refresh-start", **(FORCE | {"check-compatibility": False})).failure is None
    on.settle()
    assert report(on, 0)["state"] == "paused"


def test_a_rollback(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="all")
    on.refresh(builds.NEW)
    on.settle()
    resume(on, 1)
    on.settle()
    on.refresh(dataclasses.replace(builds.OLD))
    on.settle()
    found = report(on, 0)
    assert (found["state"], found["rollback"], found["refreshed"]) == ("paused", True, 2)
    assert found["next"] == "Check units >=2, then `juju run postgresql-machine/1 resume-refresh`"
    resume(on, 1)
    on.settle()
    assert [each["outcome"] for each in report(on, 0)["history"]] == ["rolled back"]


def test_while_no_majority_is_left(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    for number in (1, 2):
        on.units[number].machine.crash()
    on.world.advance(60)
    found = report(on, 0)
    assert [unit["snap-revision"] for unit in found["units"]] == ["416", "366", "366"]
    assert found["state"] == "paused"


def until_refreshed(on: juju.Application, number: int) -> None:
    """Run until that unit has the new snap, and has not allowed the next one."""
    while on.units[number].machine.revision != "416":
        on.tick()


def test_a_unit_that_is_stopped_before_another_one_has_allowed_it(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.refresh(builds.NEW)
    until_refreshed(on, 2)
    assert on.units[1].machine.patroni is not None
    on.units[1].machine.patroni.state = "stopped"
    on.settle()
    for number in on.units:
        assert report(on, number)["next"] == (
            "Unit 2 waits: postgresql-machine-1 is stopped. When it is mended, unit 1 follows; to go on anyway,"
            f" `juju run postgresql-machine/1 resume-refresh check-health-of-refreshed-units=false`; {BACK}"
        )
    assert resume(on, 1, **{"check-health-of-refreshed-units": False}).failure is None
    on.settle()
    is_complete(on, "416")


def test_a_hand_over_that_cannot_be(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(builds.NEW)
    until_refreshed(on, 1)
    on.world.raft.paused = True
    on.settle()
    for number in on.units:
        told = report(on, number)["next"]
        assert told.startswith("Unit 1 waits: Patroni is paused; ")
        assert told.endswith(f"charmed-postgresql.patronictl resume`. When it is mended, unit 0 follows; {BACK}")
    on.world.raft.paused = False
    on.settle()
    is_complete(on, "416")


def test_a_backup_is_told_on_any_unit(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.refresh(builds.NEW)
    on.settle()
    regardless = "resume-refresh check-health-of-refreshed-units=false"
    on.units[1].machine.activity = {"backup_running": True}
    for number in on.units:
        assert report(on, number)["next"] == (
            "A backup of postgresql-machine-1 is running; wait for its end. When it is mended,"
            " `juju run postgresql-machine/1 resume-refresh`;"
            f" to go on anyway, `juju run postgresql-machine/1 {regardless}`; {BACK}"
        )
    on.units[1].machine.activity = {}
    # Nor is one of the primary cut off by a hand-over.
    on.world.raft.database.activity = {"backup_running": True}
    assert resume(on, 1).failure is None
    on.settle()
    for number in on.units:
        assert report(on, number)["next"] == (
            "Unit 1 waits: a backup of the primary is running; wait for its end. When it is mended, unit 0 follows;"
            f" to go on anyway, `juju run postgresql-machine/0 {regardless}`; {BACK}"
        )
    on.world.raft.database.activity = {}
    on.settle()
    is_complete(on, "416")


def test_a_unit_without_snapd_says_so(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    on.units[0].machine.snapd_running = False
    on.run(30)
    assert report(on, 0)["next"] == (
        "snapd does not answer: connection refused; see `systemctl status snapd` on the machine of"
        " postgresql-machine/0, or run get-refresh-status on another unit"
    )
    assert report(on, 1)["state"] == "paused"


def test_a_unit_that_has_failed_and_is_lost(deployed: Deployed) -> None:
    on = deployed(3)
    lost = on.units[2]
    lost.machine.refresh_fault = "changed"
    on.refresh(builds.NEW)
    while not lost.failures:
        on.tick(retry=False)
    # Nothing starts it before Juju repeats the hook.
    assert lost.machine.patroni is None
    lost.machine.crash()
    on.refresh(dataclasses.replace(builds.OLD))
    on.run(300, retry=False)
    assert report(on, 0)["next"] == (
        "The hook of postgresql-machine/2 fails: see `juju debug-log --include postgresql-machine/2`; when it is"
        " mended, `juju resolved postgresql-machine/2`. If it is lost for good, `juju remove-unit"
        " postgresql-machine/2 --force`"
    )
    on.vanish(2)
    on.settle()
    assert report(on, 0)["state"] == "idle"


def test_without_a_primary_nobody_knows_when_writes_stood_still(deployed: Deployed) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(builds.NEW)
    on.settle()
    (known,) = report(on, 0)["history"]
    assert known["write-affecting"]
    for number in (1, 2):
        on.units[number].machine.crash()
    on.run(60)
    (unknown,) = report(on, 0)["history"]
    assert unknown["write-affecting"] is None
    assert "completed  unknown" in on.units[0].act("get-refresh-status", format="table").results["status"]


def test_nor_where_the_primary_does_not_tell(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    on = deployed(3)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(builds.NEW)
    on.settle()
    monkeypatch.setattr(patroni.Client, "history", lambda _: ())
    (unknown,) = report(on, 0)["history"]
    assert unknown["write-affecting"] is None
