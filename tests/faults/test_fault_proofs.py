"""What the matrix takes for proved, without machines: faults that happened, units that recovered, cells that passed."""

from __future__ import annotations

import datetime
import pathlib
import subprocess
import time
import types
import typing

import cells
import disk_strikes
import evidence
import itineraries
import jubilant
import life
import matrix
import pytest
import sampling
import scene
import sighting
import snap_strikes
import strike
import test_matrix
import trap
import trial

from rehearsal import records

pytestmark = pytest.mark.quick

RAN = 'ran "config-changed" hook (via hook dispatching script: dispatch)'
KILLED = 'hook "config-changed" (via hook dispatching script: dispatch) failed: signal: killed'

AGENT = "juju.worker.uniter.operation"
CELLS = {cell.name: cell for cell in cells.CELLS}


def _line(
    message: str, seconds: float, unit: str = "pg-2", module: str = "juju.worker.uniter.operation"
) -> dict[str, str]:
    """A line of the log, logged at that second of `time.monotonic()`."""
    logged = datetime.datetime.fromtimestamp(time.time() - time.monotonic() + seconds, datetime.UTC)
    return {"time": logged.isoformat(), "entity": f"unit-{unit}", "module": module, "message": message}


def _trial(
    name: str, struck: tuple[str, float] | None = None, lines: list[dict[str, str]] | None = None
) -> trial.Trial:
    """A trial that needs no machines: whom it has befallen, and when; the lines of the log since."""
    made = trial.Trial(CELLS[name], typing.cast(strike.Scene, None))
    if struck is not None:
        unit, when = struck
        made._sighting = typing.cast(
            sighting.Sighting, types.SimpleNamespace(unit=unit, time=when, error=None, end=lambda: None)
        )
        made.recovering, made._healed_at, made._healed = unit, when + 1, True
        made._lines = lines or []
    return made


def test_a_unit_has_recovered_with_the_first_hook_that_succeeds_after_the_fault():
    lines = [_line(RAN, 9), _line(KILLED, 10.5), _line(RAN, 10.8, "pg-1"), _line(RAN, 12.5), _line(RAN, 20)]
    assert evidence.succeeded_at(lines, "pg/2", 11) == pytest.approx(12.5, abs=0.01)
    assert evidence.succeeded_at(lines[:3], "pg/2", 10.5) is None


def test_only_hooks_and_answers_tell_of_a_success():
    action = 'ran "resume-refresh" action (via hook dispatching script: dispatch)'
    commands = 'committing operation "run commands" for pg/2'
    lines = [_line(action, 12), _line('committing operation "run action 4" for pg/2', 12), _line(commands, 13)]
    assert evidence.succeeded_at(lines, "pg/2", 11) is None
    struck = _trial("refresh/resume/kill", ("pg/1", 10.0))
    struck.acted("pg/0")
    assert not struck.is_over
    struck.acted("pg/1")
    assert struck.is_over


def test_what_was_to_fail_has_to_be_the_operation_that_was_under_way():
    late = [_line(RAN, 10.1), _line(KILLED, 12)]
    assert evidence.ending([_line(KILLED, 10.1), *late], "pg/2", 10) is evidence.Ending.FAILED
    assert evidence.ending(late, "pg/2", 10) is evidence.Ending.WELL
    assert evidence.ending(late, "pg/1", 10) is evidence.Ending.NONE
    assert evidence.ending([_line(KILLED, 9.9), *late], "pg/2", 10) is evidence.Ending.WELL
    commands = _line('committing operation "run commands" for pg/2', 10.1)
    assert evidence.ending([commands, *late], "pg/2", 10) is evidence.Ending.COMMANDS
    assert "well" in _trial("refresh/gate/kill", ("pg/2", 10.0), late)._unproved()
    assert _trial("refresh/gate/kill", ("pg/2", 10.0), late[1:])._unproved() == ""
    assert _trial("refresh/gate/agent", ("pg/2", 10.0), late)._unproved() == ""
    store = _trial("refresh/drain/store-away", ("pg/2", 10.0), late[:1])
    assert "no hook failed" in store._unproved()
    store.outcome.failures.append("resume-refresh: no room")
    assert store._unproved() == ""


def test_promotions_more_or_less_are_excused_only_at_the_primary_or_who_is_to_become_it():
    assert _trial("refresh/gate/reboot").promotions({"pg/2"}) == (0, 0)
    assert _trial("refresh/gate/reboot", ("pg/2", 10.0)).promotions({"pg/0"}) == (0, 0)
    assert _trial("refresh/gate/reboot", ("pg/2", 10.0)).promotions({"pg/2"}) == (1, 2)
    handing = _line("Handing over the primary from pg-1 to pg-2", 8, module="unit.pg/2.juju-log")
    assert _trial("refresh/gate/reboot", ("pg/2", 10.0), [handing]).promotions({"pg/1"}) == (1, 2)
    assert _trial("refresh/gate/kill", ("pg/2", 10.0), [handing]).promotions({"pg/2"}) == (0, 0)
    assert _trial("refresh/gate/reboot", ("pg/2", 60.0), [handing]).promotions({"pg/1"}) == (0, 0)


def test_a_cell_that_was_not_played_has_not_passed():
    never = _trial("refresh/last-snap/kill")
    never.missed()
    assert matrix.row(never.cell, never.outcome).result == "failed"
    assert "not played" in never.outcome.problems[0]
    played = trial.Outcome(recovery=3.14159, commands=["`resume-refresh` again"] * 2, failures=["resume-refresh: no"])
    row = matrix.row(never.cell, played)
    assert (row.result, row.recovery, row.commands) == ("passed", 3.14, ("`resume-refresh` again x 2",))
    assert matrix.row(never.cell, trial.Outcome()).problems == ("it is not known when it recovered",)


_KNOWN = "pg/0 and pg/1 were primaries at once for 1.5 s"


@pytest.mark.parametrize("name", cells.LIMITS)
@pytest.mark.parametrize(
    ("problems", "result"),
    [
        ([_KNOWN], "limit"),
        (["pg/0 and pg/1 acknowledged writes at once for 1.5 s"], "failed"),
        ([_KNOWN, "3 acknowledged writes are not on pg/1"], "failed"),
        ([f"AssertionError: {_KNOWN}"], "failed"),
    ],
)
def test_a_known_limit_excuses_nothing_else(name, problems, result):
    assert matrix.row(CELLS[name], trial.Outcome(problems=problems)).result == result
    assert matrix.row(CELLS["refresh/snap/kill"], trial.Outcome(problems=problems)).result == "failed"


class _Stage:
    """A stage without machines, whose lives all come to the same."""

    def __init__(self, outcome: trial.Outcome) -> None:
        self.outcome = outcome
        self.discarded = 0

    def scene(self) -> _Stage:
        return self

    def discard(self) -> None:
        self.discarded += 1

    def play(self, itinerary: itineraries.Itinerary) -> dict[str, trial.Outcome]:
        return {cell.name: self.outcome for cell in itinerary.cells}


def test_a_scene_in_which_anything_was_wrong_is_not_used_again(monkeypatch):
    monkeypatch.setenv("FAULTS_KEEP", "0")
    [name] = [each for each, limit in cells.LIMITS.items() if limit.always]
    [limit] = itineraries.singly([CELLS[name]])
    known = _Stage(trial.Outcome(problems=[_KNOWN]))
    assert test_matrix.play(limit, known)[name].result == "limit"
    assert known.discarded == 1
    well = _Stage(trial.Outcome(recovery=1.0))
    test_matrix.play(limit, well)
    assert well.discarded == 0
    unknown = _Stage(trial.Outcome())
    test_matrix.play(limit, unknown)
    assert unknown.discarded == 1


def test_holes_between_samples_are_noticed():
    reads = [records.Read("host", time - 0.01, time, True) for time in (0.01, 0.11, 9.01)]
    assert sampling.longest_hole(reads, 0.0, 9.5) == pytest.approx(8.9)
    assert sampling.longest_hole(reads[:2], 0.0, 30.0) == pytest.approx(29.89)


def test_the_new_revision_is_strange_on_units_that_a_rollback_does_not_reach():
    old = {"pg/0": "366", "pg/1": "366", "pg/2": "366"}
    seen = {"pg/0": {"366"}, "pg/1": {"366", "416"}, "pg/2": {"366", "416"}}
    assert scene.strange_revisions("refresh", old, "416", seen) == []
    assert scene.strange_revisions("rollback", old, "416", seen) == ["pg/1 had the revision 416 of the snap"]
    seen["pg/2"] |= {"x7"}
    assert "pg/2 had the revision x7 of the snap" in scene.strange_revisions("refresh", old, "416", seen)


def test_the_revision_of_a_snap_follows_from_its_file(tmp_path):
    machine = object.__new__(sighting.Machine)
    machine.root = tmp_path
    assert machine.revision({3: "416"}) == ""
    (tmp_path / "snap/charmed-postgresql").mkdir(parents=True)
    (tmp_path / "snap/charmed-postgresql/current").symlink_to("x2")
    assert machine.revision({3: "416"}) == "x2"
    (tmp_path / "var/lib/snapd/snaps").mkdir(parents=True)
    (tmp_path / "var/lib/snapd/snaps/charmed-postgresql_x2.snap").write_text("abc")
    assert machine.revision({3: "416"}) == "416"


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> pathlib.Path:
    """A unit's hook tools, of which juju-log writes to a file."""
    found = tmp_path / "tools"
    found.mkdir()
    (found / "hook-tool").write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{tmp_path}/log\n')
    (found / "hook-tool").chmod(0o755)
    (found / "juju-log").symlink_to("hook-tool")
    return found


def _log(tools: pathlib.Path, text: str) -> int:
    script = f"{tools}/juju-log --log-level INFO {text}; exit $?"
    return subprocess.run(["/bin/sh", "-c", script], start_new_session=True, check=False).returncode


def test_a_trap_springs_in_the_moment_of_the_step_and_only_once(tools):
    laid = trap.Trap(tools)
    laid.lay("Allowed next unit", trap.KILL)
    assert _log(tools, "something") == 0
    assert _log(tools, "'Allowed next unit to refresh'") == -9
    assert _log(tools, "'Allowed next unit to refresh'") == 0
    laid.remove()
    assert [path.name for path in sorted(tools.iterdir())] == ["hook-tool", "juju-log"]
    assert (tools / "juju-log").is_symlink()
    laid.lay("Allowed next unit", trap.FAIL)
    assert _log(tools, "'Allowed next unit to refresh'") == 1
    assert not tools.exists()
    laid.remove()
    assert _log(tools, "again") == 0
    written = (tools.parent / "log").read_text()
    assert written.count("juju-log --log-level INFO Allowed next unit to refresh") == 3


def test_traps_are_laid_where_the_charm_itself_tells_of_the_step():
    told = {step.name for step in cells.REFRESH if step.told_by_charm}
    assert told == {"hand-over", "handed-over", "drain", "snap-changed", "gate", "finish"}


class _OnMachine:
    """A scene whose machines answer a script with the same text always."""

    def __init__(self, told: str, changes: list[dict[str, typing.Any]]) -> None:
        self.machines = {"pg/2": types.SimpleNamespace(name="machine")}
        lab = types.SimpleNamespace(shell=lambda *_, **__: told)
        self.application = types.SimpleNamespace(
            lab=lab, unit=lambda number: f"pg/{number}", snap_changes=lambda _: changes
        )


def test_a_disk_that_is_not_full_is_no_fault():
    for told, full in (("12\n0\n", True), ("12\n7\n", False)):
        filled = disk_strikes.WalDiskFull(typing.cast(strike.Scene, _OnMachine(told, [])))
        if full:
            filled.strike("pg/2")
        else:
            with pytest.raises(strike.NotStruckError, match="7 blocks were free"):
                filled.strike("pg/2")


def test_faults_of_a_snap_hook_are_to_be_seen_in_what_snapd_has_done_since():
    log = ["ERROR run hook: lab-fault-post-refresh asks for a failure"]
    times = {"spawn-time": "2026-11-23T07:00:00.123456789Z", "ready-time": "2026-11-23T07:00:21.5Z"}
    changes: list[dict[str, typing.Any]] = [{"id": "1", "tasks": [{"log": log}], **times}]
    found = typing.cast(strike.Scene, _OnMachine("", changes))
    failing, slow = snap_strikes.PostRefreshHook(found), snap_strikes.SlowSnap(found)
    for each in (failing, slow):
        each.prepare()
        assert each.unproved()
    changes.append({"id": "2", "tasks": [{"log": log}], **times})
    assert failing.unproved() == slow.unproved() == ""
    changes[-1] = {"id": "2", "tasks": [], "spawn-time": times["spawn-time"], "ready-time": "2026-11-23T07:00:09Z"}
    assert failing.unproved()
    assert slow.unproved()


class _Operated:
    """An application whose actions fail with these messages, one after the other, and then succeed."""

    application = "pg"

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)
        self.asked: list[str] = []

    def action(self, unit: str, name: str) -> None:
        self.asked.append(f"{name} {unit}")
        if self.messages:
            raise jubilant.TaskError(jubilant.Task("4", "failed", message=self.messages.pop(0)))

    def resume(self, unit: int) -> None:
        self.action(self.unit(unit), "resume-refresh")

    def unit(self, number: int) -> str:
        return f"pg/{number}"

    def leader(self) -> str:
        return "pg/1"

    def settle(self, *_: float) -> None:
        pass


def _life(operated: _Operated, played: trial.Trial) -> life.Life:
    return life.Life(typing.cast(typing.Any, operated), {}, [played])


def test_each_command_that_has_to_be_repeated_counts_and_each_answer_is_kept():
    operated = _Operated("Unit 2 is unhealthy", "Must run action on unit 1", "no room")
    played = _trial("refresh/resume/disk-snap", ("pg/1", time.monotonic()))
    lived = _life(operated, played)
    for _ in range(4):
        lived._resume(1)
    assert played.outcome.failures == ["resume-refresh: Unit 2 is unhealthy", "resume-refresh: no room"]
    assert played.outcome.commands == ["`resume-refresh` again"] * 3


def test_the_check_runs_on_the_leader_and_again_where_what_it_finds_may_pass():
    operated = _Operated("signal: killed", "Unit 0 is starting; wait until it streams")
    played = _trial("refresh/check/kill", ("pg/1", time.monotonic() - 5))
    _life(operated, played)._check(played)
    assert operated.asked == ["pre-refresh-check pg/leader"] * 3
    assert played.outcome.commands == ["`pre-refresh-check` again"] * 2
    assert played.is_over
    endless = _Operated(*["Clock differs by 9 s"] * 99)
    with pytest.raises(AssertionError, match="again and again"):
        _life(endless, played)._check(played)
    assert len(endless.asked) == life.CHECKS


class _Played:
    """A trial as far as the operator looks at it."""

    def __init__(self, name: str, *, is_armed: bool) -> None:
        self.cell = cells.chosen(name)[0]
        self.striking = types.SimpleNamespace(seconds=0.0)
        self.is_armed = self.is_struck = is_armed
        self.is_over = False

    def follow(self) -> None:
        pass

    def arm(self, *_: object) -> None:
        self.is_armed = True


def test_nobody_resumes_before_the_next_cell_is_looked_out_for(monkeypatch):
    # The one before may be over by the very event that its unit was given.
    before, following = _Played("refresh/gate/agent", is_armed=True), _Played("refresh/resume/kill", is_armed=False)
    lived = life.Life(typing.cast(typing.Any, _Operated()), {}, typing.cast(typing.Any, [before, following]))
    armed: list[bool] = []
    monkeypatch.setattr(lived, "_look", lambda: "a status")
    monkeypatch.setattr(lived, "_probe_what_waits", lambda _: setattr(before, "is_over", True))
    monkeypatch.setattr(lived, "_asked", lambda _: 1)
    monkeypatch.setattr(lived, "_resume", lambda _: armed.append(following.is_armed))
    monkeypatch.setattr(life, "POLL", 0.01)
    lived._operate(lambda _: bool(armed))
    assert armed == [True]
