"""Windows in snapd's timer syntax."""

from __future__ import annotations

import datetime

import hypothesis
import pytest
from hypothesis import strategies

import timer

ZONE = datetime.timezone(datetime.timedelta(hours=2))


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=ZONE)


# August 2018 begins on a Wednesday: its Mondays are 6, 13, 20, 27, its Fridays 3, 10, 17, 24, 31.
@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("sat,02:00-04:00", ["2018-08-04T02:00", "2018-08-11T03:59"], ["2018-08-04T04:00", "2018-08-05T03:00"]),
        ("9:00-11:00", ["2018-08-01T09:30"], ["2018-08-01T11:00", "2018-08-01T08:59"]),
        ("9:00~11:00/2", ["2018-08-01T09:30", "2018-08-01T10:30"], ["2018-08-01T12:00"]),
        ("23:00-01:00", ["2018-08-01T23:30", "2018-08-01T00:30"], ["2018-08-01T01:00"]),
        ("fri,23:00-01:00", ["2018-08-03T23:30", "2018-08-04T00:30"], ["2018-08-03T00:30", "2018-08-04T23:30"]),
        ("00:00-24:00", ["2018-08-01T00:00", "2018-08-01T23:59"], []),
        ("22:00-24:00", ["2018-08-01T23:59"], ["2018-08-01T00:00"]),
        ("24:00-02:00", ["2018-08-01T01:00"], ["2018-08-01T02:00", "2018-08-01T23:00"]),
        ("mon,wed", ["2018-08-06T00:00", "2018-08-08T23:59"], ["2018-08-07T12:00"]),
        ("mon,,wed", ["2018-08-06T00:00", "2018-08-08T23:59"], ["2018-08-07T12:00"]),
        ("fri-mon", ["2018-08-03T12:00", "2018-08-05T12:00", "2018-08-06T12:00"], ["2018-08-07T12:00"]),
        ("mon-wed,fri,9:00-11:00", ["2018-08-07T10:00", "2018-08-10T10:00"], ["2018-08-09T10:00"]),
        ("mon,10:00,,fri,15:00", ["2018-08-06T10:59", "2018-08-10T15:00"], ["2018-08-06T15:30", "2018-08-06T11:00"]),
        ("mon1", ["2018-08-06T12:00"], ["2018-08-13T12:00", "2018-08-07T12:00"]),
        ("mon5", ["2018-08-27T12:00"], ["2018-08-20T12:00"]),
        ("fri5", ["2018-08-31T12:00"], ["2018-08-24T12:00"]),
        ("mon1-fri", ["2018-08-06T12:00", "2018-08-10T12:00"], ["2018-08-03T12:00", "2018-08-13T12:00"]),
        ("fri1-mon", ["2018-08-03T12:00", "2018-08-06T12:00"], ["2018-08-07T12:00", "2018-08-13T12:00"]),
        ("mon-fri1", ["2018-07-30T12:00", "2018-08-03T12:00"], ["2018-08-06T12:00", "2018-07-27T12:00"]),
        ("mon-fri2", ["2018-08-06T12:00", "2018-08-10T12:00"], ["2018-08-13T12:00", "2018-08-03T12:00"]),
        ("fri4-thu", ["2018-07-27T12:00", "2018-08-02T12:00", "2018-08-30T12:00"], ["2018-08-03T12:00"]),
        ("mon1-mon", ["2018-08-06T12:00", "2018-08-13T12:00"], ["2018-08-14T12:00", "2018-08-05T12:00"]),
        ("mon-mon2", ["2018-08-06T12:00", "2018-08-13T12:00"], ["2018-08-14T12:00", "2018-08-05T12:00"]),
        ("mon1-tue2", ["2018-08-06T12:00", "2018-08-07T12:00"], ["2018-08-14T12:00"]),
    ],
)
def test_windows(text: str, inside: list[str], outside: list[str]) -> None:
    found = timer.parse(text)
    assert [moment for moment in inside if not found.includes(at(moment))] == []
    assert [moment for moment in outside if found.includes(at(moment))] == []


@pytest.mark.parametrize(
    "text",
    [
        "", ",", ",,", ",,,", ":", "-", "-/4", "~/4", "invalid-11:00", "9:00-11:00/invalid", "9:00-11:00/0", "25:00",
        "09:00-25:00", "09:00-24:30", "mon-01:00", "9:00,mon", "mon~wed", "mon--wed", "mon-wed/2,,9:00", "mon..wed",
        "mon9,9:00", "mon0,9:00", "mon5-mon1,9:00", "mon%,9:00", "foo2,9:00", "9:00---11:00", "9:00-11:00/3/3/3",
        "9:00-9:00-10:00", "9:00,,,9:00-10:00", "sat, 02:00-04:00", "Sat,02:00", "2:60", "sat 02:00",
    ],
)  # fmt: skip
def test_what_is_no_timer(text: str) -> None:
    with pytest.raises(timer.TimerError):
        timer.parse(text)


def test_the_error_names_the_part_that_is_wrong() -> None:
    with pytest.raises(timer.TimerError, match="'02:00-4am' is no time"):
        timer.parse("sat,02:00-4am")


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        ("sat,02:00-04:00", "2018-08-01T12:00", "2018-08-04T02:00"),
        ("sat,02:00-04:00", "2018-08-04T02:00", "2018-08-11T02:00"),
        ("mon1,23:00-01:00", "2018-08-07T00:00", "2018-09-03T23:00"),
        ("9:00-10:00,,3:00-4:00", "2018-08-01T05:00", "2018-08-01T09:00"),
    ],
)
def test_when_it_opens_next(text: str, now: str, opens: str) -> None:
    assert timer.parse(text).opens(at(now)) == at(opens)


days = strategies.sampled_from(timer.WEEKDAYS)
spans = strategies.builds(
    lambda first, nth, last: f"{first}{nth}" + (f"-{last}" if last else ""),
    days,
    strategies.sampled_from(("", "1", "2", "3", "4", "5")),
    strategies.none() | days,
)
times = strategies.builds(
    lambda start, end: f"{start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}",
    strategies.integers(0, 1439),
    strategies.integers(0, 1439),
)
moments = strategies.datetimes(
    datetime.datetime(2020, 1, 1), datetime.datetime(2030, 1, 1), timezones=strategies.just(ZONE)
)


@hypothesis.given(spans, times, moments)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_window_that_opens_is_open_and_was_closed(span: str, clock: str, now: datetime.datetime) -> None:
    found = timer.parse(f"{span},{clock}")
    opens = found.opens(now)
    assert opens > now
    assert opens - now < datetime.timedelta(days=62)
    assert found.includes(opens)
    if not found.includes(now):
        # Nothing opens earlier.
        between = now + (opens - now) * 0.7
        assert not found.includes(between)
