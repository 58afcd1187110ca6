"""The controller as a process, over root-less machines: its RPC, its threads, its death and its return."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time
import typing

import pytest
import yaml

from lab.juju import client

ROOT = pathlib.Path(__file__).parents[2]
TIMEOUT = 60.0


class Daemon:
    """A controller in a process of its own."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.socket = state / "controller.socket"
        self.start()

    def start(self) -> None:
        with (self.state.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lab.controller", "--state", str(self.state), "--machines", "rootless"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        until(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.state.parent / "log").read_text()
        try:
            return self.call("show_controller") is not None
        except client.NotRunning:
            return False

    def call(self, method: str, **params: typing.Any) -> typing.Any:
        connection = client.Client(self.socket)
        try:
            return connection.call(method, **params)
        finally:
            connection.close()

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(30)

    def idle(self, count: int = 1) -> bool:
        shown = self.call("status", model="m")["applications"].get("tiny", {}).get("units", {})
        return len(shown) == count and all(unit["juju-status"]["current"] == "idle" for unit in shown.values())


def until(condition: collections.abc.Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> collections.abc.Iterator[Daemon]:
    state = tmp_path / "state"
    state.mkdir()
    made = Daemon(state)
    yield made
    if made.process.poll() is None:
        made.end(signal.SIGTERM)


@pytest.fixture
def charm(tmp_path: pathlib.Path) -> str:
    directory = tmp_path / "charm"
    directory.mkdir()
    (directory / "metadata.yaml").write_text(yaml.safe_dump({"name": "tiny", "peers": {"p": {"interface": "p"}}}))
    (directory / "dispatch").write_text(
        "#!/bin/sh\n"
        f'echo "$JUJU_UNIT_NAME $JUJU_HOOK_NAME" >>{tmp_path}/trace\n'
        f"[ -f {tmp_path}/slow ] && [ $JUJU_HOOK_NAME = config-changed ] || exit 0\n"
        f"echo $$ >{tmp_path}/pid; sleep 60\n"
    )
    (directory / "dispatch").chmod(0o755)
    return str(directory)


def test_three_units_come_up_and_go(daemon: Daemon, charm: str) -> None:
    daemon.call("add_model", name="m")
    daemon.call("deploy", model="m", charm=charm, num_units=3)
    until(lambda: daemon.idle(3))
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
    daemon.call("destroy_model", model="m")
    until(lambda: daemon.call("models") == [])
    assert list(daemon.state.glob("machines/*/machine.json")) == []


def test_errors(daemon: Daemon) -> None:
    for method, params, code in (
        ("nothing", {}, "not implemented"),
        ("_model", {"reference": "x"}, "not implemented"),
        ("show_model", {"model": "x"}, "model not found"),
        ("add_model", {"name": "m", "colour": 1}, "bad request"),
        ("add_model", {}, "bad request"),
    ):
        with pytest.raises(client.RemoteError) as raised:
            daemon.call(method, **params)
        assert raised.value.code == code


def test_clients_follow_the_journal(daemon: Daemon) -> None:
    before = daemon.call("wait", since=0, timeout=0)["sequence"]
    start = time.monotonic()
    assert daemon.call("wait", since=before, timeout=0.2) == {"sequence": before, "changes": []}
    assert time.monotonic() - start >= 0.2
    daemon.call("add_model", name="m")
    after = daemon.call("wait", since=before, timeout=30)
    assert "models" in {change["kind"] for change in after["changes"]}
    assert after["sequence"] > before


def test_a_killed_controller_goes_on_where_it_was(daemon: Daemon, charm: str, tmp_path: pathlib.Path) -> None:
    daemon.call("add_model", name="m")
    daemon.call("deploy", model="m", charm=charm)
    until(daemon.idle)
    (tmp_path / "slow").touch()
    daemon.call("trust", model="m", application="tiny")
    until((tmp_path / "pid").exists)
    left_over = int((tmp_path / "pid").read_text())
    daemon.end(signal.SIGKILL)
    os.kill(left_over, 0)
    (tmp_path / "slow").unlink()
    (tmp_path / "trace").write_text("")
    daemon.start()
    until(lambda: not pathlib.Path(f"/proc/{left_over}").exists())
    # The hook that was cut off has failed, and is retried five seconds later.
    until(lambda: "tiny/0 config-changed" in (tmp_path / "trace").read_text())
    until(daemon.idle)
    assert "install" not in (tmp_path / "trace").read_text()


def test_an_orderly_stop_leaves_no_process_and_no_socket(daemon: Daemon, charm: str, tmp_path: pathlib.Path) -> None:
    daemon.call("add_model", name="m")
    daemon.call("deploy", model="m", charm=charm)
    until(daemon.idle)
    (tmp_path / "slow").touch()
    daemon.call("trust", model="m", application="tiny")
    until((tmp_path / "pid").exists)
    before = time.monotonic()
    daemon.end(signal.SIGTERM)
    assert daemon.process.returncode == 0
    assert time.monotonic() - before < 10
    assert not daemon.socket.exists()
    assert not pathlib.Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_files_that_cannot_be_written_are_tried_again_after_a_pause(daemon: Daemon, charm: str) -> None:
    def failures() -> int:
        return sum("cannot deploy charm" in line["message"] for line in daemon.call("debug_log", model="m"))

    daemon.call("add_model", name="m")
    daemon.call("deploy", model="m", charm=charm)
    until(daemon.idle)
    (files,) = daemon.state.glob("machines/*/**/agents/unit-tiny-0/charm")
    files.rename(files.with_name("aside"))
    files.touch()
    before = time.monotonic()
    daemon.call("refresh", model="m", application="tiny", path=charm)
    until(lambda: failures() >= 3)
    assert time.monotonic() - before >= 2
    files.unlink()
    until(lambda: (files / "dispatch").exists() and daemon.idle())


def test_an_outage_is_an_outage_for_clients_too(daemon: Daemon) -> None:
    daemon.call("add_model", name="m")
    daemon.call("fault_outage", on=True)
    with pytest.raises(client.RemoteError, match="cannot connect"):
        daemon.call("status", model="m")
    daemon.call("fault_outage", on=False)
    assert daemon.call("status", model="m")


def test_units_on_different_machines_run_their_hooks_at_once(
    daemon: Daemon, charm: str, tmp_path: pathlib.Path
) -> None:
    barrier = f"""#!/bin/sh
case $JUJU_HOOK_NAME in install)
    touch {tmp_path}/at-${{JUJU_UNIT_NAME#*/}}
    until [ -f {tmp_path}/at-0 ] && [ -f {tmp_path}/at-1 ]; do sleep 0.01; done;;
esac
"""
    (pathlib.Path(charm) / "dispatch").write_text(barrier)
    daemon.call("add_model", name="m")
    daemon.call("deploy", model="m", charm=charm, num_units=2)
    until(lambda: daemon.idle(2))


def test_units_on_one_machine_run_one_hook_at_a_time(daemon: Daemon, charm: str, tmp_path: pathlib.Path) -> None:
    exclusive = f"#!/bin/sh\nmkdir {tmp_path}/lock || exit 1\nsleep 0.05\nrmdir {tmp_path}/lock\n"
    (pathlib.Path(charm) / "dispatch").write_text(exclusive)
    daemon.call("add_model", name="m")
    daemon.call("add_machine", model="m")
    daemon.call("deploy", model="m", charm=charm, num_units=3, to=["0", "0", "0"])
    until(lambda: daemon.idle(3))
    lines = daemon.call("debug_log", model="m")
    assert not [line for line in lines if "failed" in line["message"]]
