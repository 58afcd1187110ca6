"""What a bench does, on a simulated application, and what it makes of it."""

from __future__ import annotations

import dataclasses
import io
import json
import pathlib
import time
from collections.abc import Iterator

import pytest
import rich.console
import simulated_juju

from rehearsal import bench, figures, history, load, operate, progress, readback, records, rehearse, report

HOSTS = [f"10.0.0.{number}" for number in (1, 2, 3)]


class Client(simulated_juju.Client):
    """Writes and reads each time that somebody looks, from servers with the simulated application's roles."""

    def __init__(self, application: simulated_juju.Application) -> None:
        super().__init__()
        self._application = application
        self._timeline = 0
        self._host = ""

    @property
    def history(self) -> history.History:
        now = time.monotonic()
        host = HOSTS[self._application.primary]
        if host != self._host:
            self._timeline, self._host = self._timeline + 1, host
            self.recorded.add(records.Connection(now, host, self._timeline))
        number = len(self.recorded.writes) + 1
        self.recorded.add(records.Write(number, now, now, records.Outcome.ACKNOWLEDGED))
        for one in HOSTS:
            self.recorded.add(records.Read(one, now, now, one == host, "16.15"))
        return self.recorded

    def check(self) -> None:
        pass


@dataclasses.dataclass
class Stage:
    """A bench of three simulated units."""

    application: simulated_juju.Application
    client: Client
    bench: bench.Bench


def figures_refresh() -> figures.Refresh:
    return figures.Refresh(
        version="16/1.1.0",
        revision="416",
        primary="a/0",
        seconds=30.0,
        unit_seconds={},
        gaps=[],
        gap=1.0,
        noticed=None,
        read_gaps={"a/0": 1.0},
        switchovers=1,
        expected_switchovers=1,
        hook_processor_seconds=1.0,
        hook_tools=1,
        hooks=1,
        lost=0,
    )


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(operate, "POLL", 0.01)
    monkeypatch.setattr(bench, "CALM_SECONDS", 0.05)
    application = simulated_juju.Application()
    application.deploy(simulated_juju.OLD.path, 3)
    application.never_pause()
    client = Client(application)
    shown = progress.Progress(rich.console.Console(file=io.StringIO()), "database")
    operator = operate.Operator(application, shown, units=3, patience=2)
    stood_for: load.Load = simulated_juju.as_load(client)
    operator.attach(stood_for)
    return Stage(application, client, bench.Bench(operator, stood_for, shown))


def test_the_floor_is_a_stop_and_a_switchover_to_where_the_refresh_begins(stage: Stage) -> None:
    stage.bench.calm()
    del stage.application.actions[:]
    stage.bench.floor("database/2")
    assert stage.application.actions == ["stop database/0", "switch over database/1 database/2"]
    [stop], [switchover] = stage.bench.figures.stops, stage.bench.figures.switchovers
    assert (stop.old, stop.new) == ("database/0", "database/1")
    assert (switchover.old, switchover.new) == ("database/1", "database/2")
    assert 0 < switchover.gap < 1


def test_a_primary_that_is_there_already_goes_away_first(stage: Stage) -> None:
    stage.bench.calm()
    del stage.application.actions[:]
    stage.bench.floor("database/1")
    assert stage.application.actions[1:] == ["switch over database/1 database/0", "switch over database/0 database/1"]
    assert len(stage.bench.figures.switchovers) == 2


def test_a_stop_after_which_nobody_takes_over_is_no_floor(stage: Stage) -> None:
    stage.bench.calm()
    stage.application.service = lambda unit, command: stage.application.actions.append(f"{command} {unit}")
    with pytest.raises(TimeoutError):
        stage.bench.floor("database/1")
    assert stage.bench.figures.stops == []


def test_a_refresh_is_measured(stage: Stage) -> None:
    stage.bench.calm()
    stage.bench.refresh(simulated_juju.NEW)
    [refresh] = stage.bench.figures.refreshes
    assert (refresh.version, refresh.revision, refresh.primary) == ("16/1.1.0", "416", "database/0")
    assert (refresh.switchovers, refresh.expected_switchovers) == (1, 1)
    assert set(refresh.read_gaps) == set(refresh.unit_seconds) == {"database/0", "database/1", "database/2"}
    assert 0 < refresh.gap <= refresh.seconds
    assert refresh.hook_processor_seconds == 3.0  # one action, as the simulation counts, on each unit
    [(begun, ended)] = stage.bench.windows
    assert ended - begun == refresh.seconds


def test_calm_needs_every_unit_to_be_what_it_should(stage: Stage) -> None:
    stage.bench.calm()
    stage.application._role = lambda number: "Primary" if number == 0 else "Standby"  # not synchronous
    with pytest.raises(TimeoutError):
        stage.bench.calm()


def test_a_lost_write_is_counted_in_its_refresh(stage: Stage) -> None:
    stage.bench.calm()
    for charm in (simulated_juju.NEW, simulated_juju.OLD):
        stage.bench.refresh(charm)
    (begun, ended), _ = stage.bench.windows
    lost = stage.client.recorded.acknowledged(begun, ended)[0].sequence
    stage.client.missing = {lost}
    bench.conclude(stage.bench, simulated_juju.as_load(stage.client))
    assert [refresh.lost for refresh in stage.bench.figures.refreshes] == [1, 0]
    assert any("lacks 1 acknowledged writes" in problem for problem in stage.bench.figures.problems)


def test_without_a_primary_the_figures_so_far_are_kept(stage: Stage) -> None:
    stage.bench.calm()
    stage.bench._primary = lambda: None
    for attempt in (lambda: stage.bench.refresh(simulated_juju.NEW), lambda: stage.bench.floor("database/2")):
        with pytest.raises(RuntimeError, match="there is no primary") as caught:
            attempt()
        assert isinstance(caught.value, rehearse.FAILURES)


def test_reading_back_that_fails_is_a_problem_and_keeps_the_figures(stage: Stage) -> None:
    stage.bench.calm()
    stage.bench.refresh(simulated_juju.NEW)

    def fail() -> list[readback.Copy]:
        raise RuntimeError("no server answers")

    stage.client.read_back = fail
    bench.conclude(stage.bench, simulated_juju.as_load(stage.client))
    assert stage.bench.figures.problems == ["read back: no server answers"]
    assert [refresh.lost for refresh in stage.bench.figures.refreshes] == [None]


def test_what_was_found_so_far_is_on_disk(stage: Stage, tmp_path: pathlib.Path) -> None:
    def coming() -> Iterator[operate.Charm]:
        yield simulated_juju.NEW
        yield simulated_juju.OLD
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        bench.measure(stage.bench, coming(), tmp_path)
    written = json.loads((tmp_path / "bench.json").read_text())
    assert [each["primary"] for each in written["refreshes"]] == ["database/0", "database/1"]
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.parametrize(
    ("switchovers", "lost", "seconds", "status"), [(1, 0, 30, 0), (2, 0, 30, 1), (1, 1, 30, 1), (1, 0, 46, 1)]
)
def test_an_aim_that_is_not_met_fails_the_command(switchovers: int, lost: int, seconds: float, status: int) -> None:
    one = dataclasses.replace(figures_refresh(), switchovers=switchovers, lost=lost, seconds=seconds)
    found = figures.Figures(3, [one], [figures.Floor(1.0, "a/0", "a/1")], [], [])
    out = io.StringIO()
    assert bench.tell(found, rich.console.Console(file=out, width=120)) == status
    assert ("aimed at" in out.getvalue()) == bool(status)


def test_a_problem_fails_the_command() -> None:
    floor = figures.Floor(1.0, "a/0", "a/1")
    found = figures.Figures(3, [figures_refresh()], [floor], [], ["the log is gone"])
    assert bench.tell(found, rich.console.Console(file=io.StringIO())) == 1


@pytest.mark.parametrize(
    ("primary", "units", "expected"),
    [("a/0", 1, 0), ("a/0", 3, 1), ("a/1", 3, 1), ("a/2", 3, 2), ("a/10", 11, 2), ("a/9", 11, 1), ("a/1", 2, 2)],
)
def test_the_primary_moves_twice_only_from_the_highest_unit(primary: str, units: int, expected: int) -> None:
    assert bench.expected_switchovers(primary, [f"a/{number}" for number in range(units)]) == expected


def test_charm_versions_rise_and_revisions_alternate(tmp_path: pathlib.Path) -> None:
    pins = '{"name": "s", "track": "16", "workload": "16.15", "revisions": {"x86_64": "416", "aarch64": "415"}}'
    (tmp_path / "snap_revisions.json").write_text(pins)
    coming = bench.versions(tmp_path)
    found = [next(coming) for _ in range(4)]
    assert [version.charm for version in found] == ["16/1.0.0", "16/1.1.0", "16/1.2.0", "16/1.3.0"]
    assert [version.revisions["x86_64"] for version in found] == ["366", "416", "366", "416"]
    assert {version.workload for version in found} == {"16.15"}


def test_read_back_and_report_agree() -> None:
    recorded = history.History([records.Write(n, n, n, records.Outcome.ACKNOWLEDGED) for n in (1, 2)])
    copies = [readback.Copy("a", True, 1, [(1, 2)], 1), readback.Copy("b", False, 1, [(2, 2)], 1)]
    assert report.lost(recorded, copies) == {1}
