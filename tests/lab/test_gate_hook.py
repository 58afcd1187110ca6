"""The workload snap's gate-auto-refresh hook: what it answers snapd, by the file that it finds."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from lab.snaps import charmed_postgresql

HOOK = pathlib.Path(charmed_postgresql.__file__).parent / "snap/meta/hooks/gate-auto-refresh"
NOW = 1_800_000_000


def says(directory: pathlib.Path, answer: str | None) -> str:
    """What the hook asks snapctl for, in a shell whose clock stands still."""
    programs, common = directory / "programs", directory / "common"
    programs.mkdir()
    common.mkdir()
    for name, script in (("snapctl", 'echo "$@"'), ("date", f'[ "$*" = +%s ] && echo {NOW}')):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    if answer is not None:
        (common / "gate-auto-refresh").write_text(answer)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "SNAP_COMMON": str(common)}
    completed = subprocess.run(
        ["/bin/sh", str(HOOK)], env=environment, timeout=30, check=True, capture_output=True, text=True
    )
    assert completed.stderr == ""
    return completed.stdout.strip()


def test_the_hook_can_be_run() -> None:
    assert HOOK.stat().st_mode & 0o111 == 0o111


def test_an_answer_to_proceed_that_is_valid_counts(tmp_path: pathlib.Path) -> None:
    answer = f"decision=proceed\nreason=it is this unit's turn\nvalid-until={NOW + 1}\n"
    assert says(tmp_path, answer) == "refresh --proceed"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        "decision=hold\nreason=decision=proceed\n",
        f"decision=hold\nreason=no\nvalid-until={NOW + 600}\n",
        f"decision=proceed\nreason=old\nvalid-until={NOW}\n",
        "decision=proceed\nreason=without end\n",
        "decision=proceed\nreason=not a time\nvalid-until=tomorrow\n",
        f"decision=perhaps\nvalid-until={NOW + 600}\n",
        f"decision=proceed\ndecision=hold\nvalid-until={NOW + 600}\n",
    ],
)
def test_everything_else_means_hold(tmp_path: pathlib.Path, answer: str | None) -> None:
    assert says(tmp_path, answer) == "refresh --hold"
