"""Passwords come to light nowhere, whatever goes wrong; and the search would find them.

A whole life with failures: deployed, scaled, refreshed, a refresh whose snap fails, rolled back, a hook in error, a
password refused, a unit removed.
"""

from __future__ import annotations

import contextlib
import pathlib
import time

import application
import jubilant
import leaks
import pytest
import strike

from rehearsal import charms, deployment, load

SECONDS = 1800
"""How long the life's command lines are looked at, at most."""


@pytest.fixture
def own(lab, packed):
    """A model of the test's own."""
    juju = jubilant.Juju(model=f"canary-{time.time_ns() // 10**6 % 10**8}")
    assert juju.model
    juju.add_model(juju.model)
    yield application.Application(juju, lab, packed)
    juju.destroy_model(juju.model, destroy_storage=True, force=True, no_wait=True)


def test_passwords_come_to_light_nowhere(own, packed, tmp_path):
    own.create(2)
    own.settle(2)
    own.juju.model_config({"logging-config": "<root>=DEBUG"})
    own.juju.add_unit(own.application)
    units = own.settle(3)
    machines = {unit: own.hostname(unit) for unit in units}
    passwords = own.secret()
    assert len(passwords) == 5
    assert all(len(password) == 32 and password.isalnum() for password in passwords.values())
    canaries = leaks.Canaries(passwords)
    watch = leaks.Watch(own, machines, SECONDS)
    watch.start()
    _live(own, packed, tmp_path)
    seen = watch.seen()
    assert all("src/charm.py" in text and "postgres" in text for text in seen.values()), "nothing was seen"
    assert [leak for unit, text in seen.items() for leak in canaries.within(f"processes of {unit}", text)] == []
    assert leaks.search(own, machines, canaries) == []
    _plant(own, machines, canaries, passwords["patroni-password"])


def _live(own: application.Application, packed: pathlib.Path, directory: pathlib.Path) -> None:
    pinned = charms.pinned(load.TREE)
    new = charms.variant(packed, charms.Version("16/1.2.0", pinned.workload, pinned.revisions), directory)
    own.action("pg/0", "switchover")
    own.settle(3)
    # A refresh whose snap fails, and which then goes on as far as the pause.
    machine = own.hostname("pg/2")
    own.lab.shell(machine, f"echo fail >{strike.COMMON}/lab-fault-pre-refresh")
    own.refresh(new)
    own.until("the refresh has failed", lambda: "lab-fault-pre-refresh asks for a failure" in _debug_log(own))
    own.lab.shell(machine, f"rm {strike.COMMON}/lab-fault-pre-refresh")
    own.until("it pauses", lambda: deployment.pause(own.status(), "pg") is not None, 900)
    own.refusal("pg/0", "resume-refresh")
    # Rolled back, with hooks that are killed.
    own.refresh(packed)
    for _ in range(20):
        own.lab.call("fault_kill_hook", model=own.juju.model, unit="pg/2")
        time.sleep(0.5)
    old = charms.EARLIER.revision
    own.until("it is rolled back", lambda: deployment.pause(own.status(), "pg") is None, 900)
    own.settle(3, 900)
    assert set(own.revisions().values()) == {old}
    # A client with a wrong password, a database that crashes, a unit that leaves.
    address = own.addresses()["pg/1"]
    wrong = f"PGPASSWORD=wrong charmed-postgresql.psql -w -h {address} -U operator -c 'SELECT 1' postgres"
    own.lab.shell(own.hostname("pg/0"), wrong, check=False)
    own.lab.shell(own.hostname("pg/1"), "systemctl kill -s KILL snap.charmed-postgresql.patroni")
    own.settle(3)


def _debug_log(own: application.Application) -> str:
    return own.juju.cli("debug-log", "--replay", "--no-tail")


def _plant(own: application.Application, machines: dict[str, str], canaries: leaks.Canaries, password: str) -> None:
    """Let a password come to light in each place, and see that it is found there."""
    file = "/dev/shm/canary"
    unit = "pg/1"
    lab, machine = own.lab, machines[unit]
    lab.run(machine, "sh", "-c", f"cat >{file}", input=password)
    read = f"$(cat {file})"
    planted = {
        "debug-log": lambda: own.juju.exec(f"juju-log {read}", unit=unit),
        f"databags of {unit}": lambda: own.juju.exec(
            f"relation-set -r $(relation-ids database-peers) leak={read}", unit=unit
        ),
        "status": lambda: own.juju.exec(f"status-set active {read}", unit=unit),
        "operation": lambda: own.juju.exec(f"echo {read}", unit=unit),
        f"journal and snapd's changes of {unit}": lambda: lab.shell(machine, f"logger {read}"),
        f"{strike.COMMON}/var/log/patroni/leak of {unit}": lambda: lab.shell(
            machine, f"cp {file} {strike.COMMON}/var/log/patroni/leak"
        ),
        f"etc/patroni/pgpass of {unit} is": lambda: lab.shell(
            machine, f"chmod 644 {leaks.CONFIGURATION}x*/etc/patroni/pgpass"
        ),
    }
    for leak in planted.values():
        with contextlib.suppress(jubilant.TaskError):
            leak()
    places = [leak.place for leak in leaks.search(own, machines, canaries)]
    for place in planted:
        assert [each for each in places if place in each], f"not found in {place}: {places}"
    lab.shell(machine, f"setsid sh -c 'sleep 60; :' {read} >/dev/null 2>&1 &")
    sample = leaks.Watch(own, {unit: machine}, 60)
    sample.start()
    time.sleep(2)
    [text] = sample.seen().values()
    assert list(canaries.within("processes", text))


def test_forms_of_a_password_are_recognised():
    import base64

    password = "abcdefghijklmnopqrstuvwxyz012345"
    canaries = leaks.Canaries({"one": password, "other": "x" * 32})
    for user in ("a", "ab", "abc", "patroni"):
        header = base64.b64encode(f"{user}:{password}".encode()).decode()
        assert list(canaries.within("here", header)) == [leaks.Leak("here", "one")], user
    assert list(canaries.within("here", password[1:])) == []
