from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from lab import commands, namespaces
from lab.machines import faults, groups, mount_ids, network, nspawn, supervisor
from lab.machines import machine as machine_module

pytestmark = [pytest.mark.machines, pytest.mark.inside]


def _out(machine: nspawn.NspawnMachine, *argv: str) -> str:
    return machine.run(argv, timeout=60).stdout.strip()


def _eventually(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_is_a_machine_of_its_own(machine):
    assert _out(machine, "hostname") == machine.name
    assert _out(machine, "systemctl", "is-system-running") == "running"
    assert machine.address in _out(machine, "ip", "-brief", "address", "show", "dev", "eth0")
    assert _out(machine, "nproc") == str(len(os.sched_getaffinity(0)))
    mask = int(_out(machine, "taskset", "-p", "1").rpartition(" ")[2], 16)
    assert mask.bit_count() == len(os.sched_getaffinity(0))


def test_its_snapd_is_ready_and_offline(machine):
    names = [line.split()[0] for line in _out(machine, "snap", "list").splitlines()[1:]]
    assert "snapd" in names
    assert _out(machine, "snap", "get", "system", "store.access") == "offline"


def test_the_rest_of_the_world_is_unreachable_at_once(machine):
    started = time.monotonic()
    result = machine.run(["ping", "-c1", "-W5", "192.0.2.77"], timeout=20, check=False)
    assert result.returncode == 1
    assert "Unreachable" in result.stdout
    assert time.monotonic() - started < 4


def test_whoever_asks_finds_it_again(machine, machines, running_lab):
    code = (
        "from lab import settings; from lab.machines import nspawn; "
        f"found = nspawn.Machines(settings.load()).get({machine.name!r}); "
        "print(found.running, found.address, found.boot_id)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout.split() == ["True", machine.address, machine.boot_id]
    assert machine.name in machines.names()


def test_it_outlives_who_started_it(machine):
    machine.stop()
    code = (
        "from lab import settings; from lab.machines import nspawn; "
        f"nspawn.Machines(settings.load()).get({machine.name!r}).start()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, start_new_session=True)
    assert machine.running
    parent = commands.run("pgrep", "--parent", "1", "--full", "lab.machines.supervisor").stdout
    assert parent.strip()


def test_starting_twice_is_starting_once(machine):
    before = machine.boot_id
    machine.start()
    assert machine.boot_id == before


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_files_outlast_its_end(machine, end):
    _out(machine, "sh", "-c", "echo kept >/root/file; sync")
    before = machine.boot_id
    getattr(machine, end)()
    assert not machine.running
    assert machine.boot_id == ""
    assert machine.outside("/root/file").read_text() == "kept\n"
    machine.start()
    assert _out(machine, "cat", "/root/file") == "kept"
    assert machine.boot_id not in ("", before)


def test_a_clean_stop_lets_services_end_and_a_crash_does_not(own_machine):
    unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nExecStop=sh -c 'echo x >>/root/ended'\n"
    own_machine.outside("/etc/systemd/system/last.service").write_text(unit)
    _out(own_machine, "systemctl", "daemon-reload")
    for end, expected in ((own_machine.crash, ""), (own_machine.stop, "x\n")):
        _out(own_machine, "systemctl", "start", "last")
        end()
        ended = own_machine.outside("/root/ended")
        assert (ended.read_text() if ended.exists() else "") == expected
        own_machine.start()


def test_reboot_is_a_new_boot(machine):
    before = machine.boot_id
    _out(machine, "touch", "/run/old", "/root/old")
    machine.reboot()
    assert machine.boot_id not in ("", before)
    assert machine.run(["test", "-e", "/run/old"], timeout=9, check=False).returncode == 1
    assert machine.run(["test", "-e", "/root/old"], timeout=9, check=False).returncode == 0


def test_it_may_reboot_itself(machine):
    for _ in range(2):
        before = machine.boot_id
        machine.run(["systemctl", "reboot"], timeout=30, check=False)
        _eventually(lambda before=before: machine.boot_id not in ("", before), 60)
        # From here on Juju's agent runs hooks, which want a machine whose systemd has begun with services.
        assert "basic.target" in _out(machine, "systemctl", "list-units", "--state=active", "--plain", "basic.target")
        machine.start()  # waits until it is up
        assert _out(machine, "systemctl", "is-system-running") == "running"


def test_it_may_power_itself_off(machine):
    machine.run(["systemctl", "poweroff"], timeout=30, check=False)
    _eventually(lambda: not machine.running and not machine._supervised, 60)
    machine.start()
    assert machine.running


def test_a_command_has_the_environment_directory_and_input_it_is_given_and_nothing_else(machine):
    process = machine.popen(
        ["sh", "-c", "env; pwd; cat"],
        env={"PATH": "/usr/bin", "ONLY": "this"},
        cwd="/var/lib",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = process.communicate("input", 20)
    assert set(out.splitlines()) == {"PATH=/usr/bin", "ONLY=this", "PWD=/var/lib", "/var/lib", "input"}


def test_a_commands_status_and_signal_come_back(machine):
    assert machine.run(["sh", "-c", "exit 42"], timeout=20, check=False).returncode == 42
    assert machine.run(["sh", "-c", "kill -9 $$"], timeout=20, check=False).returncode == -signal.SIGKILL
    with pytest.raises(subprocess.CalledProcessError):
        machine.run(["false"], timeout=20)


def test_a_commands_group_can_be_killed(machine):
    process = machine.popen(["sh", "-c", "sleep 1234 & sleep 1234"])
    try:
        _eventually(lambda: _sleeping(machine) == 3)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    _eventually(lambda: _sleeping(machine) == 0)


def _sleeping(machine: nspawn.NspawnMachine) -> int:
    return int(machine.run(["pgrep", "-f", "-c", "[s]leep 1234"], timeout=20, check=False).stdout)


def test_a_command_that_takes_too_long_is_killed(machine):
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run(["sleep", "1234"], timeout=0.5)
    _eventually(lambda: _sleeping(machine) == 0)


def test_systemd_knows_a_command_as_one_of_its_own(machine):
    assert _out(machine, "cat", "/proc/self/cgroup").endswith("/system.slice/lab-agent.service")
    assert _out(machine, "systemd-run", "--scope", "--quiet", "echo", "in a scope") == "in a scope"


def test_commands_end_with_the_machine(machine):
    process = machine.popen(["sleep", "1234"])
    machine.crash()
    assert process.wait(20) != 0
    with pytest.raises(machine_module.MachineError, match="does not run"):
        machine.run(["true"], timeout=5)


def test_a_socket_of_the_controller_is_reached_from_inside(machine):
    directory = machine.outside("/var/lib/juju/agents/unit-app-0")
    directory.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        descriptor = os.open(directory, os.O_PATH)
        listener.bind(f"/proc/self/fd/{descriptor}/agent.socket")  # the path itself may be too long for a socket
        os.close(descriptor)
        listener.listen()
        code = (
            "import socket; s = socket.socket(socket.AF_UNIX); "
            "s.connect('/var/lib/juju/agents/unit-app-0/agent.socket'); print(s.recv(10).decode())"
        )
        thread = threading.Thread(target=lambda: listener.accept()[0].sendall(b"hello"))
        thread.start()
        assert _out(machine, "python3", "-c", code) == "hello"
        thread.join(10)


def test_snaps_work_after_every_boot(machine, tmp_path):
    snap = _snap(tmp_path, "probe")
    machine.outside("/root/probe.snap").write_bytes(snap.read_bytes())
    _out(machine, "snap", "install", "--dangerous", "/root/probe.snap")
    for _ in range(3):
        assert _out(machine, "probe.say") == "said"
        assert _out(machine, "systemctl", "is-active", "snap.probe.stay") == "active"
        machine.reboot()


def test_every_mount_namespace_to_come_has_a_greater_number_than_the_machines(machine):
    processors = os.sched_getaffinity(0)
    for _ in range(4):
        leader = groups.leader(machine.group)
        assert leader
        try:
            mount_ids.of(leader)
        except OSError:
            pytest.skip("this kernel does not number mount namespaces")
        assert mount_ids.precedes_all(leader, processors)
        machine.crash()
        machine.start()


def test_a_machine_whose_mount_namespace_has_too_great_a_number_is_booted_again(machine, running_lab, monkeypatch):
    numbers = {processor: mount_ids.made_on(processor) for processor in os.sched_getaffinity(0)}
    last = max(numbers, key=lambda processor: numbers[processor] or 0)
    if len(numbers) < 2 or None in numbers.values():
        pytest.skip("this kernel does not number mount namespaces, or has one processor only")
    machine.crash()
    chosen = []

    def choose(processors):
        chosen.append(last if not chosen else real_choose(processors))
        return chosen[-1]

    real_choose = mount_ids.choose
    monkeypatch.setattr(mount_ids, "choose", choose)
    thread = threading.Thread(target=supervisor.boot, args=(running_lab, machine))
    thread.start()
    try:
        _eventually(lambda: len(chosen) == 2)
        _eventually(lambda: machine.boot_id)
        leader = groups.leader(machine.group)
        assert leader
        assert mount_ids.precedes_all(leader, numbers)
    finally:
        while thread.is_alive():
            if leader := groups.leader(machine.group):
                os.kill(leader, signal.SIGKILL)
            thread.join(0.05)
    machine.start()


def _snap(directory: pathlib.Path, name: str) -> pathlib.Path:
    tree = directory / name
    (tree / "meta").mkdir(parents=True)
    (tree / "meta/snap.yaml").write_text(
        f"name: {name}\nversion: '1'\nsummary: s\ndescription: d\nbase: core24\nconfinement: strict\n"
        "layout:\n  /usr/share/probe: {bind: $SNAP/share}\n"
        "apps:\n  say: {command: say}\n  stay: {command: stay, daemon: simple}\n"
    )
    (tree / "share").mkdir()
    (tree / "share/text").write_text("said\n")
    for app, script in (("say", "cat /usr/share/probe/text"), ("stay", "exec sleep 10000")):
        (tree / app).write_text(f"#!/bin/sh\n{script}\n")
        (tree / app).chmod(0o755)
    file = directory / f"{name}.snap"
    commands.run("mksquashfs", str(tree), str(file), "-noappend", "-all-root", "-no-progress", "-quiet")
    return file


def test_destroying_leaves_nothing_but_storage(own_machine, running_lab):
    own_machine.attach_storage("kept-0", "/srv/kept", "directory", None)
    _out(own_machine, "touch", "/srv/kept/file")
    index, namespace, group = own_machine.index, own_machine.network_namespace, own_machine.group
    own_machine.destroy()
    assert not (running_lab.machines / own_machine.name).exists()
    assert not namespace.exists()
    assert not group.exists()
    assert network.port(index) not in commands.run("ip", "-brief", "link").stdout
    assert own_machine.name not in pathlib.Path("/proc/self/mountinfo").read_text()
    assert (running_lab.storage / "kept-0/file").exists()


def test_a_machine_that_cannot_boot_says_so(own_machine):
    own_machine.stop()
    init = own_machine.outside("/usr/lib/systemd/systemd")
    init.unlink()
    started = time.monotonic()
    with pytest.raises(machine_module.MachineError, match=r"console\.log"):
        own_machine.start()
    assert time.monotonic() - started < 20


def test_names_and_addresses_are_unique(machine, machines):
    with pytest.raises(FileExistsError):
        machines.create(machine.name)
    with pytest.raises(ValueError, match="not a host name"):
        machines.create("../etc")
    other = machines.create("other-0")
    try:
        assert other.address != machine.address
        assert other.index != machine.index
    finally:
        other.destroy()
    with pytest.raises(LookupError):
        machines.get("other-0")


def _reaches(source: nspawn.NspawnMachine, address: str) -> bool:
    return not source.run(["ping", "-c1", "-W1", address], timeout=20, check=False).returncode


def test_machines_reach_each_other_until_one_is_isolated(machine, other):
    assert _reaches(machine, other.address)
    faults.isolate(machine)
    assert not _reaches(machine, other.address)
    assert not _reaches(other, machine.address)
    assert "LOWER_UP" in _out(machine, "ip", "link", "show", "eth0")
    faults.rejoin(machine)
    _eventually(lambda: _reaches(machine, other.address))


def test_a_connection_may_fail_in_one_direction_only(machine, other):
    assert _reaches(machine, other.address)
    receive = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 5000)); s.settimeout(3)\n"
        "try: print(s.recv(9).decode())\nexcept TimeoutError: print('nothing')"
    )
    send = "import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', (sys.argv[1], 5000))"
    faults.block(machine, other.address)
    for source, target, expected in ((other, machine, "hello"), (machine, other, "nothing")):
        process = target.popen(["python3", "-c", receive], stdout=subprocess.PIPE, text=True)
        for _ in range(10):
            time.sleep(0.1)
            _out(source, "python3", "-c", send, target.address)
        assert process.communicate(timeout=20)[0].strip() == expected
    faults.rejoin(machine)
    assert _reaches(machine, other.address)


def test_an_address_may_change_and_stays_changed(machine, other, running_lab):
    old = machine.address
    lab = namespaces.find(running_lab)
    assert lab
    new = network.addresses(lab.subnet)[-1]
    with pytest.raises(ValueError, match="not free"):
        machine.change_address(other.address)
    machine.change_address(new)
    assert machine.address == new
    assert _reaches(other, new)
    assert not _reaches(other, old)
    machine.reboot()
    assert _reaches(other, new)
    assert _out(machine, "ip", "route", "show", "default")


def test_a_frozen_machine_does_nothing_until_it_is_thawed(machine):
    ticks = machine.outside("/root/ticks")
    machine.popen(["sh", "-c", "while :; do echo >>/root/ticks; sleep 0.05; done"])
    _eventually(ticks.exists)
    faults.freeze(machine)
    before = ticks.stat().st_size
    time.sleep(0.5)
    assert ticks.stat().st_size == before
    assert machine.running
    faults.thaw(machine)
    _eventually(lambda: ticks.stat().st_size > before)


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_a_frozen_machine_can_be_ended(machine, end):
    faults.freeze(machine)
    getattr(machine, end)()
    assert not machine.running
