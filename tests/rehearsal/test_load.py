"""The client of a rehearsal, with its commands run as processes against real servers."""

from __future__ import annotations

import pathlib
import stat
import time

import postgresql_server
import pytest

from rehearsal import history, load, records


@pytest.mark.parametrize(
    ("password", "line"),
    [
        ("plain", "*:*:*:operator:plain"),
        ("with:colon", r"*:*:*:operator:with\:colon"),
        ("a\\b", r"*:*:*:operator:a\\b"),
    ],
)
def test_the_passfile_is_for_its_owner_and_goes_with_its_context(password: str, line: str) -> None:
    with load.passfile({"operator": password, "replication": "other"}) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text().splitlines() == [line, "*:*:*:replication:other"]
    assert not path.exists()


def test_the_way_into_a_machines_network_is_the_labs_command() -> None:
    assert load.in_network_of("juju-1-0")(["program", "--option"])[-5:] == [
        "netns",
        "juju-1-0",
        "--",
        "program",
        "--option",
    ]


def wait_for_writes(client: load.Load, count: int) -> history.History:
    limit = time.monotonic() + 30
    while len(client.history.writes) < count:
        client.check()
        assert time.monotonic() < limit
        time.sleep(0.05)
    return client.history


@pytest.mark.postgresql
def test_it_writes_until_it_is_stopped_and_reads_everything_back(
    cluster: list[postgresql_server.Server], tmp_path: pathlib.Path
) -> None:
    with load.passfile(
        {"operator": postgresql_server.PASSWORD, "replication": postgresql_server.PASSWORD}
    ) as passwords:
        client = load.Load([one.host for one in cluster], tmp_path, passwords, port=str(cluster[0].port))
        client.start()
        wait_for_writes(client, 20)
        client.stop()
        recorded = client.history
        copies = client.read_back()
    assert recorded.counts() == {records.Outcome.ACKNOWLEDGED: len(recorded.writes)}
    assert [copy.sequences for copy in copies] == [[(1, len(recorded.writes))]] * 2
    assert [copy.problem for copy in copies] == ["", ""]


@pytest.mark.postgresql
def test_a_writer_that_ends_by_itself_is_noticed(
    cluster: list[postgresql_server.Server], tmp_path: pathlib.Path
) -> None:
    def prepared_only(command: list[str]) -> list[str]:
        return command if "--prepare" in command else ["sh", "-c", "echo no memory >&2; exit 1"]

    with load.passfile({"operator": postgresql_server.PASSWORD}) as passwords:
        client = load.Load([cluster[0].host], tmp_path, passwords, prepared_only, port=str(cluster[0].port))  # type: ignore[arg-type]
        client.start()
        with pytest.raises(RuntimeError, match="no memory"):
            wait_for_writes(client, 1)
        client.stop()
