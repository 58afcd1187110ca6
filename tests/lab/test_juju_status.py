"""The formats of `juju status`, from a stored model through the views to the text."""

from __future__ import annotations

import json
import pathlib
import resource
import subprocess
import time
import typing
from collections.abc import Iterator

import jubilant.statustypes
import juju_support
import juju_world
import pytest
import yaml

from lab.controller import store
from lab.controller.entities import statuses, units
from lab.juju import __main__ as juju


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def stored() -> Iterator[store.Store]:
    found = store.Store()
    yield found
    found.close()


@pytest.fixture
def lab(tmp_path: pathlib.Path, stored: store.Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A controller that answers from the stored model, and the environment to reach it."""
    found = juju_world.make(stored)
    canned = juju_support.CannedController(tmp_path)
    for name in ("status", "show_machine", "show_controller"):
        canned.answers[name] = getattr(found, name)
    monkeypatch.setenv("JUJU_DATA", str(tmp_path / "juju"))
    monkeypatch.setenv("JUJU_MODEL", "prod")
    yield
    canned.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert juju.main(["status", *arguments]) == 0
    captured = capsys.readouterr()
    assert not captured.err
    return captured.out


TABULAR = """\
Model  Controller  Cloud/Region  Version  SLA          Timestamp
prod   lab         lab/default   3.6.12   unsupported  11:00:00Z

App     Version  Status   Scale  Charm               Channel        Rev  Exposed  Message
client           waiting    0/1  data-integrator     latest/stable   25  yes      waiting for machine
pg      16.15    error        3  postgresql-machine                   1  no       hook failed: "db-relation-changed"

Unit      Workload  Agent       Machine  Public address  Ports     Message
client/0  waiting   allocating  10                                 waiting for machine
pg/0      active    executing   0        198.18.0.2                (config-changed) 
pg/1*     active    idle        1        198.18.0.3      5432/tcp  Primary
pg/2      error     idle        2        198.18.0.4                hook failed: "db-relation-changed"

Machine  State    Address     Inst id        Base          AZ       Message
0        started  198.18.0.2  juju-5f3a1c-0  ubuntu@24.04  default  Running
1        started  198.18.0.3  juju-5f3a1c-1  ubuntu@24.04  default  Running
2        started  198.18.0.4  juju-5f3a1c-2  ubuntu@24.04  default  Running
10       pending              pending        ubuntu@24.04           
"""  # noqa: W291 - Juju pads before an empty last column

RELATIONS = """
Integration provider  Requirer           Interface          Type     Message
pg:database           client:postgresql  postgresql_client  regular  
pg:database-peers     pg:database-peers  postgresql_peers   peer     
"""  # noqa: W291

STORAGE = """
Storage Unit  Storage ID  Type        Pool    Mountpoint  Size     Status    Message
              data/10     filesystem  rootfs              512 MiB  detached  
pg/0          data/0      filesystem  lab     /var/data   2.0 GiB  attached  
pg/1          data/1      filesystem  lab     /var/data   2.0 GiB  attached  
"""  # noqa: W291


@pytest.mark.usefixtures("lab")
def test_tabular(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys) == TABULAR


@pytest.mark.usefixtures("lab")
def test_relations_and_storage_are_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    short = run(capsys)
    assert run(capsys, "--relations") == short + RELATIONS
    assert run(capsys, "--integrations", "--storage") == short + RELATIONS + STORAGE


@pytest.mark.usefixtures("lab")
def test_colors(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b[31merror\x1b[0m" in run(capsys, "--color")
    assert "\x1b" not in run(capsys, "--no-color")
    assert juju.main(["status", "--color", "--no-color"]) == 2
    assert capsys.readouterr().err == "ERROR cannot mix --no-color and --color\n"


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("name", ["short", "line", "oneline"])
def test_a_line_a_unit(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(capsys, "--format", name) == (
        "- client/0:  (agent:allocating, workload:waiting)\n"
        "- pg/0: 198.18.0.2 (agent:executing, workload:active)\n"
        "- pg/1: 198.18.0.3 (agent:idle, workload:active) 5432/tcp\n"
        "- pg/2: 198.18.0.4 (agent:idle, workload:error)\n"
    )


JSON: dict[str, typing.Any] = {
    "model": {
        "name": "prod",
        "type": "iaas",
        "controller": "lab",
        "cloud": "lab",
        "region": "default",
        "version": "3.6.12",
        "model-status": {"current": "available", "since": "21 Nov 2025 10:00:00Z"},
        "sla": "unsupported",
    },
    "machine 1": {
        "juju-status": {"current": "started", "since": "21 Nov 2025 10:00:01Z", "version": "3.6.12"},
        "hostname": "juju-5f3a1c-1",
        "dns-name": "198.18.0.3",
        "ip-addresses": ["198.18.0.3"],
        "instance-id": "juju-5f3a1c-1",
        "machine-status": {"current": "running", "message": "Running", "since": "21 Nov 2025 10:00:01Z"},
        "modification-status": {"current": "idle", "since": "21 Nov 2025 10:00:00Z"},
        "base": {"name": "ubuntu", "channel": "24.04"},
        "network-interfaces": {
            "eth0": {"ip-addresses": ["198.18.0.3"], "mac-address": "", "space": "alpha", "is-up": True}
        },
        "hardware": "availability-zone=default",
    },
    "application pg without units": {
        "charm": "local:postgresql-machine-1",
        "base": {"name": "ubuntu", "channel": "24.04"},
        "charm-origin": "local",
        "charm-name": "postgresql-machine",
        "charm-rev": 1,
        "charm-version": "16/1.0.0",
        "exposed": False,
        "application-status": {
            "current": "error",
            "message": 'hook failed: "db-relation-changed"',
            "since": "21 Nov 2025 10:00:30Z",
        },
        "relations": {
            "database": [{"related-application": "client", "interface": "postgresql_client", "scope": "global"}],
            "database-peers": [{"related-application": "pg", "interface": "postgresql_peers", "scope": "global"}],
        },
        "version": "16.15",
        "endpoint-bindings": {"": "alpha", "database": "alpha", "database-peers": "alpha"},
    },
    "unit pg/1": {
        "workload-status": {"current": "active", "message": "Primary", "since": "21 Nov 2025 10:00:01Z"},
        "juju-status": {"current": "idle", "since": "21 Nov 2025 10:00:01Z", "version": "3.6.12"},
        "leader": True,
        "machine": "1",
        "open-ports": ["5432/tcp"],
        "public-address": "198.18.0.3",
    },
    "unit pg/2": {
        "workload-status": {
            "current": "error",
            "message": 'hook failed: "db-relation-changed"',
            "since": "21 Nov 2025 10:00:30Z",
        },
        "juju-status": {"current": "idle", "since": "21 Nov 2025 10:00:30Z", "version": "3.6.12"},
        "upgrading-from": "local:postgresql-machine-0",
        "machine": "2",
        "public-address": "198.18.0.4",
    },
    "storage data/0": {
        "kind": "filesystem",
        "status": {"current": "attached", "since": "21 Nov 2025 10:00:05Z"},
        "persistent": True,
        "attachments": {"units": {"pg/0": {"machine": "0", "location": "/var/data"}}},
    },
}


@pytest.mark.usefixtures("lab")
def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = json.loads(run(capsys, "--format", "json"))
    assert list(value) == ["model", "machines", "applications", "storage", "controller"]
    assert value["controller"] == {"timestamp": "11:00:00Z"}
    assert value["model"] == JSON["model"]
    assert value["machines"]["1"] == JSON["machine 1"]
    application = value["applications"]["pg"]
    members = application.pop("units")
    assert application == JSON["application pg without units"]
    assert members["pg/1"] == JSON["unit pg/1"]
    assert members["pg/2"] == JSON["unit pg/2"]
    assert value["storage"]["storage"]["data/0"] == JSON["storage data/0"]
    assert {
        key: value["applications"]["client"][key]
        for key in ("charm", "charm-origin", "charm-name", "charm-rev", "charm-channel", "exposed")
    } == {
        "charm": "data-integrator",
        "charm-origin": "charmhub",
        "charm-name": "data-integrator",
        "charm-rev": 25,
        "charm-channel": "latest/stable",
        "exposed": True,
    }


@pytest.mark.usefixtures("lab")
def test_yaml_says_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "--format", "yaml")
    assert yaml.safe_load(text) == json.loads(run(capsys, "--format", "json"))
    assert 'machine: "1"\n' in text
    assert text.startswith("model:\n  name: prod\n  type: iaas\n")


@pytest.mark.usefixtures("lab")
def test_jubilant_reads_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    status = jubilant.statustypes.Status._from_dict(json.loads(run(capsys, "--format", "json")))
    assert status.apps["pg"].is_error
    assert status.apps["pg"].units["pg/1"].leader
    assert status.apps["pg"].relations["database"][0].related_app == "client"
    assert status.machines["0"].juju_status.current == "started"
    assert status.storage.storage["data/0"].persistent
    assert status.storage.filesystems["0"].storage == "data/0"


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["pg"], {"pg/0", "pg/1", "pg/2"}),
        (["p*"], {"pg/0", "pg/1", "pg/2"}),
        (["pg/1"], {"pg/1"}),
        (["pg/leader"], {"pg/1"}),
        (["error"], {"pg/2"}),
        (["allocating", "pg/0"], {"client/0", "pg/0"}),
        (["2"], {"pg/2"}),
    ],
)
def test_filters(capsys: pytest.CaptureFixture[str], patterns: list[str], found: set[str]) -> None:
    value = json.loads(run(capsys, "--format", "json", *patterns))
    shown = {unit for application in value["applications"].values() for unit in application.get("units", {})}
    assert shown == found
    assert set(value["machines"]) == {
        unit["machine"] for application in value["applications"].values() for unit in application["units"].values()
    }


@pytest.mark.usefixtures("lab")
def test_a_filter_that_matches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert juju.main(["status", "nothing"]) == 0
    assert capsys.readouterr().err == "Nothing matched specified filter.\n"
    assert juju.main(["status", "nothing", "no-one", "--format=json"]) == 0
    assert capsys.readouterr().err == "Nothing matched specified filters.\n"


@pytest.mark.usefixtures("lab")
def test_options_that_other_formats_ignore_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert juju.main(["status", "--relations", "--storage", "--format=yaml"]) == 0
    assert capsys.readouterr().err == "provided relations, storage options are always enabled in non tabular formats\n"


@pytest.mark.usefixtures("lab")
def test_times_in_utc(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    local = json.loads(run(capsys, "--format", "json"))
    assert local["model"]["model-status"]["since"] == "21 Nov 2025 11:00:00+01:00"
    for utc in (["--utc"], []):
        if not utc:
            monkeypatch.setenv("JUJU_STATUS_ISO_TIME", "true")
        value = json.loads(run(capsys, "--format", "json", *utc))
        assert value["model"]["model-status"]["since"] == "2025-11-21 10:00:00Z"
        assert value["controller"]["timestamp"] == "11:00:00Z"


@pytest.mark.usefixtures("lab")
def test_a_silent_agent_is_lost(capsys: pytest.CaptureFixture[str], stored: store.Store) -> None:
    import dataclasses

    for name in ("pg/1", "pg/2"):
        unit = stored.require(units.Unit, juju_world.MODEL, name)
        stored.put(dataclasses.replace(unit, agent_alive=False))
    members = json.loads(run(capsys, "--format", "json"))["applications"]["pg"]["units"]
    assert members["pg/1"]["juju-status"]["current"] == "lost"
    assert members["pg/1"]["juju-status"]["message"] == "agent is not communicating with the server"
    assert members["pg/1"]["workload-status"]["current"] == "unknown"
    assert members["pg/1"]["workload-status"]["message"] == "agent lost, see 'juju show-status-log pg/1'"
    assert members["pg/2"]["workload-status"]["current"] == "error", "an error is not hidden by a lost agent"


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("leader_set", "unit_statuses", "expected"),
    [
        (None, ["active", "active", "active"], "active"),
        (None, ["active", "waiting", "active"], "waiting"),
        (None, ["maintenance", "waiting", "active"], "maintenance"),
        (None, ["maintenance", "waiting", "blocked"], "blocked"),
        (None, ["error", "blocked", "active"], "error"),
        (None, ["terminated", "unknown", "unknown"], "terminated"),
        ("waiting", ["error", "active", "active"], "waiting"),
    ],
)
def test_the_application_has_its_leaders_status_or_its_worst_units(
    capsys: pytest.CaptureFixture[str],
    stored: store.Store,
    leader_set: str | None,
    unit_statuses: list[str],
    expected: str,
) -> None:
    statuses.set_status(stored, juju_world.NOW, juju_world.MODEL, "agent-pg-2", "idle")
    for number, status in enumerate(unit_statuses):
        statuses.set_status(stored, juju_world.NOW, juju_world.MODEL, f"unit-pg-{number}", status)
    if leader_set:
        statuses.set_status(stored, juju_world.NOW, juju_world.MODEL, "application-pg", leader_set)
    value = json.loads(run(capsys, "--format", "json"))
    assert value["applications"]["pg"]["application-status"]["current"] == expected


@pytest.mark.usefixtures("lab")
def test_watch_shows_it_again_and_again(tmp_path: pathlib.Path) -> None:
    root = pathlib.Path(juju.__file__).parents[2]
    with subprocess.Popen([root / "lab/bin/juju", "status", "--watch", "50ms"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        heads = 0
        for line in process.stdout:
            heads += line.startswith(b"Model")
            if heads == 3:
                break
        process.terminate()


@pytest.mark.usefixtures("lab")
def test_status_starts_fast() -> None:
    """Clients poll it each second. Counted is its processor time, which a busy host stretches less than the clock's."""

    def processor_time() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    root = pathlib.Path(juju.__file__).parents[2]
    needed: list[float] = []
    for _ in range(5):
        before = processor_time()
        subprocess.run([root / "lab/bin/juju", "status", "--format", "json"], check=True, stdout=subprocess.DEVNULL)
        needed.append(processor_time() - before)
    assert min(needed) < 0.15
