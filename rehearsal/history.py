"""A writer's history and the questions that a rehearsal asks of it."""

from __future__ import annotations

import bisect
import collections
import itertools
import pathlib
from collections.abc import Collection, Iterable

from rehearsal import records


class History:
    """All that one writer has recorded so far, in the order of time."""

    def __init__(self, recorded: Iterable[records.Record] = ()) -> None:
        self.writes: list[records.Write] = []
        self.connections: list[records.Connection] = []
        self._acknowledged: list[records.Write] = []
        self._times: list[float] = []
        for record in recorded:
            self.add(record)

    def add(self, record: records.Record) -> None:
        """Append a record, which must not be older than the last one of its kind."""
        if isinstance(record, records.Connection):
            self.connections.append(record)
            return
        self.writes.append(record)
        if record.outcome is records.Outcome.ACKNOWLEDGED:
            self._acknowledged.append(record)
            self._times.append(record.ended)

    def acknowledged(self, start: float, end: float) -> list[records.Write]:
        """Return the writes that were acknowledged in [start, end)."""
        return self._acknowledged[bisect.bisect_left(self._times, start) : bisect.bisect_left(self._times, end)]

    def counts(self) -> collections.Counter[records.Outcome]:
        """Return how many writes ended in each way."""
        return collections.Counter(write.outcome for write in self.writes)

    def longest_gap(self, start: float, end: float) -> float | None:
        """Return the longest time without an acknowledged write that touches [start, end], in seconds.

        A gap that begins before the interval or ends after it counts in full: it is what a client lived through. Where
        no write was acknowledged after the last one, the gap is taken to end with the interval. None: the writer had
        not had a single acknowledgement by the end of the interval.
        """
        first = max(bisect.bisect_right(self._times, start) - 1, 0)
        last = bisect.bisect_left(self._times, end)
        times = self._times[first : last + 1]
        if not times or times[0] > end:
            return None
        if times[-1] < end:
            times = [*times, end]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

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


class Follower:
    """Reads a writer's file into a history while the writer still appends to it."""

    def __init__(self, path: pathlib.Path) -> None:
        self.history = History()
        self._path = path
        self._position = 0

    def poll(self) -> History:
        """Read the complete lines that were added since the last call; return the history.

        Raises:
            ValueError: A line is no record.
        """
        if not self._path.exists():
            return self.history
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._position += len(line)
                self.history.add(records.decode(line.decode()))
        return self.history
