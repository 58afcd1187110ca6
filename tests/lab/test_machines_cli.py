from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab import cache, cli, commands, namespaces, requirements, settings
from lab.image import gold

LISTEN = (
    "import socket, time; from lab import settings; s = socket.socket(socket.AF_UNIX); "
    "s.bind(str(settings.load().controller_socket)); s.listen(); time.sleep(1000)"
)


def _lab(lab_settings: settings.Settings, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would, in a directory that nobody would miss."""
    return subprocess.run(
        commands.module("lab", *arguments),
        cwd="/",
        env=commands.module_environment() | lab_settings.environment() | environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def controlled(lab_settings):
    """Settings of a lab whose controller only listens."""
    yield settings.Settings(
        "test", lab_settings.state, lab_settings.cache, controller_command=(sys.executable, "-c", LISTEN)
    )
    namespaces.down(lab_settings)


def test_what_is_missing_is_named_with_its_remedy(lab_settings, monkeypatch, capsys):
    monkeypatch.setattr(commands, "_SYSTEM_PATH", "")
    monkeypatch.setenv("PATH", "")
    commands.find.cache_clear()
    try:
        missing = requirements.missing(lab_settings)
    finally:
        commands.find.cache_clear()
    assert "systemd-container" in requirements.packages(missing)
    assert "the command debootstrap" in [item.what for item in missing]

    monkeypatch.setattr(requirements, "missing", lambda _: missing)
    monkeypatch.setenv("LAB_NAME", "test")
    assert cli.main(["doctor"]) == 1
    assert "apt-get install apt coreutils debootstrap" in capsys.readouterr().out
    assert cli.main(["doctor", "--packages"]) == 0
    assert capsys.readouterr().out.split() == requirements.packages(missing)


def test_who_is_not_root_is_told_so(lab_settings, monkeypatch, capsys):
    monkeypatch.setenv("LAB_NAME", "test")
    monkeypatch.setenv("LAB_STATE", str(lab_settings.state.parent))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert any("not root" in item.what for item in requirements.missing(lab_settings))
    for arguments in (["up"], ["down"], ["enter", "true"], ["machines"]):
        assert cli.main(arguments) == 1
        assert "root" in capsys.readouterr().err


def test_too_little_space_is_told(lab_settings, monkeypatch):
    monkeypatch.setattr(requirements, "_FREE_BYTES", 1 << 60)
    assert any("GiB are free" in item.what for item in requirements._disk(lab_settings))


@pytest.mark.machines
def test_this_host_has_all_that_is_needed(lab_settings):
    assert requirements.missing(lab_settings) == []
    assert _lab(lab_settings, "doctor").returncode == 0
    assert list(lab_settings.state.parent.iterdir()) == []


@pytest.mark.machines
def test_a_state_directory_that_cannot_be_written_is_told_and_nothing_else_is_touched(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/precious").touch()
    (tmp_path / "a file").touch()
    monkeypatch.chdir(tmp_path / "here")
    own = settings.Settings("test", tmp_path / "a file" / "test", tmp_path)
    assert any("LAB_STATE" in item.remedy for item in requirements._namespaces(own))
    assert (tmp_path / "here/precious").exists()


def test_a_bad_setting_is_told(capsys, monkeypatch):
    monkeypatch.setenv("LAB_NAME", "Not A Name")
    assert cli.main(["doctor"]) == 1
    assert "LAB_NAME" in capsys.readouterr().err


@pytest.mark.machines
class TestRunning:
    def test_from_up_to_down(self, controlled):
        up = _lab(controlled, "up")
        assert up.returncode == 0, up.stderr
        assert f"JUJU_DATA={controlled.juju_data}" in up.stdout
        assert f"LAB_STATE={controlled.state.parent}" in up.stdout
        assert controlled.controller_socket.exists()
        assert list(controlled.store.glob("*.snap"))
        assert "runs, on" in _lab(controlled, "up").stdout
        assert _lab(controlled, "enter", "--", "sh", "-c", "exit 5").returncode == 5
        assert _lab(controlled, "down").stdout == "The lab test has ended.\n"
        assert _lab(controlled, "down").stdout == "The lab test did not run.\n"

    def test_a_controller_that_does_not_come_up_is_told(self, controlled, monkeypatch):
        mute = settings.Settings("test", controlled.state, controlled.cache, controller_command=("sleep", "1000"))
        namespaces.up(mute)
        monkeypatch.setattr(cli, "_CONTROLLER_TIMEOUT", 0.3)
        with pytest.raises(namespaces.NamespacesError, match=r"controller\.log"):
            cli._wait_for_controller(mute)

    def test_down_of_all_ends_every_lab_of_the_same_state_directory(self, lab_settings):
        labs = [
            settings.Settings(name, lab_settings.state.parent / name, lab_settings.cache, controller_command=())
            for name in ("one", "two")
        ]
        for lab in labs:
            namespaces.up(lab)
        assert _lab(lab_settings, "down", "--all").stdout.count("has ended") == 2
        assert [namespaces.find(lab) for lab in labs] == [None, None]

    def test_what_does_not_run_cannot_be_entered(self, lab_settings):
        result = _lab(lab_settings, "enter", "true")
        assert (result.returncode, "does not run" in result.stderr) == (1, True)

    def test_a_kept_lab_goes_on_with_its_machines_even_on_another_subnet(self, lab_settings):
        namespaces.up(lab_settings, layers=gold.layers(settings.load()))
        make = (
            "from lab import settings; from lab.machines import nspawn; machines = nspawn.Machines(settings.load()); "
            "m = machines.get('m0') if 'm0' in machines.names() else machines.create('m0'); m.start(); "
            "print(m.address, m.outside('/root/ended').exists()); "
        )
        service = (
            "m.outside('/etc/systemd/system/last.service').write_text('[Service]\\nType=oneshot\\n"
            "RemainAfterExit=yes\\nExecStart=true\\nExecStop=touch /root/ended\\n'); "
            "m.run(['systemctl', 'start', 'last'], timeout=30)"
        )
        try:
            first = _lab(lab_settings, "enter", "--", sys.executable, "-c", make + service)
            assert first.stdout.split()[1:] == ["False"], first.stderr
            assert "has ended" in _lab(lab_settings, "down", "--keep").stdout
            # A subnet that is in use now: another is chosen, and the machine follows.
            old = first.stdout.split()[0].rpartition(".")[0]
            commands.run("ip", "route", "add", "unreachable", f"{old}.0/24")
            try:
                lab = namespaces.up(lab_settings, layers=gold.layers(settings.load()))
            finally:
                commands.run("ip", "route", "del", "unreachable", f"{old}.0/24")
            second = _lab(lab_settings, "enter", "--", sys.executable, "-c", make)
            address, ended = second.stdout.split()
            assert ended == "True"  # it was powered off in order
            assert address.rpartition(".")[0] == lab.subnet.rpartition(".")[0] != old
        finally:
            namespaces.down(lab_settings)


@pytest.mark.machines
@pytest.mark.inside
class TestInside:
    def test_commands_run_in_a_machine(self, machine, running_lab):
        result = _lab(running_lab, "exec", machine.name, "--", "sh", "-c", "hostname; exit 4", TERM="xterm")
        assert (result.returncode, result.stdout) == (4, f"{machine.name}\n")
        assert "TERM=xterm" in _lab(running_lab, "exec", machine.name, "env", TERM="xterm").stdout

    def test_commands_run_in_a_machines_network(self, machine, running_lab):
        result = _lab(running_lab, "netns", machine.name, "--", "sh", "-c", "ip -brief address; hostname")
        assert machine.address in result.stdout
        assert machine.name not in result.stdout  # the host's file system and name

    def test_machines_are_listed(self, machine, running_lab):
        assert f"{machine.name}\t{machine.address}\trunning\n" in _lab(running_lab, "machines").stdout

    def test_a_machine_is_given_another_address(self, machine, other, running_lab):
        old = machine.address
        result = _lab(running_lab, "readdress", machine.name)
        assert result.stdout.strip() == machine.address != old
        assert _lab(running_lab, "readdress", machine.name, old).stdout.strip() == machine.address == old
        refused = _lab(running_lab, "readdress", machine.name, other.address)
        assert refused.returncode == 1
        assert f"lab: {other.address} is not free" in refused.stderr

    def test_a_machine_that_is_not_there_is_told(self, machine, running_lab):
        result = _lab(running_lab, "exec", "nobody", "true")
        assert (result.returncode, "no machine 'nobody'" in result.stderr) == (1, True)


@pytest.mark.machines
def test_what_a_machine_uses_is_not_pruned(lab_settings, tmp_path):
    own = settings.Settings("test", lab_settings.state, tmp_path / "cache")
    used, free = (cache.ensure(own.cache, "image", {"a": name}, lambda path: None) for name in "uf")
    machine = own.machines / "m0"
    machine.mkdir(parents=True)
    (machine / "machine.json").write_text(f'{{"layers": ["{used}"]}}')
    assert _lab(own, "prune").stdout == ""
    assert _lab(own, "prune", "--all").stdout == f"removed {free}\n"
    assert used.exists()
