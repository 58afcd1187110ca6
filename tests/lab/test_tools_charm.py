"""An ops charm, dispatched by a unit's agent on a root-less machine, with the tools as its only way out."""

from __future__ import annotations

import datetime
import pathlib
import sys
import zipfile

import ops
import pytest
import yaml

from lab.controller import agent as agent_module
from lab.controller import clock, core, store
from lab.controller.entities import (
    applications,
    charms,
    leadership,
    logs,
    machines,
    models,
    relations,
    secrets,
    statuses,
    units,
)
from lab.machines import rootless

MODEL = "5f3a1c00-0000-4000-8000-000000000001"

METADATA = {"name": "tiny", "peers": {"peers": {"interface": "tiny"}}}
OPTIONS = {"word": {"type": "string", "default": "hello"}}

CHARM = """
import ops

class Tiny(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on.start, self._start)
        framework.observe(self.on.peers_relation_created, self._created)
        framework.observe(self.on.config_changed, self._config_changed)

    def _created(self, event):
        event.relation.data[self.unit]["word"] = self.config["word"]
        event.relation.data[self.app]["planned"] = str(self.app.planned_units())
        assert event.relation.data[self.unit]["word"] == self.config["word"]
        self.app.add_secret({"password": "s3cret"}, label="password")

    def _config_changed(self, event):
        if self.config["word"] == "fail":
            self.model.get_relation("peers").data[self.app]["planned"] = "never"
            self.unit.status = ops.BlockedStatus("about to fail")
            raise RuntimeError("as told")

    def _start(self, event):
        assert self.model.get_secret(label="password").get_content() == {"password": "s3cret"}
        self.unit.set_ports(5432)
        self.unit.set_workload_version("16.15")
        address = self.model.get_binding("peers").network.bind_address
        self.app.status = ops.ActiveStatus("app")
        self.unit.status = ops.ActiveStatus(f"at {address}")

ops.main(Tiny)
"""


@pytest.fixture
def controller(tmp_path: pathlib.Path) -> core.Controller:
    for name in ("machines", "storage"):
        (tmp_path / name).mkdir()
    archive = tmp_path / "tiny.charm"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("metadata.yaml", yaml.safe_dump(METADATA))
        file.writestr("config.yaml", yaml.safe_dump({"options": OPTIONS}))
        file.writestr("src/charm.py", CHARM)
        dispatch = zipfile.ZipInfo("dispatch")
        dispatch.external_attr = 0o100755 << 16
        libraries = pathlib.Path(ops.__file__).parent.parent
        file.writestr(dispatch, f"#!/bin/sh\nPYTHONPATH={libraries} exec {sys.executable} src/charm.py\n")
    made = core.Controller(
        store.Store(), rootless.Machines(tmp_path), tmp_path, clock.ManualClock(), clock.Identifiers(1)
    )
    machine = made.machines.create("juju-test-0")
    machine.start()
    now = made.now()
    made.store.put(
        models.Model(MODEL, "test", "admin", now),
        charms.Charm(MODEL, "local:tiny-0", "tiny", 0, str(archive), "", METADATA, OPTIONS, {}, {}),
        applications.Application(MODEL, "tiny", "local:tiny-0", now),
        machines.Machine(MODEL, "0", "juju-test-0", now, address=machine.address, provisioned=True),
        units.Unit(MODEL, "tiny/0", "tiny", 0, now, machine="0"),
        leadership.Lease(MODEL, "tiny", "tiny/0", now + datetime.timedelta(days=1)),
        relations.Relation(MODEL, 0, "tiny:peers", [relations.RelationEndpoint("tiny", "peers", "peer", "tiny")]),
    )
    return made


def status(controller: core.Controller, entity: str) -> tuple[str, str]:
    found = controller.store.require(statuses.Status, MODEL, entity)
    return found.status, found.message


def test_a_charm_lives_on_the_tools(controller: core.Controller) -> None:
    agent = agent_module.Agent(controller, MODEL, "tiny/0")
    try:
        while agent.step():
            pass
        messages = [line.message for line in controller.store.find(logs.LogLine)]
        address = controller.machine(MODEL, "0").address
        assert status(controller, "unit-tiny-0") == ("active", f"at {address}"), messages
        assert status(controller, "application-tiny") == ("active", "app")
        unit = controller.store.require(units.Unit, MODEL, "tiny/0")
        assert unit.workload_version == "16.15"
        assert controller.store.require(units.Ports, MODEL, "tiny/0").ranges == {"": ["5432/tcp"]}
        databag = relations.settings(controller.store, MODEL, 0, "tiny/0")
        assert (databag["word"], databag["ingress-address"]) == ("hello", address)
        assert relations.settings(controller.store, MODEL, 0, "tiny") == {"planned": "1"}
        (secret,) = controller.store.find(secrets.Secret)
        assert (secret.owner, secret.label) == ("application-tiny", "password")

        controller.store.put(applications.Settings(MODEL, "tiny", "local:tiny-0", {"word": "fail"}))
        while agent.step():
            pass
        assert agent.local.in_error
        presented, _ = statuses.presented(controller.store, MODEL, "tiny/0")
        assert presented is not None
        assert (presented.status, presented.message) == ("error", 'hook failed: "config-changed"')
        assert relations.settings(controller.store, MODEL, 0, "tiny") == {"planned": "1"}
        assert any("as told" in line.message for line in controller.store.find(logs.LogLine))
    finally:
        agent.close()
