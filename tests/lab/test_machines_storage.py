"""Storage of real machines: it is there at each boot, stays when a machine goes, and is not taken away in use."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess

import pytest

from lab import cache
from lab.machines import nspawn

pytestmark = [pytest.mark.machines, pytest.mark.inside]


def _out(machine: nspawn.NspawnMachine, *argv: str) -> str:
    return machine.run(argv, timeout=60).stdout.strip()


@pytest.mark.parametrize("kind", ["directory", "image"])
def test_storage_is_there_at_each_boot_and_can_go_elsewhere(machine, other, kind):
    machine.attach_storage(f"data-{kind}", "/srv/my data", kind, 64 << 20)
    _out(machine, "sh", "-c", "echo one >'/srv/my data/file'")
    machine.reboot()
    assert _out(machine, "cat", "/srv/my data/file") == "one"
    machine.crash()
    machine.start()
    assert _out(machine, "cat", "/srv/my data/file") == "one"
    machine.detach_storage("/srv/my data")
    assert machine.run(["ls", "/srv/my data"], timeout=9).stdout == ""
    other.stop()
    other.attach_storage(f"data-{kind}", "/srv/data", kind, None)
    other.start()
    assert _out(other, "cat", "/srv/data/file") == "one"
    other.detach_storage("/srv/data")
    other.detach_storage("/srv/data")
    machine.reboot()
    assert machine.run(["mountpoint", "/srv/my data"], timeout=9, check=False).returncode


def test_storage_is_mounted_before_services_start(own_machine):
    unit = "[Service]\nType=oneshot\nExecStart=cp /srv/data/file /root/seen\n[Install]\nWantedBy=multi-user.target\n"
    own_machine.attach_storage("early", "/srv/data", "image", 64 << 20)
    _out(own_machine, "sh", "-c", "echo one >/srv/data/file")
    own_machine.outside("/etc/systemd/system/early.service").write_text(unit)
    _out(own_machine, "systemctl", "enable", "early")
    own_machine.reboot()
    assert own_machine.outside("/root/seen").read_text() == "one\n"


def test_a_machine_comes_up_without_storage_that_is_gone(own_machine, running_lab):
    own_machine.attach_storage("gone", "/srv/data", "directory", None)
    own_machine.stop()
    (running_lab.storage / "gone").rmdir()
    own_machine.start()
    assert _out(own_machine, "systemctl", "is-active", "multi-user.target") == "active"


def test_an_image_is_full_when_its_size_is_used_up(machine):
    machine.attach_storage("small", "/srv/small", "image", 16 << 20)
    result = machine.run(["dd", "if=/dev/zero", "of=/srv/small/file", "bs=1M"], timeout=60, check=False)
    assert "No space left on device" in result.stderr


def test_storage_in_use_is_not_taken_away(machine):
    machine.attach_storage("busy", "/srv/busy", "directory", None)
    process = machine.popen(["sleep", "1234"], cwd="/srv/busy")
    with pytest.raises(subprocess.CalledProcessError):
        machine.detach_storage("/srv/busy")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    machine.detach_storage("/srv/busy")


def test_the_layers_of_a_running_machine_are_held(machine):
    for layer in machine.layers:
        assert not cache._remove_free(pathlib.Path(layer))
