"""The libraries that charms are written with, as clients of the tools: ops, and what charm-refresh stands on."""

from __future__ import annotations

import datetime
import json
import pathlib
import typing
from collections.abc import Iterator

import charm_ as charm_api
import charm_json
import ops
import pytest
from ops import hookcmds

from lab.controller import tools
from lab.controller.entities import applications
from tests.lab import tools_agent, tools_world


class Juju:
    """A charm's process: the environment of a hook, and tools that answer for it."""

    def __init__(self, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("machines", "storage", "unit"):
            (directory / name).mkdir()
        self.world = tools_world.World(directory)
        self.world.controller.machines.create("juju-test-0")
        self.run = self.world.start("pg/0")
        self._monkeypatch = monkeypatch
        tools.install(directory / "unit" / "tools")
        self.agent = tools_agent.Agent(
            directory / "unit", lambda request: tools.respond(request, lambda _: self.run.context)
        )
        environment = self.agent.environment(
            PATH=f"{directory}/unit/tools:/usr/bin:/bin",
            JUJU_UNIT_NAME="pg/0",
            JUJU_MODEL_NAME="test",
            JUJU_MODEL_UUID=tools_world.MODEL,
            JUJU_VERSION="3.6.12",
        )
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    def start(self, unit: str, *more: typing.Any, **options: typing.Any) -> None:
        """The next hook, of any unit."""
        self._monkeypatch.setenv("JUJU_UNIT_NAME", unit)
        self.run = self.world.start(unit, *more, **options)

    def requested(self) -> list[tuple[str, list[str]]]:
        """Tools and arguments of all calls so far."""
        return [(one["tool"], one["arguments"]) for one in map(json.loads, self.agent.requests)]


@pytest.fixture
def juju(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Juju]:
    running = Juju(tmp_path, monkeypatch)
    yield running
    running.agent.close()


def test_relations(juju: Juju) -> None:
    juju.world.write(tools_world.DATABASE, "web/0", a="1")
    assert hookcmds.relation_ids("database") == ["database:2"]
    assert hookcmds.relation_list(2) == ["web/0", "web/1"]
    assert hookcmds.relation_list(2, endpoint="database", app=True) == "web"
    assert hookcmds.relation_get(2, unit="web/0") == {"a": "1"}
    assert hookcmds.relation_get(2, unit="web/0", key="a") == "1"
    assert hookcmds.relation_get(2, unit="web", app=True) == {}
    hookcmds.relation_set({"x": "-1", "y": "two\nlines"}, 2)
    hookcmds.relation_set({"x": ""}, 2, app=True)
    assert hookcmds.relation_get(2, unit="pg/0") == {"x": "-1", "y": "two\nlines"}
    assert hookcmds.relation_model_get(2).uuid == tools_world.MODEL
    with pytest.raises(hookcmds.Error) as raised:
        hookcmds.relation_get(9, unit="web/0")
    assert (raised.value.returncode, "relation not found" in raised.value.stderr) == (2, True)


def test_unit_and_application(juju: Juju) -> None:
    assert hookcmds.is_leader() is True
    assert hookcmds.config_get() == {"name": "main", "size": 3, "ratio": 0.5, "on": True}
    assert hookcmds.config_get("size") == 3
    hookcmds.status_set("active", "- all well")
    hookcmds.status_set("blocked", "no", app=True)
    assert hookcmds.status_get() == hookcmds.UnitStatus(status="active", message="- all well", status_data={})
    application = hookcmds.status_get(app=True)
    assert (application.status, application.message) == ("blocked", "no")
    hookcmds.app_version_set("-16.15")
    hookcmds.juju_log("-text", level="WARNING")
    assert set(hookcmds.goal_state().units) == {"pg/0", "pg/1", "pg/2"}
    assert hookcmds.goal_state().relations["database"]["web"].status == "joined"
    hookcmds.juju_reboot()
    assert juju.run.context.reboot == "after"
    hookcmds.juju_reboot(now=True)
    assert juju.run.context.reboot == "now"


def test_network_and_ports(juju: Juju) -> None:
    network = hookcmds.network_get("database", relation_id=2)
    assert [address.value for address in network.bind_addresses[0].addresses] == ["10.9.8.10"]
    assert (network.ingress_addresses, network.egress_subnets) == (["10.9.8.10"], ["10.9.8.10/32"])
    hookcmds.open_port("tcp", 5432)
    hookcmds.open_port("udp", 80, to_port=90, endpoints=["database"])
    hookcmds.open_port("icmp")
    hookcmds.close_port("tcp", 1)
    juju.run.commit()
    juju.start("pg/0")
    assert hookcmds.opened_ports(endpoints=True) == [
        hookcmds.Port("icmp", None, None, ["*"]),
        hookcmds.Port("tcp", 5432, None, ["*"]),
        hookcmds.Port("udp", 80, 90, ["database"]),
    ]


def test_state_storage_and_resources(juju: Juju, tmp_path: pathlib.Path) -> None:
    hookcmds.state_set({"a": "1", "b": "x\ny"})
    hookcmds.state_delete("a")
    assert hookcmds.state_get(None) == {"b": "x\ny"}
    assert hookcmds.state_get("b") == "x\ny"
    juju.world.attach("pg/0", "data/0")
    assert hookcmds.storage_list("data") == ["data/0"]
    assert hookcmds.storage_get("data/0").location == tmp_path / "machines/juju-test-0/root/mnt/data/0"
    hookcmds.storage_add({"logs": 2})
    assert juju.run.context.storage_wanted == {"logs": 2}
    (tmp_path / "plan").write_text("hello")
    juju.world.store.put(
        applications.Resource(tools_world.MODEL, "pg", "plan", "upload", 0, path=str(tmp_path / "plan"))
    )
    assert hookcmds.resource_get("plan").read_text() == "hello"


def test_credentials(juju: Juju) -> None:
    application = juju.world.store.require(applications.Application, tools_world.MODEL, "pg")
    juju.world.store.put(applications.Application(**{**vars(application), "trust": True}))
    assert hookcmds.credential_get().name == "lab"


def test_actions(juju: Juju) -> None:
    juju.run = juju.world.action("pg/0", mode="fast")
    assert hookcmds.action_get() == {"mode": "fast"}
    assert hookcmds.action_get("mode") == "fast"
    hookcmds.action_log("-half way")
    hookcmds.action_set({"a": {"b": "1"}, "text": "two\nlines"})
    hookcmds.action_fail("-no")
    action = juju.run.context.require_action()
    assert action.results == {"a": {"b": "1"}, "text": "two\nlines"}
    assert (action.failed, action.message) == (True, "-no")


def test_secrets(juju: Juju) -> None:
    expire = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
    identifier = hookcmds.secret_add(
        {"password": "=x#y\n"}, label="own", description="text", expire=expire, rotate="daily", owner="application"
    )
    assert hookcmds.secret_get(id=identifier) == {"password": "=x#y\n"}
    assert hookcmds.secret_get(label="own") == {"password": "=x#y\n"}
    hookcmds.secret_grant(identifier, 2, unit="web/0")
    juju.run.commit()

    juju.start("pg/0")
    info = hookcmds.secret_info_get(label="own")
    assert (info.revision, info.label, info.description, info.rotation) == (1, "own", "text", "daily")
    assert info.expiry == expire
    assert info.rotates == juju.world.clock.now() + datetime.timedelta(days=1)
    assert hookcmds.secret_info_get(id=identifier).id == info.id
    assert hookcmds.secret_ids() == [info.id]
    hookcmds.secret_set(identifier, content={"password": "two"}, label="new")
    juju.run.commit()

    juju.start("web/0")
    assert hookcmds.secret_get(id=identifier, label="theirs") == {"password": "two"}
    with pytest.raises(hookcmds.Error, match="secret-info-get"):
        hookcmds.secret_info_get(id=identifier)
    juju.start("pg/0")
    hookcmds.secret_set(identifier, content={"password": "three"})
    juju.run.commit()
    juju.start("web/0")
    assert hookcmds.secret_get(label="theirs") == {"password": "two"}
    assert hookcmds.secret_get(label="theirs", peek=True) == {"password": "three"}
    assert hookcmds.secret_get(label="theirs") == {"password": "two"}
    assert hookcmds.secret_get(id=identifier, refresh=True) == {"password": "three"}

    juju.start("pg/0")
    hookcmds.secret_revoke(identifier, relation_id=2)
    juju.run.commit()
    juju.start("pg/0")
    hookcmds.secret_remove(identifier, revision=1)
    juju.run.commit()
    juju.start("web/0")
    with pytest.raises(hookcmds.Error) as raised:
        hookcmds.secret_get(id=identifier)
    assert "permission denied" in raised.value.stderr
    juju.start("pg/0")
    hookcmds.secret_remove(identifier)
    juju.run.commit()
    juju.start("web/0")
    with pytest.raises(hookcmds.Error) as raised:
        hookcmds.secret_get(id=identifier)
    assert "not found" in raised.value.stderr


def test_errors_are_those_that_ops_knows(juju: Juju) -> None:
    backend = ops.model._ModelBackend()
    with pytest.raises(ops.RelationNotFoundError):
        backend.relation_get(9, "web/0", is_app=False)
    with pytest.raises(ops.SecretNotFoundError):
        backend.secret_get(id="secret:00000000000000000000")
    with pytest.raises(ops.SecretNotFoundError):
        backend.secret_get(label="nope")
    with pytest.raises(ops.ModelError, match="no network config found"):
        backend.network_get("nope")
    juju.start("pg/1")
    with pytest.raises(ops.ModelError, match="this unit is not the leader"):
        backend.status_set("active", is_app=True)


def test_a_secret_through_ops(juju: Juju) -> None:
    backend = ops.model._ModelBackend()
    identifier = backend.secret_add({"password": "one"}, rotate=ops.SecretRotate.MONTHLY, owner="application")
    info = backend.secret_info_get(id=identifier)
    assert (info.revision, info.rotation, info.expires) == (1, ops.SecretRotate.MONTHLY, None)


def test_what_charm_refresh_stands_on(juju: Juju) -> None:
    (relation,) = charm_api.Endpoint("db-peers")
    assert list(relation) == ["pg/0", "pg", "pg/1", "pg/2"]
    relation.my_unit["key"] = "1"
    relation.my_unit["other"] = "2"
    del relation.my_unit["other"]
    assert dict(relation.my_unit) == {"key": "1"}
    assert relation.my_app_rw is not None
    relation.my_app_rw["app"] = "-2"
    assert dict(relation["pg"]) == {"app": "-2"}
    with pytest.raises(KeyError):
        relation["pg/1"]["missing"]
    typed = charm_json.PeerRelation.from_endpoint("db-peers")
    assert typed is not None
    typing.cast("typing.Any", typed.my_unit)["number"] = 3
    assert (relation.my_unit["number"], typed.my_unit["number"]) == ("3", 3)
    assert charm_api.config["size"] == 3
    charm_api.app_status = charm_api.BlockedStatus("why")
    charm_api.unit_status = charm_api.ActiveStatus("fine")
    assert (str(charm_api.app_status), str(charm_api.unit_status)) == ("why", "fine")
    charm_api.set_app_workload_version("16.15")
    requested = juju.requested()
    assert ("relation-get", ["--format", "json", "--relation", "1", "-", "pg", "--app"]) in requested
    assert ("relation-set", ["--relation", "1", "--file", "-", "--app"]) in requested
    juju.run.commit()
    assert juju.world.databag(tools_world.PEERS, "pg/0") == {"key": "1", "number": "3"}


@pytest.mark.parametrize(
    ("tool", "arguments", "answer"),
    [
        ("is-leader", "--format json", True),
        ("relation-ids", "--format json db-peers", ["db-peers:1"]),
        ("relation-list", "--format json --relation 1", ["pg/1", "pg/2"]),
        ("relation-list", "--format json --relation 1 --app", "pg"),
        ("relation-get", "--format json --relation 1 key pg/1", None),
        ("relation-get", "--format json --relation 1 key pg --app", None),
        ("relation-get", "--format json --relation 1 - pg/1", {}),
        ("config-get", "--format json name", "main"),
        ("status-get", "--format json --include-data", {"status": "unknown", "message": "", "status-data": {}}),
    ],
)
def test_the_exact_command_lines_of_charm_refresh(tool: str, arguments: str, answer: object) -> None:
    run = tools_world.World().start("pg/0")
    if tool == "relation-get" and "pg/1" in arguments:
        run.context._view._cache[1, "pg/1"] = {}
    assert json.loads(run.out(tool, *arguments.split())) == answer
