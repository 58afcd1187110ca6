"""A client of the cluster that writes all the time, and the proof that nothing that it was promised is lost.

The charm lets in the addresses of its units alone, so the client runs on the machine of one of them, beside the
workload: as a transient service, which outlives the command that starts it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import io
import itertools
import json
import pathlib
import shlex
import types
import zipfile

import database

WRITER = pathlib.Path(__file__).with_name("client_writer.py")
DRIVER = ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six")
"""What the client needs, all of it in pure Python: pg8000 and what it requires."""

_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Write:
    """One attempt to write a row."""

    n: int
    sent: float
    """Seconds of the clock of the client's machine; so is `ended`."""
    ended: float
    outcome: str
    """acknowledged, failed or indeterminate."""
    reason: str
    host: str
    """The server that was written to."""


class Writing:
    """Writes while the context lasts; its end, without an error, compares each unit's rows with what was promised.

    It does not move: the unit that it is on has to stay, with its machine up.
    """

    def __init__(self, cluster: database.Database, unit: str | None = None) -> None:
        """Write to all units of `cluster` from `unit`'s machine, by default the lowest unit's."""
        self._cluster = cluster
        self._unit = unit or ""
        self._name = f"integration-client-{next(_numbers)}"
        self._table = self._name.replace("-", "_")
        self._stopped = False
        self.writes: list[Write] = []
        """What was attempted, once it is over."""

    async def __aenter__(self) -> Writing:
        addresses = await self._cluster.addresses()
        self._unit = self._unit or next(iter(addresses))
        await self._cluster.sql(await self._cluster.primary(), f"CREATE TABLE {self._table} (n bigint PRIMARY KEY)")
        password = (await self._cluster.passwords())["operator-password"]
        run = f"/run/{self._name}"
        await self._ssh(f"mkdir -m 700 {run} && cat >{run}/client.pyz", _program())
        await self._ssh(f"umask 077; cat >{run}/password", f"{password}\n".encode())
        arguments = [f"{run}/writes", self._table, "operator", *addresses.values()]
        await self._ssh(
            f"systemd-run --unit={self._name} --property=StandardInput=file:{run}/password "
            f"python3 {run}/client.pyz {shlex.join(arguments)}"
        )
        await self.await_write()
        await self._ssh(f"rm {run}/password")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        await self.stop()
        if kind is None:
            await self.verify()

    async def await_write(self) -> None:
        """Wait until more writes are acknowledged than were when this was called."""
        before = await self._acknowledged()

        async def more() -> bool:
            return await self._acknowledged() > before

        # A frozen or lost primary gives way after Patroni's ttl of 20 to 30 seconds, and the next one has to start.
        await self._cluster.until("a write that is acknowledged", more, 120)

    async def _acknowledged(self) -> int:
        count = await self._ssh(f"grep -c '\"acknowledged\"' /run/{self._name}/writes || true")
        return int(count.strip() or 0)

    async def stop(self) -> None:
        """Write no more, and get what was recorded."""
        if self._stopped:
            return
        self._stopped = True
        # Stopping waits for the writer's end, so for its last record.
        records = await self._ssh(f"systemctl stop {self._name}; cat /run/{self._name}/writes")
        await self._ssh(f"rm -r /run/{self._name}")
        self.writes = [Write(**json.loads(line)) for line in records.splitlines() if line.endswith("}")]

    def of(self, outcome: str) -> set[int]:
        """Return the numbers of the writes with that outcome."""
        return {write.n for write in self.writes if write.outcome == outcome}

    @property
    def gap(self) -> float:
        """The longest time between two acknowledged writes, in seconds, once it is over."""
        ended = [write.ended for write in self.writes if write.outcome == "acknowledged"]
        return max((after - before for before, after in itertools.pairwise(ended)), default=float("inf"))

    @property
    def moves(self) -> int:
        """How often acknowledged writes have gone to another server than the one before."""
        hosts = [write.host for write in self.writes if write.outcome == "acknowledged"]
        return sum(before != after for before, after in itertools.pairwise(hosts))

    async def verify(self) -> None:
        """Read each unit's rows.

        Raises:
            AssertionError: A row that was acknowledged is not on a unit, or one that was refused is.
        """
        acknowledged, failed = self.of("acknowledged"), self.of("failed")
        assert acknowledged, f"nothing was ever acknowledged: {self.writes[-3:]}"
        for unit, rows in (await self._cluster.replayed(f"SELECT n FROM {self._table}")).items():
            present = {int(row) for row in rows.split()}
            lost = sorted(acknowledged - present)
            assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged writes are not on {unit}: {lost[:5]}..."
            risen = sorted(failed & present)
            assert not risen, f"{len(risen)} writes that were refused are on {unit}: {risen[:5]}..."

    async def _ssh(self, line: str, stdin: bytes = b"") -> str:
        return await self._cluster.ssh(self._unit, f"sudo sh -c {shlex.quote(line)}", stdin)


@functools.cache
def _program() -> bytes:
    """Return the client with its driver as one file that Python runs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in DRIVER:
            for file in importlib.metadata.files(name) or []:
                # pg8000 asks for its own version, which is in the metadata.
                if file.suffix == ".py" or file.name == "METADATA":
                    archive.write(str(file.locate()), str(file))
        archive.write(WRITER, "__main__.py")
    return content.getvalue()
