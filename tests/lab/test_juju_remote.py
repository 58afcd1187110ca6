"""`juju ssh` and `juju scp` on root-less machines: real processes, real files."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator, Mapping

import juju_support
import pytest

from lab.juju import transfer
from lab.juju.commands import remote
from lab.machines import rootless

ROOT = pathlib.Path(__file__).parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> dict[str, rootless.RootlessMachine]:
    kind = rootless.Machines(tmp_path / "lab")
    (tmp_path / "lab").mkdir()
    return {number: kind.create(f"juju-5f3a1c-{number}") for number in ("0", "1")}


@pytest.fixture
def run(machines: Mapping[str, rootless.RootlessMachine], tmp_path: pathlib.Path) -> Iterator[Run]:
    """`juju ARGUMENTS`, in a directory of its own, as a process."""
    canned = juju_support.CannedController(tmp_path / "lab")
    canned.answers["show_unit"] = lambda model, units: {
        name: {"machine": "1" if name == "pg/leader" else name.partition("/")[2]} for name in units
    }
    canned.answers["show_machine"] = lambda model, machines: {
        number: {"hostname": f"juju-5f3a1c-{number}"} for number in machines
    }
    directory = tmp_path / "here"
    directory.mkdir()
    environment = os.environ | {"JUJU_DATA": str(tmp_path / "lab/juju"), "JUJU_MODEL": "prod"}

    def runner(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = [ROOT / "lab/bin/juju", *arguments]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, cwd=directory, env=environment, timeout=60, check=False
        )

    yield runner
    canned.close()


def home(machine: rootless.RootlessMachine) -> pathlib.Path:
    return machine.outside("/root")


def test_ssh_runs_a_shell_command_and_passes_everything_on(
    run: Run, machines: Mapping[str, rootless.RootlessMachine]
) -> None:
    result = run("ssh", "pg/0", "cat; echo $HOME; echo problem >&2; exit 7", text="typed\n")
    assert result.returncode == 7
    assert result.stdout == f"typed\n{home(machines['0'])}\n"
    assert result.stderr == "problem\n"


@pytest.mark.parametrize("target", ["pg/1", "pg/leader", "1", "ubuntu@pg/1", "root@1"])
def test_targets(run: Run, machines: Mapping[str, rootless.RootlessMachine], target: str) -> None:
    result = run("ssh", target, "pwd", "-P")
    assert (result.returncode, result.stdout) == (0, f"{home(machines['1'])}\n")


def test_ssh_words_are_joined_for_the_remote_shell(run: Run) -> None:
    assert run("ssh", "0", "echo", "a   b", "|", "tr", "a", "A").stdout == "A b\n"
    assert run("ssh", "--no-host-key-checks", "0", "-o", "X=y", "-vi", "key", "echo", "-n", "x").stdout == "x"


def test_ssh_without_a_command_is_a_shell(run: Run) -> None:
    assert run("ssh", "0", text="echo from the shell\n").stdout == "from the shell\n"


def test_the_machines_own_commands_come_first(run: Run, machines: Mapping[str, rootless.RootlessMachine]) -> None:
    program = machines["0"].outside("/usr/local/bin/uname")
    program.write_text("#!/bin/sh\necho not the host\n")
    program.chmod(0o755)
    assert run("ssh", "0", "uname").stdout == "not the host\n"


@pytest.mark.parametrize(
    ("words", "given", "rest"),
    [
        (["ls", "-l"], {}, ["ls", "-l"]),
        (["-t", "ls"], {"t": ""}, ["ls"]),
        (["-l", "bob", "-p22", "ls"], {"l": "bob", "p": "22"}, ["ls"]),
        (["-vNi", "key", "--", "-x"], {"v": "", "N": "", "i": "key"}, ["-x"]),
        (["-i"], {"i": ""}, []),
    ],
)
def test_options_of_openssh(words: list[str], given: dict[str, str], rest: list[str]) -> None:
    assert remote.split_openssh(words) == (given, rest)


@pytest.fixture
def here(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "here"


def test_scp_both_ways(run: Run, here: pathlib.Path, machines: Mapping[str, rootless.RootlessMachine]) -> None:
    (here / "one file").write_bytes(b"\0\xff" * 100_000)
    (here / "one file").chmod(0o750)
    result = run("scp", "one file", "pg/0:")
    assert (result.returncode, result.stderr) == (0, "")
    copied = home(machines["0"]) / "one file"
    assert copied.read_bytes() == (here / "one file").read_bytes()
    assert copied.stat().st_mode & 0o777 == 0o750
    assert run("scp", "one file", "pg/0:other name").returncode == 0
    assert run("scp", "0:other name", "back").returncode == 0
    assert (here / "back").read_bytes() == copied.read_bytes()


def test_scp_several_and_patterns(
    run: Run, here: pathlib.Path, machines: Mapping[str, rootless.RootlessMachine]
) -> None:
    for name in ("a.log", "b.log"):
        (home(machines["0"]) / name).write_text(name)
    assert run("scp", "0:*.log", ".").returncode == 0
    assert sorted(path.name for path in here.iterdir()) == ["a.log", "b.log"]
    (home(machines["0"]) / "sp ace.txt").touch()
    assert run("scp", "0:sp a?e.[tx]*", "one").returncode == 0
    assert (here / "one").is_file()
    result = run("scp", "0:*.log", "two")
    assert (result.returncode, result.stderr) == (1, "scp: two: No such file or directory\n")
    assert not (here / "two").exists()
    assert run("scp", "a.log", "b.log", "1:").returncode == 0
    assert (home(machines["1"]) / "b.log").read_text() == "b.log"
    result = run("scp", "a.log", "b.log", "1:missing")
    assert (result.returncode, result.stderr.splitlines()[0]) == (1, "scp: missing: No such file or directory")


def test_scp_directories(run: Run, here: pathlib.Path, machines: Mapping[str, rootless.RootlessMachine]) -> None:
    (here / "tree/deep").mkdir(parents=True)
    (here / "tree/deep/leaf").write_text("x")
    (here / "tree/link").symlink_to("deep/leaf")
    result = run("scp", "tree", "0:")
    assert (result.returncode, result.stderr) == (1, "scp: tree: not a regular file\n")
    assert run("scp", "--", "-r", "tree", "0:").returncode == 0
    assert (home(machines["0"]) / "tree/deep/leaf").read_text() == "x"
    assert not (home(machines["0"]) / "tree/link").is_symlink(), "scp follows links"
    assert run("scp", "--", "-rq", "0:tree", "renamed").returncode == 0
    assert (here / "renamed/deep/leaf").read_text() == "x"


def test_scp_between_machines(run: Run, machines: Mapping[str, rootless.RootlessMachine]) -> None:
    (home(machines["0"]) / "file").write_text("travels")
    assert run("scp", "--", "-3", "0:file", "pg/1:arrived").returncode == 0
    assert (home(machines["1"]) / "arrived").read_text() == "travels"


def test_scp_of_what_is_not_there(run: Run, here: pathlib.Path) -> None:
    result = run("scp", "0:nothing", "back")
    assert (result.returncode, result.stderr) == (1, "scp: nothing: No such file or directory\n")
    assert not (here / "back").exists()


def test_an_interrupted_transfer_fails() -> None:
    receive = ["sh", "-c", transfer.receive_script("/nowhere/to/go", several=False)]
    send = ["sh", "-c", transfer.send_script([__file__], recursive=False, expand=False)]
    assert transfer.run(send, receive) != 0


def test_machines_are_told_apart_by_their_files(machines: Mapping[str, rootless.RootlessMachine]) -> None:
    assert json.loads((machines["0"].directory / "machine.json").read_text())["address"]
    assert not (machines["0"].directory / "upper").exists()
