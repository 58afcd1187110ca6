"""A rehearsal on one axis, and the geometry of its picture."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest

from rehearsal import events, history, plot, records, timeline

CLOCK = timeline.Clock(monotonic=100.0, epoch=5000.0)
HOSTS = {"a/0": "10.0.0.1", "a/1": "10.0.0.2"}


def reads(host: str, first: float, last: float, primary: bool | None, version: str = "16.14") -> list[records.Read]:
    return [records.Read(host, first, first, primary, version), records.Read(host, last, last, primary, version)]


@pytest.fixture
def recorded() -> history.History:
    writes = [(101.0, 1), (102.0, 2), (102.1, 3), (105.1, 4), (105.2, 5)]
    return history.History(
        [
            records.Connection(101.0, "10.0.0.1", 1),
            *(records.Write(number, time, time, records.Outcome.ACKNOWLEDGED) for time, number in writes),
            records.Connection(105.0, "10.0.0.2", 2),
            records.Connection(105.3, "10.0.0.2", 2),
            *reads("10.0.0.1", 101.0, 102.0, True),
            *reads("10.0.0.1", 102.1, 104.0, None, ""),
            *reads("10.0.0.1", 104.5, 106.0, False, "16.15"),
            *reads("10.0.0.2", 101.0, 104.8, False),
            *reads("10.0.0.2", 104.9, 106.0, True),
        ]
    )


@pytest.fixture
def drawn(recorded: history.History) -> timeline.Timeline:
    return timeline.build(
        CLOCK,
        [timeline.Bar(100.0, 101.0, "step", "deploy"), timeline.Bar(101.0, 106.5, "step", "refresh")],
        [timeline.Bar(102.0, 103.0, "pause", "0")],
        recorded,
        HOSTS,
        [events.Run("a/1", "config-changed", "hook", 5002.0, 5003.0, tools=7)],
        [
            events.Change("a/0", "refresh-snap", "Refresh a snap", 5002.5, 5003.5),
            events.Change("a/0", "service-control", "Running service command", 5002.0, 5002.5),
            events.Change("a/0", "install-snap", "Install a snap", 1.0, 2.0),
        ],
    )


def test_everything_lies_on_one_axis(drawn: timeline.Timeline) -> None:
    assert drawn.seconds == 6.5
    assert [(bar.text, bar.start, bar.end) for bar in drawn.steps] == [("deploy", 0.0, 1.0), ("refresh", 1.0, 6.5)]
    assert [(bar.start, bar.end) for bar in drawn.pauses] == [(2.0, 3.0)]
    assert [(bar.start, bar.end) for bar in drawn.gaps] == [(1.0, 2.0), (2.1, 5.1)]
    assert drawn.switchovers == [timeline.Switchover(5.0, "a/0", "a/1")]
    first, second = drawn.lanes
    assert [(bar.kind, bar.text, bar.start, bar.end) for bar in first.serves] == [
        ("primary", "16.14", 1.0, 2.0),
        ("down", "", 2.0, 4.0),
        ("standby", "16.15", 4.0, 6.0),
    ]
    assert [bar.kind for bar in second.serves] == ["standby", "primary"]
    assert [(bar.text, bar.start, bar.end, bar.tools) for bar in second.runs] == [("config-changed", 2.0, 3.0, 7)]
    assert first.runs == []
    # What snapd did before, or to services, is not shown.
    assert [(bar.kind, bar.start, bar.end) for bar in first.snaps] == [("snap refresh", 2.5, 3.5)]


def test_it_comes_back_from_json(drawn: timeline.Timeline) -> None:
    assert timeline.load(json.loads(json.dumps(dataclasses.asdict(drawn)))) == drawn


def test_the_picture_spans_the_reads(drawn: timeline.Timeline) -> None:
    picture = plot.whole(drawn)
    assert [name.text for name in picture.names] == ["a/0", "a/1"]
    primary = next(box for box in picture.boxes if box.kind == "primary")
    assert (primary.x, primary.width) == (0.0, 20.0)
    assert [tick.text for tick in picture.ticks] == ["0:01.0", "0:01.5", *(tick.text for tick in picture.ticks[2:])]
    assert not any(box.label == "deploy" for box in picture.boxes)
    assert any(box.kind == "pause" for box in picture.boxes)
    [arrow] = picture.arrows
    assert arrow.x == 80.0
    assert arrow.y1 < arrow.y2


def test_lanes_do_not_overlap(drawn: timeline.Timeline) -> None:
    picture = plot.whole(drawn)
    upper, lower = (name.y for name in picture.names)
    rows = sorted({(box.y, box.height) for box in picture.boxes})
    assert all(y + height <= following for (y, height), (following, _) in itertools.pairwise(rows))
    assert all(box.y + box.height < lower for box in picture.boxes if upper < box.y < lower)
    assert max(y + height for y, height in rows) < picture.height


def test_closer_only_what_touches_the_window_is_shown(drawn: timeline.Timeline) -> None:
    picture = plot.around(drawn, drawn.gaps[0], margin=0.4)
    assert "down" in {box.kind for box in picture.boxes}
    assert "snap-refresh" not in {box.kind for box in picture.boxes}
    assert "step" not in {box.kind for box in picture.boxes}
    assert picture.arrows == []


def test_the_cause_of_a_gap(drawn: timeline.Timeline) -> None:
    assert plot.cause(drawn, drawn.gaps[1]) == "The primary moved from a/0 to a/1."
    assert plot.cause(dataclasses.replace(drawn, switchovers=[]), drawn.gaps[0]) == "a/0 stopped as primary."
    assert plot.cause(drawn, timeline.Bar(5.6, 6.0, "gap")) == ""


def test_labels_are_left_out_where_there_is_no_room(drawn: timeline.Timeline) -> None:
    long = timeline.Bar(0.0, 1000.0, "step", "refresh")
    picture = plot.build(dataclasses.replace(drawn, steps=[long]), 0.0, 1000.0, steps=True)
    labels = {box.kind: box.label for box in picture.boxes}
    assert labels["step"] == "refresh"
    assert labels["primary"] == labels["pause"] == ""
    # Two write gaps beside each other: the longer one's length is written.
    assert [(gap.title.split(":")[0], gap.label) for gap in picture.gaps] == [("gap", "3.0 s"), ("gap", "")]


def test_a_bar_that_failed_is_marked_and_says_so() -> None:
    failed = timeline.Bar(1.0, 2.0, "hook", "start", failed=True, tools=3)
    shown = timeline.Timeline(3.0, [], [timeline.Lane("a/0", [], [failed], [])], [], [], [])
    [box] = plot.build(shown, 0.0, 3.0, steps=False).boxes
    assert box.kind == "hook failed"
    assert box.title == "start (hook): 1.00 s from 0:01.0, 3 calls of hook tools, failed"
