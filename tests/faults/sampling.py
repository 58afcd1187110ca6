"""What is looked at all the time, a tenth of a second apart: who is the primary, and which snap each unit has.

Each unit's PostgreSQL is asked in its own machine's network, so that one that is cut off is heard too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence

import sighting

from rehearsal import deployment, load, records

INTERVAL_SECONDS = 0.1
DEADLINE_SECONDS = 2.0
"""How long one question may take, and before it the connection as long again (rehearsal/postgresql.py)."""
HOLE_SECONDS = 2 * DEADLINE_SECONDS + 2.0
"""How long the samples may leave in the dark what happens. The host may be busy with other things."""


class Sampler:
    """Samples three units while the context lasts."""

    def __init__(
        self,
        machines: Mapping[str, sighting.Machine],
        addresses: Mapping[str, str],
        sizes: Mapping[int, str],
        directory: pathlib.Path,
    ) -> None:
        self._machines = machines
        self._addresses = addresses
        self._sizes = sizes
        self._directory = directory
        self._stack = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_at_revisions, daemon=True)
        self.revisions: dict[str, set[str]] = {unit: set() for unit in machines}
        """The revisions of the snap that were current on each unit since `forget_revisions`."""

    def start(self, passwords: pathlib.Path) -> None:
        """Begin. passwords: as `load.passfile` gives them."""
        self._directory.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PGPASSFILE": str(passwords), "PYTHONPATH": str(load.TREE)}
        for unit, machine in self._machines.items():
            reader = [sys.executable, "-m", "rehearsal.reader", f"--host={self._addresses[unit]}"]
            reader += [f"--user={deployment.USER}", f"--interval={INTERVAL_SECONDS}", f"--deadline={DEADLINE_SECONDS}"]
            output = self._stack.enter_context(self._records(unit).open("wb"))
            log = self._stack.enter_context(self._records(unit).with_suffix(".log").open("wb"))
            self._processes[unit] = subprocess.Popen(
                load.in_network_of(machine.name)(reader),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=log,
                env=environment,
                cwd=load.TREE,
            )
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()
        for process in self._processes.values():
            assert process.stdin
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for process in self._processes.values():
            process.wait(timeout=30)
        self._stack.close()

    def forget_revisions(self) -> None:
        """Begin anew to collect the snap's revisions."""
        for seen in self.revisions.values():
            seen.clear()

    def gaps(self, start: float, end: float) -> list[str]:
        """Return what the samples do not tell of that time, in words."""
        found = [
            f"the sampler of {unit} has ended"
            for unit, process in self._processes.items()
            if process.poll() is not None
        ]
        if not self._thread.is_alive():
            found.append("nobody looks at the snaps' revisions any more")
        for unit in self._machines:
            longest = longest_hole(self.reads(unit, start, end), start, end)
            if longest > HOLE_SECONDS:
                found.append(f"{unit} was not sampled for {longest:.1f} s")
        return found

    def primaries(self, when: float) -> set[str]:
        """Return the units that were primaries when they were last asked before that time."""
        found: set[str] = set()
        for unit in self._machines:
            answers = [read for read in self.reads(unit, when - 2 * HOLE_SECONDS, when) if read.ended <= when]
            if answers and answers[-1].primary:
                found.add(unit)
        return found

    def reads(self, unit: str, start: float, end: float) -> list[records.Read]:
        """Return what a unit's PostgreSQL was asked between the two times.

        Raises:
            AssertionError: Nothing was.
        """
        lines = self._records(unit).read_text().splitlines(keepends=True)
        decoded = (records.decode(line) for line in lines if line.endswith("\n"))
        found = [read for read in decoded if isinstance(read, records.Read) and start <= read.sent <= end]
        assert found, f"{unit} was not sampled"
        return found

    def overlaps(self, start: float, end: float) -> list[str]:
        """Return when there was more than one primary, in words: two that could acknowledge writes, or two at all."""
        reads = {unit: self.reads(unit, start, end) for unit in self._machines}
        return two_primaries(reads)

    def _records(self, unit: str) -> pathlib.Path:
        return self._directory / f"{unit.replace('/', '-')}.jsonl"

    def _look_at_revisions(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            for unit, machine in self._machines.items():
                revision = machine.revision(self._sizes)
                if revision:
                    self.revisions[unit].add(revision)


def longest_hole(reads: Iterable[records.Read], start: float, end: float) -> float:
    """Return the longest time between two answers, or failures to get one, in seconds."""
    times = [start, *(read.ended for read in reads if start < read.ended < end), end]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def two_primaries(reads: Mapping[str, Sequence[records.Read]]) -> list[str]:
    """Return when there was more than one primary, in words, from what each unit answered.

    Where both could acknowledge writes, each of which the other does not have, that is told alone.
    """
    found: list[str] = []
    for one, other in itertools.combinations(reads, 2):
        for acknowledging, what in ((True, "acknowledged writes"), (False, "were primaries")):
            spans = (primary_spans(reads[unit], acknowledging=acknowledging) for unit in (one, other))
            seconds = shared(*spans)
            if seconds > 0:
                found.append(f"{one} and {other} {what} at once for {seconds:.1f} s")
                break
    return found


def primary_spans(reads: Iterable[records.Read], *, acknowledging: bool = False) -> list[tuple[float, float]]:
    """Return when a server was a primary for certain: from the answer to a first read to the sending of a later one.

    acknowledging: only while it could acknowledge a write.
    """
    found: list[tuple[float, float]] = []
    first: records.Read | None = None
    for read in reads:
        if not (read.acknowledges if acknowledging else read.primary):
            first = None
        elif first is None:
            first = read
            found.append((read.ended, read.ended))
        else:
            found[-1] = (first.ended, read.sent)
    return [span for span in found if span[1] > span[0]]


def shared(some: Iterable[tuple[float, float]], others: Iterable[tuple[float, float]]) -> float:
    """Return how long spans of the one and of the other overlap, in seconds."""
    others = list(others)
    return sum(max(0.0, min(one[1], two[1]) - max(one[0], two[0])) for one in some for two in others)


def answers_again(reads: Sequence[records.Read], since: float, patience: float) -> float | None:
    """Return when a server answered again that stopped answering within `patience` seconds; `since` if it did not stop.

    None: it has not answered again.
    """
    down = next((read for read in reads if since - 1 <= read.sent <= since + patience and read.primary is None), None)
    if down is None:
        return since
    back = (read.ended for read in reads if read.sent > down.sent and read.primary is not None)
    return next((time for time in back if time >= since), None)
