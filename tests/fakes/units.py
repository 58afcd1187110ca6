"""One unit: its charm directory, what it has been told, and how the real charm is dispatched to it."""

from __future__ import annotations

import collections
import dataclasses
import os
import tempfile
import typing
from unittest import mock

from ops import testing
from scenario import state as scenario_state

import charm
import observer
from tests.fakes import builds, home, hook_tools, world
from workload import snap

if typing.TYPE_CHECKING:
    from tests.fakes import juju

FIRST_RETRY_SECONDS = 5.0


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


class _Number(int):
    """A unit's number. ops.testing takes 0 for none where a unit departs."""

    def __bool__(self) -> bool:
        return True


class HookFailed(Exception):
    """The charm raised an exception, which is the cause."""


Databags = dict[str, dict[int, dict[str, str]]]


class Unit:
    """One unit: its machine, its charm directory, and what it has been told."""

    def __init__(self, application: juju.Application, number: int, machine: world.Machine):
        self.application = application
        self.number = number
        self.name = f"{builds.APPLICATION}/{number}"
        self.machine = machine
        self.storages: set[str] = set(world.STORAGES)
        self.queue: collections.deque[Event] = collections.deque()
        self.upgrades: collections.deque[builds.Charm] = collections.deque()
        self.started = False
        self.dying = False
        self.gone = False
        self.in_scope = False
        self.error: BaseException | None = None
        self.failures: list[BaseException] = []
        self.databag_writes = 0
        """Of the last hook."""
        self.retry_at = 0.0
        self.patience = FIRST_RETRY_SECONDS
        self.sees: dict[str, set[int]] = {endpoint: set() for endpoint in builds.ENDPOINTS}
        self.seen: Databags = {endpoint: {} for endpoint in builds.ENDPOINTS}
        self.status: testing.UnknownStatus | typing.Any = testing.UnknownStatus()
        self.statuses: list[typing.Any] = []
        """Each status that a hook ended with."""
        self.dispatched: list[str] = []
        self.charm = application.charm
        self.directory = application.world.directory / f"unit-{number}"
        self.attention = observer.Attention(0.0)
        self.directory.mkdir()
        (self.directory / "src").symlink_to(builds.REPOSITORY / "src")
        self.unpack(application.charm)

    def unpack(self, build: builds.Charm) -> None:
        """Put the charm's files in place; those that the charm has made stay."""
        self.charm = build
        (self.directory / "refresh_versions.toml").write_text(build.refresh_versions())
        identity = self.directory / ".juju-charm"
        identity.write_text(f"{build.url}\n")
        self.application.unpacked += 1
        # Each unpacking has a time of its own.
        time = self.application.world.now + self.application.unpacked / 1000
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
        # A directory for storages, which nothing here uses: so it is not made either.
        with mock.patch.object(tempfile, "mkdtemp", lambda **_: str(self.directory / "unused")):
            return self._context()

    def _context(self) -> testing.Context[charm.PostgresqlCharm]:
        return testing.Context(
            charm.PostgresqlCharm,
            meta={"name": builds.APPLICATION, "peers": builds.METADATA["peers"], "storage": builds.METADATA["storage"]},
            config=builds.METADATA["config"],
            actions=builds.METADATA["actions"],
            charm_root=self.directory,
            app_name=builds.APPLICATION,
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
                assert isinstance(failed.state, testing.State)
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
            with hook_tools.serve(served, builds.CHARM_METADATA), home.at_home(self.machine, self.directory):
                return context.run(event, before)
        except testing.errors.UncaughtCharmError as error:
            # The status persists even so.
            self._keep_status(served.backend._state)
            raise HookFailed(repr(error.__cause__)) from error.__cause__
        finally:
            application.juju_log += [f"{self.name} {line.level}: {line.message}" for line in context.juju_log]
            application.hook_tool_calls += served.calls
            self.databag_writes = served.writes

    def _snapd(self) -> str | None:
        if not self.machine.snapd_running:
            raise snap.SnapdUnreachableError("snapd does not answer: connection refused")
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
                interface=builds.METADATA["peers"][endpoint]["interface"],
                local_app_data=dict(application.application_databags[endpoint]),
                local_unit_data=dict(application.databags[endpoint].get(self.number, {})),
                peers_data={each: dict(self.seen[endpoint].get(each, {})) for each in sorted(self.sees[endpoint])},
            )
            for number, endpoint in enumerate(builds.ENDPOINTS, start=1)
            if self.in_scope
        ]
        address = self.machine.address
        bound = [testing.BindAddress([testing.Address(address)])] if address else []
        leader = application.leader is self
        return testing.State(
            config={**application.config},
            leader=leader,
            relations=relations,
            networks={testing.Network(builds.NETWORK_ENDPOINT, bound)},
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
            relation_departed_unit_id=None if event.departing is None else _Number(event.departing),
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
