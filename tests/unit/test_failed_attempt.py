"""A refresh of the snap that fails: how often PostgreSQL is stopped for it, and what the unit says meanwhile."""

from __future__ import annotations

import pathlib

import pytest

import failed_attempt
from tests.fakes import builds, units
from tests.unit.conftest import Deployed
from tests.unit.test_refresh_life import is_complete, primary_on, resume, revisions

OBSERVED = units.Event("cluster_changed")
FAILED = failed_attempt.FailedAttempt("416", 1, 1000.0, "cannot refresh")


@pytest.mark.parametrize(
    ("count", "after", "expected"),
    [
        (1, 0.0, True),
        (1, 4.9, True),
        (1, 5.0, False),
        (2, 9.9, True),
        (2, 10.0, False),
        (7, 299.9, True),
        (7, 300.0, False),
        (100_000, 300.0, False),
        # A clock that was put back.
        (7, -1.0, False),
    ],
)
def test_the_next_attempt_waits_as_long_as_juju_does(count: int, after: float, expected: bool) -> None:
    failed = failed_attempt.FailedAttempt("416", count, 1000.0, "")
    assert failed.is_recent(1000.0 + after) == expected


def test_attempts_in_a_row_are_counted_by_revision(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_attempt.files, "ensure_file", lambda file, text, *_: file.write_text(text))
    assert failed_attempt.load(tmp_path, "416") is None
    for count in (1, 2):
        failed_attempt.remember(tmp_path, "416", 1000.0, "cannot refresh")
        found = failed_attempt.load(tmp_path, "416")
        assert found == failed_attempt.FailedAttempt("416", count, 1000.0, "cannot refresh")
    assert failed_attempt.load(tmp_path, "366") is None
    failed_attempt.remember(tmp_path, "366", 1000.0, "cannot refresh")
    found = failed_attempt.load(tmp_path, "366")
    assert found is not None
    assert found.count == 1
    failed_attempt.forget(tmp_path)
    failed_attempt.forget(tmp_path)
    assert failed_attempt.load(tmp_path, "366") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"revision": "416", "count": "many", "time": 0, "reason": ""}'])
def test_a_record_of_attempts_that_cannot_be_read_is_begun_anew(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / failed_attempt.FILE).write_text(text)
    assert failed_attempt.load(tmp_path, "416") is None


def test_a_disk_that_is_full_does_not_hide_what_has_failed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(failed_attempt.files, "ensure_file", full)
    failed_attempt.remember(tmp_path, "416", 1000.0, "cannot refresh")
    assert "No space left on device" in caplog.text


def test_the_format() -> None:
    stored = '{"revision": "416", "count": 1, "time": 1000.0, "reason": "cannot refresh", "of-a-later-version": 1}'
    assert failed_attempt.FailedAttempt.parse(stored) == FAILED
    assert failed_attempt.FailedAttempt.parse(FAILED.text()) == FAILED


# In the life of a unit


def test_the_observer_s_events_stop_nothing_again_for_a_snap_that_has_just_failed(deployed: Deployed) -> None:
    on = deployed(3)
    unit = on.units[2]
    unit.machine.refresh_fault = "unchanged"
    on.refresh(builds.NEW)
    while not unit.failures:
        on.tick(retry=False)
    assert unit.machine.stops == 1
    # Juju runs them also while a hook is in error.
    unit.dispatch(OBSERVED)
    assert unit.machine.stops == 1
    assert (unit.status.name, unit.message) == (
        "maintenance",
        "Refresh waits: cannot refresh: the pre-refresh hook failed; see get-refresh-status",
    )
    on.world.advance(5)
    unit.dispatch(OBSERVED)
    assert unit.machine.stops == 2
    on.world.advance(9)
    unit.dispatch(OBSERVED)
    assert unit.machine.stops == 2
    unit.machine.refresh_fault = None
    on.world.advance(1)
    unit.dispatch(OBSERVED)
    assert revisions(on)[2] == "416"
    assert not (unit.directory / failed_attempt.FILE).exists()


def test_another_revision_and_the_operator_s_word_do_not_wait(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    unit = on.units[1]
    unit.machine.refresh_fault = "unchanged"
    assert resume(on, 1).failure is not None
    unit.machine.refresh_fault = None
    assert resume(on, 1).failure is None
    on.settle()
    is_complete(on, "416")


def test_a_store_that_is_away_in_an_event_of_the_observer_is_told(deployed: Deployed) -> None:
    # It is no hook: where it fails nobody would learn of it, and the status would go on to tell what was before.
    on = deployed(3)
    primary_on(on, 0)
    on.refresh(builds.NEW)
    on.settle()
    unit = on.units[1]
    unit.machine.store_reachable = False
    on.config["pause-after-unit-refresh"] = "none"
    unit.dispatch(OBSERVED)
    assert unit.machine.stops == 0
    assert (unit.status.name, unit.message) == (
        "maintenance",
        "Refresh waits: cannot reach the store; see get-refresh-status",
    )
    unit.machine.store_reachable = True
    unit.dispatch(OBSERVED)
    on.settle()
    is_complete(on, "416")


def test_what_a_unit_does_is_shown_while_it_is_stopped(deployed: Deployed) -> None:
    on = deployed(3)
    unit = on.units[2]
    unit.machine.refresh_fault = "unchanged"
    on.refresh(builds.NEW)
    while not unit.failures:
        on.tick(retry=False)
    # It stands until a hook ends.
    assert (unit.status.name, unit.message) == ("maintenance", "Refreshing the snap to revision 416")
