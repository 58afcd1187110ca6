"""What a bench's figures come to."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
import rich.console

from rehearsal import figures, history, records


def refresh(gap: float, *, seconds: float = 30.0, lost: int | None = 0, switchovers: int = 1) -> figures.Refresh:
    return figures.Refresh(
        version="16/1.1.0",
        revision="416",
        primary="a/1",
        seconds=seconds,
        unit_seconds={"a/0": 5.0, "a/1": 6.5},
        gaps=[gap],
        gap=gap,
        noticed=0.02,
        read_gaps={"a/0": 5.1, "a/1": 6.6},
        switchovers=switchovers,
        expected_switchovers=1,
        hook_processor_seconds=12.0,
        hook_tools=400,
        hooks=20,
        lost=lost,
    )


ONE_SWITCHOVER = "seconds of a refresh with 1 switchover"


def found(*refreshes: figures.Refresh, bare: tuple[float, ...] = (2.0, 2.2, 2.1)) -> figures.Figures:
    floors = [figures.Floor(gap, "a/0", "a/1") for gap in bare]
    return figures.Figures(3, list(refreshes), floors, [figures.Floor(4.0, "a/0", "a/1")], [])


def met(shown: figures.Figures) -> dict[str, bool | None]:
    return {total.what: total.met for total in figures.summary(shown)}


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2.0), (0.51, 3.0), (0.99, 4.0), (1.0, 4.0), (0.0, 1.0)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert figures.percentile([4.0, 1.0, 3.0, 2.0], share) == expected
    assert figures.percentile([], share) is None


def test_aims_that_are_met() -> None:
    aims = met(found(refresh(2.0), refresh(2.3), refresh(4.4)))
    assert [aim for aim in aims.values() if aim is not None] == [True] * 5
    assert figures.unmet(found(refresh(2.0), refresh(2.3), refresh(4.4))) == []


@pytest.mark.parametrize(
    ("missed", "what"),
    [
        (refresh(2.4), "median gap, times the bare switchover's"),
        (refresh(4.5), "longest gap, times the bare switchover's"),
        (refresh(2.0, seconds=46.0), ONE_SWITCHOVER),
        (refresh(2.0, lost=1), "acknowledged writes lost"),
        (refresh(2.0, lost=None), "acknowledged writes lost"),
        (refresh(2.0, switchovers=2), "refreshes with other switchovers than expected"),
    ],
)
def test_aims_that_are_not(missed: figures.Refresh, what: str) -> None:
    assert met(found(missed))[what] is False
    [told] = [text for text in figures.unmet(found(missed)) if text.startswith(what)]
    assert "at most" in told


def test_the_seconds_are_an_aim_of_three_units_and_one_switchover() -> None:
    shown = found(refresh(2.0, seconds=99.0))
    shown.units = 5
    assert met(shown)[ONE_SWITCHOVER] is None
    twice = dataclasses.replace(refresh(2.0, seconds=54.0, switchovers=2), expected_switchovers=2)
    both = {total.what: total for total in figures.summary(found(refresh(2.0, seconds=41.0), twice))}
    assert (both[ONE_SWITCHOVER].met, both[ONE_SWITCHOVER].text) == (True, "p50 41.00 s, p99 41.00 s, max 41.00 s")
    two = both["seconds of a refresh with 2 switchovers"]
    assert (two.met, two.text) == (None, "p50 54.00 s, p99 54.00 s, max 54.00 s")


def test_without_a_refresh_nothing_is_met() -> None:
    assert figures.summary(found()) == []
    assert figures.unmet(found()) == ["no refresh was measured"]


def test_a_unit_alone_has_no_floor_and_keeps_its_other_aims() -> None:
    shown = found(refresh(1.0, lost=1), bare=())
    assert figures.MEDIAN_RATIO not in met(shown)
    assert [text.partition(":")[0] for text in figures.unmet(shown)] == ["acknowledged writes lost"]


def test_the_document_has_what_the_figures_come_to() -> None:
    written = json.loads(json.dumps(figures.document(found(refresh(2.0), refresh(2.2), refresh(4.4)))))
    totals = {each["what"]: each for each in written["totals"]}
    assert totals["write gap of a refresh"]["value"] == {"median": 2.2, "p99": 4.4, "maximum": 4.4}
    assert totals["write gap of a bare switchover"]["value"] == {"median": 2.1, "p99": 2.2, "maximum": 2.2}
    assert (totals[figures.MEDIAN_RATIO]["limit"], totals[figures.MEDIAN_RATIO]["met"]) == (1.1, True)
    assert (totals["acknowledged writes lost"]["value"], totals["acknowledged writes lost"]["met"]) == (0, True)
    assert totals["read gap of a/1"]["value"]["maximum"] == 6.6
    assert len(written["refreshes"]) == 3


def test_tables() -> None:
    console = rich.console.Console(file=io.StringIO(), width=120, record=True)
    console.print(figures.table(found(refresh(2.0))))
    console.print(figures.totals(found(refresh(2.0))))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert "16/1.1.0 (416) 1 30.0 5.0 6.5 2.00 5.10 6.60 1 of 1 0 20 400 12.0" in lines
    assert "write gap of a refresh p50 2.00 s, p99 2.00 s, max 2.00 s" in lines
    assert "median gap, times the bare switchover's 0.95, at most 1.1 met" in lines
    assert "read gap of a/0 p50 5.10 s, p99 5.10 s, max 5.10 s" in lines
    assert "read gap of a/1 p50 6.60 s, p99 6.60 s, max 6.60 s" in lines
    assert "calls of hook tools p50 400, p99 400, max 400" in lines


def read(host: str, time: float, primary: bool | None) -> records.Read:
    return records.Read(host, time, time, primary, "16.15" if primary is not None else "")


def test_from_the_promotion_seen_to_the_first_write() -> None:
    written = [records.Write(n, t, t, records.Outcome.ACKNOWLEDGED) for n, t in enumerate([1.0, 3.07, 3.1], 1)]
    reads = [read("a", 0.5, True), read("b", 0.5, False), read("b", 3.0, False), read("b", 3.05, True)]
    recorded = history.History([*written, *reads])
    assert figures.noticed(recorded, 0.6, 4.0) == pytest.approx(0.07)
    assert figures.noticed(recorded, 3.5, 4.0) is None
