"""A small model to call hook tools in: two related applications, in memory, with a clock that the test moves."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import typing

from lab.controller import clock, context, core, execution, relation_view, store, tags, tools
from lab.controller.entities import (
    applications,
    charms,
    leadership,
    machines,
    models,
    relations,
    secrets,
    storage,
    tasks,
    uniter,
    units,
)
from lab.machines import rootless

MODEL = "5f3a1c00-0000-4000-8000-000000000001"
PEERS, DATABASE = 1, 2
HOUR = datetime.timedelta(hours=1)

_PG = {
    "peers": {"db-peers": {"interface": "db_peers"}},
    "provides": {"database": {"interface": "postgresql_client"}},
    "extra-bindings": {"replication": None},
    "storage": {"data": {"type": "filesystem"}, "logs": {"type": "filesystem", "multiple": {"range": "0-"}}},
    "resources": {"plan": {"type": "file", "filename": "plan.txt"}},
}
_WEB = {"requires": {"db": {"interface": "postgresql_client"}}}
_OPTIONS = {
    "name": {"type": "string", "default": "main"},
    "size": {"type": "int", "default": 3},
    "ratio": {"type": "float", "default": 0.5},
    "on": {"type": "boolean", "default": True},
    "unset": {"type": "string"},
}


class World:
    """The model: `pg/0` to `pg/2` (leader `pg/0`) and `web/0`, `web/1` (leader `web/0`), each on its own machine."""

    def __init__(self, directory: pathlib.Path | None = None) -> None:
        self.clock = clock.ManualClock()
        self.store = store.Store()
        machines_ = typing.cast("typing.Any", rootless.Machines(directory) if directory else None)
        state = directory or pathlib.Path("/nonexistent")
        self.controller = core.Controller(self.store, machines_, state, self.clock, clock.Identifiers(7))
        self.views: dict[str, relation_view.RelationView] = {}
        self._runs = 0
        now = self.clock.now()
        self.store.put(models.Model(MODEL, "test", "admin", now))
        self._application("pg", _PG, _OPTIONS)
        self._application("web", _WEB, {})
        self.store.put(
            relations.Relation(
                MODEL, PEERS, "pg:db-peers", [relations.RelationEndpoint("pg", "db-peers", "peer", "db_peers")]
            ),
            relations.Relation(
                MODEL,
                DATABASE,
                "web:db pg:database",
                [
                    relations.RelationEndpoint("web", "db", "requirer", "postgresql_client"),
                    relations.RelationEndpoint("pg", "database", "provider", "postgresql_client"),
                ],
            ),
        )
        pg, web = ["pg/0", "pg/1", "pg/2"], ["web/0", "web/1"]
        for number, name in enumerate(pg + web):
            self._unit(name, str(number))
            others = {PEERS: [one for one in pg if one != name], DATABASE: web} if name in pg else {DATABASE: pg}
            known = {key: uniter.RelationState(members=dict.fromkeys(value, 0)) for key, value in others.items()}
            self.store.put(uniter.UniterState(MODEL, name, relations=known))
            for relation in others:
                self.store.put(relations.Membership(MODEL, relation, name))
        self.lead("pg/0")
        self.lead("web/0")

    def _application(self, name: str, metadata: dict[str, typing.Any], options: dict[str, typing.Any]) -> None:
        url = f"local:{name}-0"
        self.store.put(
            charms.Charm(MODEL, url, name, 0, "", "", metadata, options, {}, {}),
            applications.Application(MODEL, name, url, self.clock.now()),
        )

    def _unit(self, name: str, machine: str) -> None:
        application, _, number = name.partition("/")
        now = self.clock.now()
        hostname = f"juju-test-{machine}"
        self.store.put(
            machines.Machine(MODEL, machine, hostname, now, address=f"10.9.8.{10 + int(machine)}"),
            units.Unit(MODEL, name, application, int(number), now, machine=machine, charm_url=f"local:{application}-0"),
        )

    def lead(self, unit: str, seconds: float = 10**9) -> None:
        """Make a unit the leader."""
        expires = self.clock.now() + datetime.timedelta(seconds=seconds)
        self.store.put(leadership.Lease(MODEL, unit.partition("/")[0], unit, expires))

    def start(self, unit: str, hook: uniter.Hook | None = None, **more: typing.Any) -> Run:
        """Begin a hook (or an action, with `task`)."""
        self._runs += 1
        view = self.views.setdefault(unit, relation_view.RelationView(self.store, MODEL, unit))
        run = execution.Execution(f"{unit}-{self._runs}", MODEL, unit, hook=hook, **more)
        return Run(context.HookContext(self.controller, run, view))

    def action(self, unit: str, **parameters: typing.Any) -> Run:
        """Begin an action."""
        number = models.next_number(self.store, MODEL, "task", 1)
        self.store.put(
            tasks.Task(MODEL, number, 0, tags.unit(unit), "do", parameters, self.clock.now(), tasks.TaskStatus.RUNNING)
        )
        return self.start(unit, task=number)

    def attach(self, unit: str, name: str, *, attached: bool = True) -> None:
        """Give a unit a storage instance."""
        now = self.clock.now()
        kind = name.partition("/")[0]
        self.store.put(
            storage.StorageInstance(MODEL, name, kind, "filesystem", "rootfs", 1024, "source", now, owner=unit),
            storage.StorageAttachment(MODEL, name, unit, f"/mnt/{name}", attached=attached),
        )

    def databag(self, relation: int, owner: str) -> dict[str, str]:
        """A committed databag."""
        return relations.settings(self.store, MODEL, relation, owner)

    def write(self, relation: int, owner: str, **settings: str) -> None:
        """Commit a databag."""
        relations.write(self.store, MODEL, relation, owner, settings)

    def secret(self, identifier: str) -> secrets.Secret:
        """A secret by URI or bare identifier."""
        return self.store.require(secrets.Secret, MODEL, identifier.strip().removeprefix("secret:"))

    def revisions(self, identifier: str) -> list[int]:
        """Its revisions that are left."""
        bare = identifier.strip().removeprefix("secret:")
        return [one.revision for one in self.store.find(secrets.SecretRevision, model=MODEL, secret=bare)]


@dataclasses.dataclass
class Run:
    """A running hook or action."""

    context: context.HookContext

    def call(self, tool: str, *arguments: str, **more: typing.Any) -> tools.Answer:
        """Call a tool."""
        return tools.call(self.context, tool, arguments, **more)

    def out(self, tool: str, *arguments: str, **more: typing.Any) -> str:
        """Call a tool that must succeed."""
        answer = self.call(tool, *arguments, **more)
        assert (answer.code, answer.err, answer.reads) == (0, "", ()), answer
        return answer.out

    def json(self, tool: str, *arguments: str, **more: typing.Any) -> typing.Any:
        """Call a tool that must succeed and answers in JSON."""
        return json.loads(self.out(tool, "--format=json", *arguments, **more))

    def error(self, tool: str, *arguments: str, **more: typing.Any) -> tuple[int, str]:
        """Call a tool that must fail: exit status, and the message after `ERROR`."""
        answer = self.call(tool, *arguments, **more)
        assert answer.code, answer
        assert not answer.out, answer
        assert answer.err.startswith("ERROR ") and answer.err.endswith("\n"), answer
        return answer.code, answer.err[6:-1]

    def commit(self) -> None:
        """The hook ends well."""
        self.context.commit()


def encoded(**content: str) -> dict[str, str]:
    """Secret content as it is stored."""
    from lab.controller import secrets_content

    return secrets_content.encode(content)
