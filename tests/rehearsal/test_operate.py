"""What the operator of a refresh looks at, and when."""

from __future__ import annotations

import io
import time

import jubilant
import pytest
import rich.console
import simulated_juju

from rehearsal import operate, progress, records, report


class Stage:
    """An operator of three simulated units, and what it asks snapd for."""

    def __init__(self) -> None:
        self.application = simulated_juju.Application()
        self.application.deploy(simulated_juju.OLD.path, 3)
        self.application.looks = [0, 0, 0]
        self.asked: list[str] = []
        self.application.revision = self._revision
        self.client = simulated_juju.Client()
        self.client.start_reading()
        shown = progress.Progress(rich.console.Console(file=io.StringIO()), "database")
        self.operator = operate.Operator(self.application, shown, units=3, patience=2)
        self.operator.attach(simulated_juju.as_load(self.client))
        self.client.check()

    def _revision(self, unit: str) -> str:
        self.asked.append(unit)
        if self.application.snapd_is_silent:
            raise jubilant.CLIError(1, "juju ssh", stderr="no matching snaps installed")
        return "366"

    def look(self) -> list[str]:
        self.asked.clear()
        self.operator.look()
        return sorted(self.asked)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "POLL", 0.01)


def test_a_serving_unit_is_asked_for_its_revision_once() -> None:
    stage = Stage()
    assert stage.look() == ["database/0", "database/1", "database/2"]
    assert stage.look() == []


def test_a_unit_that_was_down_is_asked_once_it_serves_again() -> None:
    stage = Stage()
    stage.look()
    stage.client.reading = False
    stage.client.recorded.add(records.Read("10.0.0.2", 1e9, 1e9, None))
    assert stage.look() == []
    stage.client.recorded.add(records.Read("10.0.0.2", 1e9 + 1, 1e9 + 1, False, "16.15"))
    assert stage.look() == ["database/1"]
    assert stage.look() == []


def test_a_unit_without_a_snap_for_a_while_is_asked_again() -> None:
    stage = Stage()
    stage.application.snapd_is_silent = True
    assert len(stage.look()) == 3
    assert len(stage.look()) == 3
    stage.application.snapd_is_silent = False
    assert len(stage.look()) == 3
    assert stage.look() == []


def test_it_ends_when_the_status_tells_so_not_when_all_revisions_are_known() -> None:
    stage = Stage()
    asked: list[float] = []
    revisions = stage.application.revisions

    def asks() -> dict[str, str]:
        asked.append(time.monotonic())
        return revisions()

    stage.application.revisions = asks
    begun = time.monotonic()
    ended = stage.operator.refresh(report.Step("refresh", 0.0, 0.0), simulated_juju.NEW)
    assert begun < ended < asked[-1]


def test_a_pause_lasts_from_when_it_is_seen_until_it_is_over() -> None:
    stage = Stage()
    stage.application.revision = lambda unit: stage.application.installed[int(unit[-1])]
    step = report.Step("refresh", 0.0, 0.0)
    stage.operator.refresh(step, simulated_juju.NEW)
    [pause] = step.pauses
    assert pause.unit == 1
    # After the pause begins, the highest unit still settles, which takes two looks.
    assert pause.ended - pause.started >= operate.POLL
    assert step.resumed == [1]
