"""Root-less machines on which the charm's hooks are forks of the fork server: no shell and no interpreter starts."""

from __future__ import annotations

import collections.abc
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import typing

from lab.machines import machine as machine_module
from lab.machines import rootless

REPOSITORY = pathlib.Path(__file__).parents[2]
HERE = pathlib.Path(__file__).parent


class ForkServer:
    """The process that has imported the charm (forkserver.py). One serves all simulations of a test process."""

    def __init__(self, directory: pathlib.Path, mutation: str = "") -> None:
        """Start it.

        directory: the charm, laid out; its socket goes there too. mutation: `module:function` that is called once, and
        breaks the charm in memory.
        """
        self.address = directory / f"{mutation.rpartition(':')[2] or 'fork'}.socket"
        path = [str(directory / "lib"), str(directory / "src"), str(HERE / "forked")]
        descriptions = [str(directory / f"{name}.yaml") for name in ("metadata", "config", "actions")]
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "forkserver.py"), str(self.address), *descriptions],
            env={
                "PYTHONPATH": ":".join([*path, *([str(REPOSITORY)] if mutation else [])]),
                "PATH": "/usr/bin:/bin",
                "PYTHONDONTWRITEBYTECODE": "1",
                "MODEL_MUTATION": mutation,
            },
            stdin=subprocess.PIPE,
        )
        self.hook_seconds: list[float] = []
        """What each hook that has ended has taken of the processors' time."""
        while not self.address.exists():
            if self._process.poll() is not None:
                raise RuntimeError("the fork server has ended")
            threading.Event().wait(0.01)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def start(self, request: dict[str, typing.Any], descriptors: list[int]) -> Hook:
        """Fork a hook, with these as its standard input, output and error."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.address))
        data = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(connection, [data], descriptors)
        connection.sendall(data[sent:])
        return Hook(connection, self.hook_seconds)


class Hook:
    """The process of a hook, as far as the agent uses `subprocess.Popen`."""

    def __init__(self, connection: socket.socket, seconds: list[float]) -> None:
        """The one that was asked for by `connection`. seconds: gets what it took, when it has ended."""
        self._connection = connection
        self._seconds = seconds
        self._answers = connection.makefile("r")
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None
        self.stdout: typing.BinaryIO | None = None
        self.stderr: typing.BinaryIO | None = None

    def wait(self) -> int:
        """Wait for its end; its exit status, negative if a signal ended it."""
        if self.returncode is None:
            status, _, seconds = self._answers.readline().partition(" ")
            self.returncode = os.waitstatus_to_exitcode(int(status)) if status else -signal.SIGKILL
            self._seconds.append(float(seconds or 0.0))
            self._answers.close()
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit status, once somebody has waited for it."""
        return self.returncode


class Machine(rootless.RootlessMachine):
    """A root-less machine. Each hook is told by `request` what to do besides."""

    fork_server: ForkServer
    request: collections.abc.Callable[[dict[str, str]], dict[str, typing.Any]]

    def popen(
        self,
        argv: collections.abc.Sequence[str],
        *,
        env: collections.abc.Mapping[str, str] | None = None,
        cwd: str | None = None,
        **popen_arguments: typing.Any,
    ) -> subprocess.Popen[typing.Any]:
        """See `machine.Machine.popen`. Whatever is asked for, it can be nothing but a dispatch of the charm."""
        if not self.running:
            raise machine_module.MachineError(f"{self.name} does not run")
        environment = dict(env or {})
        output, error = os.pipe(), os.pipe()
        try:
            hook = self.fork_server.start(
                {"environment": environment, "directory": cwd, **self.request(environment)},
                [popen_arguments["stdin"].fileno(), output[1], error[1]],
            )
        finally:
            os.close(output[1])
            os.close(error[1])
        hook.stdout, hook.stderr = os.fdopen(output[0], "rb"), os.fdopen(error[0], "rb")
        return typing.cast("subprocess.Popen[typing.Any]", hook)


class Machines(rootless.Machines):
    """All machines of a simulation."""

    def __init__(
        self,
        directory: pathlib.Path,
        fork_server: ForkServer,
        request: collections.abc.Callable[[dict[str, str]], dict[str, typing.Any]],
    ) -> None:
        super().__init__(directory)
        self._fork_server = fork_server
        self._request = request
        self._known: dict[str, Machine] = {}

    def create(self, name: str) -> Machine:
        """See `rootless.Machines.create`."""
        super().create(name)
        return self.get(name)

    def get(self, name: str) -> Machine:
        """See `rootless.Machines.get`; kept, since it is asked for in each hook."""
        if name not in self._known or not self._known[name].directory.exists():
            self._known.pop(name, None)
            found = super().get(name)
            made = Machine(found.name, found.address, found.directory, found.pool)
            made.fork_server, made.request = self._fork_server, self._request
            self._known[name] = made
        return self._known[name]
