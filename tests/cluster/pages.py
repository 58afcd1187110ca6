"""Types what the documentation shows, as somebody who reads it does."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping

from rehearsal import load

PATIENCE = 300.0
"""Seconds that one command, or what is watched for, may take."""
WATCH = "juju status --watch"
_SHELL = re.compile(r"^```shell\n(.*?)^```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)

Condition = Callable[[str], bool]
"""Whether the text of `juju status` is what a reader watches for."""


def sections(page: str) -> dict[str, list[str]]:
    """Return the commands of a page below docs/, by heading; those before the first heading under ""."""
    _, *parts = ["", *_HEADING.split("\n" + (load.TREE / "docs" / page).read_text())]
    texts = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    return {
        heading: [line for block in _SHELL.findall(text) for line in block.splitlines() if line]
        for heading, text in texts.items()
    }


class Reader:
    """Somebody at a terminal with a page before them."""

    def __init__(self, directory: pathlib.Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = {**os.environ, **environment}
        self._exports: list[str] = []

    def play(
        self,
        page: str,
        heading: str,
        *,
        watch: Iterable[Condition] = (),
        before: Mapping[str, Callable[[], None]] | None = None,
        names: Callable[[str], str] = lambda line: line,
    ) -> list[str]:
        """Type the commands of a section in their order; return what each printed.

        watch: what is watched for, for each `juju status --watch` in turn. before: what happens before the first
        command that begins so. names: what a reader puts in for a name that stands for another one.

        Raises:
            AssertionError: A command failed, or what is watched for does not come; the text tells which.
        """
        conditions = iter(watch)
        waiting = dict(before or {})
        printed = []
        for line in sections(page)[heading]:
            for beginning in [each for each in waiting if line.startswith(each)]:
                waiting.pop(beginning)()
            if line.startswith(WATCH):
                printed.append(self.until(next(conditions)))
            else:
                printed.append(self.type(names(line)))
        left = [*waiting, *conditions]
        assert not left, f"{page}, {heading!r} has no command for {left}"
        return printed

    def type(self, line: str) -> str:
        """Type a line; return what it printed."""
        if line.startswith("export "):
            self._exports.append(line)
            return ""
        script = "\n".join(["set -e", *self._exports, line])
        completed = subprocess.run(
            ["/bin/bash", "-c", script],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 3,
            check=False,
        )
        assert completed.returncode == 0, f"{line}\n{completed.stdout}\n{completed.stderr}"
        return completed.stdout

    def until(self, condition: Condition) -> str:
        """Look at `juju status` until it is as wanted; return it."""
        limit = time.monotonic() + PATIENCE
        while not condition(shown := self.type("juju status")):
            assert time.monotonic() < limit, f"not within {PATIENCE:g} s:\n{shown}"
            time.sleep(1)
        return shown


def settled(units: int = 3) -> Condition:
    """All units show their roles, and the application says nothing."""
    return lambda shown: (
        len(re.findall(r"active +idle .* Primary$", shown, re.MULTILINE)) == 1
        and len(re.findall(r"active +idle .* Synchronous standby$", shown, re.MULTILINE)) == units - 1
        and "resume-refresh" not in shown
    )


def paused(unit: int) -> Condition:
    """The refresh waits to go on with that unit, and those that have refreshed are idle."""
    return lambda shown: (
        f">={unit + 1} are healthy & run `resume-refresh` on unit {unit}" in shown
        and not re.search(r" (maintenance|waiting|error) ", shown)
        and "executing" not in shown
    )


def says(text: str) -> Condition:
    """Somebody's message has that in it."""
    return lambda shown: text in shown
