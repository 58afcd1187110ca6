"""Stored examples of every released form of what outlives a release: this charm loads them and writes the same."""

from __future__ import annotations

import json
import pathlib
import re
import typing

import ops
import pytest
import yaml
from ops import testing

import actions
import confirmation
import facts
import observer
import peers
import refresh
import refresh_facts
import refresh_history
import refresh_relation
import refusal
from tests.fakes import builds, known
from tests.unit.conftest import Deployed
from workload import machine, paths

DIRECTORY = pathlib.Path(__file__).parent / "formats"
EXAMPLES = sorted(DIRECTORY.glob("*.json"))


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> dict[str, typing.Any]:
    return json.loads(request.param.read_text())


class Reader(ops.CharmBase):
    """A charm that only reads."""


def relation(example: dict[str, typing.Any], endpoint: str, unknown: bool, unit: int = 0) -> testing.PeerRelation:
    more = {"of-a-later-version": "x"} if unknown else {}
    units = {int(number): bag | more for number, bag in example[endpoint]["units"].items()}
    return testing.PeerRelation(
        endpoint,
        local_app_data=example[endpoint]["application"] | more,
        local_unit_data=units.pop(unit),
        peers_data=units,
    )


@pytest.mark.parametrize("unknown", [False, True])
def test_the_peer_relation(example: dict[str, typing.Any], unknown: bool) -> None:
    stored = example["database-peers"]["secret"]
    content = stored["content"] | ({"of-a-later-version": "x"} if unknown else {})
    secret = testing.Secret(
        content, id=example["database-peers"]["application"]["system-users-secret"], label=stored["label"], owner="app"
    )
    context = testing.Context(Reader, meta={"name": builds.APPLICATION, "peers": builds.METADATA["peers"]})
    state = testing.State(relations={relation(example, "database-peers", unknown)}, secrets={secret})
    with context(context.on.start(), state) as manager:
        found = peers.Peers(manager.charm.model)
        assert found.others(frozenset({1})) == (
            facts.Peer(1, "10.0.0.11", None, refreshed=True),
            facts.Peer(2, None, None, refreshed=False),
        )
        assert found.unit_value("address") == "10.0.0.10"
        assert found.unit_value("cluster-id") == found.application_value("cluster-id") == known.IDENTIFIER
        assert found.application_value("bootstrap-unit") == "0"
        passwords = found.passwords()
        assert passwords is not None
        assert {name: getattr(passwords, name) for name in vars(passwords)} == {
            name.removesuffix("-password"): value for name, value in stored["content"].items()
        }


def test_only_a_value_that_differs_is_written(example: dict[str, typing.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    context = testing.Context(Reader, meta={"name": builds.APPLICATION, "peers": builds.METADATA["peers"]})
    state = testing.State(leader=True, relations={relation(example, "database-peers", False)})
    written: list[dict[str, str]] = []
    with context(context.on.start(), state) as manager:
        found = peers.Peers(manager.charm.model)
        monkeypatch.setattr(manager.charm.model._backend, "relation_set", lambda **given: written.append(given["data"]))
        found.publish("address", "10.0.0.10")
        found.record("bootstrap-unit", "0")
        assert written == []
        found.publish("address", "10.0.0.77")
        found.record("bootstrap-unit", "1")
    assert written == [{"address": "10.0.0.77"}, {"bootstrap-unit": "1"}]


@pytest.mark.parametrize("unknown", [False, True])
def test_what_is_recorded_of_refreshes(example: dict[str, typing.Any], unknown: bool) -> None:
    context = testing.Context(Reader, meta={"name": builds.APPLICATION, "peers": builds.METADATA["peers"]})
    with context(
        context.on.start(), testing.State(relations={relation(example, "database-peers", unknown)})
    ) as manager:
        found = peers.Peers(manager.charm.model)
        history = refresh_history.parse(found.application_value(refresh_history.KEY))
        assert [(entry.old.charm, entry.new.url, entry.units, entry.outcome) for entry in history] == [
            ("16/1.0.0", "ch:amd64/postgresql-machine-2", 3, None)
        ]
        assert found.others_values(refusal.ACCEPTED_KEY) == {1: "ch:amd64/postgresql-machine-2"}
        (order,) = map(confirmation.Order.parse, found.others_values(confirmation.ORDER_KEY).values())
        assert order == confirmation.Order("ch:amd64/postgresql-machine-2", 1772445600.5, frozenset({0, 1, 2}))


@pytest.mark.parametrize("unknown", [False, True])
def test_the_refresh_relation(example: dict[str, typing.Any], unknown: bool) -> None:
    context = testing.Context(Reader, meta={"name": builds.APPLICATION, "peers": builds.METADATA["peers"]})
    state = testing.State(relations={relation(example, "refresh-v-three", unknown, unit=0)})
    with context(context.on.start(), state) as manager:
        url = "ch:amd64/postgresql-machine-1"
        assert refresh_relation.units(manager.charm.model) == {
            1: refresh_facts.UnitState("366", url, next_unit_allowed=True, started=False),
            2: refresh_facts.UnitState(),
        }
        assert refresh_relation.own(manager.charm.model) == refresh_facts.UnitState("366", url, True, False)
        assert refresh_relation.original(manager.charm.model) == refresh_facts.Build("16/1.0.0", "16.14", "366", url)


def test_the_charm_still_writes_these_keys_and_no_others(deployed: Deployed) -> None:
    on = deployed(3)
    on.refresh(builds.NEW)
    on.settle()
    newest = json.loads(EXAMPLES[-1].read_text())
    for endpoint in ("database-peers", "refresh-v-three"):
        assert set(on.application_databags[endpoint]) == set(newest[endpoint]["application"])
        allowed = {key for bag in newest[endpoint]["units"].values() for key in bag}
        for bag in on.databags[endpoint].values():
            # charm-refresh adds one that nobody reads.
            assert set(bag) - {"_unused_last_completed_refresh", "ingress-address"} <= allowed
    (secret,) = on.secrets
    assert secret.label == newest["database-peers"]["secret"]["label"]
    assert set(secret.latest_content or {}) == set(newest["database-peers"]["secret"]["content"])
    settings = observer.read_settings(on.units[0].directory / ".observer.json")
    assert set(settings) == set(newest["observer"])


def test_the_observer_s_settings(
    example: dict[str, typing.Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings"
    file.write_text(json.dumps(example["observer"] | {"of-a-later-version": 1}))
    asked: list[str] = []
    monkeypatch.setattr(observer, "_get", lambda endpoint, _: asked.append(endpoint))
    observer.ask(observer.read_settings(file)["endpoints"], "pg-0")
    assert asked == example["observer"]["endpoints"]


def test_patroni_s_configuration_is_read_back(example: dict[str, typing.Any], tmp_path: pathlib.Path) -> None:
    where = paths.Paths(tmp_path)
    where.patroni_configuration.parent.mkdir(parents=True)
    where.patroni_configuration.write_text(yaml.safe_dump(example["patroni"] | {"of-a-later-version": 1}))
    assert machine.Workload(where).configured() == machine.Configured("10.0.0.10", frozenset({"10.0.0.11"}))


def test_the_answer_of_get_cluster_status_has_all_its_keys(example: dict[str, typing.Any]) -> None:
    report = actions.cluster_report(known.settled(), {})
    assert set(example["get-cluster-status"]) <= set(report)
    assert set(example["get-cluster-status"]["members"][0]) <= set(report["members"][0])


def test_paths_of_the_snap() -> None:
    # The layout is a format: data of an earlier deployment are found where they are.
    where = paths.Paths()
    common = "/var/snap/charmed-postgresql/common"
    assert {str(place) for place in where.storages().values()} == {
        f"{common}/var/lib/postgresql/16",
        f"{common}/data/logs/16",
        f"{common}/data/archive",
        f"{common}/data/temp/16/main",
    }
    assert str(where.data_directory) == f"{common}/var/lib/postgresql/16/main"
    assert str(where.wal_directory) == f"{common}/data/logs/16/main"
    assert str(where.raft_directory) == f"{common}/var/lib/patroni/raft"
    assert str(where.patroni_configuration) == "/var/snap/charmed-postgresql/current/etc/patroni/patroni.yaml"
    assert str(where.binaries) == "/snap/charmed-postgresql/current/usr/lib/postgresql/16/bin"
    assert str(where.socket_directory) == "/tmp/snap-private-tmp/snap.charmed-postgresql/tmp"
    places = {storage["location"] for storage in builds.METADATA["storage"].values()}
    assert all(any(str(place).startswith(each) for each in places) for place in where.storages().values())


def test_the_versions_are_those_of_the_snap_s_one_source() -> None:
    pinned = json.loads((builds.REPOSITORY / "snap_revisions.json").read_text())
    versions = refresh.Versions.load(builds.REPOSITORY / "refresh_versions.toml")
    assert (versions.workload, versions.snap_revisions) == (pinned["workload"], pinned["revisions"])
    assert versions.workload.split(".")[0] == paths.MAJOR_VERSION
    assert pinned["name"] == paths.SNAP


def keys(value: object) -> object:
    """The shape of a JSON value: its keys, all the way down; lists by their first element."""
    if isinstance(value, dict):
        return {key: keys(each) for key, each in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def holds(shape: object, wanted: object) -> bool:
    """Whether a shape has all keys of another one. None: nothing is told of what is below."""
    if isinstance(wanted, dict):
        return isinstance(shape, dict) and all(key in shape and holds(shape[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return shape is None or (isinstance(shape, list) and holds(shape[0], wanted[0]))
    return True


def test_the_answer_of_get_refresh_status_has_all_its_keys(example: dict[str, typing.Any], deployed: Deployed) -> None:
    on = deployed(2)
    on.refresh(builds.NEW)
    on.settle()
    report = json.loads(on.units[0].act("get-refresh-status", format="json").results["status"])
    assert holds(keys(report), keys(example["get-refresh-status"]))
    on.units[0].act("resume-refresh", **{"check-health-of-refreshed-units": True})
    on.settle()
    done = json.loads(on.units[0].act("get-refresh-status", format="json").results["status"])
    assert keys(done["history"]) == keys(example["get-refresh-status"]["history"])
    documented = (builds.REPOSITORY / "docs/reference/actions.md").read_text()
    (shown,) = re.findall(r"```json\n(\{\"application\": \S+, \"state\".*?)\n```", documented, re.DOTALL)
    assert keys(json.loads(shown)) == keys(example["get-refresh-status"])
