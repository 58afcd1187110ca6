"""snapd through the snap library: its REST API on a socket, its command line as a program, both stood in for."""

from __future__ import annotations

import collections.abc
import functools
import http.server
import json
import pathlib
import socketserver
import sys
import threading
import urllib.parse

import pytest
from charmlibs.snap import _snap as library
from charms.operator_libs_linux.v2 import snap as snap_library

from workload import paths, snap, snapd_memory

SNAP = """#!{python}
import json, pathlib, sys
here = pathlib.Path({here!r})
state = json.loads((here / "state").read_text())
state["commands"].append(sys.argv[1:])
refusal = state["refuse"].get(sys.argv[1])
if not refusal:
    wanted = [each.split("=")[1].strip('"') for each in sys.argv if each.startswith("--revision=")]
    if wanted:
        state["revision"] = wanted[0]
    if "--hold=forever" in sys.argv:
        state["held"] = True
(here / "state").write_text(json.dumps(state))
if refusal:
    print(refusal, file=sys.stderr)
    sys.exit(1)
"""


class Snapd:
    """A snapd whose state is a file, so that the program `snap` can change it too."""

    def __init__(self, here: pathlib.Path):
        self.here = here
        self.socket = here / "snapd.socket"
        self.asked: list[str] = []
        self.changes: list[list[str]] = []
        """Kinds of the changes in progress, each time that it is asked; none afterwards."""
        (here / "bin").mkdir()
        program = here / "bin/snap"
        program.write_text(SNAP.format(python=sys.executable, here=str(here)))
        program.chmod(0o755)
        self.silent_notices = False
        self.write(commands=[], refuse={}, revision=None, held=False, status="active", store=True)

    def read(self) -> dict[str, object]:
        return json.loads((self.here / "state").read_text())

    def write(self, **changes: object) -> None:
        snap.forget()  # as a new hook does
        before = self.read() if (self.here / "state").exists() else {}
        (self.here / "state").write_text(json.dumps(before | changes))

    @property
    def commands(self) -> list[list[str]]:
        found = self.read()["commands"]
        assert isinstance(found, list)
        return found

    def answer(self, path: str) -> tuple[int, object]:
        state = self.read()
        url = urllib.parse.urlsplit(path)
        known = {"name": paths.SNAP, "channel": "16/stable", "confinement": "strict", "version": "16", "apps": []}
        if url.path == "/v2/find":
            if not state["store"]:
                return 500, {"message": "unable to contact snap store", "kind": "network-timeout"}
            return 200, [known | {"revision": "500"}]
        if url.path == "/v2/changes":
            assert urllib.parse.parse_qs(url.query) == {"select": ["in-progress"], "for": [paths.SNAP]}
            going_on = self.changes.pop(0) if self.changes else []
            return 200, [{"summary": f'{each} "charmed-postgresql" snap', "kind": each} for each in going_on]
        if url.path == "/v2/notices":
            asked = urllib.parse.parse_qs(url.query)
            assert asked["types"] == [snapd_memory.TYPES]
            since = int(asked["after"][0]) + 1 if "after" in asked else 0
            # Each command makes a change.
            if self.silent_notices:
                return 200, []
            return 200, [{"last-repeated": str(number)} for number in range(since, len(self.commands))]
        if url.path == "/v2/snaps":
            other = known | {"name": "core24", "revision": "1000", "status": "active"}
            own = known | {"revision": state["revision"], "status": state["status"]}
            if state["held"]:
                own["hold"] = "2315-01-01T00:00:00Z"
            return 200, [other, own] if state["revision"] else [other]
        return 200, []


@pytest.fixture(autouse=True)
def nobody_asks_on(monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[None]:
    """What was asked ahead, and not taken, does not ask what the next test has in snapd's place."""
    # Before monkeypatch gives back what the question is asked of, which is why it is named here.
    yield
    for each in threading.enumerate():
        if isinstance(each, snap._Asked):
            each.join()
    snap.forget()


@pytest.fixture
def snapd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[Snapd]:
    made = Snapd(tmp_path)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(urllib.parse.urlsplit(self.path).path)
            status, result = made.answer(self.path)
            body = json.dumps({"type": "sync" if status == 200 else "error", "result": result}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "a socket"

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    client = functools.partial(library.SnapClient, socket_path=str(made.socket))
    monkeypatch.setattr(library, "SnapClient", client)
    monkeypatch.setattr(snap_library, "SnapClient", client)
    monkeypatch.setattr(snap, "SOCKET", str(made.socket))
    monkeypatch.setattr(snap, "_memory", None)
    monkeypatch.setattr(library.SnapCache, "snapd_installed", True)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with Server(str(made.socket), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        server.shutdown()


def test_state(snapd: Snapd) -> None:
    found = snap.Snap()
    assert found.state() == snap.SnapState(None)
    snapd.write(revision="416")
    assert found.state() == snap.SnapState("416", held=False)
    snapd.write(held=True)
    assert found.state() == snap.SnapState("416", held=True)
    snapd.write(status="installed")
    assert found.state() == snap.SnapState("416", held=True, enabled=False)


def test_what_snapd_has_begun_is_awaited(snapd: Snapd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snap, "CHANGE_INTERVAL_SECONDS", 0.01)
    snapd.write(revision="416")
    snapd.changes = [["refresh-snap"], ["refresh-snap", "service-control"]]
    assert snap.Snap().state().revision == "416"
    assert snapd.asked == ["/v2/changes"] * 3 + ["/v2/snaps"]


def test_what_snapd_does_not_end_is_told(snapd: Snapd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snap, "CHANGE_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(snap, "CHANGE_SECONDS", 0.05)
    snapd.write(revision="416")
    snapd.changes = [["refresh-snap"]] * 1000
    with pytest.raises(snap.SnapdUnreachableError, match='snapd has not ended: refresh-snap "charmed-postgresql" snap'):
        snap.Snap().state()
    assert 2 <= len(snapd.asked) < 1000


def test_snapd_is_asked_once_until_something_changes(snapd: Snapd) -> None:
    snapd.write(revision="366")
    assert snap.Snap().state().revision == "366"
    assert snap.installed(paths.SNAP) == snap.installed(paths.SNAP)
    assert snapd.asked == ["/v2/changes", "/v2/snaps"]
    snap.Snap().refresh("416")
    assert snap.Snap().state().revision == "416"


def test_what_snapd_was_asked_ahead_counts_until_something_changes(snapd: Snapd, tmp_path: pathlib.Path) -> None:
    snapd.write(revision="366")
    snap.ask_ahead(tmp_path)
    assert snap.Snap().state().revision == "366"
    assert snapd.asked == ["/v2/changes", "/v2/notices", "/v2/snaps"]
    snap.ask_ahead(tmp_path)
    snap.Snap().refresh("416")
    assert snap.Snap().state().revision == "416"
    # The next hooks.
    for _ in range(2):
        snap._installed.cache_clear()
        snap.ask_ahead(tmp_path)
        assert snap.Snap().state().revision == "416"
    assert snapd.asked[-4:] == ["/v2/changes", "/v2/notices"] * 2


def test_what_the_charm_has_changed_is_not_remembered_otherwise(snapd: Snapd, tmp_path: pathlib.Path) -> None:
    snapd.write(revision="366")
    snapd.silent_notices = True
    snap.ask_ahead(tmp_path)
    assert snap.Snap().state().revision == "366"
    snap.Snap().refresh("416")
    for _ in range(2):
        assert snap.Snap().state().revision == "416"
        snap._installed.cache_clear()
        snap.ask_ahead(tmp_path)


def test_a_silent_snapd_is_told_by_who_takes_the_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    asked: list[str] = []

    monkeypatch.setattr(snap, "_await_changes", lambda: None)

    class Client:
        def get_installed_snaps(self) -> None:
            asked.append("asked")
            raise library.SnapAPIError({}, 500, "Internal Server Error", "snapd is starting")

    monkeypatch.setattr(snap_library, "SnapClient", Client)
    monkeypatch.setattr(snap, "_memory", None)
    monkeypatch.setattr(snapd_memory, "_latest_notice", lambda *_: "")
    snap.forget()
    snap.ask_ahead(tmp_path)
    for _ in range(2):
        with pytest.raises(snap.SnapdUnreachableError, match="snapd does not answer: snapd is starting"):
            snap.Snap().state()
    # The failure counted once, as a failure of the question itself does.
    assert asked == ["asked"] * 2


def test_installed_and_held_for_ever_at_a_revision(snapd: Snapd) -> None:
    found = snap.Snap()
    found.install("416")
    found.hold()
    assert found.state() == snap.SnapState("416", held=True)
    assert snapd.commands == [
        ["install", paths.SNAP, '--revision="416"'],
        ["refresh", paths.SNAP, "--hold=forever"],
    ]


def test_refreshed_though_held(snapd: Snapd) -> None:
    snapd.write(revision="366", held=True)
    found = snap.Snap()
    found.refresh("416")
    assert found.state().revision == "416"
    assert snapd.commands == [["refresh", paths.SNAP, '--revision="416"']]


def test_nothing_to_refresh(snapd: Snapd) -> None:
    snapd.write(revision="416")
    snap.Snap().refresh("416")
    assert snapd.commands == []


def test_only_patroni_is_started_and_stopped(snapd: Snapd) -> None:
    snapd.write(revision="416")
    found = snap.Snap()
    found.start()
    found.stop()
    found.stop(disable=True)
    assert snapd.commands == [
        ["start", "--enable", "charmed-postgresql.patroni"],
        ["stop", "charmed-postgresql.patroni"],
        ["stop", "--disable", "charmed-postgresql.patroni"],
    ]


@pytest.mark.parametrize(
    ("act", "command"),
    [
        (lambda found: found.refresh("416"), "refresh"),
        (lambda found: found.hold(), "refresh"),
        (lambda found: found.start(), "start"),
        (lambda found: found.stop(), "stop"),
    ],
)
def test_a_refusal_is_told_in_snapd_s_words(
    snapd: Snapd, act: collections.abc.Callable[[snap.Snap], None], command: str
) -> None:
    snapd.write(revision="366", refuse={command: 'error: cannot do it: snap "charmed-postgresql"\n  has changes'})
    with pytest.raises(snap.SnapOperationError) as caught:
        act(snap.Snap())
    # One line, fit for a status.
    assert str(caught.value) == 'error: cannot do it: snap "charmed-postgresql" has changes'


def test_the_store_cannot_be_reached(snapd: Snapd) -> None:
    snapd.write(store=False)
    with pytest.raises(snap.SnapOperationError, match="unable to contact snap store"):
        snap.Snap().install("416")


def test_the_store_cannot_be_reached_at_the_installation(snapd: Snapd) -> None:
    snapd.write(refuse={"install": "error: unable to contact snap store"})
    with pytest.raises(snap.SnapOperationError, match=r"^error: unable to contact snap store$"):
        snap.Snap().install("416")


def test_snapd_does_not_answer(snapd: Snapd) -> None:
    snapd.socket.unlink()
    found = snap.Snap()
    for act in (found.state, found.start, found.stop, found.hold, lambda: found.install("416")):
        with pytest.raises(snap.SnapOperationError, match=r"snapd does not answer: .*No such file"):
            act()


def test_snapd_is_not_installed(snapd: Snapd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.SnapCache, "snapd_installed", False)
    with pytest.raises(snap.SnapOperationError, match="snapd is not installed"):
        snap.Snap().start()


@pytest.mark.parametrize(("status", "runs"), [(0, True), (3, False)])
def test_whether_patroni_runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, status: int, runs: bool) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nexit {status}\n')
    systemctl.chmod(0o755)
    monkeypatch.setattr(snap, "SYSTEMCTL", str(systemctl))
    assert snap.Snap().is_running() is runs
    expected = "is-active --quiet snap.charmed-postgresql.patroni.service\n"
    assert (tmp_path / "arguments").read_text() == expected
