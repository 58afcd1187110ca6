from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from lab import commands, namespaces, settings

pytestmark = pytest.mark.machines


@pytest.fixture(autouse=True)
def nothing_is_left(lab_settings: settings.Settings, short_directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """After each test, whatever happened in it, the host has nothing that it did not have before."""
    claimed = []
    real = namespaces._claim
    monkeypatch.setattr(namespaces, "_claim", lambda name: claimed.append(real(name)) or claimed[-1])
    before = _outside_world(short_directory)
    yield
    namespaces.down(lab_settings)
    _eventually(
        lambda: _outside_world(short_directory) <= before, lambda: f"{_outside_world(short_directory) - before}"
    )
    routes = commands.run("ip", "route", "show", "type", "unreachable").stdout
    for subnet, group in claimed:
        assert not group.exists()
        assert f"{subnet} " not in routes


def _outside_world(directory: pathlib.Path) -> set[str]:
    """What a lab with its state below `directory` could leave on the host. Other labs may come and go meanwhile."""
    links = [link["ifname"] for link in json.loads(commands.run("ip", "-json", "link").stdout)]
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    loops = [path.read_text() for path in pathlib.Path("/sys/block").glob("loop*/loop/backing_file")]
    return {
        *(f"link {name}" for name in links),
        *(f"mount {path}" for path in mounts),
        *(f"loop device for {path}" for path in loops if str(directory) in path),
        *(f"process {process}" for process in _processes(directory)),
        *(str(path) for path in pathlib.Path("/run").iterdir()),
    }


def _processes(directory: pathlib.Path) -> list[str]:
    """Processes that were told of the directory, as everything in a lab is by its environment."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
            if str(directory).encode() in told:
                found.append(f"{path.name} {(path / 'comm').read_text()}")
    return found


def _eventually(condition, message=lambda: "", seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message()
        time.sleep(0.02)


def _inside(lab_settings: settings.Settings, *argv: str) -> subprocess.CompletedProcess[str]:
    command = namespaces.enter(lab_settings, argv)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def _reaches(lab_settings: settings.Settings, address: str) -> bool:
    """Whether something answers at an address: nobody listens there, so it is a refusal."""
    code = f"import socket; socket.create_connection(('{address}', 1), timeout=1)"
    return "ConnectionRefusedError" in _inside(lab_settings, sys.executable, "-c", code).stderr


def test_a_lab_has_its_own_processes_network_and_control_groups(lab_settings):
    lab = namespaces.up(lab_settings)

    assert "lab.init" in _inside(lab_settings, "cat", "/proc/1/cmdline").stdout
    links = json.loads(_inside(lab_settings, "ip", "-json", "link").stdout)
    assert {link["ifname"] for link in links} == {"lo", "br0"}
    assert _inside(lab_settings, "cat", "/proc/self/cgroup").stdout.splitlines()[-1] == "0::/init"
    assert _inside(lab_settings, "readlink", "/proc/1/ns/pid").stdout.strip() == lab.namespace


def test_a_command_inside_keeps_its_directory_its_status_and_its_input(lab_settings, tmp_path, monkeypatch):
    namespaces.up(lab_settings)
    monkeypatch.chdir(tmp_path)
    command = namespaces.enter(lab_settings, ["sh", "-c", "pwd; cat; exit 7"])
    result = subprocess.run(command, input="hello", capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout) == (7, f"{tmp_path}\nhello")


def test_a_command_inside_finds_the_lab_too_and_is_not_sent_in_again(lab_settings):
    namespaces.up(lab_settings)
    code = (
        "from lab import namespaces, settings; own = settings.load(); "
        "print(namespaces.find(own).inside, namespaces.enter(own, ['x']))"
    )
    command = namespaces.enter(lab_settings, [sys.executable, "-c", code])
    environment = commands.module_environment() | lab_settings.environment()
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout == "True ['x']\n"


def test_a_lab_cannot_be_ended_from_inside(lab_settings):
    namespaces.up(lab_settings)
    code = "from lab import namespaces, settings; namespaces.down(settings.load())"
    command = namespaces.enter(lab_settings, [sys.executable, "-c", code])
    environment = commands.module_environment() | lab_settings.environment()
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert "cannot be ended from inside" in result.stderr
    assert namespaces.find(lab_settings)


def test_up_again_gives_the_same_lab(lab_settings):
    assert namespaces.up(lab_settings) == namespaces.up(lab_settings)


def test_two_labs_do_not_meet(lab_settings, short_directory):
    other_settings = settings.Settings("test", short_directory / "other" / "test", lab_settings.cache, None, None, ())
    try:
        lab, other = namespaces.up(lab_settings), namespaces.up(other_settings)
        assert lab.subnet != other.subnet
        gateway = str(ipaddress.IPv4Network(other.subnet)[1])
        assert _reaches(other_settings, gateway)
        assert not _reaches(lab_settings, gateway)
        namespaces.down(lab_settings)
        assert _reaches(other_settings, gateway)
    finally:
        namespaces.down(other_settings)


def test_connections_to_a_lab_do_not_leave_the_host(lab_settings):
    lab = namespaces.up(lab_settings)
    address = str(ipaddress.IPv4Network(lab.subnet)[10])
    with pytest.raises(commands.CommandError, match="No route to host"):
        commands.run("ip", "route", "get", address)


def test_a_subnet_that_the_host_uses_is_not_taken(lab_settings, monkeypatch):
    first = namespaces.up(lab_settings).subnet
    namespaces.down(lab_settings)
    used = [ipaddress.IPv4Network(first).supernet(new_prefix=20), ipaddress.IPv4Network("128.0.0.0/1")]
    real = namespaces._routes
    monkeypatch.setattr(
        namespaces, "_routes", lambda *selection: real(*selection) + (used if "all" in selection else [])
    )
    taken = ipaddress.IPv4Network(namespaces.up(lab_settings).subnet)
    assert not taken.overlaps(used[0])


def test_what_somebody_put_into_the_state_directory_stays(lab_settings):
    namespaces.up(lab_settings)
    (lab_settings.state / "notes.txt").write_text("mine")
    (lab_settings.controller_database).write_text("the lab's")
    namespaces.down(lab_settings)
    assert [path.name for path in lab_settings.state.iterdir()] == ["notes.txt"]


def test_down_removes_the_state_unless_it_is_to_be_kept(lab_settings):
    namespaces.up(lab_settings)
    (lab_settings.storage / "data").write_text("precious")
    namespaces.down(lab_settings, keep=True)
    assert (lab_settings.storage / "data").read_text() == "precious"
    assert namespaces.find(lab_settings) is None
    namespaces.up(lab_settings)
    namespaces.down(lab_settings)
    assert not lab_settings.state.exists()


@pytest.mark.parametrize("victim", ["init", "its parent"])
def test_after_a_kill_nothing_runs_and_the_next_command_clears_the_rest(lab_settings, victim):
    lab = namespaces.up(lab_settings)
    lasting = subprocess.Popen(namespaces.enter(lab_settings, ["sh", "-c", "exec -a lab-test-sleep sleep 1000"]))
    os.kill(lab.pid if victim == "init" else namespaces._parent(lab.pid), signal.SIGKILL)
    assert lasting.wait(10) != 0
    _eventually(lambda: namespaces.find(lab_settings) is None)
    assert namespaces.down(lab_settings) is False


def test_the_next_up_starts_a_killed_lab_anew(lab_settings):
    lab = namespaces.up(lab_settings)
    os.kill(lab.pid, signal.SIGKILL)
    _eventually(lambda: namespaces.find(lab_settings) is None)
    again = namespaces.up(lab_settings)
    assert again.pid != lab.pid
    assert "lab.init" in _inside(lab_settings, "cat", "/proc/1/cmdline").stdout


def test_another_labs_command_clears_what_a_killed_one_left(lab_settings, short_directory):
    lab = namespaces.up(lab_settings)
    os.kill(lab.pid, signal.SIGKILL)
    _eventually(lambda: namespaces.find(lab_settings) is None)
    other_settings = settings.Settings("other", short_directory / "other", lab_settings.cache, None, None, ())
    namespaces.down(other_settings)
    assert not pathlib.Path(lab.group).exists()
    assert lab.subnet not in commands.run("ip", "route", "show", "type", "unreachable").stdout


def test_a_recycled_process_identifier_is_not_taken_for_a_lab(lab_settings):
    namespaces.up(lab_settings)
    described = json.loads(lab_settings.description.read_text())
    namespaces.down(lab_settings)
    lab_settings.state.mkdir(parents=True)
    other = subprocess.Popen(["sleep", "1000"])
    try:
        started = namespaces._started(other.pid)
        for wrong in ({"started": started + 1}, {"host_boot_id": "of the last boot"}):
            own = described | {"pid": other.pid, "started": started} | wrong
            lab_settings.description.write_text(json.dumps(own))
            assert namespaces.find(lab_settings) is None
            assert namespaces.down(lab_settings, keep=True) is False
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_lab_that_cannot_start_says_why_and_leaves_nothing(lab_settings, monkeypatch):
    monkeypatch.setattr(namespaces.commands, "module", lambda *_: ["/bin/false"])
    with pytest.raises(namespaces.NamespacesError):
        namespaces.up(lab_settings)
    assert namespaces.find(lab_settings) is None


def test_a_state_directory_that_would_be_hidden_is_refused():
    hidden = settings.Settings("test", pathlib.Path("/run/lab-test/test"), settings.load().cache, None, None, ())
    try:
        with pytest.raises(namespaces.NamespacesError, match="below /run"):
            namespaces.up(hidden)
    finally:
        namespaces.down(hidden)
        pathlib.Path("/run/lab-test").rmdir()


def _with_controller(lab_settings: settings.Settings, *script: str) -> settings.Settings:
    command = ("sh", "-c", "\n".join(script), "lab-test-controller")
    return settings.Settings("test", lab_settings.state, lab_settings.cache, controller_command=command)


def test_the_controller_is_started_again_and_its_children_live_on(lab_settings):
    starts = lab_settings.state.parent / "starts"
    child = f"[ -e {starts} ] || setsid sleep 1000 & "
    own = _with_controller(lab_settings, child, f"sleep 0.1; echo $$ >>{starts}", "while :; do sleep 1; done")
    namespaces.up(own)

    _eventually(lambda: starts.exists() and starts.read_text())
    first = starts.read_text().split()[0]
    subprocess.run(namespaces.enter(own, ["kill", "-9", first]), check=True, timeout=30)
    _eventually(lambda: len(starts.read_text().split()) == 2)
    assert _inside(own, "pgrep", "-f", "sleep 1000").stdout
    assert "Z" not in _inside(own, "ps", "-o", "stat=", "-A").stdout


def test_a_controller_that_fails_at_once_is_started_again_ever_later(lab_settings):
    starts = lab_settings.state.parent / "starts"
    own = _with_controller(lab_settings, f"date +%s.%N >>{starts}; exit 1")
    namespaces.up(own)
    _eventually(lambda: starts.exists() and len(starts.read_text().split()) >= 4)
    times = [float(word) for word in starts.read_text().split()]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] >= 0.2 and gaps[1] >= 0.4 and gaps[2] >= 0.8


def test_the_controller_may_end_in_order(lab_settings):
    ended = lab_settings.state.parent / "ended"
    own = _with_controller(lab_settings, f"trap 'echo yes >{ended}; exit' TERM", "while :; do sleep 0.05; done")
    namespaces.up(own)
    time.sleep(0.2)
    namespaces.down(own)
    assert ended.read_text() == "yes\n"


def test_a_controller_that_does_not_end_is_killed(lab_settings, monkeypatch):
    own = _with_controller(lab_settings, "trap '' TERM", "exec sleep 1000")
    namespaces.up(own)
    started = time.monotonic()
    assert namespaces.down(own) is True
    assert time.monotonic() - started < 12


def test_a_lab_for_one_command_ends_with_it(lab_settings):
    script = f"ip link show br0 >{lab_settings.state.parent}/seen; exit 5"
    assert namespaces.run(lab_settings, ["sh", "-c", script], layers=[], timeout=30) == 5
    assert "br0" in (lab_settings.state.parent / "seen").read_text()
    assert namespaces.find(lab_settings) is None


def test_a_lab_for_one_command_does_not_outlive_who_asked_for_it(lab_settings):
    started = lab_settings.state.parent / "started"
    script = f"touch {started}; exec sleep 1000"
    code = (
        "from lab import namespaces, settings; "
        f"namespaces.run(settings.load(), ['sh', '-c', {script!r}], layers=[], timeout=60)"
    )
    environment = commands.module_environment() | lab_settings.environment()
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    _eventually(started.exists)
    lab = namespaces.find(lab_settings)
    assert lab
    process.kill()
    process.wait()
    _eventually(lambda: namespaces.find(lab_settings) is None)
