"""A client that writes to an application all the time and in the end reads everything back, on every unit."""

from __future__ import annotations

import contextlib
import pathlib
import time
import types

import application

from rehearsal import history, load, readback, records

FIRST = 10_000_000
"""Distance between the numbers of one client's writes and the next one's."""


class Writing:
    """Writes while the context lasts. Without an error, its end reads back and raises if anything was lost.

    The client is in the network of a unit's machine, since only units may connect; it moves when that unit leaves.
    """

    def __init__(self, applied: application.Application, directory: pathlib.Path) -> None:
        self._application = applied
        self._directory = directory
        self._loads: list[load.Load] = []
        self._stack = contextlib.ExitStack()
        self._passwords: pathlib.Path | None = None
        self.unit = ""
        """Whose machine the client is on."""

    def __enter__(self) -> Writing:
        self._passwords = self._stack.enter_context(load.passfile(self._application.passwords()))
        self.move(next(iter(self._application.addresses())))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        with self._stack:
            self.stop()
            if kind is None:
                self.verify()

    def move(self, unit: str) -> None:
        """Write from that unit's machine, to the units that there are now."""
        before = self._loads[-1] if self._loads else None
        directory = self._directory / str(len(self._loads))
        directory.mkdir(parents=True)
        client = self._client(unit, directory)
        client.start(first=1 + len(self._loads) * FIRST, prepare=not self._loads)
        self._loads.append(client)
        self.unit = unit
        self.await_write()
        if before is not None:
            before.stop()

    def _client(self, unit: str, directory: pathlib.Path) -> load.Load:
        assert self._passwords
        reach = load.in_network_of(self._application.hostname(unit))
        return load.Load(list(self._application.addresses().values()), directory, self._passwords, reach)

    def await_write(self, seconds: float = application.PATIENCE) -> float:
        """Wait until a write is acknowledged that was sent from now on; return how long it took."""
        begun = time.monotonic()

        def acknowledged() -> bool:
            self._loads[-1].check()
            writes = self._loads[-1].history.writes
            return any(
                write.sent >= begun and write.outcome is records.Outcome.ACKNOWLEDGED
                for write in reversed(writes[-50:])
            )

        self._application.until("a write that is acknowledged", acknowledged, seconds)
        return time.monotonic() - begun

    def stop(self) -> None:
        """Write no more."""
        for client in self._loads:
            client.stop()

    @property
    def history(self) -> history.History:
        """What all clients together have recorded."""
        recorded = [client.history for client in self._loads]
        writes = sorted((write for each in recorded for write in each.writes), key=lambda write: write.ended)
        connections = sorted((one for each in recorded for one in each.connections), key=lambda one: one.time)
        return history.History([*connections, *writes])

    def gap(self, start: float, end: float | None = None) -> float:
        """Return the longest time without an acknowledged write since `start`, in seconds."""
        longest = self.history.longest_gap(start, time.monotonic() if end is None else end)
        assert longest is not None, "nothing was ever acknowledged"
        return longest

    def verify(self) -> None:
        """Read every unit's copy.

        Raises:
            AssertionError: An acknowledged write is not there, a refused one is, or a checksum is wrong.
        """
        recorded = self.history
        assert recorded.counts()[records.Outcome.ACKNOWLEDGED], "nothing was ever acknowledged"
        copies = read_back(self._application, self._directory)
        assert sum(copy.primary for copy in copies) == 1
        for copy in copies:
            check(copy, recorded)


def read_back(applied: application.Application, directory: pathlib.Path) -> list[readback.Copy]:
    """Return the copy of every unit that there is."""
    addresses = applied.addresses()
    with load.passfile(applied.passwords()) as passwords:
        reach = load.in_network_of(applied.machine())
        copies = load.Load(list(addresses.values()), directory, passwords, reach).read_back()
    assert {copy.host for copy in copies} == set(addresses.values())
    return copies


def check(copy: readback.Copy, recorded: history.History) -> None:
    """Compare a copy with what a client recorded.

    Raises:
        AssertionError: An acknowledged write is not there, a refused one is, or a checksum is wrong.
    """
    present = {number for first, last in copy.sequences for number in range(first, last + 1)}
    lost = [write.sequence for write in recorded.lost(present)]
    assert not lost, f"{len(lost)} acknowledged writes are not on {copy.host}, the first is {lost[0]}"
    assert not recorded.resurrected(present), f"writes that were refused are on {copy.host}"
    assert not copy.problem, f"{copy.host}: {copy.problem}"
    assert copy.verified_bytes > 0, f"{copy.host}: no checksums were verified"
