"""The verdict of a rehearsal, and the table."""

from __future__ import annotations

import io
import json
import pathlib

import pytest
import rich.console

from rehearsal import history, readback, records, report

COPY = readback.Copy("10.0.0.1", True, 2, [(1, 3)], 4096)
STANDBY = readback.Copy("10.0.0.2", False, 2, [(1, 3)], 4096)


def recorded() -> history.History:
    acknowledged, failed = records.Outcome.ACKNOWLEDGED, records.Outcome.FAILED
    return history.History(
        [
            records.Connection(0.0, "10.0.0.1", 1),
            records.Write(1, 1.0, 1.0, acknowledged),
            records.Write(2, 2.0, 2.0, acknowledged),
            records.Connection(5.9, "10.0.0.2", 2),
            records.Write(3, 6.0, 6.0, acknowledged),
            records.Write(4, 7.0, 7.0, failed),
        ]
    )


STEPS = [
    report.Step("deploy", -10.0, 0.0, ["366", "366"]),
    report.Step("refresh", 1.5, 6.5, ["416", "416"], [0], written=True),
]


def test_a_step_shows_what_was_written_in_it() -> None:
    result = report.conclude(STEPS, recorded(), [COPY, STANDBY])
    assert result.problems == []
    assert result.outcomes == {"acknowledged": 3, "failed": 1, "indeterminate": 0}
    deploy, refresh = result.rows
    assert (deploy.longest_gap, deploy.acknowledged, deploy.lost, deploy.switchovers) == (None, None, None, None)
    assert (refresh.longest_gap, refresh.acknowledged, refresh.lost, refresh.switchovers) == (4.0, 2, 0, 1)


@pytest.mark.parametrize(
    ("copies", "problem"),
    [
        ([COPY, readback.Copy("b", False, 2, [(1, 2)], 1)], "b lacks 1 acknowledged writes: 3"),
        ([COPY, readback.Copy("b", False, 2, [(1, 4)], 1)], "b has 1 writes that had failed: 4"),
        ([COPY, readback.Copy("b", False, 2, [(1, 3)], 0, "damage")], "b: damage"),
        ([COPY, readback.Copy("b", False, 1, [(1, 3)], 1)], "timelines differ: 10.0.0.1 2, b 1"),
        ([COPY, readback.Copy("b", True, 2, [(1, 3)], 1)], "2 primaries"),
        ([STANDBY], "0 primaries"),
    ],
)
def test_what_is_wrong_is_said(copies: list[readback.Copy], problem: str) -> None:
    assert report.conclude(STEPS, recorded(), copies).problems == [problem]


def test_without_copies_nothing_is_known_to_be_there() -> None:
    result = report.conclude(STEPS, recorded(), [], ["could not be read"])
    assert [row.lost for row in result.rows] == [None, None]
    assert result.problems == ["could not be read"]


def test_many_lost_writes_are_counted_and_the_first_named() -> None:
    many = history.History([records.Write(n, float(n), float(n), records.Outcome.ACKNOWLEDGED) for n in range(1, 31)])
    copies = [readback.Copy("a", True, 1, [(1, 2)], 1)]
    step = report.Step("refresh", 0.0, 100.0, written=True)
    result = report.conclude([step], many, copies)
    assert result.problems == ["a lacks 28 acknowledged writes: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ..."]
    assert result.rows[0].lost == 28


def test_the_table_totals_what_adds_up_and_shows_the_worst_gap() -> None:
    output = io.StringIO()
    rich.console.Console(file=output, width=120).print(report.table(report.conclude(STEPS, recorded(), [COPY])))
    heading, _, deploy, refresh, _, total = [line.split() for line in output.getvalue().splitlines() if line.strip()]
    assert heading == ["Step", "Seconds", "Longest", "write", "gap", "Acknowledged", "Lost", "Switchovers", "Revisions"]
    assert deploy == ["deploy", "10.0", "-", "-", "-", "-", "366", "366"]
    assert refresh == ["refresh", "5.0", "4.00", "s", "2", "0", "1", "416", "416"]
    assert total == ["Total", "15.0", "4.00", "s", "2", "0", "1"]


def test_everything_is_kept_as_json(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "rehearsal.json"
    report.conclude(STEPS, recorded(), [COPY]).save(path)
    saved = json.loads(path.read_text())
    assert [row["step"] for row in saved["rows"]] == ["deploy", "refresh"]
    assert saved["copies"][0]["sequences"] == [[1, 3]]
    assert saved["problems"] == []
