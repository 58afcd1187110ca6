"""Windows of time in snapd's timer syntax (snapd's documentation, "Timer string format"). Pure.

A timer is a list of events, `sat,02:00-04:00,,mon1,23:00-01:00`: days of the week, each week's or the n-th of a month
(5: the last), and then times. As a window, a time without an end lasts an hour, and days without a time last all day;
how often (`/2`) and whether at random (`~`) snapd would act in it does not matter.
"""

import calendar
import collections.abc
import dataclasses
import datetime
import re

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"(?:([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00)")
_DAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)([1-5]?)")
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")
_DAYS_AHEAD = 62
"""Each event comes again within two months."""
LAST = 5


class TimerError(ValueError):
    """The text is no timer; the message names the part that is wrong."""


@dataclasses.dataclass(frozen=True)
class Days:
    """A span of days: each week, or with the first or the last day at the n-th such day of a month."""

    first: int
    last: int
    first_of_month: int = 0
    last_of_month: int = 0

    def __contains__(self, day: datetime.date) -> bool:
        length = (self.last - self.first) % 7
        if not self.first_of_month and not self.last_of_month:
            return (day.weekday() - self.first) % 7 <= length
        if self.first_of_month and self.last_of_month:
            return day == _nth(day, self.first, self.first_of_month)
        # From such a day to the same one is a week.
        span = datetime.timedelta(days=length or 7)
        if self.first_of_month:
            anchors = [_nth(month, self.first, self.first_of_month) for month in (day, _month_before(day))]
            return any(anchor <= day <= anchor + span for anchor in anchors)
        anchors = [_nth(month, self.last, self.last_of_month) for month in (day, _month_after(day))]
        return any(anchor - span <= day <= anchor for anchor in anchors)


@dataclasses.dataclass(frozen=True)
class Clock:
    """A span of a day, in minutes from its midnight; past the next midnight where the end is not after the start."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Timer:
    """Windows of time."""

    text: str
    events: tuple[tuple[tuple[Days, ...], tuple[Clock, ...]], ...]

    def includes(self, when: datetime.datetime) -> bool:
        """Whether that moment, in its own time zone, is in a window."""
        return any(start <= when < end for start, end in self._windows(when, -1, 0))

    def opens(self, when: datetime.datetime) -> datetime.datetime:
        """When the next window after that moment begins."""
        return min(start for start, _ in self._windows(when, 0, _DAYS_AHEAD) if start > when)

    def _windows(
        self, when: datetime.datetime, first: int, last: int
    ) -> collections.abc.Iterator[tuple[datetime.datetime, datetime.datetime]]:
        midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
        for ahead in range(first, last + 1):
            day = midnight + datetime.timedelta(days=ahead)
            for days, clocks in self.events:
                if not days or any(day.date() in span for span in days):
                    for clock in clocks:
                        start = day + datetime.timedelta(minutes=clock.start)
                        yield start, day + datetime.timedelta(minutes=clock.end)


def parse(text: str) -> Timer:
    """Read a timer. Raises TimerError."""
    return Timer(text, tuple(_event(part) for part in text.split(",,")))


def _event(text: str) -> tuple[tuple[Days, ...], tuple[Clock, ...]]:
    days: list[Days] = []
    clocks: list[Clock] = []
    for part in text.split(","):
        if ":" in part:
            clocks.append(_clock_span(part))
        elif clocks:
            raise TimerError(f"{part!r} after a time")
        else:
            days.append(_days(part))
    return tuple(days), tuple(clocks) or (Clock(0, 24 * 60),)


def _days(text: str) -> Days:
    ends = [_DAY.fullmatch(part) for part in text.split("-")]
    if len(ends) > 2 or not all(ends):
        raise TimerError(f"{text!r} is no day")
    (first, first_nth), (last, last_nth) = (found.groups() for found in (ends[0], ends[-1]) if found)
    if first_nth and last_nth and last_nth < first_nth:
        raise TimerError(f"{text!r} ends before it begins")
    if len(ends) == 2 and first_nth and (first, first_nth) != (last, last_nth):
        # As snapd takes it: what counts is where it begins.
        last_nth = ""
    return Days(WEEKDAYS.index(first), WEEKDAYS.index(last), int(first_nth or 0), int(last_nth or 0))


def _clock_span(text: str) -> Clock:
    span, slash, count = text.partition("/")
    if slash and not _COUNT.fullmatch(count):
        raise TimerError(f"{text!r} is no time")
    start, dash, end = span.replace("~", "-", 1).partition("-")
    if not dash:
        return Clock(_clock(start, text), _clock(start, text) + 60)
    first, last = _clock(start, text), _clock(end, text)
    return Clock(first, last if last > first else last + 24 * 60)


def _clock(text: str, where: str) -> int:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise TimerError(f"{where!r} is no time")
    return 24 * 60 if found[1] is None else int(found[1]) * 60 + int(found[2])


def _nth(month: datetime.date, weekday: int, nth: int) -> datetime.date:
    """The n-th such weekday of that day's month."""
    _, length = calendar.monthrange(month.year, month.month)
    first = (weekday - month.replace(day=1).weekday()) % 7 + 1
    last = first + (length - first) // 7 * 7
    return month.replace(day=last if nth == LAST else first + 7 * (nth - 1))


def _month_before(day: datetime.date) -> datetime.date:
    return day.replace(day=1) - datetime.timedelta(days=1)


def _month_after(day: datetime.date) -> datetime.date:
    return day.replace(day=28) + datetime.timedelta(days=4)
