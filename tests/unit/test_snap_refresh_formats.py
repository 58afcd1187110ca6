"""Stored examples of every released form of what the charm keeps and tells of its machines' snaps."""

from __future__ import annotations

import datetime
import json
import pathlib
import typing

import pytest

from gating import affected, engine
from snap_refresh import decision, model, report
from tests.fakes import snaps
from tests.unit.conftest import Deployed

EXAMPLES = sorted((pathlib.Path(__file__).parent / "formats/snap-refresh").glob("*.json"))


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> dict[str, typing.Any]:
    return json.loads(request.param.read_text())


@pytest.mark.parametrize("unknown", [False, True])
def test_what_a_unit_remembers(example: dict[str, typing.Any], unknown: bool) -> None:
    stored = example["snap-refresh"] | ({"of-a-later-version": {}} if unknown else {})
    found = model.Remembered.parse(json.dumps(stored))
    assert found.updates == {"core24": affected.Candidate("core24", "1023", "20250526", "latest/stable")}
    assert found.connections == (("network", "charmed-postgresql", "snapd"),)
    assert found.attempts == {"content": ("7", 2, datetime.datetime(2025, 6, 1, 9, 30, tzinfo=datetime.UTC))}
    assert engine.Gating({}, found.gating).holders("core24").keys() == {model.WORKLOAD}
    assert json.loads(found.text()) == example["snap-refresh"]


def test_nothing_is_remembered_at_first() -> None:
    assert model.Remembered.parse("{}") == model.Remembered()
    assert model.Remembered.parse(model.Remembered().text()) == model.Remembered()


def test_what_a_unit_publishes(example: dict[str, typing.Any]) -> None:
    found = model.Wish.parse(example["snap-updates"])
    assert found.snaps == ("core24",)
    assert (found.until - found.since).total_seconds() == 48 * 3600
    assert found.text() == example["snap-updates"]
    later = json.loads(example["snap-updates"]) | {"of-a-later-version": 1}
    assert model.Wish.parse(json.dumps(later)) == found


def test_what_a_unit_publishes_while_its_snaps_refresh(example: dict[str, typing.Any]) -> None:
    found = model.Wish.parse(example["snap-updates-requested"])
    assert found.requested is not None
    assert found.refreshing == found.requested + datetime.timedelta(minutes=1)
    assert found.text() == example["snap-updates-requested"]


def test_the_turn(example: dict[str, typing.Any]) -> None:
    found = model.Turn.parse(example["snap-refresh-turn"])
    assert (found.unit, found.passed) == (2, (1,))
    assert found.text() == example["snap-refresh-turn"]
    later = json.loads(example["snap-refresh-turn"]) | {"of-a-later-version": 1}
    assert model.Turn.parse(json.dumps(later)) == found


def test_the_status_has_all_its_keys(example: dict[str, typing.Any]) -> None:
    about = snaps.seen(snaps.UPDATE)
    observed = snaps.facts_of(about)
    decided = decision.decide(observed)
    assert decided is not None
    found = report.report(observed, about, decided)
    stored = example["get-snap-refresh-status"]
    assert stored.keys() <= found.keys()
    assert all(stored["snaps"][0].keys() <= each.keys() for each in found["snaps"])


def test_the_charm_writes_these_keys_and_no_others(deployed: Deployed) -> None:
    newest = json.loads(EXAMPLES[-1].read_text())
    unit = deployed(1).units[0]
    assert json.loads((unit.directory / model.FILE).read_text()).keys() == newest["snap-refresh"].keys()
    keys = [line.split("=", 1)[0] for line in newest["gate-auto-refresh"].splitlines()]
    written = [line.split("=", 1)[0] for line in unit.machine.paths.gate_answer.read_text().splitlines()]
    assert written == ["decision", "reason"]
    assert keys == [*written, "valid-until"]
