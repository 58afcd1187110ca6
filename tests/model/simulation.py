"""The charm, deployed by the lab's controller on root-less machines, over a simulated workload.

One process drives all; nothing happens but in the methods of `Simulation`, and its time is its own.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import shutil
import typing
from unittest import mock

import observer
from lab.controller import charm_files, clock, core, engine, tags
from lab.controller import store as store_module
from lab.controller.entities import applications, leadership, relations, statuses, tasks, units
from tests.fakes import answers, world
from tests.model import machines, stage, versions, worldserver

APPLICATION = versions.APPLICATION
MODEL = "m"
_UNSETTLED = {"error": ("unsettled", ""), "maintenance": ("unsettled", "")}
QUIET_SECONDS = 12
RETRY_QUIET_SECONDS = 160
"""How long nothing may happen before all is settled: longer where observers try again every 30 seconds.

The first unit of a rollback may wait for two minutes.
"""
HOOK = "JUJU_HOOK_NAME={0} JUJU_DISPATCH_PATH=hooks/{0} ./dispatch"


class NotSettled(AssertionError):
    """After a long time things still change."""


@dataclasses.dataclass(frozen=True)
class Dispatch:
    """One run of the charm."""

    unit: str
    path: str
    """`hooks/NAME` or `actions/NAME`; empty for what an observer or `juju exec` asked for."""
    parameters: dict[str, typing.Any]
    """Of an action."""
    switchovers: int
    """How many there had been before."""
    task: int | None = None
    """The number of an action."""


class Simulation:
    """A model with the charm; use it as a context."""

    def __init__(self, on: stage.Stage | None = None, seed: int = 0) -> None:
        self.stage = on or stage.shared()
        self.directory = self.stage.directory / "life"
        self.clock = clock.ManualClock()
        self.world = world.World(self.directory / "world", seed)
        self.server = worldserver.WorldServer(self.world, self.directory)
        self.seed = seed
        self.cuts: dict[str, dict[str, typing.Any]] = {}
        """By unit: where its next dispatch is cut off (forked/cuts.py)."""
        self.dispatches: list[Dispatch] = []
        self._observers: dict[str, Observer] = {}
        self._retrying = False
        self._closed = False
        self._deployments = 0
        self._patches = contextlib.ExitStack()

    def __enter__(self) -> Simulation:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        self._open()
        self.operations.add_model(MODEL)
        return self

    def _open(self) -> None:
        self.machines = machines.Machines(self.directory, self.stage.fork_server, self._request)
        self.server.open(self.machines)
        self.store = store_module.Store(self.directory / "controller.sqlite")
        identifiers = clock.Identifiers(self.seed + 1)
        self.controller = core.Controller(self.store, self.machines, self.directory, self.clock, identifiers)
        self.engine = engine.Engine(self.controller)
        self.operations = self.engine.operations
        deploy = charm_files.CharmFiles.deploy
        self._patches.enter_context(mock.patch.object(charm_files.CharmFiles, "deploy", self._deployed_now(deploy)))
        if not (self.directory / "charmhub").exists():
            (self.directory / "charmhub").symlink_to(self.stage.charmhub)

    def _deployed_now(self, deploy: collections.abc.Callable[..., None]) -> collections.abc.Callable[..., None]:
        """Put a charm's files in place at the simulation's time: the charm tells refreshes apart by it, and by age."""

        def deployed(files: charm_files.CharmFiles, *arguments: typing.Any) -> None:
            deploy(files, *arguments)
            # Each of its own.
            self._deployments += 1
            time = self.world.now + self._deployments / 1000
            os.utime(files.identity, (time, time))

        return deployed

    def close(self) -> None:
        """End everything; the files stay."""
        if not self._closed:
            self._closed = True
            self._patches.close()
            self.engine.close()
            self.store.close()
            self.server.close()

    def __exit__(self, *_: object) -> None:
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _request(self, environment: dict[str, str]) -> dict[str, typing.Any]:
        """What the fork server is told about a hook, which begins now."""
        unit = environment["JUJU_UNIT_NAME"]
        parameters: dict[str, typing.Any] = {}
        number = None
        if environment["JUJU_DISPATCH_PATH"].startswith("actions/"):
            number = int(environment["JUJU_ACTION_UUID"])
            parameters = self.store.require(tasks.Task, environment["JUJU_MODEL_UUID"], number).parameters
        self.dispatches.append(
            Dispatch(unit, environment["JUJU_DISPATCH_PATH"], parameters, len(self.world.switchovers), number)
        )
        return {"world": str(self.server.address), "cut": self.cuts.pop(unit, None)}

    # what an operator does

    def deploy(self, count: int, version: versions.Version = versions.ORIGINAL, **config: str) -> None:
        """Deploy that many units; nothing runs yet."""
        options = {key.replace("_", "-"): value for key, value in config.items()}
        self.operations.deploy(
            model=MODEL, charm=APPLICATION, revision=version.revision, num_units=count, config=options
        )

    def refresh(self, version: versions.Version, *, force_units: bool = False) -> None:
        """Refresh the charm."""
        self.operations.refresh(
            model=MODEL, application=APPLICATION, revision=version.revision, force_units=force_units
        )

    def configure(self, **config: str) -> None:
        """Change options of the application."""
        self.operations.set_config(MODEL, APPLICATION, {key.replace("_", "-"): each for key, each in config.items()})

    def run(self, unit: str, action: str, **parameters: object) -> int:
        """Queue an action; its task's number."""
        enqueued = self.operations.run_action(MODEL, [unit], action, parameters)
        return int(enqueued["tasks"][0]["id"])

    def task(self, number: int) -> tasks.Task:
        """A task as it stands."""
        (found,) = [each for each in self.store.find(tasks.Task) if each.id == number]
        return found

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
            machine = self.machine_of(unit)
            if machine is None or not machine.up or "running" not in machine.services.values():
                continue
            file = machine.root / f"var/lib/juju/agents/{tags.unit(unit.name)}/charm/.observer.json"
            watcher = self._observers.setdefault(unit.name, Observer(self, unit.name))
            self._retrying = watcher.look(file) or self._retrying

    def observed(self) -> dict[str, observer.View | None]:
        """What each unit's observer has seen last."""
        return {name: watcher.attention.seen for name, watcher in self._observers.items()}

    def observe_again(self, seen: dict[str, observer.View | None]) -> None:
        """Let observers go on that have seen this."""
        self._observers = {name: Observer(self, name, each) for name, each in seen.items()}

    def settle(self, check: collections.abc.Callable[[], None] = lambda: None, limit: int = 600) -> None:
        """Let time pass until nothing happens any more but vain attempts. Raises NotSettled.

        check: called each second.
        """
        quiet, since_change, before = 0, 0, self.fingerprint()
        for _ in range(limit):
            quiet = 0 if self.tick() else quiet + 1
            check()
            now = self.fingerprint()
            since_change = since_change + 1 if now == before else 0
            before = now
            if (quiet >= QUIET_SECONDS and not self._retrying) or since_change >= RETRY_QUIET_SECONDS:
                return
        raise NotSettled(f"things still change after {limit} s\n{self.summary()}")

    # what can be seen

    def units(self) -> list[units.Unit]:
        """The units of the application, by number."""
        return sorted(self.store.find(units.Unit), key=lambda unit: unit.number)

    def machine_of(self, unit: units.Unit) -> worldserver.Machine | None:
        """The simulated machine of a unit; None before a hook has run there."""
        if unit.machine is None:
            return None
        try:
            root = self.controller.machine(unit.model, unit.machine).outside("/")
        except LookupError:
            return None
        return self.server.known.get(str(root))

    def status(self, unit: units.Unit) -> tuple[str, str]:
        """A unit's status as `juju status` shows it."""
        found, _ = statuses.presented(self.store, unit.model, unit.name)
        return (found.status, found.message) if found else ("unknown", "")

    def application_status(self) -> tuple[str, str]:
        """The application's status as `juju status` shows it."""
        found = statuses.get(self.store, self.units()[0].model, tags.application(APPLICATION)) if self.units() else None
        return (found.status, found.message) if found else ("unknown", "")

    def application(self) -> applications.Application:
        """The application."""
        (found,) = self.store.find(applications.Application)
        return found

    def version(self) -> versions.Version:
        """The charm's version that the application is to have."""
        return versions.VERSIONS[int(self.application().charm_url.rpartition("-")[2])]

    def config(self, name: str) -> object:
        """An option of the application."""
        found = self.operations.get_config(MODEL, APPLICATION)["settings"][name]
        return found.get("value")

    def leader(self) -> str | None:
        """The leader's name."""
        return leadership.holder(self.store, self.units()[0].model, APPLICATION) if self.units() else None

    def revisions(self) -> dict[str, str | None]:
        """The snap's revision on each unit."""
        return {unit.name: machine.revision for unit in self.units() if (machine := self.machine_of(unit))}

    def are_active(self) -> bool:
        """Whether all units are active."""
        return all(self.status(unit)[0] == "active" for unit in self.units())

    def databags(self) -> dict[tuple[int, str], tuple[int, dict[str, str]]]:
        """Each databag of those who still are units, and its version, by relation and owner."""
        owners = {APPLICATION, *(unit.name for unit in self.units())}
        found = self.store.find(relations.Databag)
        return {(each.relation, each.owner): (each.version, each.settings) for each in found if each.owner in owners}

    def fingerprint(self) -> tuple[object, ...]:
        """All that a person would see change."""
        return (
            # A hook that fails again and again shows both in turn.
            tuple(
                (unit.name, _UNSETTLED.get(self.status(unit)[0], self.status(unit)), unit.life) for unit in self.units()
            ),
            self.application_status(),
            tuple((key, version) for key, (version, _) in self.databags().items()),
            tuple((machine.revision, machine.patroni is None) for machine in self.server.known.values()),
            len(self.world.promotions),
        )

    def log(self) -> list[str]:
        """The model's log."""
        return [str(line["message"]) for line in self.operations.debug_log(MODEL) if line["level"] != "DEBUG"]

    def summary(self) -> str:
        """All that helps to understand a failure."""
        lines = [f"{APPLICATION}: {self.application_status()}, leader {self.leader()}"] if self.units() else []
        lines += [f"{unit.name}: {self.status(unit)} snap {self.revisions().get(unit.name)}" for unit in self.units()]
        return "\n".join([*lines, *self.world.violations, *self.log()[-40:]])


class Observer:
    """The service beside a unit, with the decisions of the real one (observer.watch)."""

    def __init__(self, simulation: Simulation, unit: str, seen: observer.View | None = None) -> None:
        self._simulation = simulation
        self._unit = unit
        self.attention = observer.Attention(simulation.world.now, seen)
        self._asked: int | None = None

    def look(self, settings_file: pathlib.Path) -> bool:
        """What it does in a second; whether there is more to come without a change of the cluster."""
        settings = observer.read_settings(settings_file)
        retry = settings.get("retry_seconds")
        if self._asked is not None and not self._has_ended(self._asked):
            return retry is not None
        with mock.patch.object(observer, "_get", self._answer):
            view = observer.ask(settings.get("endpoints") or [], self._unit.replace("/", "-"))
        now = self._simulation.world.now
        if self.attention.is_due(view, now, retry):
            self.attention.give(view, now)
            enqueued = self._simulation.operations.exec(MODEL, HOOK.format(observer.EVENT), units=[self._unit])
            self._asked = int(enqueued["tasks"][0]["id"])
        return retry is not None or view != self.attention.seen

    def _has_ended(self, number: int) -> bool:
        task = self._simulation.task(number)
        if task.status.ended:
            self._asked = None
            succeeded = task.status is tasks.TaskStatus.COMPLETED and task.results.get("return-code") == 0
            self.attention.given(succeeded, self._simulation.world.now)
        return task.status.ended

    def _answer(self, endpoint: str, path: str) -> dict[str, typing.Any] | None:
        return answers.public(self._simulation.world, endpoint, path)
