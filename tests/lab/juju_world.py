"""A stored model to look at: three units of one application on their machines, one of them in error, and a client."""

from __future__ import annotations

import base64
import datetime

from lab.controller import clock, store, views, views_lookup
from lab.controller.entities import (
    applications,
    charms,
    leadership,
    machines,
    models,
    relations,
    secrets,
    statuses,
    storage,
    tasks,
    units,
)

MODEL = "5f3a1c00-0000-4000-8000-000000000001"
NOW = datetime.datetime(2025, 11, 21, 10, 0, tzinfo=datetime.UTC)
SECRET = "d4f0e2mr0ui3e8a215n4"

_METADATA = {
    "name": "postgresql-machine",
    "peers": {"database-peers": {"interface": "postgresql_peers"}},
    "provides": {"database": "postgresql_client"},
    "storage": {"data": {"type": "filesystem", "location": "/var/data"}},
    "resources": {"tuning": {"type": "file", "filename": "tuning.conf", "description": "Tuning"}},
}
_ACTIONS = {
    "get-primary": {"description": "Print the primary."},
    "switchover": {
        "description": "Hand over.\nTo a standby.",
        "params": {"candidate": {"type": "string", "description": "Unit to hand over to"}},
        "required": ["candidate"],
    },
}


def later(seconds: float) -> datetime.datetime:
    return NOW + datetime.timedelta(seconds=seconds)


def fill(found: store.Store) -> None:
    """Write the model into a store."""
    found.put(models.Model(MODEL, "prod", "admin", NOW))
    found.put(_charm("local:postgresql-machine-0", 0), _charm("local:postgresql-machine-1", 1))
    found.put(
        charms.Charm(
            MODEL, "ch:amd64/data-integrator-25", "data-integrator", 25, "/a", "s", _CLIENT, {}, {}, {}, version="abc"
        )
    )
    found.put(
        applications.Application(MODEL, "pg", "local:postgresql-machine-1", NOW),
        applications.Application(
            MODEL, "client", "ch:amd64/data-integrator-25", NOW, channel="latest/stable", exposed=True
        ),
    )
    for number in (0, 1, 2):
        _unit(found, "pg", number, str(number))
    found.put(
        machines.Machine(MODEL, "10", "juju-5f3a1c-10", NOW),
        units.Unit(MODEL, "client/0", "client", 0, NOW, machine="10"),
        leadership.Lease(MODEL, "pg", "pg/1", later(60)),
    )
    _statuses(found)
    _relations(found)
    _storage(found)
    _secrets(found)
    _tasks(found)


_CLIENT = {"name": "data-integrator", "requires": {"postgresql": {"interface": "postgresql_client"}}}


def _charm(url: str, revision: int) -> charms.Charm:
    return charms.Charm(
        MODEL, url, "postgresql-machine", revision, "/archive", "sum", _METADATA, {}, _ACTIONS, {}, version="16/1.0.0"
    )


def _unit(found: store.Store, application: str, number: int, machine: str) -> None:
    url = f"local:postgresql-machine-{0 if number == 2 else 1}"
    found.put(
        machines.Machine(
            MODEL, machine, f"juju-5f3a1c-{machine}", NOW, address=f"198.18.0.{number + 2}", provisioned=True
        ),
        units.Unit(
            MODEL, f"{application}/{number}", application, number, NOW, machine=machine, charm_url=url,
            agent_alive=True, workload_version="16.15",
        ),
    )  # fmt: skip


def _statuses(found: store.Store) -> None:
    def put(entity: str, status: str, message: str = "", since: float = 1) -> None:
        statuses.set_status(found, later(since), MODEL, entity, status, message)

    for number in ("0", "1", "2"):
        put(f"machine-{number}", "started")
        put(f"instance-{number}", "running", "Running")
        put(f"agent-pg-{number}", "idle")
    put("unit-pg-0", "active")
    put("unit-pg-1", "active", "Primary")
    put("unit-pg-2", "maintenance", "installing snap")
    put("agent-pg-2", "error", 'hook failed: "db-relation-changed"', since=30)
    put("agent-pg-0", "executing", "running config-changed hook", since=40)
    put("machine-10", "pending")
    put("unit-client-0", "waiting", "waiting for machine")
    put("agent-client-0", "allocating")
    found.put(units.Ports(MODEL, "pg/1", {"": ["5432/tcp"]}))


def _relations(found: store.Store) -> None:
    peers = relations.RelationEndpoint("pg", "database-peers", "peer", "postgresql_peers")
    provider = relations.RelationEndpoint("pg", "database", "provider", "postgresql_client")
    requirer = relations.RelationEndpoint("client", "postgresql", "requirer", "postgresql_client")
    found.put(
        relations.Relation(MODEL, 0, "pg:database-peers", [peers]),
        relations.Relation(MODEL, 3, "client:postgresql pg:database", [requirer, provider]),
    )
    for number in (0, 1, 2):
        found.put(relations.Membership(MODEL, 0, f"pg/{number}"))
        relations.write(found, MODEL, 0, f"pg/{number}", {"private-address": f"198.18.0.{number + 2}"})
    relations.write(found, MODEL, 0, "pg", {"cluster": "1"})


def _storage(found: store.Store) -> None:
    for number in (0, 1):
        found.put(
            storage.StorageInstance(
                MODEL, f"data/{number}", "data", "filesystem", "lab", 2048, f"source-{number}", NOW,
                owner=f"pg/{number}", status="attached",
            ),
            storage.StorageAttachment(
                MODEL, f"data/{number}", f"pg/{number}", "/var/data", attached=True, since=later(5)
            ),
        )  # fmt: skip
    found.put(
        storage.StorageInstance(
            MODEL, "data/10", "data", "filesystem", "rootfs", 512, "source-10", NOW, status="detached"
        )
    )


def _secrets(found: store.Store) -> None:
    content = {"password": base64.b64encode(b"hunter2").decode()}
    found.put(
        secrets.Secret(
            MODEL, SECRET, f"model-{MODEL}", NOW, later(9), latest_revision=2, name="my-secret", description="mine"
        ),
        secrets.SecretRevision(MODEL, SECRET, 1, content, NOW),
        secrets.SecretRevision(
            MODEL, SECRET, 2, content | {"user": base64.b64encode("zoë".encode()).decode()}, later(9)
        ),
        secrets.SecretGrant(MODEL, SECRET, "application-pg"),
        secrets.Secret(MODEL, "aaaae2mr0ui3e8a215n4", "application-pg", NOW, NOW, latest_revision=1, label="system"),
        secrets.SecretRevision(MODEL, "aaaae2mr0ui3e8a215n4", 1, {}, NOW, expires=later(900)),
    )


def _tasks(found: store.Store) -> None:
    found.put(
        tasks.Operation(MODEL, 1, "action 'switchover' run on unit-pg-0", NOW),
        tasks.Task(
            MODEL, 2, 1, "unit-pg-0", "switchover", {"candidate": "pg-1"}, NOW, tasks.TaskStatus.FAILED, "no quorum",
            {"return-code": 0, "primary": {"unit": "pg/1"}, "stdout": ""}, [(later(1), "asking"), (later(2), "asked")],
            later(1), later(2),
        ),
        tasks.Operation(MODEL, 3, "exec", later(10)),
        tasks.Task(
            MODEL, 4, 3, "unit-pg-0", tasks.EXEC, {"command": "hostname"}, later(10), tasks.TaskStatus.COMPLETED, "",
            {"return-code": 3, "stdout": "juju-5f3a1c-0\n", "stderr": "oops"}, [], later(11), later(12),
        ),
        tasks.Task(MODEL, 5, 3, "unit-pg-1", tasks.EXEC, {"command": "hostname"}, later(10), started=later(11)),
        tasks.Operation(MODEL, 6, "get-primary", later(20), fail="nothing to do"),
    )  # fmt: skip


def make(path: store.Store | None = None) -> views.Views:
    """The views of a store in memory with the model in it."""
    found = path or store.Store()
    fill(found)
    manual = clock.ManualClock(later(3600))
    controller = views_lookup.Controller("lab", "c0ffee00-0000-4000-8000-000000000000", "3.6.12")
    return views.Views(found, manual, controller)
