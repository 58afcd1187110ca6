"""The requests to snapd, over a real socket; and what becomes of holds that snapd refuses."""

from __future__ import annotations

import collections.abc
import datetime
import http.server
import json
import pathlib
import socketserver
import threading
import typing

import pytest

from snap_refresh import execution, model
from tests.fakes import snaps
from workload import files, paths, snap, snapd

Answer = dict[str, typing.Any]


class Daemon:
    """Answers like snapd, and keeps what it was asked."""

    def __init__(self, path: pathlib.Path):
        self.path = str(path)
        self.asked: list[tuple[str, str, typing.Any]] = []
        self.answer: Answer = {"type": "sync", "result": []}
        self.raw: bytes | None = None
        self.headers: dict[str, str] = {}


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> collections.abc.Iterator[Daemon]:
    made = Daemon(tmp_path / "snapd.socket")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.asked.append((self.command, self.path, json.loads(body) if body else None))
            self.send_response(200)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(made.answer).encode() if made.raw is None else made.raw)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with socketserver.UnixStreamServer(made.path, Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        server.shutdown()


def test_the_revisions_that_the_machine_has(daemon: Daemon) -> None:
    daemon.answer = {"type": "sync", "result": [{"name": "db", "revision": "2"}, {"name": "db", "revision": "x1"}]}
    assert snapd.Snapd(daemon.path).revisions("db") == {"2", "x1"}
    assert daemon.asked == [("GET", "/v2/snaps?select=all&snaps=db", None)]


def test_the_store_is_asked_for_a_revision_without_downloading_it(daemon: Daemon) -> None:
    client = snapd.Snapd(daemon.path)
    daemon.headers, daemon.raw = {"Snap-Length": "123"}, b""
    assert client.download_bytes("db", "416") == 123
    asked = {"snap-name": "db", "revision": "416", "header-peek": True}
    assert daemon.asked == [("POST", "/v2/download", asked)]
    daemon.headers, daemon.raw = {}, None
    daemon.answer = {"type": "error", "result": {"message": "cannot download snap: no such revision"}}
    with pytest.raises(snap.SnapOperationError, match="cannot download snap: no such revision"):
        client.download_bytes("db", "416")


def test_questions(daemon: Daemon) -> None:
    client = snapd.Snapd(daemon.path)
    daemon.answer = {"type": "sync", "result": [{"name": "core24", "revision": "2"}]}
    assert client.updates() == [{"name": "core24", "revision": "2"}]
    ends = {"interface": "content", "plug": {"snap": "db", "plug": "a"}, "slot": {"snap": "other", "slot": "b"}}
    daemon.answer = {"type": "sync", "result": {"established": [ends]}}
    assert client.connections("db") == [("content", "db", "other")]
    daemon.answer = {"type": "sync", "result": {}}
    assert client.connections("db") == []
    changes = [{"kind": "refresh-snap", "summary": "one"}, {"kind": "install-snap", "summary": "two"}]
    daemon.answer = {"type": "sync", "result": [*changes, {"kind": "auto-refresh", "summary": "three"}]}
    assert client.changes() == ["one", "three"]
    assert daemon.asked == [
        ("GET", "/v2/find?select=refresh", None),
        ("GET", "/v2/connections?snap=db", None),
        ("GET", "/v2/connections?snap=db", None),
        ("GET", "/v2/changes?select=in-progress", None),
    ]


@pytest.mark.parametrize(
    ("end", "marked"),
    [("00.500000", True), ("00.500312", True), ("00.79", True), ("00", False), ("00.000312", False), ("00.1", False)],
)
def test_a_hold_of_the_charms_is_known_by_the_second_in_which_it_ends(end: str, marked: bool) -> None:
    assert snapd.is_marked(datetime.datetime.fromisoformat(f"2025-06-03T10:00:{end}+02:00")) is marked


def test_requests(daemon: Daemon) -> None:
    client = snapd.Snapd(daemon.path)
    daemon.answer = {"type": "async", "change": "7", "result": None}
    client.hold(["snapd", "core24"], snaps.UNTIL)
    client.unhold({"core24"})
    client.refresh("core24")
    hold = {"action": "hold", "snaps": ["core24", "snapd"], "hold-level": "general"}
    hold["time"] = "2025-06-03T10:00:00.500000Z"
    assert daemon.asked == [
        ("POST", "/v2/snaps", hold),
        ("POST", "/v2/snaps", {"action": "unhold", "snaps": ["core24"]}),
        ("POST", "/v2/snaps/core24", {"action": "refresh"}),
    ]


def test_what_snapd_refuses_is_told_in_its_words(daemon: Daemon) -> None:
    daemon.answer = {"type": "error", "result": {"message": 'snap "core24" has changes in progress'}}
    with pytest.raises(snap.SnapOperationError, match=r'^snap "core24" has changes in progress'):
        snapd.Snapd(daemon.path).refresh("core24")


def test_a_snapd_that_is_not_there_or_talks_nonsense(daemon: Daemon, tmp_path: pathlib.Path) -> None:
    daemon.raw = b"<html>"
    for path in (daemon.path, str(tmp_path / "absent")):
        with pytest.raises(snap.SnapdUnreachableError, match="snapd does not answer"):
            snapd.Snapd(path).updates()


def test_a_hold_that_snapd_refuses_is_not_remembered_as_set(
    daemon: Daemon, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Machine:
        snapd = snapd.Snapd(daemon.path)
        paths = paths.Paths(tmp_path)

    monkeypatch.setattr(files, "ROOT", files.Owner(tmp_path.stat().st_uid, tmp_path.stat().st_gid))
    fresh = snaps.seen(holds={}, remembered={"holds": {}})
    Machine.paths.common.mkdir(parents=True)
    executor = execution.Executor(snaps.facts_of(fresh), typing.cast(typing.Any, Machine()), tmp_path)
    daemon.answer = {"type": "error", "result": {"message": "no"}}
    with pytest.raises(snap.SnapOperationError):
        executor.gate()
    assert model.Remembered.parse((tmp_path / model.FILE).read_text()).holds == {}
    daemon.answer = {"type": "async", "change": "7", "result": None}
    executor.gate()
    assert model.Remembered.parse((tmp_path / model.FILE).read_text()).holds.keys() == {"core24", "snapd"}
