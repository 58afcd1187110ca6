"""The simulated world below the charm's own code, as a hook reaches it."""

from __future__ import annotations

import pathlib
import pickle
import socket
import struct
import time
import typing

import cuts

from workload import machine, paths, patroni, raft, sql, write_ahead_log


class World:
    """The simulated world, asked over its socket: one connection a hook."""

    CHANGES = ("snap.install", "snap.refresh", "snap.hold", "snap.start", "snap.stop", "service")
    """What a hook can be cut off before and after, besides hook tools."""
    LASTING = (
        "architecture",
        "free_bytes",
        "now",
        "ports_taken",
        "snap.state",
        "snap.is_running",
        "snap.all_installed",
    )
    """What stays as it is until the hook asks for anything else: nothing but the hook moves the world meanwhile."""

    def __init__(self, address: str, root: str, points: cuts.Points):
        self._root = root
        self._points = points
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address)
        self._answers = self._connection.makefile("rb")
        self._lasting: dict[tuple[str, tuple[typing.Any, ...]], typing.Any] = {}

    def call(self, target: str, *arguments: typing.Any, **keywords: typing.Any) -> typing.Any:
        """Call `target` (such as "snap.install") for this machine; raises what it raises there."""
        if target not in self.LASTING:
            self._lasting.clear()
            return self._call(target, *arguments, **keywords)
        if (target, arguments) not in self._lasting:
            self._lasting[target, arguments] = self._call(target, *arguments, **keywords)
        return self._lasting[target, arguments]

    def _call(self, target: str, *arguments: typing.Any, **keywords: typing.Any) -> typing.Any:
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

    def last_record(self) -> write_ahead_log.Position | None:
        """See the class."""
        return self._world.call("last_record")

    def clock_skew_seconds(self, address: str) -> float | None:
        """See the class."""
        return self._world.call("clock_skew_seconds", address)


class Time:
    """The module time for the charm: its clock is the world's, and who sleeps lets the world go on."""

    def __init__(self, world: World):
        self.sleep = lambda seconds: world.call("sleep", seconds)
        self.monotonic = lambda: world.call("now")
        self.time = self.monotonic

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(time, name)


class Systemd:
    """What of systemd's library the charm calls."""

    def __init__(self, world: World, root: pathlib.Path):
        self._wanted = root / "etc/systemd/system/multi-user.target.wants"
        self.daemon_reload = lambda: None
        self.service_restart = lambda service: world.call("service", service, "running")
        self._world = world

    def service_enable(self, service: str) -> None:
        """See the library."""
        self._wanted.mkdir(parents=True, exist_ok=True)
        (self._wanted / service).unlink(missing_ok=True)
        (self._wanted / service).symlink_to(f"../{service}")

    def service_disable(self, *arguments: str) -> None:
        """See the library."""
        (self._wanted / arguments[-1]).unlink(missing_ok=True)
        self._world.call("service", arguments[-1], "disabled")


def installed(world: World) -> typing.Any:
    """What stands for `snap.installed`, by which charm-refresh asks snapd."""

    def ask(name: str) -> dict[str, typing.Any] | None:
        state = world.call("snap.state", ())
        return None if state.revision is None else {"name": name, "revision": state.revision, "hold": state.held}

    return ask
