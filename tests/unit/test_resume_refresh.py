"""A unit that runs is stopped for its refresh only where that does not hurt, whoever has died since it was allowed."""

from __future__ import annotations

import dataclasses
import json

import pytest

import problems
from tests.fakes import builds, juju
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import FORCE, is_complete, primary_on, resume, revisions

REGARDLESS = {"check-health-of-refreshed-units": False}
GONE = "postgresql-machine-2 is not a member of the cluster"
ANYWAY = "to go on anyway, `juju run postgresql-machine/1 resume-refresh check-health-of-refreshed-units=false`"
AWAY = "Unit 2 is no member of the cluster. If it stays so, start its machine"
WITHOUT = "to go on without it, `juju run postgresql-machine/1 resume-refresh check-health-of-refreshed-units=false`"
LOST = "If it is lost for good, `juju remove-unit postgresql-machine/2 --force`"
BACK = "to go back, `juju refresh postgresql-machine --revision 1`"


def following(on: juju.Application) -> str:
    """What get-refresh-status says is to do next."""
    result = on.units[0].act("get-refresh-status", format="json")
    assert result.failure is None
    return json.loads(result.results["status"])["next"]


def paused(deployed: Deployed, pause: str = "first") -> juju.Application:
    """Unit 2 is refreshed and well, and the primary is on unit 0."""
    on = deployed(3)
    primary_on(on, 0)
    if pause != "first":
        on.set_config(pause_after_unit_refresh=pause)
        on.settle()
    on.refresh(builds.NEW)
    on.settle()
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    return on


def until_it_allows(on: juju.Application, number: int) -> None:
    """Run that unit's hooks alone until it allows the next one: that one has not heard of it yet."""
    (key,) = {key for key in on.databags["refresh-v-three"][number] if key.startswith("next_unit_allowed")}
    while on.units[number].machine.revision != "416" or on.databags["refresh-v-three"][number][key] != "true":
        on.world.advance(1)
        on.observe()
        on.step(on.units[number])


def waiting(deployed: Deployed) -> juju.Application:
    """Without a pause, unit 2 has died as soon as it had allowed unit 1."""
    on = deployed(3)
    primary_on(on, 0)
    on.set_config(pause_after_unit_refresh="none")
    on.settle()
    on.refresh(builds.NEW)
    until_it_allows(on, 2)
    on.units[2].machine.crash()
    on.run(120)
    return on


# The action


def test_nothing_is_stopped_while_a_refreshed_unit_is_dead(deployed: Deployed) -> None:
    on = paused(deployed)
    on.units[2].machine.crash()
    on.run(60)
    failure = resume(on, 1).failure
    assert failure == f"{GONE}. Refresh will not resume. When it is mended, run this action again; {ANYWAY}"
    assert following(on) == (
        f"{GONE}. When it is mended, `juju run postgresql-machine/1 resume-refresh`; {ANYWAY}; {BACK}"
    )
    on.run(60)
    assert revisions(on)[1] == "366"
    assert on.units[1].machine.stops == 0
    assert on.primary.number == 0
    on.reboot(2)
    on.settle()
    assert following(on) == f"Check units >=2, then `juju run postgresql-machine/1 resume-refresh`; {BACK}"
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_the_operator_goes_on_without_it(deployed: Deployed) -> None:
    on = paused(deployed)
    on.units[2].machine.crash()
    on.run(60)
    result = resume(on, 1, **REGARDLESS)
    assert (result.failure, result.results) == (None, {"result": "Refreshed unit 1"})
    assert revisions(on)[1] == "416"


def test_a_unit_that_is_down_itself_is_refreshed(deployed: Deployed) -> None:
    on = paused(deployed)
    process = on.units[1].machine.patroni
    assert process is not None
    process.state = "stopped"
    on.run(60)
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


# The refresh that goes on by itself


def test_it_waits_for_a_unit_that_dies_as_soon_as_it_has_allowed_the_next(deployed: Deployed) -> None:
    on = waiting(deployed)
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    assert [on.units[number].machine.stops for number in (0, 1)] == [0, 0]
    assert on.primary.number == 0
    assert (on.units[1].status.name, on.units[1].message) == (
        "maintenance",
        f"Refresh waits: {GONE}; see get-refresh-status",
    )
    assert following(on) == f"{GONE}. When it is mended, postgresql-machine/1 goes on by itself; {ANYWAY}; {BACK}"
    # It has not failed: charm-refresh is asked in each event anew.
    assert on.units[1].failures == []
    on.reboot(2)
    on.settle()
    is_complete(on, "416")


def test_what_was_resumed_waits_before_the_next_unit(deployed: Deployed) -> None:
    on = paused(deployed)
    assert resume(on, 1).failure is None
    until_it_allows(on, 1)
    on.units[1].machine.crash()
    on.run(120)
    assert revisions(on)[0] == "366"
    assert on.units[0].machine.stops == 0
    assert on.units[0].message == (
        "Refresh waits: postgresql-machine-1 is not a member of the cluster; see get-refresh-status"
    )
    on.reboot(1)
    on.settle()
    is_complete(on, "416")


def test_a_unit_that_waits_is_refreshed_on_the_operator_s_word(deployed: Deployed) -> None:
    on = waiting(deployed)
    failure = resume(on, 1).failure
    assert failure is not None
    assert failure.startswith(f"{GONE}. Refresh will not resume.")
    assert resume(on, 1, **REGARDLESS).failure is None
    assert revisions(on)[1] == "416"


def test_while_patroni_is_paused_there_is_no_going_on_anyway(deployed: Deployed) -> None:
    on = paused(deployed)
    on.world.raft.paused = True
    on.run(60)
    # A unit that stops now does not start again.
    assert resume(on, 1).failure == (
        f"{problems.PAUSED}. Refresh will not resume. When it is mended, run this action again"
    )
    assert "anyway" not in following(on)


def test_what_was_forced_and_failed_is_tried_again_at_once(deployed: Deployed) -> None:
    on = deployed(3)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(builds.NEW)
    on.settle()
    on.units[2].machine.refresh_fault = "unchanged"
    result = on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False}))
    assert result.failure is None
    assert result.results["result"].startswith("Refresh started. Failed to refresh unit 2.")
    on.units[2].machine.refresh_fault = None
    assert resume(on, 2, **REGARDLESS).failure is None
    assert revisions(on)[2] == "416"


def test_a_forced_refresh_that_waits_for_a_confirmation_says_so(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.world.raft.database.activity = {"backup_running": True}
    on.refresh(builds.NEW)
    on.settle()
    # To charm-refresh unit 1 is now the first, before which it never waits.
    on.remove_unit(2)
    on.settle()
    result = on.units[1].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False}))
    assert (result.failure, result.results) == (
        None,
        {
            "result": "Refresh started. Unit 1 waits for your confirmation:"
            " `juju run postgresql-machine/1 resume-refresh`"
        },
    )
    assert revisions(on) == {0: "366", 1: "366"}
    on.world.raft.database.activity = {}
    assert resume(on, 1).failure is None
    assert revisions(on) == {0: "366", 1: "416"}


# The unit that Juju has not told


def commands(heading: str) -> list[str]:
    """The commands below a heading of the how-to."""
    text = (builds.REPOSITORY / "docs/how-to/recover.md").read_text().partition(f"## {heading}\n")[2]
    block = text.partition("\n## ")[0].partition("```shell\n")[2].partition("```")[0]
    return block.splitlines()


@pytest.mark.parametrize("pause", ["all", "first"])
def test_a_unit_that_juju_has_not_told_is_told_and_nothing_confirmed_by_it(deployed: Deployed, pause: str) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.set_config(pause_after_unit_refresh=pause)
    on.settle()
    on.refresh(builds.NEW)
    waiting = on.units[0 if pause == "all" else 1]
    # Its hook had failed: then Juju gives it the charm without a word.
    waiting.upgrades.clear()
    waiting.unpack(builds.NEW)
    on.settle()
    if pause == "all":
        assert resume(on, 1).failure is None
        on.settle()
    before = revisions(on)
    assert waiting.message == "Waiting for Juju upgrade-charm or config-changed event. See `juju debug-log`"
    # What the action says is the same as what the how-to says.
    told = following(on)
    assert told.startswith(f"Wait until Juju has told {waiting.name} of its charm")
    assert [f"pause-after-unit-refresh={value}`" in told for value in ("invalid", pause)] == [True, True]
    setting = "juju config postgresql-machine pause-after-unit-refresh"
    for line in commands("A unit waits for Juju's upgrade-charm event"):
        if line.startswith(f"{setting}="):
            on.set_config(pause_after_unit_refresh=line.partition("=")[2].replace("VALUE", pause))
            on.settle()
        elif line.startswith("juju status"):
            assert all("is not allowed" in unit.message for unit in on.units.values())
        else:
            assert line == setting
        assert revisions(on) == before
    assert on.config["pause-after-unit-refresh"] == pause
    assert waiting.message.startswith("PostgreSQL 16.14 running")
    assert resume(on, waiting.number).failure is None
    on.settle()
    is_complete(on, "416")


# What is not held


def test_a_rollback_is_possible_while_the_refreshed_unit_is_dead(deployed: Deployed) -> None:
    on = paused(deployed)
    on.units[2].machine.crash()
    on.run(60)
    on.refresh(dataclasses.replace(builds.OLD))
    on.run(120)
    assert on.primary.number == 0
    assert [on.units[number].machine.stops for number in (0, 1)] == [0, 0]
    assert following(on) == f"{AWAY}, and it goes on by itself. {LOST}"
    on.reboot(2)
    on.settle()
    is_complete(on, "366")


@pytest.fixture
def going_back(deployed: Deployed) -> juju.Application:
    """Units 1 and 2 were refreshed, unit 2 has died, and then the operator went back."""
    on = paused(deployed, "all")
    assert resume(on, 1).failure is None
    on.settle()
    on.units[2].machine.crash()
    on.run(120)
    on.refresh(dataclasses.replace(builds.OLD))
    on.run(200)
    assert revisions(on) == {0: "366", 1: "416", 2: "416"}
    assert following(on) == f"{AWAY}, and it goes on by itself; {WITHOUT}. {LOST}"
    return on


def test_a_rollback_whose_first_unit_is_dead_goes_on_when_it_is_back(going_back: juju.Application) -> None:
    on = going_back
    on.reboot(2)
    on.settle()
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "366")


def test_or_where_that_unit_is_removed(going_back: juju.Application) -> None:
    on = going_back
    # As `juju remove-unit --force`.
    on.vanish(2)
    on.settle()
    assert revisions(on) == {0: "366", 1: "416"}
    assert following(on) == "Check the units, then `juju run postgresql-machine/1 resume-refresh`"
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "366")


def test_or_without_it(going_back: juju.Application) -> None:
    on = going_back
    assert resume(on, 1, **REGARDLESS).failure is None
    on.run(120)
    assert revisions(on) == {0: "366", 1: "366", 2: "416"}
    assert following(on) == f"{AWAY}, and it goes on by itself. {LOST}"
    on.reboot(2)
    on.settle()
    is_complete(on, "366")


def test_a_rollback_begins_while_another_unit_is_dead(deployed: Deployed) -> None:
    on = paused(deployed)
    on.units[1].machine.crash()
    on.run(60)
    on.refresh(dataclasses.replace(builds.OLD))
    # For two minutes it might be about to come back.
    on.run(180)
    assert revisions(on)[2] == "366"
    on.reboot(1)
    on.settle()
    is_complete(on, "366")


def test_force_refresh_start_goes_on_while_a_unit_is_dead(deployed: Deployed) -> None:
    on = deployed(3)
    primary_on(on, 0)
    on.units[1].machine.crash()
    on.run(60)
    on.refresh(builds.NEW)
    on.run(60)
    assert revisions(on)[2] == "366"
    result = on.units[2].act("force-refresh-start", **(FORCE | {"run-pre-refresh-checks": False}))
    assert (result.failure, result.results) == (None, {"result": "Refreshed unit 2"})
    assert revisions(on)[2] == "416"
