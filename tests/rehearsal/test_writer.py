"""The writer against real servers: what it may promise in each kind of trouble."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Iterator

import postgresql_server
import psycopg
import pytest
from psycopg import pq

from rehearsal import history, postgresql, readback, records, writer

pytestmark = pytest.mark.postgresql

Servers = list[postgresql_server.Server]


@pytest.fixture
def table(cluster: Servers) -> Servers:
    readback.prepare([one.host for one in cluster], user="operator", port=cluster[0].port)
    cluster[0].wait_for_standby()
    return cluster


class Writers:
    """Makes writers, and ends them with the test."""

    def __init__(self, stack: contextlib.ExitStack, servers: Servers) -> None:
        self._stack = stack
        self._servers = servers

    def __call__(self, *, deadline: float = 5, patience: float = 10) -> writer.Writer:
        conninfos = [postgresql.conninfo([one.host], port=one.port, user="operator") for one in self._servers]
        one = writer.Writer(conninfos, deadline=deadline, patience=patience)
        self._stack.callback(one.close)
        return one


@pytest.fixture
def writers(table: Servers) -> Iterator[Writers]:
    with contextlib.ExitStack() as stack:
        yield Writers(stack, table)


def present(one: postgresql_server.Server) -> set[int]:
    return {int(str(sequence)) for (sequence,) in one.query("SELECT sequence FROM writes", postgresql.DATABASE)}


def outcome(recorded: list[records.Record]) -> records.Write:
    assert isinstance(recorded[-1], records.Write)
    return recorded[-1]


def test_an_acknowledged_write_is_there(table: Servers, writers: Writers) -> None:
    one = writers()
    connection, first = one.write(1)
    [second] = one.write(2)
    one.close()
    assert isinstance(connection, records.Connection)
    assert (connection.host, connection.timeline) == (table[0].host, 1)
    assert outcome([first]).outcome == outcome([second]).outcome == records.Outcome.ACKNOWLEDGED
    assert outcome([first]).sent <= outcome([first]).ended <= outcome([second]).sent
    assert present(table[0]) == {1, 2}


def test_a_refused_write_has_failed(table: Servers, writers: Writers) -> None:
    one = writers()
    one.write(1)
    refused = outcome(one.write(1))
    one.close()
    assert refused.outcome is records.Outcome.FAILED
    assert "duplicate key" in refused.reason


def test_without_a_server_that_takes_writes_it_has_failed(table: Servers, writers: Writers) -> None:
    table[0].stop()
    refused = outcome(writers(patience=0.5).write(1))
    assert refused.outcome is records.Outcome.FAILED
    assert f"{table[1].host}: session is read-only" in refused.reason
    assert present(table[1]) == set()


def test_a_server_that_is_stopped_between_two_writes_leaves_the_next_one_open(table: Servers, writers: Writers) -> None:
    one = writers(patience=0.5)
    while outcome(one.write(1)).outcome is not records.Outcome.ACKNOWLEDGED:
        pass
    table[0].stop()
    assert outcome(one.write(2)).outcome is records.Outcome.INDETERMINATE
    assert outcome(one.write(3)).outcome is records.Outcome.FAILED


def test_an_answer_that_does_not_come_is_not_waited_for(table: Servers, writers: Writers) -> None:
    one = writers(deadline=0.5)
    one.write(1)
    table[0].signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        frozen = outcome(one.write(2))
    finally:
        table[0].signal(signal.SIGCONT)
    assert frozen.outcome is records.Outcome.INDETERMINATE
    assert 0.5 <= time.monotonic() - begun < 2


@dataclasses.dataclass
class Result:
    """What libpq returns, as far as it is judged."""

    status: pq.ExecStatus
    severity: bytes = b""
    error_message: bytes = b"told\nmore"

    def error_field(self, field: pq.DiagnosticField) -> bytes | None:
        return self.severity if field == pq.DiagnosticField.SEVERITY_NONLOCALIZED else None


@pytest.mark.parametrize("severity", [b"FATAL", b"PANIC", b""])
def test_the_end_of_a_session_says_nothing_about_its_last_write(severity: bytes) -> None:
    # Whether libpq returns this as a result or raises depends on how the server's last packets arrive.
    result: typing.Any = Result(pq.ExecStatus.FATAL_ERROR, severity)
    with pytest.raises(postgresql.Unknown, match=r"^told$"):
        postgresql.judge(result, [])


class Meanwhile:
    """Runs a query again and again in another process until it returns a row."""

    def __init__(self, one: postgresql_server.Server, query: str) -> None:
        conninfo = postgresql.conninfo([one.host], port=one.port, user="operator", application_name="other")
        program = (
            "import sys, time, psycopg\n"
            "with psycopg.connect(sys.argv[1], autocommit=True) as connection:\n"
            "    while not connection.execute(sys.argv[2].encode()).fetchall():\n"
            "        time.sleep(0.05)\n"
        )
        self._command = [sys.executable, "-c", program, conninfo, query]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def test_a_cancelled_wait_for_the_standby_is_no_acknowledgement(table: Servers, writers: Writers) -> None:
    primary, standby = table
    primary.query("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    primary.query("SELECT pg_reload_conf()")
    one = writers(deadline=20)
    standby.stop()
    cancel = (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'rehearsal' AND wait_event = 'SyncRep'"
    )
    with Meanwhile(primary, cancel):
        cancelled = outcome(one.write(1))
    # The row is on the primary's disk, and a client that took the command's tag for a promise would rely on it.
    assert present(primary) == {1}
    assert cancelled.outcome is records.Outcome.INDETERMINATE
    assert "synchronous replication" in cancelled.reason


def test_a_session_that_is_ended_during_a_write_leaves_it_open(table: Servers, writers: Writers) -> None:
    primary, _ = table
    one = writers(deadline=20)
    one.write(1)
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'rehearsal' AND wait_event_type = 'Lock'"
    )
    holder = postgresql.conninfo([primary.host], port=primary.port, user="operator")
    with psycopg.connect(holder) as connection:
        connection.execute("LOCK TABLE writes")
        with Meanwhile(primary, terminate):
            ended = outcome(one.write(2))
    assert ended.outcome is records.Outcome.INDETERMINATE
    assert "terminating connection" in ended.reason


def test_it_follows_a_promotion_and_tells_the_timeline(table: Servers, writers: Writers) -> None:
    primary, standby = table
    output = io.StringIO()
    counter = itertools.count()

    def wait(_: float) -> bool:
        written = next(counter)
        if written == 5:
            primary.stop()
        if written == 15:
            standby.promote()
        return written == 40

    writer.run(writers(patience=0.25), output, interval=0, wait=wait)
    recorded = history.History(records.decode(line) for line in output.getvalue().splitlines())
    assert [connection.timeline for connection in recorded.connections] == [1, 2]
    assert recorded.switchovers(recorded.writes[0].sent, recorded.writes[-1].ended) == 1
    assert [write.sequence for write in recorded.writes] == list(range(1, 42))
    assert recorded.lost(present(standby)) == []
    assert recorded.resurrected(present(standby)) == []
    assert recorded.counts()[records.Outcome.ACKNOWLEDGED] >= 30
    assert recorded.counts()[records.Outcome.FAILED] >= 5


def test_the_command_writes_until_its_input_ends(table: Servers, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "writes.jsonl"
    with path.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rehearsal.writer", *(f"--host={one.host}" for one in table)),
                *(f"--port={table[0].port}", "--user=operator", "--interval=0.01"),
            ],
            stdin=subprocess.PIPE,
            stdout=output,
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(writer.__file__).parents[1])},
        )
        follower = history.Follower(path)
        limit = time.monotonic() + 30
        while len(follower.poll().writes) < 20 and time.monotonic() < limit:
            time.sleep(0.05)
        assert process.stdin
        process.stdin.close()
        assert process.wait(timeout=10) == 0
    recorded = follower.poll()
    assert recorded.counts() == {records.Outcome.ACKNOWLEDGED: len(recorded.writes)}
    assert present(table[0]) == {write.sequence for write in recorded.writes}
    paced = recorded.writes[1:]  # the first one waited for its connection
    assert 0.01 <= (paced[-1].sent - paced[0].sent) / (len(paced) - 1) < 0.1
