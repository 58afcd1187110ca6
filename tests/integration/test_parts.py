"""What the integration tests stand on, without a controller: versions of a charm, the order of units, what is lost."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
import subprocess
import typing
import zipfile

import charm_versions
import client
import database
import faults
import pytest
from pytest_operator import plugin

pytestmark = pytest.mark.main_path

VERSIONS = """\
charm_major = 1
workload = "16.15"
charm = "16/0.0.0.post1"  # written by a tool

[snap]
name = "charmed-postgresql"

[snap.revisions]
x86_64 = "416"
aarch64 = "415"
"""


@pytest.fixture
def packed(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "postgresql-machine_amd64.charm"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("refresh_versions.toml", VERSIONS)
        archive.writestr(
            "snap_revisions.json",
            '{"name": "charmed-postgresql", "workload": "16.15", "revisions": {"x86_64": "416", "aarch64": "415"}}',
        )
        dispatch = zipfile.ZipInfo("dispatch")
        dispatch.external_attr = 0o100755 << 16
        archive.writestr(dispatch, "#!/bin/sh\n")
    return path


def test_a_version_differs_in_what_it_pins_alone(packed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The version is named in the file's name and its tables; modes and what else is packed stay."""
    written = charm_versions.write(packed, charm_versions.EARLIER, tmp_path)
    assert written.name == "postgresql-machine_16-1.0.0.charm"
    assert charm_versions.pinned(written, "16/1.0.0") == charm_versions.EARLIER
    with zipfile.ZipFile(written) as archive:
        text = archive.read("refresh_versions.toml").decode()
        assert archive.getinfo("dispatch").external_attr >> 16 == 0o100755
    for line in ('charm = "16/1.0.0"', 'workload = "16.14"', 'x86_64 = "366"', 'aarch64 = "365"', "charm_major = 1"):
        assert line in text.splitlines()


def test_a_file_that_was_not_packed_is_refused() -> None:
    """A line that is to be rewritten and is not there is told by its key."""
    with pytest.raises(ValueError, match="0 lines of 'charm'"):
        charm_versions.rewritten(VERSIONS.replace("charm =", "other ="), charm_versions.EARLIER)


def test_units_are_in_the_order_of_their_numbers() -> None:
    """Ten comes after nine, as units are refreshed by number and not by name."""
    units = ["pg/10", "pg/9", "pg/100", "pg/0"]
    assert sorted(units, key=database.number) == ["pg/0", "pg/9", "pg/10", "pg/100"]


PRIMARY = {"role": "leader", "state": "running"}
STANDBY = {"role": "sync_standby", "state": "streaming"}


@pytest.mark.parametrize(
    ("members", "healthy"),
    [
        ([PRIMARY, STANDBY], True),
        ([PRIMARY], False),
        ([STANDBY, STANDBY], False),
        ([PRIMARY, STANDBY, STANDBY], False),
        ([PRIMARY, {**STANDBY, "state": "starting"}], False),
        ([PRIMARY, {**STANDBY, "role": "replica"}], False),
        ([{**PRIMARY, "state": "starting"}, STANDBY], False),
        ([PRIMARY, PRIMARY], False),
    ],
)
def test_two_members_are_healthy(members: list[dict[str, typing.Any]], healthy: bool) -> None:
    """A cluster is healthy with one running primary and as many synchronous standbys as are wanted, all streaming."""
    assert database.healthy(members, 2) is healthy


def test_an_asynchronous_standby_is_healthy_where_it_may_be() -> None:
    """Where it may be asynchronous, a standby has to stream all the same."""
    members = [PRIMARY, {**STANDBY, "role": "replica"}]
    assert database.healthy(members, 2, synchronous=False)
    assert not database.healthy([PRIMARY, {**members[1], "state": "starting"}], 2, synchronous=False)


class _Hanging:
    """Stands for pytest-operator where `juju` never ends."""

    async def juju(self, *_: str, **__: object) -> None:
        await asyncio.sleep(3600)


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails as a command that was refused does, so that who waits looks again."""
    monkeypatch.setattr(database, "ANSWERED", 0.01)
    found = database.Database(typing.cast(plugin.OpsTest, _Hanging()))
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: juju ssh pg/0 'snap list'"):
        asyncio.run(found.ssh("pg/0", "snap list"))


def test_a_wait_outlasts_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that hangs is broken off when the time is over; what a look raises for good ends the wait at once."""
    found = database.Database(typing.cast(plugin.OpsTest, _Hanging()))

    async def shown() -> str:
        return "the status"

    async def raising() -> None:
        pytest.fail("seen")

    monkeypatch.setattr(database, "POLL", 0.01)
    monkeypatch.setattr(found, "_shown", shown)
    with pytest.raises(AssertionError, match=r"not within 0\.02 s: an end \(TimeoutError: \)\nthe status"):
        asyncio.run(found.until("an end", lambda: asyncio.sleep(3600), 0.02))
    with pytest.raises(pytest.fail.Exception, match="seen"):
        asyncio.run(found.until("an end", raising, 60))


class _Cluster:
    """Answers for a cluster whose units have these rows."""

    def __init__(self, **rows: str) -> None:
        self._rows = rows

    async def replayed(self, query: str) -> dict[str, str]:
        return self._rows


def _writing(outcomes: list[str], **rows: str) -> client.Writing:
    writing = client.Writing(typing.cast(database.Database, _Cluster(**rows)))
    writing.writes = [
        client.Write(n, float(n), n + 0.5, outcome, "", "one" if n < 3 else "two")
        for n, outcome in enumerate(outcomes, 1)
    ]
    return writing


OUTCOMES = ["acknowledged", "failed", "indeterminate", "acknowledged"]


def test_a_gap_is_between_acknowledged_writes() -> None:
    """Writes that failed or are uncertain end no gap; a move is a change of the server between acknowledged ones."""
    writing = _writing(OUTCOMES)
    assert (writing.gap, writing.moves) == (3.0, 1)
    assert _writing(["acknowledged"]).gap == float("inf")


@pytest.mark.parametrize("rows", ["1\n4", "1\n3\n4"])
def test_an_indeterminate_write_may_be_there_or_not(rows: str) -> None:
    """A write without an answer counts as neither lost nor risen."""
    asyncio.run(_writing(OUTCOMES, a="1\n4", b=rows).verify())


@pytest.mark.parametrize(
    ("outcomes", "rows", "message"),
    [
        (OUTCOMES, "1", "1 of 2 acknowledged writes are not on b"),
        (OUTCOMES, "1\n2\n4", "1 writes that were refused are on b"),
        (["failed"], "", "nothing was ever acknowledged"),
    ],
)
def test_a_lost_or_risen_write_is_told(outcomes: list[str], rows: str, message: str) -> None:
    """An acknowledged row that a unit lacks, a refused one that it has, and a client that got nowhere each fail."""
    with pytest.raises(AssertionError, match=message):
        asyncio.run(_writing(outcomes, a="1\n4", b=rows).verify())


FAULT = faults.Fault(
    "broken", [faults.Edit("a.py", "good", "bad")], ["test_x.py::test_a", "test_x.py::test_b"], "it is"
)


def test_a_fault_is_put_where_it_belongs(tmp_path: pathlib.Path) -> None:
    """A text that is there once is replaced; one that is there twice is refused."""
    charm = tmp_path / "a.charm"
    with zipfile.ZipFile(charm, "w") as archive:
        archive.writestr("a.py", "is good")
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(faults.broken(charm, FAULT, tmp_path / "out")) as archive:
        assert archive.read("a.py") == b"is bad"
    with zipfile.ZipFile(charm, "w") as archive:
        archive.writestr("a.py", "is good, good")
    with pytest.raises(ValueError, match="2 times"):
        faults.broken(charm, FAULT, tmp_path / "out")


def test_a_fault_has_to_be_told_by_its_test() -> None:
    """A fault is told if its last test fails, alone and with the fault's words; nothing less counts."""
    report = "E   AssertionError: it is broken\nFAILED /tree/test_x.py::test_b - AssertionError\n"
    assert faults.judge(FAULT, 1, report) == "AssertionError: it is broken"
    for status, text in [
        (0, ""),
        (1, report.replace("test_b", "test_a")),
        (1, report + "FAILED /tree/test_x.py::test_a - x\n"),
        (1, report.replace("it is", "it was")),
    ]:
        with pytest.raises(AssertionError):
            faults.judge(FAULT, status, text)


def test_a_fault_that_does_not_fit_is_told_and_the_others_are_run(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault whose text or file is gone counts as one that was not told; the faults after it are judged."""
    charm = tmp_path / "a.charm"
    with zipfile.ZipFile(charm, "w") as archive:
        archive.writestr("a.py", "is good")
    gone = [
        dataclasses.replace(FAULT, name=name, edits=[faults.Edit(file, "bad", "worse")])
        for name, file in (("no text", "a.py"), ("no file", "b.py"))
    ]
    monkeypatch.setattr(faults, "FAULTS", [*gone, FAULT])
    report = "E   AssertionError: it is broken\nFAILED /tree/test_x.py::test_b - AssertionError\n"
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, stdout=report, stderr="")
    )
    assert faults.main([str(charm)]) == 1
    told = capsys.readouterr().out
    assert "NOT APPLIED: no text: a.py has 0 times" in told
    assert "NOT APPLIED: no file: there is no b.py" in told
    assert "AssertionError: it is broken" in told
