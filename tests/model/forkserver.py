"""Runs the charm's hooks for model tests: it has imported the charm, and each hook is a fork of it.

Started as `python forkserver.py SOCKET`, with the charm's lib and src, and the directory `forked`, on the path; ends
when its standard input does. A request is one connection: a line of JSON (`environment`, `directory`, `world`, `cut`)
with the descriptors of standard input, output and error; answered by the process's number, and by its wait status when
it has ended with what it took of the processors' time, a line each.

A hook runs the charm's real main with the environment that the agent gave it; its hook tools are asked for over the
agent's socket without an exec, and the workload below the charm's own code is that of the simulated world, which the
test's process holds.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import inspect
import json
import os
import pathlib
import pickle
import re
import selectors
import socket
import subprocess
import sys
import time
import traceback
import types
import typing

import agent
import cuts
import ops
import simulated
from ops._private import yaml as ops_yaml

import charm  # the first: it decides what is imported of charm-refresh
from workload import files, service, snap, watch

SOURCES = pathlib.Path(charm.__file__).parent
_COMMAND = re.compile(r"(?:cd \S+ && )?(?P<variables>(?:\w+=\S+ )*)\./dispatch")

_timed = [
    each
    for each in list(sys.modules.values())
    if getattr(each, "time", None) is time and SOURCES in pathlib.Path(getattr(each, "__file__", None) or "/").parents
]
"""The charm's modules that look at the clock or sleep."""
_imported: set[str] = set()
"""What is loaded before any hook begins."""


def _hook(environment: dict[str, str], directory: str, world_address: str, cut: cuts.Cut | None) -> None:
    """Run one hook of the charm in this process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["./src/charm.py"]
    root = pathlib.Path(environment["CHARM_DIR"]).parents[5]
    points = cuts.Points(cut)
    world = simulated.World(world_address, str(root), points)
    owner = files.Owner(os.getuid(), os.getgid())
    simulated_time = simulated.Time(world)
    # For good: the process ends with the hook.
    for target, attribute, replacement in (
        (charm.machine, "Workload", lambda: simulated.Workload(world, root)),
        (files.Owner, "named", staticmethod(lambda _: owner)),
        (files, "free_bytes", lambda _: 10 * 1024**3),
        (files, "ROOT", owner),
        (watch, "systemd", simulated.Systemd(world, root)),
        (service, "systemd", simulated.Systemd(world, root)),
        (snap, "installed", simulated.installed(world)),
        (subprocess, "run", agent.HookTools(points).run),
        (os, "fsync", lambda _: None),
        *((each, "time", simulated_time) for each in _timed),
    ):
        assert hasattr(target, attribute), f"{target} has no {attribute}"
        setattr(target, attribute, replacement)
    try:
        ops.main(charm.PostgresqlCharm)
    finally:
        world.call("imported", sorted(sys.modules.keys() - _imported))


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


_signatures: dict[object, inspect.Signature] = {}
_signature = inspect.signature


def _known_signature(method: typing.Any, **keywords: typing.Any) -> inspect.Signature:
    """Like inspect's, but that of a method is kept by its function: ops asks for each observer's in each hook."""
    found = _signatures.get(getattr(method, "__func__", None))
    return _signature(method, **keywords) if found is None else found


def _keep_signatures(*modules: types.ModuleType) -> None:
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, ops.Object):
                functions = [each for each in vars(kind).values() if isinstance(each, types.FunctionType)]
                _signatures.update((each, _signature(types.MethodType(each, kind))) for each in functions)
    inspect.signature = _known_signature


def _prepare(mutation: str, descriptions: list[str]) -> None:
    """Do once what each hook would do."""
    charm.prepare()
    _keep_signatures(charm, sys.modules["charm_refresh._main"])
    ops_yaml.safe_load = _safe_load
    for description in descriptions:
        _safe_load(pathlib.Path(description).read_text())
    if mutation:
        module, _, name = mutation.partition(":")
        getattr(importlib.import_module(module), name)()
    _imported.update(sys.modules)
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
                        _, status, used = os.wait4(pid, 0)
                        with connection, contextlib.suppress(OSError):
                            connection.sendall(f"{status} {used.ru_utime + used.ru_stime}\n".encode())


if __name__ == "__main__":
    _prepare(os.environ.get("MODEL_MUTATION", ""), sys.argv[2:])
    main(sys.argv[1])
