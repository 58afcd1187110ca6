from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from lab.machines import machine as machine_module
from lab.machines import rootless


@pytest.fixture
def machines(tmp_path):
    return rootless.Machines(tmp_path)


@pytest.fixture
def machine(machines):
    made = machines.create("juju-5f3a1c-0")
    made.start()
    yield made
    made.stop()


def test_machines_are_found_again(machines, machine, tmp_path):
    again = rootless.Machines(tmp_path).get(machine.name)
    assert (again.name, again.address, again.boot_id, again.running) == (
        machine.name,
        machine.address,
        machine.boot_id,
        True,
    )
    assert machines.names() == [machine.name]
    with pytest.raises(LookupError):
        machines.get("nobody")


def test_names_and_addresses_are_unique(machines, machine):
    assert machines.create("other").address != machine.address
    with pytest.raises(FileExistsError):
        machines.create("other")
    for name in ("", "UPPER", "a/b", "..", "-a"):
        with pytest.raises(ValueError, match="host name"):
            machines.create(name)


def test_boots(machine):
    first = machine.boot_id
    machine.start()
    assert machine.boot_id == first
    machine.outside("/run/here").touch()
    machine.outside("/root/here").touch()
    machine.reboot()
    assert machine.boot_id not in ("", first)
    assert not machine.outside("/run/here").exists()
    assert machine.outside("/root/here").exists()
    machine.crash()
    assert (machine.running, machine.boot_id) == (False, "")
    with pytest.raises(machine_module.MachineError):
        machine.run(["true"], timeout=5)


def test_destroying_leaves_storage_only(machines, machine, tmp_path):
    machine.attach_storage("data", "/srv/data", "directory", None)
    machine.outside("/srv/data/file").touch()
    machine.destroy()
    assert machines.names() == []
    assert not machine.outside("/").exists()
    assert (tmp_path / "storage/data/file").exists()


def test_inside_and_outside_are_the_same(machine):
    machine.outside("/var/lib/x").parent.mkdir(parents=True, exist_ok=True)
    machine.outside("/var/lib/x").write_text("hello")
    assert machine.run(["cat", machine.inside("/var/lib/x")], timeout=9).stdout == "hello"


def test_the_machines_own_commands_come_first(machine):
    simulated = machine.outside("/usr/local/bin/snap")
    simulated.write_text("#!/bin/sh\necho simulated $*\n")
    simulated.chmod(0o755)
    assert machine.run(["snap", "list"], timeout=9).stdout == "simulated list\n"
    process = machine.popen(["sh", "-c", "snap x"], env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True)
    assert process.communicate(timeout=9)[0] == "simulated x\n"


def test_a_commands_environment_directory_input_and_status(machine):
    process = machine.popen(
        ["sh", "-c", "echo $ONLY; pwd; cat; exit 3"],
        env={"PATH": "/usr/bin:/bin", "ONLY": "this"},
        cwd=machine.inside("/etc"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.communicate("input", 9)[0] == f"this\n{machine.outside('/etc')}\ninput"
    assert process.returncode == 3
    with pytest.raises(subprocess.CalledProcessError):
        machine.run(["false"], timeout=9)
    assert machine.run(["false"], timeout=9, check=False).returncode == 1


def test_a_crash_ends_commands_whoever_started_them(machines, machine):
    process = machine.popen(["sh", "-c", "sleep 1000 & wait"])
    machines.get(machine.name).crash()
    assert process.wait(9) == -signal.SIGKILL


def test_a_command_that_takes_too_long_is_killed_with_its_children(machine):
    started = machine.outside("/root/pid")
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run(["sh", "-c", f"sleep 1000 & echo $! >{started}; wait"], timeout=0.5)
    child = int(started.read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("a child lives")


def test_storage_comes_and_goes(machine, tmp_path):
    for _ in range(2):
        machine.attach_storage("data", "/srv/data", "image", 1 << 20)
    machine.outside("/srv/data/file").write_text("kept")
    machine.detach_storage("/srv/data")
    machine.detach_storage("/srv/data")
    assert list(machine.outside("/srv/data").iterdir()) == []
    machine.attach_storage("data", "/srv/data", "image", None)
    assert machine.outside("/srv/data/file").read_text() == "kept"
