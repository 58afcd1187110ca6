"""The executable that goes into machines, against a server on a real socket."""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import time
from collections.abc import Iterator

import pytest

from lab.controller import tools
from tests.lab import tools_agent, tools_world

SLOWEST = 0.015
"""What a call of a tool may cost, in seconds."""


@pytest.fixture
def world() -> tools_world.World:
    return tools_world.World()


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    deep = tmp_path / ("long-" * 20) / "var/lib/juju/agents/unit-pg-0"
    deep.mkdir(parents=True)
    tools.install(deep / "tools")
    return deep


@pytest.fixture
def agent(world: tools_world.World, directory: pathlib.Path) -> Iterator[tools_agent.Agent]:
    run = world.start("pg/0")
    running = tools_agent.Agent(
        directory, lambda request: tools.respond(request, lambda name: run.context if name == "this" else None)
    )
    yield running
    running.close()


def test_every_tool_is_there_and_installing_again_is_no_error(directory: pathlib.Path) -> None:
    tools.install(directory / "tools")
    assert {path.name for path in (directory / "tools").iterdir()} == {*tools.NAMES, "hook-tool"}
    assert all(os.access(path, os.X_OK) for path in (directory / "tools").iterdir())


def test_output_and_exit_statuses(agent: tools_agent.Agent) -> None:
    assert agent.run("is-leader", "--format", "json") == (0, b"true\n", b"")
    assert agent.run("relation-ids", "--nope") == (2, b"", b"ERROR option provided but not defined: --nope\n")
    assert agent.run("action-get") == (1, b"", b"ERROR not running an action\n")
    assert agent.run("relation-get", "--help")[1].startswith(b"Usage: relation-get")


def test_standard_input_is_read_only_if_it_is_wanted(agent: tools_agent.Agent) -> None:
    reading, writing = os.pipe()
    try:
        assert agent.run("is-leader", stdin=reading)[0] == 0
        assert agent.run("relation-get", "-r", "2", "-", "pg/0", stdin=reading) == (0, b"{}\n", b"")
    finally:
        os.close(reading)
        os.close(writing)
    assert agent.run("relation-set", "-r", "2", "--file", "-", input=b'{"a": "1"}') == (0, b"", b"")
    assert agent.run("relation-get", "-r", "2", "a", "pg/0")[1] == b"1\n"


VALUES = {
    "quotes": b'"quoted" \\ back',
    "lines": b"two\nlines\r\ttab",
    "unicode": "h\u00e9 \u2028 \U0001f418".encode(),
    "controls": b"\x01\x1f\x7f",
    "bytes": b"not \xff utf-8",
    "long": b"x" * 200_000,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_arrive_as_they_are(agent: tools_agent.Agent, tmp_path: pathlib.Path, value: bytes) -> None:
    if len(value) < 100_000:
        assert agent.run("state-set", b"a=" + value) == (0, b"", b"")
        assert agent.run("state-get", "a") == (0, value + b"\n", b"")
    (tmp_path / "file").write_bytes(value)
    code, uri, _ = agent.run("secret-add", f"key#file={tmp_path}/file")
    assert code == 0
    assert agent.run("secret-get", uri.strip(), "key#base64")[0] == 0
    assert agent.run("secret-get", uri.strip(), "--format=json")[0] == 0


def test_files_are_those_of_the_callers_directory(agent: tools_agent.Agent, tmp_path: pathlib.Path) -> None:
    (tmp_path / "settings.yaml").write_text("a: b\n")
    assert agent.run("relation-set", "-r", "2", "--file", "settings.yaml", cwd=tmp_path)[0] == 0
    assert agent.run("relation-get", "-r", "2", "a", "pg/0")[1] == b"b\n"
    missing = f"ERROR open {tmp_path}/nope: no such file or directory\n".encode()
    assert agent.run("relation-set", "-r", "2", "--file", "nope", cwd=tmp_path) == (1, b"", missing)
    assert agent.run("secret-add", "key#file=nope", cwd=tmp_path) == (2, b"", missing)


def test_output_goes_into_a_file(agent: tools_agent.Agent, tmp_path: pathlib.Path) -> None:
    assert agent.run("config-get", "--format=json", "-o", "out", "size", cwd=tmp_path) == (0, b"", b"")
    assert (tmp_path / "out").read_text() == "3\n"
    code, out, err = agent.run("config-get", "--output=/nope/out")
    assert (code, out) == (1, b"") and err.startswith(b"ERROR open /nope/out: ")


@pytest.mark.parametrize("missing", ["JUJU_CONTEXT_ID", "JUJU_AGENT_SOCKET_ADDRESS"])
def test_outside_a_hook_there_is_nothing_to_ask(agent: tools_agent.Agent, missing: str) -> None:
    environment = agent.environment()
    del environment[missing]
    assert agent.run("is-leader", env=environment) == (1, b"", f"ERROR {missing} not set\n".encode())
    assert not agent.requests


def test_a_hook_that_has_ended_is_refused(agent: tools_agent.Agent) -> None:
    code, _, err = agent.run("is-leader", env=agent.environment(JUJU_CONTEXT_ID="that"))
    assert (code, err) == (1, b'ERROR bad request: unknown context "that"\n')


def test_an_agent_that_is_gone_is_an_error(directory: pathlib.Path, world: tools_world.World) -> None:
    cut = tools_agent.Agent(directory, lambda request: b"exit 0 100 0 \nonly this")
    try:
        assert cut.run("is-leader") == (1, b"", b"ERROR the agent went away\n")
    finally:
        cut.close()
    code, _, err = cut.run("is-leader")
    assert code == 1 and err.startswith(f"ERROR dial unix {directory}/agent.socket: connect: ".encode())


def processor_time() -> float:
    """Seconds that this process and its ended children have used; waiting for others' work does not count."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def test_a_call_is_cheap(agent: tools_agent.Agent) -> None:
    command = [str(agent.directory / "tools" / "is-leader"), "--format", "json"]
    environment = agent.environment()
    calls = 60
    start = processor_time()
    for _ in range(calls):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=20)
    assert (processor_time() - start) / calls < SLOWEST


def test_a_call_within_the_process_is_cheap(world: tools_world.World) -> None:
    run = world.start("pg/0")
    calls = [("is-leader", "--format", "json"), ("relation-get", "--format", "json", "--relation", "1", "a", "pg/1"),
             ("goal-state", "--format", "json"), ("config-get", "--format", "json", "size"),
             ("relation-list", "--format", "json", "--relation", "1")]  # fmt: skip
    times: list[float] = []
    for _ in range(40):
        start = time.thread_time()  # others may use the processor too
        for call in calls:
            run.call(*call)
        times.append((time.thread_time() - start) / len(calls))
    assert statistics.median(times) < 0.0003
