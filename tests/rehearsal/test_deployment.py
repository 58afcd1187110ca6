"""What an operator reads from Juju, through jubilant and a `juju` that says what Juju says."""

from __future__ import annotations

import json
import pathlib

import jubilant
import pytest

from rehearsal import deployment

JUJU = """#!/bin/sh
case "$1 $*" in
    status*) cat "$0.status" ;;
    ssh*/10*) printf 'Name  Version  Rev\\ncharmed-postgresql  16.15  416\\n' ;;
    ssh*) printf 'Name  Version  Rev\\ncharmed-postgresql  16.14  366\\n' ;;
    secrets*) cat "$0.secrets" ;;
    show-secret*--reveal*) cat "$0.secret" ;;
    *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""


def unit(machine: int, state: str = "active", agent: str = "idle") -> dict:
    return {
        "workload-status": {"current": state, "message": "message"},
        "juju-status": {"current": agent},
        "machine": str(machine),
        "public-address": f"10.0.0.{machine}",
    }


def document(units: dict[str, dict], message: str = "") -> dict:
    model = {"name": "m", "type": "iaas", "controller": "c", "cloud": "l", "version": "3.6.12", "model-status": {}}
    application = {
        "charm": "local:database-0",
        "charm-origin": "charmhub",
        "charm-name": "database",
        "charm-rev": 0,
        "exposed": False,
        "application-status": {"current": "blocked" if message else "active", "message": message},
        "units": units,
    }
    machines = {one["machine"]: {"instance-id": f"juju-1-{one['machine']}"} for one in units.values()}
    return {"model": model, "machines": machines, "applications": {"database": application}}


def status(units: dict[str, dict], message: str = "") -> jubilant.Status:
    return jubilant.Status._from_dict(document(units, message))


SECRET = {
    "revision": 1,
    "owner": "database",
    "created": "2026-01-01T00:00:00Z",
    "updated": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def application(tmp_path: pathlib.Path) -> deployment.Deployment:
    juju = tmp_path / "juju"
    juju.write_text(JUJU)
    juju.chmod(0o755)
    units = {"database/10": unit(3), "database/2": unit(1), "database/9": unit(2)}
    (tmp_path / "juju.status").write_text(json.dumps(document(units)))
    secrets = {
        "aaa": {**SECRET, "owner": "other", "label": "system-users"},
        "bbb": {**SECRET, "label": "something"},
        "ccc": {**SECRET, "label": "system-users"},
    }
    (tmp_path / "juju.secrets").write_text(json.dumps(secrets))
    content = {"operator-password": "one", "replication-password": "two", "raft-password": "three"}
    (tmp_path / "juju.secret").write_text(json.dumps({"ccc": {**SECRET, "content": {"Data": content}}}))
    return deployment.Deployment(jubilant.Juju(cli_binary=juju), "database")


def test_units_are_in_the_order_of_their_numbers(application: deployment.Deployment) -> None:
    assert application.addresses() == {
        "database/2": "10.0.0.1",
        "database/9": "10.0.0.2",
        "database/10": "10.0.0.3",
    }
    assert list(application.revisions().items()) == [
        ("database/2", "366"),
        ("database/9", "366"),
        ("database/10", "416"),
    ]


def test_the_lowest_units_machine_is_named_as_its_host_is(application: deployment.Deployment) -> None:
    assert application.machine() == "juju-1-1"


def test_passwords_come_from_the_applications_own_secret(application: deployment.Deployment) -> None:
    assert application.passwords() == {"operator": "one", "replication": "two"}


def test_without_a_secret_there_are_no_passwords(application: deployment.Deployment, tmp_path: pathlib.Path) -> None:
    (tmp_path / "juju.secrets").write_text("{}")
    with pytest.raises(LookupError, match="system-users"):
        application.passwords()


UNITS = {"database/0": unit(0), "database/1": unit(1), "database/2": unit(2)}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", None),
        (
            "Refreshing. Check units >=2 are healthy & run `resume-refresh` on unit 1. To rollback, `juju refresh "
            "--revision None`",
            deployment.Pause(check_from=2, unit=1),
        ),
        # Nothing to do: the highest unit refreshes by itself.
        ("Refreshing. Check units >=2 are healthy & run `resume-refresh` on unit 2. To rollback, `juju refresh`", None),
        ("Refreshing. To pause refresh, run `juju config database pause-after-unit-refresh=all`", None),
    ],
)
def test_what_a_pause_asks_for(message: str, expected: deployment.Pause | None) -> None:
    assert deployment.pause(status(UNITS, message), "database") == expected


@pytest.mark.parametrize(
    ("changed", "lowest", "expected"),
    [
        ({}, 0, True),
        ({"database/0": unit(0, "maintenance")}, 0, False),
        ({"database/0": unit(0, "maintenance")}, 1, True),
        ({"database/2": unit(2, agent="executing")}, 1, False),
    ],
)
def test_healthy_is_active_and_idle(changed: dict[str, dict], lowest: int, expected: bool) -> None:
    assert deployment.healthy(status({**UNITS, **changed}), "database", lowest) is expected


def test_no_units_are_not_healthy() -> None:
    assert not deployment.healthy(status({}), "database")


def test_an_error_names_its_unit() -> None:
    deployment.raise_on_error(status(UNITS), "database")
    with pytest.raises(deployment.UnitError, match="database/1 is in error: message"):
        deployment.raise_on_error(status({**UNITS, "database/1": unit(1, "error")}), "database")
