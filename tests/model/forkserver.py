"""Runs the charm's hooks for model tests: it has imported the charm, and each hook is a fork of it.

Started as `python forkserver.py SOCKET WORLD_SOCKET`, with the charm's lib and src on the path. A hook runs the charm's
real main with the environment that the agent gave it; its hook tools are asked for over the agent's socket without an
exec, and the workload below the charm's own code is that of the simulated world, which another process holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import typing
from unittest import mock

import httpx
import ops

import charm  # the first: it decides what is imported of charm-refresh
import leaving
import switchover
from workload import files, machine, paths, patroni, raft, snap, sql, watch

_run = subprocess.run
_transport = httpx.HTTPTransport


class World:
    """The simulated world, asked over its socket: one call a connection."""

    def __init__(self, address: str, root: str):
        self._address = address
        self._root = root

    def call(self, target: str, *arguments: typing.Any, **keywords: typing.Any) -> typing.Any:
        """Call `target` (such as "snap.install") for this machine; raises what it raises there."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            connection.sendall(pickle.dumps((self._root, target, arguments, keywords)))
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                failed, value = pickle.load(answer)  # noqa: S301  from the test's own process
        if failed:
            raise value
        return value


def _forwarded(world: World, concern: str, original: type, constructed: tuple[typing.Any, ...] = ()) -> typing.Any:
    """An object with the public methods of `original`, each of which asks the world."""

    def method(name: str) -> typing.Any:
        return lambda _, *arguments, **keywords: world.call(f"{concern}.{name}", constructed, *arguments, **keywords)

    names = [name for name in vars(original) if not name.startswith("_") and callable(getattr(original, name))]
    return type(original.__name__, (), {name: method(name) for name in names})()


class Workload(machine.Workload):
    """The workload of a machine of the simulated world; files are the real code's."""

    def __init__(self, world: World, root: pathlib.Path):
        super().__init__(paths.Paths(root))
        self._world = world
        self.snap = _forwarded(world, "snap", snap.Snap)

    def patroni(self, address: str, password: str | None = None) -> patroni.Client:
        """See the class."""
        return _forwarded(self._world, "patroni", patroni.Client, (address, password))

    def raft(self, password: str) -> raft.Raft:
        """See the class."""
        return _forwarded(self._world, "raft", raft.Raft, (password,))

    def sql(self, address: str | None = None, password: str | None = None) -> sql.Sql:
        """See the class."""
        return _forwarded(self._world, "sql", sql.Sql, (address, password))

    @property
    def architecture(self) -> str:
        """See the class."""
        return self._world.call("architecture")

    def free_bytes(self, storage: str) -> int | None:
        """See the class."""
        return self._world.call("free_bytes", storage)

    def ports_taken(self) -> tuple[int, ...]:
        """See the class."""
        return self._world.call("ports_taken")

    def clock_skew_seconds(self, address: str) -> float | None:
        """See the class."""
        return self._world.call("clock_skew_seconds", address)


class _Time:
    def __init__(self, world: World):
        self.sleep = lambda seconds: world.call("sleep", seconds)
        self.monotonic = lambda: world.call("now")
        self.time = self.monotonic


class _Systemd:
    def __init__(self, world: World):
        self.daemon_reload = lambda: None
        self.service_enable = lambda _: None
        self.service_restart = lambda service: world.call("service", service, "running")
        self.service_disable = lambda *arguments: world.call("service", arguments[-1], "disabled")


def _tool(name: str, arguments: list[str], standard_input: str | None) -> tuple[int, str, str]:
    """Ask the agent, as the tools' executable does (lab/controller/tools/hook-tool has the protocol)."""
    request: dict[str, typing.Any] = {
        "context": os.environ["JUJU_CONTEXT_ID"],
        "tool": name,
        "arguments": arguments,
        "directory": str(pathlib.Path.cwd()),
        "files": {},
    }
    while True:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(os.environ["JUJU_AGENT_SOCKET_ADDRESS"])
            agent.sendall(json.dumps(request).encode() + b"\n")
            with agent.makefile("rb") as answer:
                kind, *rest = answer.readline().decode().rstrip("\n").split(" ", 4)
                if kind == "read":
                    wanted = answer.read(int(rest[0])).decode().split("\0")[:-1]
                    request["files"] = {path: _content(path, standard_input) for path in wanted}
                    continue
                code, out, err = int(rest[0]), int(rest[1]), int(rest[2])
                return code, answer.read(out).decode(), answer.read(err).decode()


def _content(path: str, standard_input: str | None) -> str | None:
    if path == "-":
        return standard_input or ""
    file = pathlib.Path(path)
    return file.read_text() if file.exists() else None


def _run_or_ask(command: typing.Any, **keywords: typing.Any) -> subprocess.CompletedProcess[typing.Any]:
    """Stands in for subprocess.run: hook tools are asked for directly, all else runs."""
    name = pathlib.PurePath(str(command[0])).name if isinstance(command, list | tuple) else ""
    agent = pathlib.Path(os.environ["CHARM_DIR"]).parent
    if not name or not (agent.parents[1] / "tools" / agent.name / name).exists():
        return _run(command, **keywords)
    code, out, err = _tool(name, [str(each) for each in command[1:]], keywords.get("input"))
    if code and keywords.get("check"):
        raise subprocess.CalledProcessError(code, command, out, err)
    return subprocess.CompletedProcess(command, code, out, err)


def _hook(environment: dict[str, str], world_address: str) -> None:
    """Run one hook of the charm in this process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(environment["PWD"])
    sys.argv = ["./src/charm.py"]
    root = pathlib.Path(environment["CHARM_DIR"]).parents[5]
    world = World(world_address, str(root))
    owner = files.Owner(os.getuid(), os.getgid())

    def snapd(request: httpx.Request) -> httpx.Response:
        state = world.call("snap.state", ())
        found = [] if state.revision is None else [{"name": request.url.params["snaps"], "revision": state.revision}]
        return httpx.Response(200, json={"type": "sync", "result": found})

    def transport(*arguments: typing.Any, **keywords: typing.Any) -> httpx.BaseTransport:
        is_snapd = keywords.get("uds") == "/run/snapd.socket"
        return httpx.MockTransport(snapd) if is_snapd else _transport(*arguments, **keywords)

    with contextlib.ExitStack() as stack:
        for target, attribute, replacement in (
            (charm.machine, "Workload", lambda: Workload(world, root)),
            (files.Owner, "named", staticmethod(lambda _: owner)),
            (files, "free_bytes", lambda _: 10 * 1024**3),
            (watch, "ROOT", owner),
            (watch, "systemd", _Systemd(world)),
            (leaving, "time", _Time(world)),
            (switchover, "time", _Time(world)),
            (subprocess, "run", _run_or_ask),
            (httpx, "HTTPTransport", transport),
            (os, "fsync", lambda _: None),
        ):
            stack.enter_context(mock.patch.object(target, attribute, replacement))
        ops.main(charm.PostgresqlCharm)


def _serve(connection: socket.socket, world_address: str) -> None:
    """Run the hook that is asked for in a fork, and kill it if who asked goes away."""
    request = b""
    while not request.endswith(b"\0\0"):
        data = connection.recv(65536)
        if not data:
            return
        request += data
    environment = dict(item.split("=", 1) for item in request.decode().split("\0") if item)
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            code = 1
            try:
                _hook(environment, world_address)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        watched = os.pidfd_open(pid)
        ready, _, _ = select.select([watched, connection], [], [])
        if watched not in ready:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(watched)
        output.seek(0)
        with contextlib.suppress(OSError):
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode() + output.read())


def main(address: str, world_address: str) -> None:
    """Serve until killed; each request has a process of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    charm.prepare()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                with connection:
                    _serve(connection, world_address)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
