"""The charm, deployed by the lab's controller on root-less machines, over a simulated workload.

One process drives all.
"""

from __future__ import annotations

import contextlib
import pathlib
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import typing
from unittest import mock

import yaml

import observer
from lab.controller import clock, core, engine, tags
from lab.controller import store as store_module
from lab.controller.entities import leadership, statuses, units
from lab.machines import rootless
from tests.fakes import workload, world

HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parents[1]
DESCRIPTION = yaml.safe_load((REPOSITORY / "charmcraft.yaml").read_text())
APPLICATION = DESCRIPTION["name"]
MODEL = "m"
VERSIONS = {"16/1.0.0": ("16.14", "366"), "16/1.1.0": ("16.15", "416"), "16/1.2.0": ("16.15", "420")}
"""Charm version: workload version and snap revision that it pins."""


class NotSettled(AssertionError):
    """After a long time things still change."""


def build_charm(directory: pathlib.Path, version: str, fork_server: pathlib.Path) -> pathlib.Path:
    """Write a charm of that version: the sources as charmcraft lays them out, with the fork server's dispatch."""
    charm = directory / version.replace("/", "-")
    for name in ("src", "lib"):
        shutil.copytree(REPOSITORY / name, charm / name, ignore=shutil.ignore_patterns("__pycache__"))
    keys = ("name", "summary", "description", "peers", "storage", "assumes")
    (charm / "metadata.yaml").write_text(yaml.safe_dump({key: DESCRIPTION[key] for key in keys}))
    (charm / "config.yaml").write_text(yaml.safe_dump(DESCRIPTION["config"]))
    (charm / "actions.yaml").write_text(yaml.safe_dump(DESCRIPTION["actions"]))
    pinned, revision = VERSIONS[version]
    (charm / "refresh_versions.toml").write_text(
        f'charm_major = 1\nworkload = "{pinned}"\ncharm = "{version}"\n\n[snap]\nname = "charmed-postgresql"\n\n'
        f'[snap.revisions]\nx86_64 = "{revision}"\naarch64 = "{revision}"\n'
    )
    dispatch = charm / "dispatch"
    dispatch.write_text((HERE / "dispatch").read_text().replace("FORK_SERVER_SOCKET", str(fork_server)))
    dispatch.chmod(0o755)
    return charm


class Simulation:
    """A model with the charm. Nothing happens but in its methods; use it as a context."""

    def __init__(self, seed: int = 0) -> None:
        self._stack = contextlib.ExitStack()
        self.directory = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="model-")))
        self.world = world.World(self.directory / "world", seed)
        self.clock = clock.ManualClock()
        self.store = store_module.Store(self.directory / "controller.sqlite")
        machines = rootless.Machines(self.directory)
        self.controller = core.Controller(self.store, machines, self.directory, self.clock, clock.Identifiers(seed + 1))
        self.engine = engine.Engine(self.controller)
        self.operations = self.engine.operations
        self.operations.add_model(MODEL)
        self._fork_server = self.directory / "fork.socket"
        self._charms: dict[str, pathlib.Path] = {}
        self._observed: dict[str, tuple[str | None, float]] = {}
        self._retrying = False
        self._machines: dict[str, world.Machine] = {}

    def __enter__(self) -> Simulation:
        address = self.directory / "world.socket"
        listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(address))
        listener.listen(64)
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        path = [str(REPOSITORY / name) for name in ("lib", "src")]
        process = subprocess.Popen(
            [sys.executable, str(HERE / "forkserver.py"), str(self._fork_server), str(address)],
            env={"PYTHONPATH": ":".join(path), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self._stack.callback(self.engine.close)
        while not self._fork_server.exists():
            assert process.poll() is None, "the fork server has ended"
            threading.Event().wait(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()
        self.store.close()
        self._stack.close()

    # the world's side

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as request:
                root, target, arguments, keywords = pickle.load(request)  # noqa: S301  from the fork server
                try:
                    answer = (False, self._answer(root, target, *arguments, **keywords))
                except Exception as error:
                    answer = (True, error)
                connection.sendall(pickle.dumps(answer))

    def machine(self, root: str) -> world.Machine:
        """The simulated machine whose files are below `root`."""
        if root not in self._machines:
            machine = pathlib.Path(root).parent
            address = rootless.Machines(self.directory).get(machine.name).address
            with mock.patch.object(world.Machine, "mount"):
                made = world.Machine(self.world, machine.name, pathlib.Path(root), address)
            self.world.machines.append(made)
            self._machines[root] = made
        return self._machines[root]

    def _answer(self, root: str, target: str, *arguments: typing.Any, **keywords: typing.Any) -> typing.Any:
        machine = self.machine(root)
        concern, _, method = target.partition(".")
        if method:
            constructed, *rest = arguments
            made = getattr(workload.Workload(machine), concern)
            return getattr(made if concern == "snap" else made(*constructed), method)(*rest, **keywords)
        match target:
            case "architecture":
                return machine.architecture
            case "sleep":
                return self.world.advance(*arguments)
            case "now":
                return self.world.now
            case "service":
                machine.services[arguments[0]] = arguments[1]
                return None
            case _:
                return getattr(workload.Workload(machine), target)(*arguments)

    # what an operator does

    def charm(self, version: str) -> str:
        """The directory of the charm of that version."""
        if version not in self._charms:
            self._charms[version] = build_charm(self.directory / "charms", version, self._fork_server)
        return str(self._charms[version])

    def deploy(self, count: int, version: str = "16/1.0.0", **config: str) -> None:
        """Deploy that many units; nothing runs yet."""
        options = {key.replace("_", "-"): value for key, value in config.items()}
        self.operations.deploy(
            model=MODEL, charm=self.charm(version), application=APPLICATION, num_units=count, config=options
        )

    def refresh(self, version: str) -> None:
        """Refresh the charm."""
        self.operations.refresh(model=MODEL, application=APPLICATION, path=self.charm(version))

    def run(self, unit: str, action: str, **parameters: object) -> int:
        """Queue an action; its task's number."""
        enqueued = self.operations.run_action(MODEL, [unit], action, parameters)
        return int(enqueued["tasks"][0]["id"])

    # time

    def tick(self) -> bool:
        """A second: the workload goes on, observers look, each unit does one thing; whether any unit did."""
        self.world.advance(1)
        self.clock.advance(1)
        self._observe()
        return self.engine.step()

    def _observe(self) -> None:
        self._retrying = False
        for unit in self.units():
            machine = self._machine_of(unit)
            directory = machine.root / f"var/lib/juju/agents/{tags.unit(unit.name)}/charm" if machine else None
            if machine is None or directory is None or "running" not in machine.services.values() or not machine.up:
                continue
            settings = observer.read_settings(directory / ".observer.json")
            with mock.patch.object(observer, "_get", self._cluster):
                digest = observer.digest(settings.get("endpoints") or [])
            retry = settings.get("retry_seconds")
            self._retrying = self._retrying or retry is not None
            seen, since = self._observed.get(unit.name, (None, self.world.now))
            if digest != seen or (retry is not None and self.world.now - since >= retry):
                self._observed[unit.name] = digest, self.world.now
                hook = "JUJU_HOOK_NAME=cluster_changed JUJU_DISPATCH_PATH=hooks/cluster_changed ./dispatch"
                self.operations.exec(MODEL, hook, units=[unit.name])

    def _cluster(self, endpoint: str) -> dict[str, typing.Any] | None:
        machine = self.world.at(endpoint.removeprefix("http://").rpartition(":")[0])
        process = machine.patroni if machine else None
        if process is None or process.raft is None or process.raft.configuration is None:
            return None
        return process.raft.cluster_answer()

    def settle(self, limit: int = 400) -> None:
        """Let time pass until nothing has happened for a while, also not again by observers. Raises NotSettled."""
        idle = 0
        for _ in range(limit):
            idle = 0 if self.tick() else idle + 1
            if idle >= 12 and not self._retrying:
                return
        raise NotSettled(self.summary())

    # what can be seen

    def units(self) -> list[units.Unit]:
        """The units of the application."""
        return sorted(self.store.find(units.Unit), key=lambda unit: int(unit.name.rpartition("/")[2]))

    def _machine_of(self, unit: units.Unit) -> world.Machine | None:
        if unit.machine is None:
            return None
        try:
            root = self.controller.machine(unit.model, unit.machine).outside("/")
        except LookupError:
            return None
        return self._machines.get(str(root))

    def machine_of(self, number: int) -> world.Machine:
        """The simulated machine of a unit."""
        (unit,) = [each for each in self.units() if each.name == f"{APPLICATION}/{number}"]
        found = self._machine_of(unit)
        assert found is not None
        return found

    def status(self, unit: units.Unit) -> tuple[str, str]:
        """A unit's status as `juju status` shows it."""
        found, _ = statuses.presented(self.store, unit.model, unit.name)
        return (found.status, found.message) if found else ("unknown", "")

    def application_status(self) -> tuple[str, str]:
        """The application's status as `juju status` shows it."""
        found = statuses.get(self.store, self.units()[0].model, tags.application(APPLICATION))
        return (found.status, found.message) if found else ("unknown", "")

    @property
    def highest_was_primary(self) -> bool:
        """Whether the first switchover was away from the highest unit: then there is a second one."""
        if not self.world.switchovers:
            return False
        return self.world.switchovers[0][0] == self.units()[-1].name.replace("/", "-")

    def reboot(self, unit: units.Unit) -> None:
        """Restart a unit's machine; the workload starts with it, without a hook."""
        machine = self._machine_of(unit)
        if machine is None or unit.machine is None:
            return
        machine.crash()
        self.controller.machine(unit.model, unit.machine).reboot()
        machine.boot()

    def leader(self) -> str | None:
        """The leader's name."""
        return leadership.holder(self.store, self.units()[0].model, APPLICATION) if self.units() else None

    def revisions(self) -> dict[str, str | None]:
        """The snap's revision on each unit."""
        return {unit.name: machine.revision for unit in self.units() if (machine := self._machine_of(unit))}

    def are_active(self) -> bool:
        """Whether all units are active."""
        return all(self.status(unit)[0] == "active" for unit in self.units())

    def log(self) -> list[str]:
        """The model's log."""
        return [str(line["message"]) for line in self.operations.debug_log(MODEL) if line["level"] != "DEBUG"]

    def summary(self) -> str:
        """All that helps to understand a failure."""
        lines = [f"{APPLICATION}: {self.application_status()}, leader {self.leader()}"] if self.units() else []
        lines += [f"{unit.name}: {self.status(unit)} snap {self.revisions().get(unit.name)}" for unit in self.units()]
        return "\n".join([*lines, *self.log()[-30:]])
