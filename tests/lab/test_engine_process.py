"""One process of a hook: its output, its hook tools' calls, and its end."""

from __future__ import annotations

import os
import pathlib
import socket
import time

import pytest

from lab.controller import process
from lab.machines import rootless


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> rootless.RootlessMachine:
    made = rootless.Machines(tmp_path).create("m")
    made.start()
    return made


def run(
    machine: rootless.RootlessMachine,
    script: str,
    agent_socket: process.AgentSocket | None = None,
    deadline: float | None = None,
) -> tuple[int, list[tuple[bool, str]], list[bytes]]:
    lines: list[tuple[bool, str]] = []
    requests: list[bytes] = []

    def on_request(connection: socket.socket, request: bytes) -> None:
        requests.append(request)
        process.reply(connection, b"answer to " + request)

    started = process.HookProcess(machine, ["/bin/sh"], {"PATH": os.environ["PATH"]}, machine.inside("/"), script)
    code = started.run(agent_socket, on_request, lambda error, line: lines.append((error, line)), deadline)
    return code, lines, requests


def test_output_comes_line_by_line(machine: rootless.RootlessMachine) -> None:
    code, lines, _ = run(machine, "echo one; printf 'two\\nthr'; printf 'ee\\n'; printf 'caf\\303\\251'; exit 3")
    assert code == 3
    assert lines == [(False, "one"), (False, "two"), (False, "three"), (False, "café")]


def test_bytes_that_are_no_text_do_no_harm(machine: rootless.RootlessMachine) -> None:
    assert run(machine, "printf '\\377\\n' >&2")[1] == [(True, "\ufffd")]


def test_much_output(machine: rootless.RootlessMachine) -> None:
    _, lines, _ = run(machine, "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
    assert len(lines) == 20000
    assert lines[-1] == (False, "line 19999")


def test_a_script_longer_than_a_pipe_takes(machine: rootless.RootlessMachine) -> None:
    code, lines, _ = run(machine, "#" * 200_000 + "\necho end; exit 2")
    assert (code, lines) == (2, [(False, "end")])


def test_hook_tools_are_served_even_if_output_is_closed(
    machine: rootless.RootlessMachine, tmp_path: pathlib.Path
) -> None:
    agent_socket = process.AgentSocket(tmp_path / "agent.socket")
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('agent.socket'); "
        "s.sendall(b'que'); s.sendall(b'stion\\n'); open('got', 'wb').write(s.recv(99))"
    )
    code, _, requests = run(machine, f'exec >/dev/null 2>&1; cd {tmp_path}; python3 -IS -c "{ask}"', agent_socket)
    agent_socket.close()
    assert code == 0
    assert requests == [b"question\n"]
    assert (tmp_path / "got").read_bytes() == b"answer to question\n"


def test_a_connection_takes_one_request_after_the_other(
    machine: rootless.RootlessMachine, tmp_path: pathlib.Path
) -> None:
    agent_socket = process.AgentSocket(tmp_path / "agent.socket")
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('agent.socket'); got = open('got', 'wb')\n"
        "for each in (b'first\\n', b'second\\n'): s.sendall(each); got.write(s.recv(99))"
    )
    (tmp_path / "ask.py").write_text(ask)
    code, _, requests = run(machine, f"cd {tmp_path}; python3 -IS ask.py", agent_socket)
    agent_socket.close()
    assert (code, requests) == (0, [b"first\n", b"second\n"])
    assert (tmp_path / "got").read_bytes() == b"answer to first\nanswer to second\n"


def test_an_answer_that_nobody_takes_ends_the_connection() -> None:
    agent, asker = socket.socketpair()
    with agent, asker:
        asker.settimeout(5)
        asker.shutdown(socket.SHUT_RD)
        process.reply(agent, b"answer")
        assert asker.recv(1) == b""
        assert agent.recv(1) == b""


def test_who_hangs_up_without_a_request_is_forgotten(machine: rootless.RootlessMachine, tmp_path: pathlib.Path) -> None:
    agent_socket = process.AgentSocket(tmp_path / "agent.socket")
    with socket.socket(socket.AF_UNIX) as half:
        half.connect(str(tmp_path / "agent.socket"))
        half.sendall(b"half")
    code, _, requests = run(machine, "sleep 0.1; exit 1", agent_socket)
    agent_socket.close()
    assert (code, requests) == (1, [])


def test_a_deadline_kills_all_that_was_started(machine: rootless.RootlessMachine, tmp_path: pathlib.Path) -> None:
    script = f"sleep 60 & echo $! >{tmp_path}/child; wait"
    code, _, _ = run(machine, script, deadline=time.monotonic() + 0.5)
    assert code == -9
    child = pathlib.Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    # The kernel delivers a kill a moment after it was sent.
    patience = time.monotonic() + 5
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < patience
        time.sleep(0.01)


def test_an_exception_of_a_callback_kills_the_process(
    machine: rootless.RootlessMachine, tmp_path: pathlib.Path
) -> None:
    started = process.HookProcess(
        machine, ["/bin/sh"], {"PATH": os.environ["PATH"]}, machine.inside("/"), "echo out; sleep 60"
    )

    def fail(*_: object) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        started.run(None, fail, fail)
    assert not pathlib.Path(f"/proc/{started.pid}").exists()


def test_what_was_written_down_is_killed_unless_it_is_another_process(tmp_path: pathlib.Path) -> None:
    record = tmp_path / "run.pid"
    record.write_text(f"{os.getpid()} 1")
    process.kill_recorded(record)
    assert not record.exists()
    process.kill_recorded(record)


def test_a_socket_at_a_long_path(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    made = process.AgentSocket(directory / "agent.socket")
    assert (directory / "agent.socket").is_socket()
    made.close()
