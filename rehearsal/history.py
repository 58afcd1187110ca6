"""The history of a writer and of readers, and the questions that a rehearsal asks of it."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import enum
import itertools
import math
import pathlib
from collections.abc import Collection, Iterable, Sequence

from rehearsal import records


class State(enum.StrEnum):
    """What a server is to a client."""

    PRIMARY = "primary"
    STANDBY = "standby"
    DOWN = "down"
    """It does not answer."""

    @classmethod
    def of(cls, read: records.Read) -> State:
        """What a read has found."""
        if read.primary is None:
            return cls.DOWN
        return cls.PRIMARY if read.primary else cls.STANDBY


@dataclasses.dataclass(frozen=True)
class Span:
    """A time in which a server was the same to its reader."""

    start: float
    end: float
    state: State
    version: str = ""
    """The server's version; empty while it did not answer."""


class Endpoint:
    """All that the reader of one server has recorded so far, in the order of time."""

    def __init__(self) -> None:
        self._answered: list[float] = []
        self._spans: list[Span] = []

    def add(self, read: records.Read) -> None:
        """Append a read, which must not be older than the last one."""
        state = State.of(read)
        if state is not State.DOWN:
            self._answered.append(read.ended)
        present = self._spans[-1] if self._spans else None
        if present and (present.state, present.version) == (state, read.version):
            self._spans[-1] = dataclasses.replace(present, end=read.ended)
        else:
            # A server that stopped did so after its last answer; one that came back was back when it was asked.
            start = present.end if present else read.sent
            self._spans.append(Span(start, read.ended, state, read.version))

    @property
    def state(self) -> State:
        """What the server was at last."""
        return self._spans[-1].state if self._spans else State.DOWN

    def spans(self, start: float = -math.inf, end: float = math.inf) -> list[Span]:
        """Return the spans that touch [start, end], without holes between them."""
        return [span for span in self._spans if span.end >= start and span.start <= end]

    def longest_gap(self, start: float, end: float) -> float | None:
        """Return the longest time without an answer that touches [start, end], as `longest_gap` counts it."""
        return longest_gap(self._answered, start, end)


class History:
    """All that one writer and the servers' readers have recorded so far, in the order of time."""

    def __init__(self, recorded: Iterable[records.Record] = ()) -> None:
        self.writes: list[records.Write] = []
        self.connections: list[records.Connection] = []
        self.endpoints: dict[str, Endpoint] = {}
        """By the server's address."""
        self._acknowledged: list[records.Write] = []
        self._times: list[float] = []
        for record in recorded:
            self.add(record)

    def add(self, record: records.Record) -> None:
        """Append a record, which must not be older than the last one of its kind."""
        if isinstance(record, records.Connection):
            self.connections.append(record)
            return
        if isinstance(record, records.Read):
            self.endpoints.setdefault(record.host, Endpoint()).add(record)
            return
        self.writes.append(record)
        if record.outcome is records.Outcome.ACKNOWLEDGED:
            self._acknowledged.append(record)
            self._times.append(record.ended)

    def acknowledged(self, start: float, end: float) -> list[records.Write]:
        """Return the writes that were acknowledged in [start, end)."""
        return self._acknowledged[bisect.bisect_left(self._times, start) : bisect.bisect_left(self._times, end)]

    @property
    def last_acknowledged(self) -> float | None:
        """When a write was last acknowledged; None if none was."""
        return self._times[-1] if self._times else None

    def counts(self) -> collections.Counter[records.Outcome]:
        """Return how many writes ended in each way."""
        return collections.Counter(write.outcome for write in self.writes)

    def longest_gap(self, start: float, end: float) -> float | None:
        """Return the longest time without an acknowledged write that touches [start, end], as `longest_gap` counts."""
        return longest_gap(self._times, start, end)

    def gaps(self, start: float, end: float, least: float) -> list[tuple[float, float]]:
        """Return the times of at least `least` seconds in [start, end] between two acknowledged writes, each in full.

        What comes before the first acknowledgement, or has not ended yet, is none.
        """
        return [
            (earlier, later)
            for earlier, later in itertools.pairwise(self._times)
            if later - earlier >= least and later >= start and earlier <= end
        ]

    def timeline(self, time: float) -> int | None:
        """Return the timeline of the server that the writer was last connected to at that time."""
        position = bisect.bisect_right([connection.time for connection in self.connections], time)
        return self.connections[position - 1].timeline if position else None

    def switchovers(self, start: float, end: float) -> int:
        """Return how many times another server (or the same anew) was promoted between the two times."""
        before = self.timeline(start)
        if before is None:
            before = self.connections[0].timeline if self.connections else 0
        return (self.timeline(end) or before) - before

    def lost(self, present: Collection[int]) -> list[records.Write]:
        """Return the acknowledged writes whose sequence numbers are not in `present`."""
        return [write for write in self._acknowledged if write.sequence not in present]

    def resurrected(self, present: Collection[int]) -> list[records.Write]:
        """Return the failed writes that are in `present` nevertheless: the client was told wrong."""
        return [write for write in self.writes if write.outcome is records.Outcome.FAILED and write.sequence in present]


def longest_gap(times: Sequence[float], start: float, end: float) -> float | None:
    """Return the longest of the times between two successes that touches [start, end], in seconds.

    A gap that begins before the interval or ends after it counts in full: it is what a client lived through. Where
    nothing succeeded after the last time, the gap is taken to end with the interval. None: there had not been a single
    success by the end of the interval.

    Args:
        times: When something succeeded, ascending.
        start: The interval's beginning.
        end: The interval's end.
    """
    first = max(bisect.bisect_right(times, start) - 1, 0)
    last = bisect.bisect_left(times, end)
    touching = list(times[first : last + 1])
    if not touching or touching[0] > end:
        return None
    if touching[-1] < end:
        touching.append(end)
    return max((later - earlier for earlier, later in itertools.pairwise(touching)), default=0.0)


class Follower:
    """Reads clients' files into a history while they are still appended to."""

    def __init__(self, *paths: pathlib.Path) -> None:
        self.history = History()
        self._positions = dict.fromkeys(paths, 0)

    def poll(self) -> History:
        """Read the complete lines that were added since the last call; return the history.

        Raises:
            ValueError: A line is no record.
        """
        for path in self._positions:
            if path.exists():
                self._poll(path)
        return self.history

    def _poll(self, path: pathlib.Path) -> None:
        with path.open("rb") as file:
            file.seek(self._positions[path])
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._positions[path] += len(line)
                self.history.add(records.decode(line.decode()))
