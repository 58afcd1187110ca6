"""PID 1 of a lab: makes the lab's own view of the system, then keeps the controller running and reaps the dead.

Started by `lab.namespaces` in new namespaces, with one end of a socket pair as its argument. It greets, waits for its
task, and answers `ready`. Machines are its children, directly or by adoption, so a controller may come and go.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence

from lab import commands, namespaces, settings
from lab.machines import network

logger = logging.getLogger(__name__)

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
_STEADY = 30.0
"""A controller that ran for so many seconds is started again without delay."""

_STOP_TIMEOUT = 5.0
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main() -> int:
    """Run until told to end, or until the one command has ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    lab_settings = settings.load()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        channel.set_inheritable(False)
        channel.sendall(b"hello")
        task = channel.makefile().readline()
        if not task:
            return 1  # whoever started this has died
        described = json.loads(task)
        try:
            prepare(lab_settings)
        except (OSError, ValueError, RuntimeError) as error:
            logger.exception("cannot start")
            channel.sendall(str(error).encode())
            return 1
        if described["once"]:
            channel.sendall(b"ready")
            channel.sendall(str(_run_once(described["command"], lab_settings.log / "command.log")).encode())
            return 0
        supervisor = Supervisor(described["command"], lab_settings.log / "controller.log")
        supervisor.begin()
        channel.sendall(b"ready")
    return supervisor.loop()


def prepare(lab_settings: settings.Settings) -> None:
    """Make the mounts, the control groups and the bridge. Nothing of it can be seen on the host.

    Raises:
        ValueError: a directory of the lab lies where it would be hidden.
    """
    for path in (lab_settings.state, lab_settings.cache, commands.ROOT):
        if path.is_relative_to("/run"):
            raise ValueError(f"{path} lies below /run, of which a lab has its own")
    # nspawn and ip keep files there that would outlive a killed lab.
    commands.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    pathlib.Path("/run/netns").mkdir()
    _control_groups()
    lab = namespaces.find(lab_settings)
    if lab is None:
        raise RuntimeError(f"{lab_settings.description} does not describe this lab")
    network.make_bridge(lab.subnet)


def _control_groups() -> None:
    """Mount the lab's part of the unified hierarchy where systemd looks for it, and hand its controllers on."""
    root = pathlib.Path("/sys/fs/cgroup")
    commands.run("umount", "--recursive", "--lazy", str(root))
    commands.run("mount", "-t", "cgroup2", "cgroup2", str(root))
    (root / "machines").mkdir()
    for group in (root, root / "machines"):
        for controller in (group / "cgroup.controllers").read_text().split():
            try:
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError as error:
                logger.info("machines go without the controller %s: %s", controller, error)


class Supervisor:
    """Keeps one command running, and reaps every process that ends."""

    def __init__(self, command: Sequence[str], log: pathlib.Path) -> None:
        self._command = list(command)
        self._log = log
        self._pid = 0
        self._started = 0.0
        self._delay = 0.0
        self._due: float | None = None

    def begin(self) -> None:
        """Start the command; a lab may also do without."""
        self._due = None
        if not self._command:
            return
        self._started = time.monotonic()
        self._pid = start(self._command, self._log)
        logger.info("started %s as process %d", self._command, self._pid)

    def loop(self) -> int:
        """Serve signals until one asks to end."""
        while True:
            number = self._wait()
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                logger.info("told to restart the controller")
                self._terminate(signal.SIGTERM)
            elif number is not None:
                return self._finish()
            if self._due is not None and time.monotonic() >= self._due:
                self.begin()

    def _wait(self) -> int | None:
        seconds = 3600.0 if self._due is None else max(0.0, self._due - time.monotonic())
        received = signal.sigtimedwait(_SIGNALS, seconds)
        return None if received is None else received.si_signo

    def _reap(self) -> None:
        for pid, status in reap():
            if pid == self._pid:
                self._ended(os.waitstatus_to_exitcode(status))

    def _ended(self, code: int) -> None:
        ran = time.monotonic() - self._started
        self._delay = 0.0 if ran > _STEADY else min(_LONGEST_DELAY, max(_FIRST_DELAY, self._delay * 2))
        self._pid = 0
        self._due = time.monotonic() + self._delay
        logger.warning("the controller ended with %d after %.1f s; it starts again in %.1f s", code, ran, self._delay)

    def _terminate(self, number: int) -> None:
        if self._pid:
            os.kill(self._pid, number)

    def _finish(self) -> int:
        """Let the controller end; the kernel kills what is left when this process returns."""
        logger.info("told to end")
        self._terminate(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self._pid and time.monotonic() < deadline:
            if signal.sigtimedwait({signal.SIGCHLD}, deadline - time.monotonic()):
                self._reap()
        return 0


def start(command: Sequence[str], log: pathlib.Path, environ: Mapping[str, str] | None = None) -> int:
    """Start a command in a session of its own, with `log` for its output; return its process identifier."""
    log.parent.mkdir(parents=True, exist_ok=True)
    return os.posix_spawnp(
        command[0],
        list(command),
        os.environ if environ is None else environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
    )


def reap() -> list[tuple[int, int]]:
    """Collect every child that has ended, its own or adopted: identifiers and wait statuses."""
    ended = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended.append((pid, status))


def _run_once(command: Sequence[str], log: pathlib.Path) -> int:
    """Run a command and return its exit status."""
    pid = start(command, log)
    while True:
        signal.sigwait({signal.SIGCHLD})
        for ended, status in reap():
            if ended == pid:
                return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
