"""Commands of the host."""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parent.parent
"""The checkout, where the packages `lab` and so on are imported from."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


class CommandError(RuntimeError):
    """A command is missing or failed. The message has what it wrote to its standard error."""


@functools.cache
def find(name: str) -> str:
    """Return the absolute path of a command, also where the caller's `PATH` lacks the administrator's directories.

    Raises:
        CommandError: the host does not have it.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
    if found is None:
        raise CommandError(f"the command {name!r} is missing: run `python -m lab doctor`")
    return found


def run(
    *argv: str, timeout: float = 30, input: str | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the host, found by name, and return its output.

    Raises:
        CommandError: it is missing, exited with another status than 0, or took longer than `timeout` seconds.
    """
    try:
        result = subprocess.run(
            [find(argv[0]), *argv[1:]],
            timeout=timeout,
            input=input,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL if input is None else None,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"`{' '.join(argv)}` took longer than {timeout} s") from error
    if result.returncode:
        raise CommandError(f"`{' '.join(argv)}` failed with {result.returncode}: {result.stderr.strip()[-2000:]}")
    return result


def module(name: str, *arguments: str) -> list[str]:
    """Return the argument list that runs a module of this checkout with this interpreter."""
    return [sys.executable, "-m", name, *arguments]


def module_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return `environ`, or this process's environment, so changed that `module` works from any directory."""
    result = dict(os.environ if environ is None else environ)
    paths = [str(ROOT), *(path for path in result.get("PYTHONPATH", "").split(os.pathsep) if path)]
    result["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return result
