"""The order of a rehearsal, and what it makes of trouble."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator

import pytest
import rich.console
import simulated_juju

from rehearsal import load, operate, progress, rehearse, report


class Stage:
    """A rehearsal of a simulated application."""

    def __init__(self, units: int) -> None:
        self.application = simulated_juju.Application()
        self.client = simulated_juju.Client(hosts=units)
        self.output = io.StringIO()
        self.options = rehearse.Options(units=units, undisturbed=0.05, patience=2)

    def run(self) -> report.Result:
        @contextlib.contextmanager
        def client() -> Iterator[load.Load]:
            yield simulated_juju.as_load(self.client)

        with progress.Progress(rich.console.Console(file=self.output, width=200), "database") as shown:
            rehearsal = rehearse.Rehearsal(self.application, shown, client, self.options)
            return rehearsal.run(simulated_juju.OLD, simulated_juju.NEW)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "POLL", 0.01)


def test_three_units_refresh_halfway_go_back_and_refresh() -> None:
    stage = Stage(3)
    result = stage.run()
    assert result.problems == []
    assert stage.application.actions == [
        "log hooks",
        "deploy old.charm",
        *("refresh new.charm", "resume 1"),
        *("refresh old.charm", "resume 1"),
        *("refresh new.charm", "resume 1"),
    ]
    assert [(row.step, row.revisions) for row in result.rows if row.revisions] == [
        ("deploy 16/1.0.0", ["366", "366", "366"]),
        ("refresh to 16/1.1.0, halfway", ["366", "416", "416"]),
        ("roll back to 16/1.0.0", ["366", "366", "366"]),
        ("refresh to 16/1.1.0", ["416", "416", "416"]),
    ]
    assert [row.lost for row in result.rows] == [None, 0, 0, 0, 0, 0, None]
    assert all(row.acknowledged for row in result.rows[2:5])
    assert stage.client.stopped


def test_two_units_go_back_at_the_pause() -> None:
    stage = Stage(2)
    result = stage.run()
    assert result.problems == []
    assert stage.application.actions == [
        "log hooks",
        "deploy old.charm",
        "refresh new.charm",
        "refresh old.charm",
        *("refresh new.charm", "resume 0"),
    ]
    assert result.rows[2].revisions == ["366", "416"]


def test_one_unit_only_refreshes() -> None:
    stage = Stage(1)
    assert stage.run().problems == []
    assert stage.application.actions == ["log hooks", "deploy old.charm", "refresh new.charm"]


def test_five_units() -> None:
    stage = Stage(5)
    assert stage.run().problems == []
    assert stage.application.installed == ["416"] * 5
    assert stage.application.actions[-2:] == ["refresh new.charm", "resume 3"]


def test_a_unit_in_error_ends_it_and_the_data_are_checked_nevertheless() -> None:
    stage = Stage(3)
    stage.application.refresh = lambda charm: setattr(stage.application, "broken", 2)
    result = stage.run()
    assert "refresh to 16/1.1.0, halfway: database/2 is in error" in result.problems[0]
    assert "database/2 is not active" in result.problems[1]
    assert len(result.copies) == 3
    assert stage.client.stopped


def test_a_refresh_that_does_not_go_on_ends_it() -> None:
    stage = Stage(3)
    stage.application.refresh = lambda charm: setattr(stage.application, "stuck", True)
    assert stage.run().problems == ["refresh to 16/1.1.0, halfway: not done after 2 s"]


def test_an_application_that_looks_settled_on_the_old_snap_is_not_done() -> None:
    stage = Stage(1)
    stage.application.refresh = lambda charm: None
    assert stage.run().problems == ["refresh to 16/1.1.0: not done after 2 s"]


def test_a_writer_that_ends_by_itself_is_a_failure() -> None:
    stage = Stage(3)
    stage.client.dies = True
    problems = stage.run().problems
    assert "the writer ended by itself" in problems[0]
    assert "not one write was acknowledged" in problems


def test_nothing_is_measured_before_the_client_has_written() -> None:
    stage = Stage(3)
    stage.client.silent = True
    problems = stage.run().problems
    assert "the client has not written and read from each unit after 2 s" in problems[0]
    assert "refresh new.charm" not in stage.application.actions
    assert stage.client.stopped


def test_a_write_that_a_standby_lacks_is_lost_in_its_step() -> None:
    stage = Stage(3)
    stage.client.missing = {2}  # the first is written before the first step
    result = stage.run()
    assert [row.lost for row in result.rows] == [None, 1, 0, 0, 0, 0, None]
    assert result.problems == [f"10.0.0.{n} lacks 1 acknowledged writes: 2" for n in (2, 3)]


def test_a_refused_resumption_is_tried_again() -> None:
    stage = Stage(3)
    real = stage.application.resume
    refusals = iter([True, False, False, False])

    def resume(unit: int) -> str:
        return real(unit + 1 if next(refusals) else unit)

    stage.application.resume = resume
    assert stage.run().problems == []
    assert stage.application.actions[3:5] == ["refused 2", "resume 1"]


def test_without_a_terminal_each_change_of_status_is_one_line() -> None:
    stage = Stage(2)
    stage.run()
    lines = [line.split("s  ", 1)[1] for line in stage.output.getvalue().splitlines()]
    assert lines[:2] == ["deploy 16/1.0.0 ...", "database: maintenance: settling"]
    assert "database/1: active: Synchronous standby" in lines
    assert any("run `resume-refresh` on unit 0" in line for line in lines)
    assert all(line != following for line, following in itertools.pairwise(lines))


def test_a_terminal_sees_units_and_writes() -> None:
    output = io.StringIO()
    console = rich.console.Console(file=output, force_terminal=True, width=160)
    application, client = simulated_juju.Application(), simulated_juju.Client()
    application.deploy(simulated_juju.OLD.path, 2)
    client.start()
    client.check()
    with progress.Progress(console, "database") as shown:
        shown.begin("deploy")
        shown.show(application.status(), client.history)
    seen = output.getvalue()
    assert "database/1" in seen
    assert " acknowledged, " in seen
