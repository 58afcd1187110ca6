"""Run a command that takes a while, and tell what it says meanwhile."""

from __future__ import annotations

import pathlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence


def run(
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    directory: pathlib.Path,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end; its standard output is not kept.

    Args:
        command: The program's path, and its arguments.
        say: Gets each line of its standard error at once.
        directory: Where it runs.
        timeout: Seconds after which it is killed.
        environment: Its environment, by default this process's.

    Raises:
        subprocess.CalledProcessError: It failed; `stderr` has what it said last.
        subprocess.TimeoutExpired: It took longer.
    """
    process = subprocess.Popen(
        list(command),
        cwd=directory,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []

    def listen() -> None:
        assert process.stderr
        for line in process.stderr:
            said.append(line)
            say(line.rstrip())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        process.wait(timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    listener.join(timeout=5)  # what the command left behind may keep its end of the pipe
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), stderr="".join(said[-20:]))
