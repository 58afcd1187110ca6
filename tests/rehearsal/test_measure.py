"""The figures of docs/reference/performance.md: a promise that is not kept is said, and fails the command."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import subprocess
import typing
from collections.abc import Iterator

import jubilant
import pytest
import rich.console

from rehearsal import cli, measure


class Application:
    """An application with some units, of which the last is the primary and the first the leader."""

    def __init__(self) -> None:
        self.units = 0
        self.grown: list[int] = []
        self.cost = {3: 190.0, 5: 290.0, 9: 290.0}
        """Milliseconds of an update-status, by the number of units; a bare charm takes 100."""

    def status(self) -> jubilant.Status:
        units = {
            f"{measure.APPLICATION}/{number}": {
                "workload-status": {"current": "active", "message": self._message(number)},
                "leader": number == 0,
            }
            for number in range(self.units)
        }
        common = {"charm": "c", "charm-origin": "local", "charm-name": "c", "charm-rev": 0, "exposed": False}
        application = {**common, "units": units}
        model = {"name": "m", "type": "iaas", "controller": "c", "cloud": "c", "version": "3.6"}
        return jubilant.Status._from_dict(
            {"model": model, "machines": {}, "applications": {measure.APPLICATION: application}}
        )

    def _message(self, number: int) -> str:
        return "Primary" if number == self.units - 1 else "Synchronous standby"

    def add_unit(self, application: str, *, num_units: int) -> None:
        assert application == measure.APPLICATION
        self.units += num_units
        self.grown.append(num_units)


@dataclasses.dataclass(frozen=True)
class Stage(measure.Stage):
    """A stage without a lab."""

    application: Application

    @contextlib.contextmanager
    def model(self, name: str) -> Iterator[jubilant.Juju]:
        yield typing.cast("jubilant.Juju", self.application)

    def charm(self) -> pathlib.Path:
        return pathlib.Path("c.charm")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    application = Application()

    def deploy(_: object, __: object, name: str, *, units: int) -> None:
        application.units = units if name == measure.APPLICATION else 0

    def run(_: object, unit: str, *__: str) -> list[float]:
        return [100.0 if unit == "bare/0" else application.cost[application.units]]

    monkeypatch.setattr(measure, "_bare", lambda _: pathlib.Path("bare.charm"))
    monkeypatch.setattr(measure, "_deploy", deploy)
    monkeypatch.setattr(measure, "_await_units", lambda *_: None)
    monkeypatch.setattr(measure, "_run", run)
    console = rich.console.Console(file=io.StringIO(), width=160)
    return Stage(typing.cast(typing.Any, None), console, pathlib.Path(), application)


def said(stage: measure.Stage) -> str:
    return typing.cast("io.StringIO", stage.console.file).getvalue()


@pytest.mark.parametrize(
    ("measured", "status", "said"), [(4.99, 0, ": kept"), (5.0, 0, ": kept"), (5.01, 1, "NOT KEPT")]
)
def test_a_promise_that_is_not_kept_fails(measured: float, status: int, said: str) -> None:
    out = io.StringIO()
    stage = measure.Stage(typing.cast(typing.Any, None), rich.console.Console(file=out, width=120), pathlib.Path())
    assert stage.judge("longest write gap, s", measured, 5) == status
    assert out.getvalue().strip().startswith(f"longest write gap, s: {measured:.4g}, at most 5 promised")
    assert said in out.getvalue()


def test_update_status_is_measured_as_units_join(stage: Stage) -> None:
    assert measure.update_status(stage, 2) == 0
    assert stage.application.grown == [2, 4]
    lines = said(stage).splitlines()
    assert [line.partition(":")[0] for line in lines[:4]] == [
        "update-status, 3 units (Synchronous standby, leader)",
        "update-status, 3 units (Primary)",
        "update-status, 3 units (Synchronous standby)",
        "update-status of 3 units, times a bare charm's, on the slowest",
    ]
    judged = [line for line in lines if line.startswith("update-status of")]
    assert [line.rpartition(":")[0].rpartition(": ")[2] for line in judged] == [
        "1.9, at most 2 promised",
        "2.9, at most 3 promised",
        "2.9, at most 3 promised",
    ]


@pytest.mark.parametrize(("units", "milliseconds"), [(3, 201.0), (5, 301.0), (9, 301.0)])
def test_an_update_status_that_takes_too_long_fails(stage: Stage, units: int, milliseconds: float) -> None:
    stage.application.cost[units] = milliseconds
    assert measure.update_status(stage, 2) == 1
    assert said(stage).count("NOT KEPT") == 1


@pytest.mark.parametrize("status", [0, 1])
def test_a_write_that_a_failed_rehearsal_has_lost_is_counted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, status: int
) -> None:
    def rehearse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        row = {"step": "refresh", "longest_gap": 1.0, "lost": 2}
        (pathlib.Path(command[-1]) / "rehearsal.json").write_text(json.dumps({"rows": [row]}))
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(cli, "TREE", tmp_path)
    (tmp_path / "report/rehearsals/1").mkdir(parents=True)
    monkeypatch.setattr(subprocess, "run", rehearse)
    assert measure.refresh(stage, 1) == 1
    assert f"1 rehearsals, {status} failed, 2 acknowledged writes lost" in said(stage)


def test_what_an_earlier_rehearsal_has_left_is_not_counted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    left = tmp_path / "report/rehearsals/1/rehearsal.json"
    left.parent.mkdir(parents=True)
    left.write_text(json.dumps({"rows": [{"step": "refresh", "longest_gap": 1.0, "lost": 2}]}))
    monkeypatch.setattr(cli, "TREE", tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    assert measure.refresh(stage, 1) == 1
    assert "1 rehearsals, 1 failed, 0 acknowledged writes lost" in said(stage)
