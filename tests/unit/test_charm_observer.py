"""The observer: what it takes for a change, whom it asks, and how it gives the unit an event; its service."""

from __future__ import annotations

import collections.abc
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import typing

import pytest
from charms.operator_libs_linux.v1 import systemd as library

import observer
from workload import files, service, watch

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


@pytest.mark.parametrize(
    "answer",
    [
        with_change(1, state="starting"),
        with_change(1, role="replica"),
        with_change(0, timeline=2),
        with_change(0, pending_restart=True),
        with_change(1, lag="unknown"),
        with_change(1, lag=2 * 1024**2),
        {"members": MEMBERS[:1]},
        {"members": MEMBERS, "pause": True},
    ],
)
def test_what_is_a_change(patroni: Patroni, answer: object) -> None:
    before = observer.digest([patroni.url])
    assert before is not None
    patroni.answer = answer
    assert observer.digest([patroni.url]) not in (before, None)


@pytest.mark.parametrize("own", [{"role": "primary"}, {"role": "replica"}, b"not json"])
def test_what_becomes_of_this_member_is_a_change(patroni: Patroni, own: object) -> None:
    before = observer.digest([patroni.url])
    patroni.own = own
    assert observer.digest([patroni.url]) not in (before, None)


@pytest.mark.parametrize(
    "answer",
    [
        {"members": list(reversed(MEMBERS))},
        with_change(1, lag=8192),
        with_change(1, receive_lsn=9000),
        {"members": MEMBERS, "scope": "pg"},
    ],
)
def test_what_is_none(patroni: Patroni, answer: object) -> None:
    before = observer.digest([patroni.url])
    patroni.answer = answer
    patroni.own = {"role": "replica", "replication_state": "streaming", "xlog": {"replayed_location": 9}}
    assert observer.digest([patroni.url]) == before


def test_the_next_is_asked_where_one_does_not_answer(patroni: Patroni) -> None:
    expected = observer.digest([patroni.url])
    assert observer.digest(["http://127.0.0.1:9", patroni.url]) == expected
    patroni.status = 503
    assert observer.digest([patroni.url]) is None
    patroni.status, patroni.answer = 200, b"not json"
    assert observer.digest([patroni.url]) is None
    assert observer.digest([]) is None


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


class Timeline:
    """What happens while the observer watches, in a time that passes only when it sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, until: float):
        self.now = 0.0
        self.until = until
        self.digests: dict[float, str | None] = {0.0: "a"}
        self.fails = False
        self.takes = 0.0
        self.events: list[float] = []
        monkeypatch.setattr(observer.time, "sleep", self.sleep)
        monkeypatch.setattr(observer.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(observer, "digest", self.digest)
        monkeypatch.setattr(observer, "dispatch", self.dispatch)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.until:
            raise Stop

    def digest(self, endpoints: list[str]) -> str | None:
        return self.digests[max(each for each in self.digests if each <= self.now)]

    def dispatch(self, unit: str, directory: pathlib.Path) -> bool:
        self.events.append(self.now)
        self.now += self.takes
        return not self.fails

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
    watched.digests |= {50.0: "b", 80.0: "b"}
    watched.watch(settings)
    assert len(watched.events) == 2
    assert watched.events[0] <= 2
    assert 50 <= watched.events[1] <= 53


def test_a_burst_of_changes_is_one_event(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 100)
    watched.digests |= {50.0: "b", 50.2: "c", 50.4: "d"}
    watched.watch(settings)
    assert len(watched.events) == 2


def test_what_changes_during_an_event_is_the_next_one_at_once(
    monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path
) -> None:
    watched = Timeline(monkeypatch, 100)
    watched.digests |= {50.0: "b", 52.0: "c"}
    watched.takes = 3.0
    watched.watch(settings)
    _, second, third = watched.events
    assert third - second == pytest.approx(watched.takes + observer.SETTLE_SECONDS)


def test_an_event_that_did_not_go_through_comes_again(monkeypatch: pytest.MonkeyPatch, settings: pathlib.Path) -> None:
    watched = Timeline(monkeypatch, 20)
    watched.fails = True
    watched.watch(settings)
    assert len(watched.events) > 5


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


# Its service


class Systemd:
    SystemdError = library.SystemdError

    def __init__(self, units: pathlib.Path) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.wanted = units / "multi-user.target.wants"

    def service_enable(self, service: str) -> None:
        self.calls.append(("service_enable", service))
        self.wanted.mkdir(exist_ok=True)
        (self.wanted / service).unlink(missing_ok=True)
        (self.wanted / service).symlink_to(f"../{service}")

    def service_disable(self, *arguments: str) -> None:
        self.calls.append(("service_disable", *arguments))
        (self.wanted / arguments[-1]).unlink()

    def __getattr__(self, name: str) -> typing.Callable[..., None]:
        return lambda *arguments: self.calls.append((name, *arguments))


@pytest.fixture
def systemd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    stand_in = Systemd(tmp_path / "units")
    monkeypatch.setattr(watch, "systemd", stand_in)
    monkeypatch.setattr(files, "ROOT", files.Owner(os.getuid(), os.getgid()))
    return stand_in


@pytest.fixture
def watcher(tmp_path: pathlib.Path) -> watch.Watch:
    (tmp_path / "charm/src").mkdir(parents=True)
    (tmp_path / "charm/src/observer.py").write_text("first")
    return watch.Watch("pg/3", tmp_path / "charm", tmp_path / "units")


def test_the_service_is_started_once_and_again_for_another_program(systemd: Systemd, watcher: watch.Watch) -> None:
    started = [
        ("daemon_reload",),
        ("service_restart", "pg-3-observer.service"),
        ("service_enable", "pg-3-observer.service"),
    ]
    watcher.ensure(["http://10.0.0.1:8008"], 30.0)
    assert systemd.calls == started
    unit = (watcher.systemd_units / "pg-3-observer.service").read_text()
    assert f"--unit pg/3 --charm-directory {watcher.charm_directory}" in unit
    assert "Restart=always" in unit
    # Other settings are read while it runs.
    watcher.ensure(["http://10.0.0.1:8008", "http://10.0.0.2:8008"], None)
    assert systemd.calls == started
    assert observer.read_settings(watcher.charm_directory / ".observer.json") == {
        "endpoints": ["http://10.0.0.1:8008", "http://10.0.0.2:8008"],
        "retry_seconds": None,
    }
    (watcher.charm_directory / "src/observer.py").write_text("second")
    watcher.ensure([], None)
    assert systemd.calls == started * 2


@pytest.mark.parametrize("failing", ["daemon_reload", "service_restart", "service_enable"])
@pytest.mark.parametrize(
    ("error", "told"),
    [(library.SystemdError("no bus"), service.ServiceError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_an_installation_that_is_cut_off_is_made_again(
    systemd: Systemd,
    watcher: watch.Watch,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    error: BaseException,
    told: type[BaseException],
) -> None:
    def fail(*_: str) -> typing.NoReturn:
        raise error

    monkeypatch.setattr(systemd, failing, fail, raising=False)
    with pytest.raises(told):
        watcher.ensure([], None)
    monkeypatch.undo()
    monkeypatch.setattr(watch, "systemd", systemd)
    monkeypatch.setattr(files, "ROOT", files.Owner(os.getuid(), os.getgid()))
    systemd.calls.clear()
    watcher.ensure([], None)
    assert [name for name, *_ in systemd.calls] == ["daemon_reload", "service_restart", "service_enable"]


def test_the_service_is_removed(systemd: Systemd, watcher: watch.Watch) -> None:
    watcher.remove()
    assert systemd.calls == []
    watcher.ensure([], None)
    systemd.calls.clear()
    watcher.remove()
    assert systemd.calls == [("service_disable", "--now", "pg-3-observer.service"), ("daemon_reload",)]
    assert list(watcher.systemd_units.glob("*.service")) == []
    assert not (watcher.charm_directory / ".observer.json").exists()
