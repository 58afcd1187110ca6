"""A small Juju: units with event queues, databags, secrets and leadership; it dispatches the real charm to each unit.

Semantics as Juju's on machines: a hook that fails leaves databags and secrets as they were and is tried again; a unit
sees another's databag as it was at that one's last changed event; statuses and files of the charm directory persist.
"""

from __future__ import annotations

import collections
import json
import pathlib
import typing
from unittest import mock

from ops import testing

import observer
from tests.fakes import answers, builds, hook_tools, units, world

QUIET_SECONDS = 65.0
LONGEST_RETRY_SECONDS = 300.0


class NotSettled(Exception):
    """After a long time things still change."""


class Application:
    """The application: all its units, and what they share."""

    def __init__(self, on: world.World, build: builds.Charm = builds.OLD, **config: str | int):
        self.world = on
        self.charm = build
        self.config: dict[str, typing.Any] = {key.replace("_", "-"): value for key, value in config.items()}
        self.units: dict[int, units.Unit] = {}
        self.leader: units.Unit | None = None
        self.databags: units.Databags = {endpoint: {} for endpoint in builds.ENDPOINTS}
        self.application_databags: dict[str, dict[str, str]] = {endpoint: {} for endpoint in builds.ENDPOINTS}
        self.secrets: list[testing.Secret] = []
        self.status: typing.Any = testing.UnknownStatus()
        self.workload_version = ""
        self.juju_log: list[str] = []
        self.hook_tool_calls = 0
        self.unpacked = 0
        self.next_number = 0

    # what the operator does

    def deploy(self, count: int, **machine: typing.Any) -> None:
        """Deploy that many units; nothing runs yet."""
        for _ in range(count):
            self.add_unit(**machine)

    def add_unit(self, storage: pathlib.Path | None = None, **machine: typing.Any) -> units.Unit:
        """Add a unit on a machine of its own. machine: attributes of the machine. storage: what is attached to it."""
        number, self.next_number = self.next_number, self.next_number + 1
        made = self.world.machine(f"machine-{number}-{len(self.world.machines)}")
        for name, value in machine.items():
            setattr(made, name, value)
        if storage is not None:
            made.give_storage(storage)
        unit = units.Unit(self, number, made)
        self.units[number] = unit
        unit.queue.extend(units.Event("storage-attached", storage=name) for name in world.STORAGES)
        unit.queue.append(units.Event("install"))
        unit.queue.extend(units.Event("relation-created", endpoint=endpoint) for endpoint in builds.ENDPOINTS)
        if self.leader is None:
            self.leader = unit
            unit.queue.append(units.Event("leader-elected"))
        unit.queue.append(units.Event("config-changed"))
        unit.queue.append(units.Event("start"))
        return unit

    def remove_unit(self, number: int) -> None:
        """Remove a unit: the others see it depart at once, while it still has everything before it.

        Juju: state/cleanup.go, cleanupDyingUnit.
        """
        unit = self.units[number]
        unit.dying = True
        unit.upgrades.clear()
        if self.leader is unit:
            self.elect()
        unit.queue = collections.deque(event for event in unit.queue if event.name == "install")
        unit.queue.extend(units.Event("storage-detaching", storage=name) for name in world.STORAGES)
        unit.queue.extend(
            units.Event("relation-departed", endpoint=endpoint, remote=other, departing=number)
            for endpoint in builds.ENDPOINTS
            for other in sorted(unit.sees[endpoint])
        )
        unit.queue.extend([units.Event("stop"), units.Event("remove")])
        self._depart(unit)

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

    def refresh(self, build: builds.Charm) -> None:
        """Refresh the charm on all units. A unit in error takes it when its hook has succeeded."""
        self.charm = build
        for unit in self.units.values():
            if not unit.dying:
                unit.upgrades.append(build)

    def set_config(self, **options: str | int) -> None:
        """Change options."""
        self.config |= {key.replace("_", "-"): value for key, value in options.items()}
        self._all(units.Event("config-changed"))

    def elect(self, number: int | None = None) -> None:
        """Make that unit (or the lowest that stays) the leader."""
        live = [unit for unit in self.units.values() if not unit.dying]
        self.leader = self.units[number] if number is not None else next(iter(live), None)
        if self.leader is not None and self.leader.started:
            self.leader.queue_once(units.Event("leader-elected"))

    def update_status(self) -> None:
        """A tick of update-status on each unit."""
        self._all(units.Event("update-status"))

    def move(self, number: int, address: str) -> None:
        """Give the unit's machine another address."""
        unit = self.units[number]
        unit.machine.address = address
        unit.queue_once(units.Event("config-changed"))

    def reboot(self, number: int) -> None:
        """The unit's machine comes back after it was down; Juju tells the unit `start`."""
        self.units[number].machine.boot()
        self.units[number].queue_once(units.Event("start"))

    def _all(self, event: units.Event) -> None:
        for unit in self.units.values():
            if unit.started and not unit.dying:
                unit.queue_once(event)

    # what Juju does

    @property
    def planned(self) -> list[units.Unit]:
        """Units that are to be."""
        return [unit for unit in self.units.values() if not unit.dying]

    def goal_state(self, _: units.Unit) -> hook_tools.GoalState:
        """The units and their statuses."""
        return {
            unit.name: "dying" if unit.dying else "error" if unit.error else "active" for unit in self.units.values()
        }

    def write(self, unit: units.Unit, endpoint: str, own: dict[str, str], shared: dict[str, str]) -> None:
        """Commit what a hook wrote into its databags, and tell the others."""
        if unit.in_scope and own != self.databags[endpoint].get(unit.number):
            self.databags[endpoint][unit.number] = own
            for other in self.units.values():
                if unit.number in other.sees[endpoint]:
                    other.queue_once(units.Event("relation-changed", endpoint=endpoint, remote=unit.number))
        if shared != self.application_databags[endpoint]:
            assert self.leader is unit, f"{unit.name} wrote the application's databag and is not the leader"
            self.application_databags[endpoint] = shared
            for other in self.units.values():
                if other is not unit and other.in_scope:
                    other.queue_once(units.Event("relation-changed", endpoint=endpoint))

    def step(self, unit: units.Unit, retry: bool = True) -> bool:
        """Run the unit's next hook; whether there was one. A hook that has failed is tried again, later and later."""
        if unit.gone or not unit.machine.up:
            return False
        if unit.error is not None and (not retry or self.world.now < unit.retry_at):
            return False
        if unit.error is None and unit.upgrades and unit.started:
            unit.unpack(unit.upgrades.popleft())
            unit.queue.appendleft(units.Event("config-changed"))
            unit.queue.appendleft(units.Event("upgrade-charm"))
        if not unit.queue:
            return False
        event = unit.queue[0]
        if event.name == "relation-created" and not unit.in_scope:
            self._enter(unit)
        try:
            unit.dispatch(event)
        except units.HookFailed as failed:
            unit.error = failed.__cause__
            unit.failures.append(failed.__cause__ or failed)
            unit.retry_at = self.world.now + unit.patience
            unit.patience = min(unit.patience * 2, LONGEST_RETRY_SECONDS)
            return True
        unit.error, unit.patience = None, units.FIRST_RETRY_SECONDS
        unit.queue.popleft()
        self._after(unit, event)
        return True

    def _enter(self, unit: units.Unit) -> None:
        unit.in_scope = True
        for endpoint in builds.ENDPOINTS:
            self.databags[endpoint][unit.number] = {"ingress-address": str(unit.machine.address)}

    def _after(self, unit: units.Unit, event: units.Event) -> None:
        if event.name == "start" and not unit.started:
            unit.started = True
            others = [other for other in self.units.values() if other.started and other is not unit and not other.dying]
            for endpoint in builds.ENDPOINTS:
                for other in others:
                    self._meet(unit, other, endpoint)
                    self._meet(other, unit, endpoint)
        if event.name == "remove":
            self._gone(unit)

    @staticmethod
    def _meet(unit: units.Unit, other: units.Unit, endpoint: str) -> None:
        unit.queue.append(units.Event("relation-joined", endpoint=endpoint, remote=other.number))
        unit.queue.append(units.Event("relation-changed", endpoint=endpoint, remote=other.number))

    def _gone(self, unit: units.Unit) -> None:
        unit.gone = True
        unit.machine.up = unit.machine.up and unit.machine.patroni is not None
        del self.units[unit.number]
        self._depart(unit)
        for endpoint in builds.ENDPOINTS:
            self.databags[endpoint].pop(unit.number, None)

    def _depart(self, unit: units.Unit) -> None:
        for other in self.units.values():
            if other is unit:
                continue
            other.queue = collections.deque(event for event in other.queue if event.remote != unit.number)
            for endpoint in builds.ENDPOINTS:
                if unit.number in other.sees[endpoint]:
                    other.queue.append(
                        units.Event("relation-departed", endpoint=endpoint, remote=unit.number, departing=unit.number)
                    )

    def observe(self) -> None:
        """What each unit's observer does in a second, with its own decisions about what Patroni tells."""
        for unit in self.units.values():
            if not unit.watches or not unit.machine.up:
                continue
            settings = observer.read_settings(unit.directory / ".observer.json")
            name = unit.name.replace("/", "-")
            with mock.patch.object(observer, "_get", lambda *asked: answers.public(self.world, *asked)):
                view = observer.ask(settings.get("endpoints") or [], name)
            if unit.attention.is_due(view, self.world.now, settings.get("retry_seconds")):
                unit.attention.give(view, self.world.now)
                unit.attention.given(True, self.world.now)
                unit.queue_once(units.Event("cluster_changed"))

    def run(self, seconds: float, retry: bool = True) -> None:
        """Let that much time pass; units run a hook at a time, in random order."""
        until = self.world.now + seconds
        while self.world.now < until:
            self.tick(retry)

    def tick(self, retry: bool = True) -> bool:
        """A second; whether any hook ran."""
        self.world.advance(1)
        self.observe()
        order = list(self.units.values())
        self.world.random.shuffle(order)
        return any([self.step(unit, retry) for unit in order])

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
        able = [unit for unit in self.units.values() if unit.machine.up and (retry or unit.error is None)]
        return any(unit.queue or (unit.upgrades and unit.started) for unit in able)

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
            f"{unit.name}: {unit.status.name} {unit.message!r} error={unit.error!r}"
            f" queue={[each.name for each in unit.queue]}"
            for unit in self.units.values()
        ]
        return "\n".join(lines)

    def are_active(self) -> bool:
        """Whether all is well."""
        return self.status.name == "active" and all(
            unit.status.name == "active" and unit.error is None for unit in self.units.values()
        )

    def unit_of(self, machine: world.Machine | None) -> units.Unit:
        """The unit on that machine."""
        (found,) = [unit for unit in self.units.values() if unit.machine is machine]
        return found

    @property
    def primary(self) -> units.Unit:
        """The unit of the primary."""
        return self.unit_of(self.world.primary)
