"""The observer: what it takes for a change, whom it asks, and how it gives the unit an event."""

from __future__ import annotations

import collections.abc
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import typing

import pytest

import observer

GOOD = observer.View(frozenset({"a", "b"}), frozenset({"a", "b"}))
WORSE = observer.View(frozenset({"a", "c"}), frozenset({"a"}))
MEMBERS: list[dict[str, typing.Any]] = [
    {"name": "pg-0", "role": "leader", "state": "running", "timeline": 1},
    {"name": "pg-1", "role": "sync_standby", "state": "streaming", "timeline": 1, "lag": 0},
]


class Patroni(http.server.ThreadingHTTPServer):
    """Answers GET /cluster."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: object = {"members": MEMBERS}
        self.own: object = {"role": "replica", "replication_state": "streaming"}
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = {"/cluster": outer.answer, "/patroni": outer.own}[self.path]
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def patroni() -> collections.abc.Iterator[Patroni]:
    with Patroni() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def with_change(number: int, **changes: object) -> dict[str, object]:
    members = [dict(member) for member in MEMBERS]
    members[number] |= changes
    return {"members": members}


def given(view: observer.View, after: observer.View) -> bool:
    """Whether the look `view` is an event at once, after that one."""
    return observer.Attention(0.0, after).is_due(view, 1.0, None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (with_change(1, state="starting"), {"members": MEMBERS}),
        (with_change(1, role="replica"), {"members": MEMBERS}),
        (with_change(1, lag="unknown"), {"members": MEMBERS}),
        (with_change(1, lag=2 * 1024**2), {"members": MEMBERS}),
        (with_change(0, timeline=2), {"members": [member | {"timeline": 2} for member in MEMBERS]}),
        (with_change(0, state="stopped"), {"members": MEMBERS}),
        (with_change(0, role="replica", state="streaming"), {"members": MEMBERS}),
        # Under load a standby that streams is somewhat behind all the time.
        (with_change(1, state="starting"), with_change(1, lag=5 * 1024**2)),
        (with_change(1, role="replica", lag=5 * 1024**2), with_change(1, lag=5 * 1024**2)),
        ({"members": MEMBERS}, {"members": MEMBERS[:1]}),
        ({"members": MEMBERS[:1]}, {"members": MEMBERS}),
        ({"members": MEMBERS}, {"members": MEMBERS, "pause": True}),
        ({"members": MEMBERS, "pause": True}, {"members": MEMBERS}),
    ],
)
def test_what_somebody_may_wait_for_is_an_event_at_once(patroni: Patroni, before: object, after: object) -> None:
    patroni.answer = before
    seen = observer.ask([patroni.url], "pg-7")
    assert not given(seen, after=seen)
    patroni.answer = after
    assert given(observer.ask([patroni.url], "pg-7"), after=seen)


GETS_WORSE = [
    with_change(0, timeline=2),
    with_change(1, state="starting"),
    with_change(1, lag="unknown"),
    with_change(1, lag=2 * 1024**2),
    with_change(1, role="replica"),
    with_change(0, state="stopped"),
    with_change(1, pending_restart=True),
]


@pytest.mark.parametrize("answer", GETS_WORSE)
def test_what_gets_worse_elsewhere_is_an_event_if_it_lasts(patroni: Patroni, answer: object) -> None:
    seen = observer.ask([patroni.url], "pg-7")
    patroni.answer = answer
    worse = observer.ask([patroni.url], "pg-7")
    attention = observer.Attention(0.0, seen)
    assert not attention.is_due(seen, 5.0, None)
    assert not attention.is_due(worse, 5.5, None)
    assert not attention.is_due(worse, 14.5, None)
    assert attention.is_due(worse, 15.0, None)


@pytest.mark.parametrize("answer", GETS_WORSE)
def test_what_becomes_of_the_unit_s_own_member_is_an_event_at_once(
    patroni: Patroni, answer: dict[str, typing.Any]
) -> None:
    [name] = {each["name"] for each in answer["members"] if each not in MEMBERS}
    seen = observer.ask([patroni.url], name)
    patroni.answer = answer
    assert given(observer.ask([patroni.url], name), after=seen)


@pytest.mark.parametrize("own", [{"role": "primary"}, {"role": "replica"}, b"not json"])
def test_what_its_patroni_tells_of_itself_is_an_event_at_once(patroni: Patroni, own: object) -> None:
    seen = observer.ask([patroni.url], "pg-0")
    patroni.own = own
    assert given(observer.ask([patroni.url], "pg-0"), after=seen)


def test_a_member_that_was_away_between_two_events_is_an_event_when_it_is_back() -> None:
    attention = observer.Attention(0.0, GOOD)
    assert not attention.is_due(WORSE, 1.0, None)
    assert attention.is_due(GOOD, 4.0, None)
    # It stays due until it is given.
    assert attention.is_due(GOOD, 4.5, None)
    attention.give(GOOD, 5.0)
    assert not attention.is_due(GOOD, 60.0, None)


@pytest.mark.parametrize(
    "answer",
    [
        {"members": list(reversed(MEMBERS))},
        with_change(1, lag=8192),
        with_change(1, receive_lsn=9000),
        {"members": MEMBERS, "scope": "pg"},
    ],
)
@pytest.mark.parametrize("name", ["pg-1", "pg-7"])
def test_what_is_no_change(patroni: Patroni, answer: object, name: str) -> None:
    before = observer.ask([patroni.url], name)
    patroni.answer = answer
    patroni.own = {"role": "replica", "replication_state": "streaming", "xlog": {"replayed_location": 9}}
    assert observer.ask([patroni.url], name) == before


def test_the_next_is_asked_where_one_does_not_answer(patroni: Patroni) -> None:
    first = observer.ask([patroni.url], "pg-0")
    second = observer.ask(["http://127.0.0.1:9", patroni.url], "pg-0")
    # That its own Patroni does not answer concerns the unit.
    assert given(second, after=first)
    patroni.status = 503
    nobody = observer.ask([patroni.url], "pg-0")
    assert given(nobody, after=first)
    patroni.status, patroni.answer = 200, b"not json"
    assert observer.ask([patroni.url], "pg-0") == nobody
    assert observer.ask([], "pg-0") == nobody


JUJU_EXEC = """#!{python}
import json, os, pathlib, subprocess, sys
record = pathlib.Path({record!r})
record.write_text(json.dumps(sys.argv[1:]))
sys.exit(subprocess.run(["sh", "-c", sys.argv[3]]).returncode)
"""
DISPATCH = """#!/bin/sh
echo "$JUJU_HOOK_NAME $JUJU_DISPATCH_PATH" >> dispatched
exit $(cat exit-status)
"""


@pytest.fixture
def unit(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A charm directory, and a stand-in for juju-exec that runs what it is given."""
    directory = tmp_path / "charm"
    directory.mkdir()
    (directory / "dispatch").write_text(DISPATCH)
    (directory / "dispatch").chmod(0o755)
    (directory / "exit-status").write_text("0")
    program = tmp_path / "juju-exec"
    program.write_text(JUJU_EXEC.format(python=sys.executable, record=str(tmp_path / "record")))
    program.chmod(0o755)
    monkeypatch.setattr(observer.shutil, "which", lambda name, path: str(program) if name == "juju-exec" else None)
    return directory


def test_the_event_is_dispatched_in_the_unit_s_directory(unit: pathlib.Path) -> None:
    assert observer.dispatch("pg/3", unit)
    assert (unit / "dispatched").read_text() == "cluster_changed hooks/cluster_changed\n"
    arguments = json.loads((unit.parent / "record").read_text())
    assert arguments[:2] == ["-u", "pg/3"]


def test_an_event_that_does_not_go_through(
    unit: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (unit / "exit-status").write_text("1")
    assert not observer.dispatch("pg/3", unit)
    assert "the event did not go through" in capsys.readouterr().err
    monkeypatch.setattr(observer, "DISPATCH_TIMEOUT_SECONDS", 0.2)
    (unit / "dispatch").write_text("#!/bin/sh\nexec sleep 5 > /dev/null 2>&1")
    assert not observer.dispatch("pg/3", unit)


def test_without_juju_exec(unit: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer.shutil, "which", lambda name, path: None)
    assert not observer.dispatch("pg/3", unit)


@pytest.mark.parametrize(("content", "expected"), [('{"endpoints": []}', {"endpoints": []}), ("{", {}), (None, {})])
def test_settings(tmp_path: pathlib.Path, content: str | None, expected: dict[str, object]) -> None:
    if content is not None:
        (tmp_path / "settings").write_text(content)
    assert observer.read_settings(tmp_path / "settings") == expected


class Stop(Exception):
    pass


def news(what: str) -> observer.View:
    return observer.View(frozenset({what}), frozenset({what}))


class Timeline:
    """What happens while the observer watches, in a time that passes only when it sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, until: float):
        self.now = 0.0
        self.until = until
        self.views: dict[float, observer.View] = {0.0: news("a")}
        self.fails = False
        self.fails_until = 0.0
        self.takes = 0.0
        self.events: list[float] = []
        monkeypatch.setattr(observer.time, "sleep", self.sleep)
        monkeypatch.setattr(observer.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(observer, "ask", self.ask)
        monkeypatch.setattr(observer, "dispatch", self.dispatch)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.until:
            raise Stop

    def ask(self, endpoints: list[str], name: str) -> observer.View:
        return self.views[max(each for each in self.views if each <= self.now)]

    def dispatch(self, unit: str, directory: pathlib.Path) -> bool:
        self.events.append(self.now)
        self.now += self.takes
        return not self.fails and self.now >= self.fails_until

    def watch(self, settings: pathlib.Path) -> None:
        with pytest.raises(Stop):
            observer.watch("pg/0", settings.parent, settings)


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "settings"
    file.write_text(json.dumps({"endpoints": ["http://x"], "retry_seconds": None}))
    return file


def test_an_event_for_each_change_and_none_without(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 100)
    watched.views |= {50.0: news("b"), 80.0: news("b")}
    watched.watch(settings)
    assert len(watched.events) == 2
    assert watched.events[0] <= 2
    assert 50 <= watched.events[1] <= 53


def test_a_burst_of_changes_is_one_event(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 100)
    watched.views |= {50.0: news("b"), 50.2: news("c"), 50.4: news("d")}
    watched.watch(settings)
    assert len(watched.events) == 2


def test_a_member_that_restarts_is_one_event(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 100)
    watched.views |= {0.0: GOOD, 50.0: WORSE, 57.0: GOOD}
    watched.watch(settings)
    _, again = watched.events
    assert 57 <= again <= 58


def test_a_member_that_stays_away_is_one_event(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 200)
    watched.views |= {0.0: GOOD, 50.0: WORSE}
    watched.watch(settings)
    _, told = watched.events
    assert 50 + observer.LASTING_SECONDS <= told <= 51 + observer.LASTING_SECONDS


def test_what_changes_during_an_event_is_the_next_one_at_once(
    monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path
) -> None:
    watched = Timeline(monkeypatch, 100)
    watched.views |= {50.0: news("b"), 52.0: news("c")}
    watched.takes = 3.0
    watched.watch(settings)
    _, second, third = watched.events
    assert third - second == pytest.approx(watched.takes + observer.SETTLE_SECONDS)


def test_an_event_that_did_not_go_through_comes_again(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 20)
    watched.fails = True
    watched.watch(settings)
    assert len(watched.events) >= 4
    gaps = [later - earlier for earlier, later in zip(watched.events, watched.events[1:], strict=False)]
    for gap, wanted in zip(gaps, observer.AGAIN_SECONDS, strict=False):
        assert wanted <= gap <= wanted + 1


def test_an_event_that_went_through_at_last_is_one(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 100)
    watched.fails_until = 10.0
    watched.watch(settings)
    assert [moment >= 10 for moment in watched.events].count(True) == 1


def test_a_unit_that_is_not_settled_gets_events_regularly(
    monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path
) -> None:
    settings.write_text(json.dumps({"endpoints": [], "retry_seconds": 30}))
    watched = Timeline(monkeypatch, 125)
    watched.watch(settings)
    gaps = [later - earlier for earlier, later in zip(watched.events, watched.events[1:], strict=False)]
    assert len(gaps) >= 3
    assert all(30 <= gap <= 33 for gap in gaps)


def test_the_program_runs_by_itself_with_the_standard_library_only(patroni: Patroni, tmp_path: pathlib.Path) -> None:
    settings = tmp_path / "settings"
    settings.write_text(json.dumps({"endpoints": [patroni.url], "retry_seconds": None}))
    arguments = ["--unit", "pg/0", "--charm-directory", str(tmp_path), "--settings", str(settings)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(observer.__file__), *arguments], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        # There is no juju-exec here; it says so and goes on.
        assert process.stderr.readline() == "juju-exec is not installed\n"
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
