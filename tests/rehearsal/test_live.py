"""What the live view says of units, of writing, and of what comes next."""

from __future__ import annotations

import io

import jubilant
import pytest
import rich.console
import simulated_juju

from rehearsal import history, live, records

PRIMARY, STANDBY, DOWN = history.State.PRIMARY, history.State.STANDBY, history.State.DOWN
PLAN = ["deploy", "write", "refresh", "read back"]


def unit(
    name: str = "database/0",
    role: history.State | None = STANDBY,
    revision: str = "366",
    target: str = "416",
    status: str = "active",
) -> live.Unit:
    return live.Unit(name, False, status, "", "", role, revision, target)


@pytest.mark.parametrize(
    ("shown", "phase"),
    [
        (unit(), "serves"),
        (unit(role=PRIMARY), "serves"),
        (unit(role=DOWN), "stopped"),
        (unit(role=DOWN, revision=""), "stopped"),
        (unit(role=DOWN, revision="416"), "refreshed"),
        (unit(revision="416", status="maintenance"), "rejoining"),
        (unit(revision="416"), "done"),
        (unit(role=None), None),
        (unit(target=""), None),
    ],
)
def test_how_far_a_unit_has_come(shown: live.Unit, phase: str | None) -> None:
    assert (None if shown.phase is None else live.PHASES[shown.phase]) == phase


@pytest.fixture
def application() -> simulated_juju.Application:
    application = simulated_juju.Application()
    application.deploy(simulated_juju.OLD.path, 3)
    application.looks = [0, 0, 0]
    return application


def status(application: simulated_juju.Application) -> jubilant.Status:
    return jubilant.Status._from_dict(application._status())


def shown(application: simulated_juju.Application, *, down: str = "") -> list[live.Unit]:
    roles = {f"database/{number}": DOWN if f"database/{number}" == down else STANDBY for number in range(3)}
    return live.units(status(application), "database", roles, application.revisions(), application.pinned)


def following(application: simulated_juju.Application, *, down: str = "") -> str:
    return live.following(status(application), "database", shown(application, down=down), 3, PLAN)


def test_with_nothing_to_refresh_the_next_step_comes_next(application: simulated_juju.Application) -> None:
    assert following(application) == "read back"
    assert live.following(status(application), "database", shown(application), 4, PLAN) == ""


def test_the_highest_unit_refreshes_first(application: simulated_juju.Application) -> None:
    application.refresh(simulated_juju.NEW.path)
    assert following(application) == "database/2 refreshes"
    assert following(application, down="database/2") == "database/2 is stopped, and comes back"


def test_a_pause_names_what_the_operator_does(application: simulated_juju.Application) -> None:
    application.refresh(simulated_juju.NEW.path)
    application.installed[2] = "416"
    assert following(application) == "`resume-refresh` on unit 1"
    application.looks[2] = 2
    assert following(application) == "`resume-refresh` on unit 1, once the units from 2 on are healthy"


def recorded() -> history.History:
    written = [records.Write(n, t, t, records.Outcome.ACKNOWLEDGED) for n, t in enumerate((96.1, 96.2, 98.5), 1)]
    return history.History([*written, records.Write(4, 98.7, 98.7, records.Outcome.FAILED)])


def test_writes_of_the_last_seconds() -> None:
    writes = live.writes(recorded(), 95.0, 100.0)
    assert writes
    assert list(writes.pulse[-5:]) == [0, 2, 0, 1, 0]
    assert len(writes.pulse) == live.PULSE_SECONDS
    assert writes.gap == pytest.approx(2.3)
    assert writes.waiting == 1.5
    assert live.writes(history.History(), 0.0, 1.0) is None


def render(situation: live.Situation, now: float = 103.0, width: int = 120) -> str:
    console = rich.console.Console(file=io.StringIO(), width=width, record=True)
    console.print(live.render(situation, now, width))
    return console.export_text()


SITUATION = live.Situation(
    step="refresh",
    begun=95.0,
    number=3,
    plan=PLAN,
    units=[
        unit("database/0", PRIMARY),
        live.Unit("database/1", True, "maintenance", "Starting", "running config-changed hook", DOWN, "366", "416"),
        unit("database/2", STANDBY, "416"),
    ],
    application="blocked: Refreshing",
    writes=live.writes(recorded(), 95.0, 100.0),
    following="database/1 refreshes",
)


def test_all_of_it_is_shown() -> None:
    lines = [" ".join(line.split()) for line in render(SITUATION).splitlines()]
    assert "3 of 4 refresh 8 s" in lines[1]
    rows = [line for line in lines if line.startswith("database/")]
    assert rows[0].startswith("database/0 primary 366 → 416 serves ")
    assert rows[1].startswith("database/1* down 366 → 416 stopped ")
    assert rows[1].endswith("maintenance: Starting config-changed hook")
    assert rows[2].startswith("database/2 standby 416 done ")
    assert "says blocked: Refreshing" in lines
    assert "writes 3 acknowledged, 1 failed, 0 indeterminate; longest gap 2.30 s, waiting for 1.5 s" in lines
    assert "next database/1 refreshes" in lines


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_it_fits_the_terminal(width: int) -> None:
    text = render(SITUATION, width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "database/1" in text


def test_before_anything_is_known_there_is_the_step() -> None:
    assert render(live.Situation("pack", 100.0)).split() == ["pack", "3", "s"]


def test_while_deploying_units_have_no_phase() -> None:
    text = render(live.Situation("deploy", 100.0, 1, PLAN, [unit(role=None, revision="", status="waiting")]))
    [row] = [line.split() for line in text.splitlines() if line.strip().startswith("database/0")]
    assert row[:4] == ["database/0", "-", "-", "-"]
