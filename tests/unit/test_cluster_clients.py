"""Patroni's REST API over HTTP, Raft over pysyncobj's own nodes, and what the charm makes of their answers."""

from __future__ import annotations

import base64
import collections.abc
import http.server
import json
import os
import pathlib
import socket
import threading
import time
import typing

import pysyncobj
import pytest

from workload import cluster, configuration, patroni, raft

ANSWER = {
    "members": [
        {
            "name": "pg-1",
            "role": "sync_standby",
            "state": "streaming",
            "api_url": "http://10.0.0.2:8008/patroni",
            "host": "10.0.0.2",
            "port": 5432,
            "timeline": 3,
            "lag": 16,
            "receive_lsn": "0/1",
        },
        {
            "name": "pg-0",
            "role": "leader",
            "state": "running",
            "host": "10.0.0.1",
            "timeline": 3,
            "pending_restart": True,
        },
        {"name": "pg-2", "role": "replica", "state": "creating replica", "host": "10.0.0.3", "lag": "unknown"},
        {"name": "pg-3", "role": "quorum_standby", "state": "streaming", "host": "10.0.0.4", "timeline": 3, "lag": 0},
        {"name": "pg-4", "role": "standby_leader", "state": "streaming"},
        {"name": "pg-5"},
    ],
    "scope": "pg",
}


def test_a_cluster_as_patroni_tells_it() -> None:
    view = cluster.ClusterView.parse(ANSWER)
    assert [member.name for member in view.members] == [f"pg-{number}" for number in range(6)]
    assert view.primary == cluster.Member("pg-0", cluster.Role.PRIMARY, "running", "10.0.0.1", 3, None, True)
    assert view.member("pg-1") == cluster.Member(
        "pg-1", cluster.Role.SYNCHRONOUS_STANDBY, "streaming", "10.0.0.2", 3, 16
    )
    assert view.member("pg-2") == cluster.Member("pg-2", cluster.Role.STANDBY, "creating replica", "10.0.0.3")
    assert [member.name for member in view.synchronous_standbys] == ["pg-1", "pg-3"]
    assert view.member("pg-5") == cluster.Member("pg-5", cluster.Role.OTHER, "unknown", "")
    assert [member.name for member in view.unhealthy] == ["pg-2", "pg-5"]
    assert not view.paused
    assert cluster.ClusterView.parse({"pause": True}).paused
    assert view.member("pg-9") is None


PRIMARY = {"role": "primary", "state": "running"}
FORMER = {"role": "replica", "state": "running"}
STREAMING = {"role": "replica", "state": "running", "replication_state": "streaming"}


@pytest.mark.parametrize(
    ("name", "own", "expected"),
    [
        ("pg-0", PRIMARY, ("leader", "running")),
        # It has stepped down, and there is no majority to say so to.
        ("pg-0", FORMER, ("replica", "running")),
        ("pg-0", STREAMING, ("replica", "streaming")),
        ("pg-1", STREAMING, ("sync_standby", "streaming")),
        ("pg-1", FORMER, ("sync_standby", "running")),
        ("pg-1", {"role": "replica", "state": "stopping"}, ("sync_standby", "stopping")),
        # It is being promoted, or has not yet written what it is.
        ("pg-1", PRIMARY, ("sync_standby", "streaming")),
        ("pg-2", STREAMING, ("replica", "creating replica")),
        ("pg-9", PRIMARY, None),
    ],
)
def test_what_a_member_tells_of_itself_counts(name: str, own: dict[str, str], expected: tuple[str, str] | None) -> None:
    view = cluster.ClusterView.parse(ANSWER)
    corrected = view.corrected(name, cluster.Condition.parse(own))
    member = corrected.member(name)
    assert (member and (member.role.value, member.state)) == expected
    assert [each for each in corrected.members if each.name != name] == [
        each for each in view.members if each.name != name
    ]


def test_nobody_is_the_primary_where_there_is_no_majority() -> None:
    view = cluster.ClusterView.parse(ANSWER).without_primary()
    assert view.primary is None
    assert view.member("pg-0") is not None
    assert view.without_primary() == view


class Patroni(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, object, str | None]] = []
        self.answer: tuple[int, str] = (200, "{}")
        self.slow = 0.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                outer.requests.append((self.command, self.path, body, self.headers.get("Authorization")))
                time.sleep(outer.slow)
                status, text = outer.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PATCH = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def client(self, password: str | None = None) -> patroni.Client:
        return patroni.Client("127.0.0.1", password, self.server_port)


@pytest.fixture
def server() -> collections.abc.Iterator[Patroni]:
    with Patroni() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


def test_reading_needs_no_password(server: Patroni) -> None:
    server.answer = 200, json.dumps(ANSWER)
    assert server.client().cluster() == cluster.ClusterView.parse(ANSWER)
    server.answer = 200, '{"ttl": 20}'
    assert server.client().configuration() == {"ttl": 20}
    assert server.requests == [("GET", "/cluster", None, None), ("GET", "/config", None, None)]


@pytest.mark.parametrize("status", [404, 503])
def test_no_cluster_yet(server: Patroni, status: int) -> None:
    server.answer = status, ""
    assert server.client().cluster() is None
    assert server.client().configuration() is None


def test_changes_carry_the_password(server: Patroni) -> None:
    client = server.client("secret")
    client.change_configuration({"ttl": 30})
    client.reload()
    server.answer = 200, 'Successfully switched over to "b"'
    client.switchover("a", "b")
    header = f"Basic {base64.b64encode(b'patroni:secret').decode()}"
    assert server.requests == [
        ("PATCH", "/config", {"ttl": 30}, header),
        ("POST", "/reload", {}, header),
        ("POST", "/switchover", {"leader": "a", "candidate": "b"}, header),
    ]


def test_patroni_is_woken_by_a_change_that_changes_nothing(server: Patroni) -> None:
    server.client("secret").wake_up()
    ((method, path, patch, _),) = server.requests
    # null takes a key away (Patroni documentation, "Dynamic configuration settings"), here one that is never there.
    assert (method, path, patch) == ("PATCH", "/config", {"wake_up": None})
    assert "wake_up" not in configuration.dynamic(2)


@pytest.mark.parametrize("status", [401, 403, 412, 503])
def test_a_refusal(server: Patroni, status: int) -> None:
    server.answer = status, "candidate name does not match with sync_standby\n"
    with pytest.raises(patroni.PatroniError) as caught:
        server.client("secret").switchover("a", "b")
    assert str(caught.value) == (
        f"Patroni at 127.0.0.1 answered {status}: candidate name does not match with sync_standby"
    )
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, patroni.PatroniRefused) is (status == 412)
    assert len(server.requests) == 1


def test_nobody_answers() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = patroni.Client("127.0.0.1", "secret", closed.getsockname()[1])
    assert client.cluster() is None
    with pytest.raises(patroni.PatroniError, match=r"Patroni at 127\.0\.0\.1 does not answer"):
        client.reload()


def test_a_patroni_that_hangs(server: Patroni, monkeypatch: pytest.MonkeyPatch) -> None:
    server.slow = 1.0
    with pytest.raises(patroni.PatroniError, match="timed out"):
        server.client()._request("GET", "/cluster", timeout=0.1)


# Raft


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {
                "self": "10.0.0.1:2222",
                "leader": "10.0.0.2:2222",
                "has_quorum": True,
                "partner_nodes_count": 2,
                "partner_node_status_server_10.0.0.2:2222": 2,
                "partner_node_status_server_10.0.0.3:2222": 0,
                "of_a_later_version": 1,
            },
            raft.RaftView(
                "10.0.0.1:2222",
                "10.0.0.2:2222",
                True,
                frozenset({"10.0.0.2:2222"}),
                frozenset({"10.0.0.1:2222", "10.0.0.2:2222", "10.0.0.3:2222"}),
            ),
        ),
        (
            {"self": "10.0.0.1:2222", "leader": None},
            raft.RaftView("10.0.0.1:2222", None, False, frozenset(), frozenset({"10.0.0.1:2222"})),
        ),
    ],
)
def test_raft_as_pysyncobj_tells_it(status: dict[str, typing.Any], expected: raft.RaftView) -> None:
    assert raft.RaftView.parse(status) == expected


def free_node() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def start(node: str, partners: list[str], password: str) -> pysyncobj.SyncObj:
    """A node as Patroni starts it."""
    options = pysyncobj.SyncObjConf(
        password=password,
        autoTick=True,
        dynamicMembershipChange=True,
        commandsWaitLeader=True,
        raftMinTimeout=0.2,
        raftMaxTimeout=0.5,
        appendEntriesPeriod=0.05,
        connectionRetryTime=0.1,
    )
    return pysyncobj.SyncObj(node, partners, options)


def eventually(condition: collections.abc.Callable[[], object], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.05)


def test_real_nodes_join_hand_over_and_leave() -> None:
    first, second, third = sorted({free_node() for _ in range(3)})
    running = [start(first, [], "secret")]
    nodes = raft.Raft("secret")

    def members() -> frozenset[str]:
        view = nodes.view(first)
        return view.members if view and view.has_quorum else frozenset()

    try:
        eventually(lambda: members() == {first})
        for node in (second, third):
            running.append(start(node, [each for each in (first, second, third) if each != node], "secret"))
            assert nodes.add(first, node)
            eventually(lambda node=node: node in members())
        eventually(lambda: (view := nodes.view(first)) is not None and view.connected == {second, third})
        view = nodes.view(first)
        assert view is not None
        leader = view.leader
        assert leader in (first, second, third)
        other = next(each for each in (first, second, third) if each != leader)
        assert leader is not None
        # The leader cannot be removed, whoever is asked.
        assert not nodes.remove(other, leader)
        assert nodes.transfer_leadership(leader, other)
        eventually(lambda: (seen := nodes.view(other)) is not None and seen.leader == other)
        assert nodes.remove(other, leader)
        eventually(lambda: (seen := nodes.view(other)) is not None and leader not in seen.members)
    finally:
        for each in running:
            each.destroy()


def test_a_node_with_another_password_and_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raft, "TIMEOUT_SECONDS", 0.5)
    node = free_node()
    assert raft.Raft("secret").view(node) is None
    running = start(node, [], "secret")
    try:
        eventually(lambda: raft.Raft("secret").view(node))
        assert raft.Raft("another").view(node) is None
        assert not raft.Raft("another").add(node, "127.0.0.1:9")
    finally:
        running.destroy()


class Hostile:
    """Whoever unpickles it without care makes a directory."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.directory),)


@pytest.mark.parametrize("key", ["self", "leader", "later"])
def test_an_answer_cannot_run_anything(key: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hooks run as root; who answers does not.
    monkeypatch.setattr(raft, "TIMEOUT_SECONDS", 2.0)
    node, made = free_node(), tmp_path / "made"
    running = start(node, [], "secret")
    try:
        eventually(lambda: raft.Raft("secret").view(node))
        honest = running.getStatus
        running.getStatus = lambda: {**honest(), key: Hostile(made)}
        assert raft.Raft("secret").view(node) is None
        assert not made.exists()
        running.getStatus = honest
        assert raft.Raft("secret").view(node) is not None
    finally:
        running.destroy()


def test_passwords_are_on_no_command_line() -> None:
    # pysyncobj's utility runs in this process; nothing is started.
    source = pathlib.Path(str(raft.__file__)).read_text()
    assert "subprocess" not in source
