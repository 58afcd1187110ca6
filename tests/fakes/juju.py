"""A small Juju: units with event queues, databags, secrets and leadership, which dispatches the real charm to each unit.

Semantics as Juju's on machines: a hook that fails leaves databags and secrets as they were and is tried again; a unit sees
another's databag as it was at that one's last changed event; statuses and files of the charm directory persist.
"""

from __future__ import annotations

import collections
import collections.abc
import contextlib
import dataclasses
import json
import os
import pathlib
import types
import typing
from unittest import mock

import httpx
import ops
import yaml
from ops import testing
from scenario import state as scenario_state

import charm
import leaving
import observer
import refresh
import switchover
from tests.fakes import hook_tools, workload, world
from workload import files, watch

REPOSITORY = pathlib.Path(__file__).parents[2]
METADATA = yaml.safe_load((REPOSITORY / "charmcraft.yaml").read_text())
APPLICATION = METADATA["name"]
CHARM_METADATA = ops.CharmMeta(METADATA, METADATA["actions"])
ENDPOINTS = tuple(METADATA["peers"])
NETWORK_ENDPOINT = ENDPOINTS[0]
FIRST_CHARM_TIME = 1_700_000_000.123
QUIET_SECONDS = 65.0
FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0


@dataclasses.dataclass(frozen=True)
class Charm:
    """One build of the charm: what it pins, and its URL."""

    version: str = "16/1.0.0"
    workload: str = "16.14"
    revisions: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"x86_64": "366", "aarch64": "365"}
    )
    url: str = "ch:amd64/postgresql-machine-1"

    def refresh_versions(self) -> str:
        """The content of its refresh_versions.toml."""
        revisions = "\n".join(f'{name} = "{value}"' for name, value in self.revisions.items())
        return (
            f'charm_major = 1\nworkload = "{self.workload}"\ncharm = "{self.version}"\n\n'
            f'[snap]\nname = "charmed-postgresql"\n\n[snap.revisions]\n{revisions}\n'
        )


OLD = Charm()
NEW = Charm("16/1.1.0", "16.15", {"x86_64": "416", "aarch64": "415"}, "ch:amd64/postgresql-machine-2")


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that a unit has to be told."""

    name: str
    endpoint: str | None = None
    remote: int | None = None
    departing: int | None = None
    storage: str | None = None


@dataclasses.dataclass
class ActionResult:
    """What an action gave back."""

    results: dict[str, typing.Any]
    failure: str | None
    log: list[str]


class HookFailed(Exception):
    """The charm raised an exception, which is the cause."""


class NotSettled(Exception):
    """After a long time things still change."""


Databags = dict[str, dict[int, dict[str, str]]]


class Unit:
    """One unit: its machine, its charm directory, and what it has been told."""

    def __init__(self, application: Application, number: int, machine: world.Machine):
        self.application = application
        self.number = number
        self.name = f"{APPLICATION}/{number}"
        self.machine = machine
        self.storages: set[str] = set(world.STORAGES)
        self.queue: collections.deque[Event] = collections.deque()
        self.upgrades: collections.deque[Charm] = collections.deque()
        self.started = False
        self.dying = False
        self.gone = False
        self.in_scope = False
        self.error: BaseException | None = None
        self.failures: list[BaseException] = []
        self.retry_at = 0.0
        self.patience = FIRST_RETRY_SECONDS
        self.sees: dict[str, set[int]] = {endpoint: set() for endpoint in ENDPOINTS}
        self.seen: Databags = {endpoint: {} for endpoint in ENDPOINTS}
        self.status: testing.UnknownStatus | typing.Any = testing.UnknownStatus()
        self.statuses: list[typing.Any] = []
        """Each status that a hook ended with."""
        self.dispatched: list[str] = []
        self.charm = application.charm
        self.directory = application.world.directory / f"unit-{number}"
        self.observer_digest: str | None = None
        self.observer_since = 0.0
        self.directory.mkdir()
        (self.directory / "src").symlink_to(REPOSITORY / "src")
        self.unpack(application.charm)

    def unpack(self, build: Charm) -> None:
        """Put the charm's files in place; those that the charm has made stay."""
        self.charm = build
        (self.directory / "refresh_versions.toml").write_text(build.refresh_versions())
        identity = self.directory / ".juju-charm"
        identity.write_text(f"{build.url}\n")
        self.application.unpacked += 1
        time = FIRST_CHARM_TIME + self.application.unpacked
        os.utime(identity, (time, time))

    @property
    def message(self) -> str:
        """The text of its status."""
        return self.status.message

    @property
    def member_name(self) -> str:
        """The name of its member of the cluster."""
        return self.name.replace("/", "-")

    @property
    def watches(self) -> bool:
        """Whether the observer's service runs."""
        return any(state == "running" for name, state in self.machine.services.items() if "observer" in name)

    def queue_once(self, event: Event) -> None:
        """Tell the unit, unless it is about to be told."""
        if event not in self.queue:
            self.queue.append(event)

    # one hook

    def _new_context(self) -> testing.Context[charm.PostgresqlCharm]:
        return testing.Context(
            charm.PostgresqlCharm,
            meta={"name": APPLICATION, "peers": METADATA["peers"], "storage": METADATA["storage"]},
            config=METADATA["config"],
            actions=METADATA["actions"],
            charm_root=self.directory,
            app_name=APPLICATION,
            unit_id=self.number,
            principal_unit="",
            juju_version="3.6.2",
        )

    def dispatch(self, event: Event) -> None:
        """Run the charm with this event. Raises what the charm raises; then nothing is committed."""
        self._receive(event)
        before = self._state()
        with self._new_context() as context:
            self._commit(self._run(context, before, self._scenario_event(event, before)))

    def act(self, name: str, **parameters: object) -> ActionResult:
        """Run an action."""
        before = self._state()
        failure = None
        with self._new_context() as context:
            try:
                found = self._run(context, before, context.on.action(name, params=parameters))
            except testing.ActionFailed as failed:
                assert failed.state is not None
                failure, found = failed.message, failed.state
        result = ActionResult(dict(context.action_results or {}), failure, list(context.action_logs))
        self.application.check_secrets(result)
        self._commit(found)
        return result

    def _run(
        self, context: testing.Context[charm.PostgresqlCharm], before: testing.State, event: typing.Any
    ) -> testing.State:
        application = self.application
        self.dispatched.append(str(event.path))
        served = hook_tools.Served(application.goal_state(self), self._snapd)
        try:
            with hook_tools.serve(served, CHARM_METADATA), _at_home(self):
                return context.run(event, before)
        except testing.errors.UncaughtCharmError as error:
            # The status persists even so.
            self._keep_status(served.backend._state)
            raise HookFailed(repr(error.__cause__)) from error.__cause__
        finally:
            application.juju_log += [f"{self.name} {line.level}: {line.message}" for line in context.juju_log]
            application.hook_tool_calls += served.calls

    def _snapd(self) -> str | None:
        if not self.machine.snapd_running:
            raise httpx.ConnectError("connection refused")
        return self.machine.revision

    def _receive(self, event: Event) -> None:
        """What Juju does before a relation hook: the unit learns what it is told of."""
        if event.endpoint is None:
            return
        if event.name == "relation-joined" and event.remote is not None:
            self.sees[event.endpoint].add(event.remote)
        if event.name == "relation-departed" and event.remote is not None:
            self.sees[event.endpoint].discard(event.remote)
        elif event.remote is not None:
            bag = self.application.databags[event.endpoint].get(event.remote, {})
            self.seen[event.endpoint][event.remote] = dict(bag)

    def _state(self) -> testing.State:
        application = self.application
        relations = [
            testing.PeerRelation(
                endpoint,
                id=number,
                interface=METADATA["peers"][endpoint]["interface"],
                local_app_data=dict(application.application_databags[endpoint]),
                local_unit_data=dict(application.databags[endpoint].get(self.number, {})),
                peers_data={each: dict(self.seen[endpoint].get(each, {})) for each in sorted(self.sees[endpoint])},
            )
            for number, endpoint in enumerate(ENDPOINTS, start=1)
            if self.in_scope
        ]
        address = self.machine.address
        bound = [testing.BindAddress([testing.Address(address)])] if address else []
        leader = application.leader is self
        return testing.State(
            config={**application.config},
            leader=leader,
            relations=relations,
            networks={testing.Network(NETWORK_ENDPOINT, bound)},
            storages={testing.Storage(name, index=0) for name in self.storages},
            secrets=[dataclasses.replace(each) for each in application.secrets],
            planned_units=len(application.planned),
            unit_status=self.status,
            app_status=application.status,
            workload_version=application.workload_version,
        )

    def _scenario_event(self, event: Event, before: testing.State) -> typing.Any:
        relation = next((each for each in before.relations if each.endpoint == event.endpoint), None)
        storage = next((each for each in before.storages if each.name == event.storage), None)
        prefix = event.endpoint or event.storage
        remote = event.remote
        if event.name == "relation-changed" and remote is None:
            # Juju names no unit where the application's databag has changed; ops.testing wants one.
            remote = self.application.leader.number if self.application.leader else self.number
        suffix = event.name.replace("-", "_")
        return scenario_state._Event(
            f"{prefix}_{suffix}" if prefix else suffix,
            relation=relation,
            relation_remote_unit_id=remote,
            relation_departed_unit_id=event.departing,
            storage=storage,
        )

    def _commit(self, after: testing.State) -> None:
        application = self.application
        self._keep_status(after)
        application.workload_version = after.workload_version
        for relation in after.relations:
            assert isinstance(relation, testing.PeerRelation)
            application.write(self, relation.endpoint, dict(relation.local_unit_data), dict(relation.local_app_data))
        if application.leader is self:
            application.secrets = list(after.secrets)
        application.check_secrets(
            application.databags, application.application_databags, self.message, application.status.message
        )

    def _keep_status(self, after: testing.State) -> None:
        self.status = after.unit_status
        self.statuses.append(after.unit_status)
        if self.application.leader is self:
            self.application.status = after.app_status


class Application:
    """The application: all its units, and what they share."""

    def __init__(self, on: world.World, build: Charm = OLD, **config: str | int):
        self.world = on
        self.charm = build
        self.config: dict[str, typing.Any] = {key.replace("_", "-"): value for key, value in config.items()}
        self.units: dict[int, Unit] = {}
        self.leader: Unit | None = None
        self.databags: Databags = {endpoint: {} for endpoint in ENDPOINTS}
        self.application_databags: dict[str, dict[str, str]] = {endpoint: {} for endpoint in ENDPOINTS}
        self.secrets: list[testing.Secret] = []
        self.status: typing.Any = testing.UnknownStatus()
        self.workload_version = ""
        self.juju_log: list[str] = []
        self.hook_tool_calls = 0
        self.unpacked = 0
        self.next_number = 0

    # what the operator does

    def deploy(self, count: int, **machine: object) -> None:
        """Deploy that many units; nothing runs yet."""
        for _ in range(count):
            self.add_unit(**machine)

    def add_unit(self, storage: pathlib.Path | None = None, **machine: object) -> Unit:
        """Add a unit on a machine of its own. machine: attributes of the machine. storage: what is attached to it."""
        number, self.next_number = self.next_number, self.next_number + 1
        made = self.world.machine(f"machine-{number}-{len(self.world.machines)}")
        for name, value in machine.items():
            setattr(made, name, value)
        if storage is not None:
            made.give_storage(storage)
        unit = Unit(self, number, made)
        self.units[number] = unit
        unit.queue.extend(Event("storage-attached", storage=name) for name in world.STORAGES)
        unit.queue.append(Event("install"))
        unit.queue.extend(Event("relation-created", endpoint=endpoint) for endpoint in ENDPOINTS)
        if self.leader is None:
            self.leader = unit
            unit.queue.append(Event("leader-elected"))
        unit.queue.append(Event("config-changed"))
        unit.queue.append(Event("start"))
        return unit

    def remove_unit(self, number: int) -> None:
        """Remove a unit: it leaves, and then the others are told."""
        unit = self.units[number]
        unit.dying = True
        unit.upgrades.clear()
        if self.leader is unit:
            self.elect()
        unit.queue = collections.deque(event for event in unit.queue if event.name == "install")
        unit.queue.extend(Event("storage-detaching", storage=name) for name in world.STORAGES)
        unit.queue.extend(
            Event("relation-departed", endpoint=endpoint, remote=other, departing=number)
            for endpoint in ENDPOINTS
            for other in sorted(unit.sees[endpoint])
        )
        unit.queue.extend([Event("stop"), Event("remove")])

    def vanish(self, number: int) -> None:
        """Remove a unit by force, with its machine: it gets no event."""
        unit = self.units[number]
        unit.dying = True
        if self.leader is unit:
            self.elect()
        unit.machine.crash()
        self._gone(unit)

    def remove(self) -> None:
        """Remove the application."""
        for number in list(self.units):
            self.remove_unit(number)

    def refresh(self, build: Charm) -> None:
        """Refresh the charm on all units. A unit in error takes it when its hook has succeeded."""
        self.charm = build
        for unit in self.units.values():
            if not unit.dying:
                unit.upgrades.append(build)

    def set_config(self, **options: str | int) -> None:
        """Change options."""
        self.config |= {key.replace("_", "-"): value for key, value in options.items()}
        self._all(Event("config-changed"))

    def elect(self, number: int | None = None) -> None:
        """Make that unit (or the lowest that stays) the leader."""
        live = [unit for unit in self.units.values() if not unit.dying]
        self.leader = self.units[number] if number is not None else next(iter(live), None)
        if self.leader is not None and self.leader.started:
            self.leader.queue_once(Event("leader-elected"))

    def update_status(self) -> None:
        """A tick of update-status on each unit."""
        self._all(Event("update-status"))

    def move(self, number: int, address: str) -> None:
        """Give the unit's machine another address."""
        unit = self.units[number]
        unit.machine.address = address
        unit.queue_once(Event("config-changed"))

    def reboot(self, number: int) -> None:
        """The unit's machine comes back after it was down; Juju tells the unit `start`."""
        self.units[number].machine.boot()
        self.units[number].queue_once(Event("start"))

    def _all(self, event: Event) -> None:
        for unit in self.units.values():
            if unit.started and not unit.dying:
                unit.queue_once(event)

    # what Juju does

    @property
    def planned(self) -> list[Unit]:
        """Units that are to be."""
        return [unit for unit in self.units.values() if not unit.dying]

    def goal_state(self, _: Unit) -> hook_tools.GoalState:
        """The units and their statuses."""
        return {
            unit.name: "dying" if unit.dying else "error" if unit.error else "active" for unit in self.units.values()
        }

    def write(self, unit: Unit, endpoint: str, own: dict[str, str], shared: dict[str, str]) -> None:
        """Commit what a hook wrote into its databags, and tell the others."""
        if unit.in_scope and own != self.databags[endpoint].get(unit.number):
            self.databags[endpoint][unit.number] = own
            for other in self.units.values():
                if unit.number in other.sees[endpoint]:
                    other.queue_once(Event("relation-changed", endpoint=endpoint, remote=unit.number))
        if shared != self.application_databags[endpoint]:
            assert self.leader is unit, f"{unit.name} wrote the application's databag and is not the leader"
            self.application_databags[endpoint] = shared
            for other in self.units.values():
                if other is not unit and other.in_scope:
                    other.queue_once(Event("relation-changed", endpoint=endpoint))

    def step(self, unit: Unit, retry: bool = True) -> bool:
        """Run the unit's next hook; whether there was one. A hook that has failed is tried again, later and later."""
        if unit.gone or not unit.machine.up:
            return False
        if unit.error is not None and (not retry or self.world.now < unit.retry_at):
            return False
        if unit.error is None and unit.upgrades and unit.started:
            unit.unpack(unit.upgrades.popleft())
            unit.queue.appendleft(Event("config-changed"))
            unit.queue.appendleft(Event("upgrade-charm"))
        if not unit.queue:
            return False
        event = unit.queue[0]
        if event.name == "relation-created" and not unit.in_scope:
            self._enter(unit)
        try:
            unit.dispatch(event)
        except HookFailed as failed:
            unit.error = failed.__cause__
            unit.failures.append(failed.__cause__ or failed)
            unit.retry_at = self.world.now + unit.patience
            unit.patience = min(unit.patience * 2, LONGEST_RETRY_SECONDS)
            return True
        unit.error, unit.patience = None, FIRST_RETRY_SECONDS
        unit.queue.popleft()
        self._after(unit, event)
        return True

    def _enter(self, unit: Unit) -> None:
        unit.in_scope = True
        for endpoint in ENDPOINTS:
            self.databags[endpoint][unit.number] = {"ingress-address": str(unit.machine.address)}

    def _after(self, unit: Unit, event: Event) -> None:
        if event.name == "start" and not unit.started:
            unit.started = True
            others = [other for other in self.units.values() if other.started and other is not unit and not other.dying]
            for endpoint in ENDPOINTS:
                for other in others:
                    self._meet(unit, other, endpoint)
                    self._meet(other, unit, endpoint)
        if event.name == "remove":
            self._gone(unit)

    @staticmethod
    def _meet(unit: Unit, other: Unit, endpoint: str) -> None:
        unit.queue.append(Event("relation-joined", endpoint=endpoint, remote=other.number))
        unit.queue.append(Event("relation-changed", endpoint=endpoint, remote=other.number))

    def _gone(self, unit: Unit) -> None:
        unit.gone = True
        unit.machine.up = unit.machine.up and unit.machine.patroni is not None
        del self.units[unit.number]
        for other in self.units.values():
            other.queue = collections.deque(event for event in other.queue if event.remote != unit.number)
            for endpoint in ENDPOINTS:
                if unit.number in other.sees[endpoint]:
                    other.queue.append(
                        Event("relation-departed", endpoint=endpoint, remote=unit.number, departing=unit.number)
                    )
        for endpoint in ENDPOINTS:
            self.databags[endpoint].pop(unit.number, None)

    def observe(self) -> None:
        """What each unit's observer does in a second: the real digest of what Patroni tells, an event when it changes."""
        for unit in self.units.values():
            if not unit.watches or not unit.machine.up:
                continue
            settings = observer.read_settings(unit.directory / ".observer.json")
            with mock.patch.object(observer, "_get", lambda endpoint: _cluster_answer(self.world, endpoint)):
                digest = observer.digest(settings.get("endpoints") or [])
            retry = settings.get("retry_seconds")
            due = retry is not None and self.world.now - unit.observer_since >= retry
            if digest != unit.observer_digest or due:
                unit.observer_digest, unit.observer_since = digest, self.world.now
                unit.queue_once(Event("cluster_changed"))

    def run(self, seconds: float, retry: bool = True) -> None:
        """Let that much time pass; units run a hook at a time, in random order."""
        until = self.world.now + seconds
        while self.world.now < until:
            self.tick(retry)

    def tick(self, retry: bool = True) -> bool:
        """A second; whether any hook ran."""
        self.world.advance(1)
        self.observe()
        units = list(self.units.values())
        self.world.random.shuffle(units)
        return any([self.step(unit, retry) for unit in units])

    def settle(self, seconds: float = 1200.0, retry: bool = True) -> None:
        """Run until nothing changes any more. Raises NotSettled where that takes longer than `seconds`."""
        until = self.world.now + seconds
        since, seen = self.world.now, ""
        while self.world.now - since < QUIET_SECONDS or self._pending(retry):
            if self.world.now > until:
                raise NotSettled(f"not settled: {self.summary()}")
            self.tick(retry)
            if (found := self._fingerprint()) != seen:
                since, seen = self.world.now, found

    def _pending(self, retry: bool) -> bool:
        units = [unit for unit in self.units.values() if unit.machine.up and (retry or unit.error is None)]
        return any(unit.queue or (unit.upgrades and unit.started) for unit in units)

    def _fingerprint(self) -> str:
        members = {
            process.name: [process.state, process.is_leader, process.name in process.raft.synchronous]
            for process in self.world.processes()
            if process.raft is not None
        }
        statuses = [f"{unit.name} {unit.status} {bool(unit.error)}" for unit in self.units.values()]
        return json.dumps([members, statuses, str(self.status), self.databags, self.application_databags])

    # what tests ask

    def passwords(self) -> list[str]:
        """Everything that is secret."""
        return [value for secret in self.secrets for value in (secret.latest_content or {}).values()]

    def check_secrets(self, *places: object) -> None:
        """Note a violation where a secret is where everybody can read it."""
        passwords = self.passwords()
        if passwords and any(password in repr(places) for password in passwords):
            self.world.violations.append("a password is in a databag, a status or an action's result")

    def secrets_in_log(self) -> list[str]:
        """Lines of the log that hold a secret."""
        return [line for line in self.juju_log if any(password in line for password in self.passwords())]

    def summary(self) -> str:
        """All statuses, for the message of a failed assertion."""
        lines = [f"application: {self.status.name} {self.status.message}"]
        lines += [
            f"{unit.name}: {unit.status.name} {unit.message!r} error={unit.error!r} queue={[each.name for each in unit.queue]}"
            for unit in self.units.values()
        ]
        return "\n".join(lines)

    def are_active(self) -> bool:
        """Whether all is well."""
        return self.status.name == "active" and all(
            unit.status.name == "active" and unit.error is None for unit in self.units.values()
        )

    def unit_of(self, machine: world.Machine | None) -> Unit:
        """The unit on that machine."""
        (found,) = [unit for unit in self.units.values() if unit.machine is machine]
        return found

    @property
    def primary(self) -> Unit:
        """The unit of the primary."""
        return self.unit_of(self.world.primary)


def _cluster_answer(on: world.World, endpoint: str) -> dict[str, typing.Any] | None:
    machine = on.at(endpoint.removeprefix("http://").rpartition(":")[0])
    process = machine.patroni if machine else None
    if process is None or process.raft is None or process.raft.configuration is None:
        return None
    return process.raft.cluster_answer()


class _Time(types.SimpleNamespace):
    """The world's clock, in place of the module `time`."""

    def __init__(self, on: world.World):
        super().__init__(sleep=on.advance, monotonic=lambda: on.now, time=lambda: on.now)


class _Systemd(types.SimpleNamespace):
    """A fake machine's systemd, in place of the library."""

    def __init__(self, machine: world.Machine):
        def disable(*arguments: str) -> None:
            machine.services[arguments[-1]] = "disabled"

        def restart(service: str) -> None:
            machine.services[service] = "running"

        super().__init__(
            daemon_reload=lambda: None, service_enable=lambda _: None, service_restart=restart, service_disable=disable
        )


@contextlib.contextmanager
def _at_home(unit: Unit) -> collections.abc.Iterator[None]:
    """In the unit's charm directory, on its machine."""
    machine = unit.machine
    owner = files.Owner(os.getuid(), os.getgid())
    time = _Time(unit.application.world)
    free = files.free_bytes

    def free_bytes(path: pathlib.Path) -> int | None:
        return machine.free_for_snap if path == machine.root / "var/lib/snapd/snaps" else free(path)

    home = pathlib.Path.cwd()
    os.chdir(unit.directory)
    try:
        with (
            mock.patch.object(charm.machine, "Workload", lambda: workload.Workload(machine)),
            mock.patch.object(files.Owner, "named", staticmethod(lambda _: owner)),
            mock.patch.object(files, "free_bytes", free_bytes),
            mock.patch.object(watch, "ROOT", owner),
            mock.patch.object(watch, "systemd", _Systemd(machine)),
            mock.patch.object(leaving, "time", time),
            mock.patch.object(refresh, "time", time),
            mock.patch.object(switchover, "time", time),
            mock.patch("platform.machine", lambda: machine.architecture),
            # Nothing here has to survive a power failure.
            mock.patch.object(os, "fsync", lambda _: None),
            # Hooks of units that the relation does not show (any more) are no mistake here.
            mock.patch.dict(os.environ, {"SCENARIO_SKIP_CONSISTENCY_CHECKS": "1"}),
        ):
            yield
    finally:
        os.chdir(home)
