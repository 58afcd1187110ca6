"""Commands that take a while."""

from __future__ import annotations

import pathlib
import subprocess
import time

import pytest

from rehearsal import commands


def test_what_is_said_is_told_at_once(tmp_path: pathlib.Path) -> None:
    told: list[tuple[str, float]] = []
    begun = time.monotonic()
    commands.run(
        ["/bin/sh", "-c", "pwd >&2; echo $GREETING >&2; echo unseen; sleep 0.6; echo last >&2"],
        lambda line: told.append((line, time.monotonic() - begun)),
        directory=tmp_path,
        timeout=20,
        environment={"GREETING": "hello"},
    )
    assert [line for line, _ in told] == [str(tmp_path), "hello", "last"]
    assert told[2][1] - told[1][1] > 0.3


def test_a_failure_has_the_last_words(tmp_path: pathlib.Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        commands.run(["/bin/sh", "-c", "echo no disk >&2; exit 3"], lambda line: None, directory=tmp_path, timeout=20)
    assert (raised.value.returncode, raised.value.stderr) == (3, "no disk\n")


def test_what_takes_too_long_is_ended(tmp_path: pathlib.Path) -> None:
    begun = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        commands.run(["/bin/sleep", "30"], lambda line: None, directory=tmp_path, timeout=0.2)
    assert time.monotonic() - begun < 10


def test_what_a_command_leaves_behind_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    begun = time.monotonic()
    commands.run(["/bin/sh", "-c", "sleep 12 & echo up >&2"], lambda line: None, directory=tmp_path, timeout=20)
    assert time.monotonic() - begun < 11
