"""The simulated workload of a simulation, as the processes of hooks reach it."""

from __future__ import annotations

import dataclasses
import pathlib
import pickle
import socket
import struct
import threading
import typing
from unittest import mock

from tests.fakes import workload, world
from tests.model import machines


class Machine(world.Machine):
    """A machine of the simulated world. What the refresh does to it is told to whoever watches."""

    watcher: Watcher | None = None

    def install(self, revision: str) -> None:
        """See `world.Machine.install`."""
        super().install(revision)
        if self.watcher is not None:
            self.watcher.installed(self, revision)

    def refresh(self, revision: str) -> None:
        """See `world.Machine.refresh`."""
        before = self.revision
        try:
            super().refresh(revision)
        finally:
            if self.watcher is not None and self.revision != before:
                self.watcher.refreshed(self, before, revision)

    def stop(self, disable: bool) -> None:
        """See `world.Machine.stop`."""
        super().stop(disable)
        if self.watcher is not None:
            self.watcher.stopped(self, leaving=disable)


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What a hook had loaded at its end beyond what importing the charm does."""

    modules: frozenset[str]
    asked: frozenset[str]
    """Whom it has asked in the world, which stands in for code that loads more: "sql", "raft" and so on."""


class Watcher(typing.Protocol):
    """Is told at once what happens to a machine's workload."""

    def installed(self, machine: Machine, revision: str) -> None:
        """The snap was installed."""

    def refreshed(self, machine: Machine, before: str | None, revision: str) -> None:
        """The snap's revision has changed."""

    def stopped(self, machine: Machine, *, leaving: bool) -> None:
        """Patroni was stopped, for good if the unit leaves."""


class WorldServer:
    """Answers the hooks' questions to the world, one hook at a time."""

    def __init__(self, simulated: world.World, directory: pathlib.Path) -> None:
        self.world = simulated
        self.address = directory / "world.socket"
        self.known: dict[str, Machine] = {}
        """By the directory that is the machine's root."""
        self.watcher: Watcher | None = None
        self.loaded: list[Loaded] = []
        """Of each hook that came to its end."""
        self._asked: set[str] = set()
        self._listener: socket.socket | None = None

    def open(self, hosts: machines.Machines) -> None:
        """Start to serve."""
        self._hosts = hosts
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.address))
        self._listener.listen(8)
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Serve nobody any more."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.address.unlink(missing_ok=True)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as requests:
                while header := requests.read(4):
                    connection.sendall(pickle.dumps(self._answer(requests.read(*struct.unpack("=I", header)))))

    def _answer(self, request: bytes) -> tuple[bool, typing.Any]:
        root, target, arguments, keywords = pickle.loads(request)  # noqa: S301  from the fork server
        try:
            return False, self._call(self.machine(root), target, *arguments, **keywords)
        except Exception as error:
            return True, error

    def machine(self, root: str) -> Machine:
        """The simulated machine whose files are below `root`."""
        if root not in self.known:
            host = pathlib.Path(root).parent.name
            with mock.patch.object(world.Machine, "mount"):
                made = Machine(self.world, host, pathlib.Path(root), self._hosts.get(host).address)
            made.watcher = self.watcher
            self.world.machines.append(made)
            self.known[root] = made
        return self.known[root]

    def _call(self, machine: Machine, target: str, *arguments: typing.Any, **keywords: typing.Any) -> typing.Any:
        concern, _, method = target.partition(".")
        if method:
            self._asked.add(concern)
            constructed, *rest = arguments
            made = getattr(workload.Workload(machine), concern)
            return getattr(made(*constructed) if callable(made) else made, method)(*rest, **keywords)
        match target:
            case "architecture":
                return machine.architecture
            case "sleep":
                return self.world.advance(*arguments)
            case "now":
                return self.world.now
            case "imported":
                self.loaded.append(Loaded(frozenset(arguments[0]), frozenset(self._asked)))
                self._asked.clear()
                return None
            case "service":
                machine.services[arguments[0]] = arguments[1]
                return None
            case _:
                return getattr(workload.Workload(machine), target)(*arguments)
