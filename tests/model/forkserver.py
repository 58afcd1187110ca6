"""Runs the charm's hooks for model tests: it has imported the charm, and each hook is a fork of it.

Started as `python forkserver.py SOCKET`, with the charm's lib and src on the path; ends when its standard input does. A
request is one connection: a line of JSON (`environment`, `directory`, `world`, `cut`) with the descriptors of standard
input, output and error; answered by the process's number, and by its wait status when it has ended, a line each.

A hook runs the charm's real main with the environment that the agent gave it; its hook tools are asked for over the
agent's socket without an exec, and the workload below the charm's own code is that of the simulated world, which the
test's process holds.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pathlib
import pickle
import re
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
import typing

import ops
from ops._private import yaml as ops_yaml

import charm  # the first: it decides what is imported of charm-refresh
from workload import files, machine, paths, patroni, raft, service, snap, sql, watch

SOURCES = pathlib.Path(charm.__file__).parent
_COMMAND = re.compile(r"(?:cd \S+ && )?(?P<variables>(?:\w+=\S+ )*)\./dispatch")

_run = subprocess.run


class Cut(typing.TypedDict):
    """Where a hook ends before its time: at its `at`-th hook tool or change of the world, killed or by an exception."""

    at: int
    how: typing.Literal["kill", "raise"]


class CutOffError(Exception):
    """What a cut raises: nothing that the charm or its libraries expect."""


class Points:
    """Counts the places at which a hook can be cut off."""

    def __init__(self, cut: Cut | None):
        self._cut = cut
        self._passed = 0

    def reach(self) -> None:
        """Pass one more, or end here."""
        self._passed += 1
        if self._cut is None or self._passed != self._cut["at"]:
            return
        if self._cut["how"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise CutOffError(f"cut off at point {self._passed}")


class World:
    """The simulated world, asked over its socket: one connection a hook."""

    CHANGES = ("snap.install", "snap.refresh", "snap.hold", "snap.start", "snap.stop", "service")
    """What a hook can be cut off before and after, besides hook tools."""

    def __init__(self, address: str, root: str, points: Points):
        self._root = root
        self._points = points
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address)
        self._answers = self._connection.makefile("rb")

    def call(self, target: str, *arguments: typing.Any, **keywords: typing.Any) -> typing.Any:
        """Call `target` (such as "snap.install") for this machine; raises what it raises there."""
        changes = target in self.CHANGES
        if changes:
            self._points.reach()
        request = pickle.dumps((self._root, target, arguments, keywords))
        self._connection.sendall(struct.pack("=I", len(request)) + request)
        failed, value = pickle.load(self._answers)  # noqa: S301  from the test's own process
        if changes:
            self._points.reach()
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
        for concern in vars(self).keys() - {"paths"}:
            setattr(self, concern, _forwarded(world, concern, type(getattr(self, concern))))
        self._world = world

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
    """The module time for the charm: its clock is the world's, and who sleeps lets the world go on."""

    def __init__(self, world: World):
        self.sleep = lambda seconds: world.call("sleep", seconds)
        self.monotonic = lambda: world.call("now")
        self.time = self.monotonic

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(time, name)


class _Systemd:
    def __init__(self, world: World):
        self.daemon_reload = lambda: None
        self.service_enable = lambda _: None
        self.service_restart = lambda service: world.call("service", service, "running")
        self.service_disable = lambda *arguments: world.call("service", arguments[-1], "disabled")


class HookTools:
    """Asks the agent, as the tools' executable does (lab/controller/tools/hook-tool has the protocol)."""

    def __init__(self, points: Points):
        self._points = points
        agent = pathlib.Path(os.environ["CHARM_DIR"]).parent
        self._known = frozenset(each.name for each in (agent.parents[1] / "tools" / agent.name).iterdir())
        self._directory = str(pathlib.Path.cwd())
        # A socket's address holds 107 bytes; the way through the directory's descriptor is always short enough.
        place = pathlib.Path(os.environ["JUJU_AGENT_SOCKET_ADDRESS"])
        self._address = f"/proc/self/fd/{os.open(place.parent, os.O_PATH | os.O_DIRECTORY)}/{place.name}"

    def run(self, command: typing.Any, **keywords: typing.Any) -> subprocess.CompletedProcess[typing.Any]:
        """Stands in for subprocess.run: hook tools are asked for directly, all else runs."""
        name = os.path.basename(str(command[0])) if isinstance(command, list | tuple) else ""  # noqa: PTH119  for speed
        if name not in self._known:
            return _run(command, **keywords)
        self._points.reach()
        code, out, err = self._ask(name, [str(each) for each in command[1:]], keywords.get("input"))
        if code and keywords.get("check"):
            raise subprocess.CalledProcessError(code, command, out, err)
        return subprocess.CompletedProcess(command, code, out, err)

    def _ask(self, name: str, arguments: list[str], standard_input: str | None) -> tuple[int, str, str]:
        request: dict[str, typing.Any] = {
            "context": os.environ["JUJU_CONTEXT_ID"],
            "tool": name,
            "arguments": arguments,
            "directory": self._directory,
            "files": {},
        }
        while True:
            with socket.socket(socket.AF_UNIX) as agent:
                agent.connect(self._address)
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


def _installed(world: World) -> typing.Any:
    """What stands for `snap.installed`, by which charm-refresh asks snapd."""

    def installed(name: str) -> dict[str, typing.Any] | None:
        state = world.call("snap.state", ())
        return None if state.revision is None else {"name": name, "revision": state.revision, "hold": state.held}

    return installed


_timed = [
    each
    for each in list(sys.modules.values())
    if getattr(each, "time", None) is time and SOURCES in pathlib.Path(getattr(each, "__file__", None) or "/").parents
]
"""The charm's modules that look at the clock or sleep."""


def _hook(environment: dict[str, str], directory: str, world_address: str, cut: Cut | None) -> None:
    """Run one hook of the charm in this process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["./src/charm.py"]
    root = pathlib.Path(environment["CHARM_DIR"]).parents[5]
    points = Points(cut)
    world = World(world_address, str(root), points)
    owner = files.Owner(os.getuid(), os.getgid())
    simulated_time = _Time(world)
    # For good: the process ends with the hook.
    for target, attribute, replacement in (
        (charm.machine, "Workload", lambda: Workload(world, root)),
        (files.Owner, "named", staticmethod(lambda _: owner)),
        (files, "free_bytes", lambda _: 10 * 1024**3),
        (files, "ROOT", owner),
        (watch, "systemd", _Systemd(world)),
        (service, "systemd", _Systemd(world)),
        (snap, "installed", _installed(world)),
        (subprocess, "run", HookTools(points).run),
        (os, "fsync", lambda _: None),
        *((each, "time", simulated_time) for each in _timed),
    ):
        assert hasattr(target, attribute), f"{target} has no {attribute}"
        setattr(target, attribute, replacement)
    ops.main(charm.PostgresqlCharm)


def _with_command(environment: dict[str, str]) -> dict[str, str]:
    """The environment of a hook for which a command line on standard input asks, as `juju exec` sends it.

    Raises ValueError where it asks for anything else than the charm's dispatch.
    """
    if environment["JUJU_DISPATCH_PATH"]:
        return environment
    text = sys.stdin.read()
    command = _COMMAND.fullmatch(text.strip())
    if command is None:
        raise ValueError(f"not a dispatch of the charm: {text!r}")
    return environment | dict(each.split("=", 1) for each in command["variables"].split())


def _run_hook(request: dict[str, typing.Any]) -> typing.NoReturn:
    """Be the process of a hook."""
    code = 1
    try:
        environment = _with_command(request["environment"])
        _hook(environment, request["directory"], request["world"], request["cut"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _start(connection: socket.socket) -> int | None:
    """Fork the process that a request asks for; its number, or None if there is no request."""
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while data and not data.endswith(b"\n"):
        data += connection.recv(1 << 20)
    if not data:
        return None
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for standard, descriptor in enumerate(descriptors):
            os.dup2(descriptor, standard)
        os.closerange(3, 64)
        _run_hook(json.loads(data))
    for descriptor in descriptors:
        os.close(descriptor)
    connection.sendall(f"{pid}\n".encode())
    return pid


@functools.lru_cache
def _loaded(text: str) -> bytes:
    return pickle.dumps(_load(text))


_load = ops_yaml.safe_load


def _safe_load(stream: typing.Any) -> typing.Any:
    """Like ops', but the same text is parsed once: the charm's description, in each hook."""
    return pickle.loads(_loaded(stream if isinstance(stream, str) else stream.read()))  # noqa: S301  its own


def _prepare(mutation: str, descriptions: list[str]) -> None:
    """Do once what each hook would do."""
    charm.prepare()
    ops_yaml.safe_load = _safe_load
    for description in descriptions:
        _safe_load(pathlib.Path(description).read_text())
    if mutation:
        module, _, name = mutation.partition(":")
        getattr(importlib.import_module(module), name)()
    # What a fork does not touch it shares.
    gc.collect()
    gc.disable()
    gc.freeze()


def main(address: str) -> None:
    """Serve until standard input ends; each request has a process of its own."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(address)
        listener.listen(64)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "end")
        selector.register(listener, selectors.EVENT_READ, "request")
        while True:
            for key, _ in selector.select():
                match key.data:
                    case "end":
                        return
                    case "request":
                        connection, _ = listener.accept()
                        pid = _start(connection)
                        if pid is not None:
                            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
                    case (pid, connection):
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        _, status = os.waitpid(pid, 0)
                        with connection, contextlib.suppress(OSError):
                            connection.sendall(f"{status}\n".encode())


if __name__ == "__main__":
    _prepare(os.environ.get("MODEL_MUTATION", ""), sys.argv[2:])
    main(sys.argv[1])
