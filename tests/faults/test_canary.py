"""Passwords come to light nowhere, whatever goes wrong; and the search would find them.

A whole life with failures: deployed, scaled, refreshed, a refresh whose snap fails, rolled back, refreshed to the end,
every action run, hooks killed, a password refused, a unit removed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import re
import time

import application
import jubilant
import leaks
import modes
import process_watch
import pytest
import strike
import yaml

from rehearsal import charms, deployment, load

SECONDS = 3600
"""How long the life's processes are looked at, at most."""
_ACTIONS = frozenset(yaml.safe_load((load.TREE / "charmcraft.yaml").read_text())["actions"])


@pytest.fixture
def own(lab, packed):
    """A model of the test's own."""
    juju = jubilant.Juju(model=f"canary-{time.time_ns() // 10**6 % 10**8}")
    assert juju.model
    juju.add_model(juju.model)
    juju.model_config({"logging-config": "<root>=DEBUG"})
    yield application.Application(juju, lab, packed)
    juju.destroy_model(juju.model, destroy_storage=True, force=True, no_wait=True)


def test_passwords_come_to_light_nowhere(own, packed, tmp_path):
    watch = process_watch.Watch(own, tmp_path / "canary", SECONDS)
    watch.start()
    watched = _machines(own, watch)
    own.create(2, to=["0", "1"])
    own.settle(2, 900)
    own.juju.add_unit(own.application, to="2")
    machines = {unit: own.hostname(unit) for unit in own.settle(3, 900)}
    passwords = own.secret()
    assert len(passwords) == 5
    assert all(len(password) == 32 and password.isalnum() for password in passwords.values())
    canaries = leaks.Canaries(passwords)
    _live(own, packed, tmp_path)
    _ask(own)
    for machine in machines.values():
        assert modes.wrong(own, machine) == []
    assert leaks.search(own, machines, canaries) == []
    own.juju.remove_unit("pg/2")
    own.await_gone("pg/2", seconds=900)
    own.settle(2)
    seen = watch.end()
    assert len(seen) == 2 * len(watched)
    for machine in watched:
        # From the first hook on: nothing of the unit's was there before.
        assert "hooks/install" in seen[f"environments of {machine}"], machine
        assert "src/charm.py" in seen[f"command lines of {machine}"], machine
    assert [leak for place, text in seen.items() for leak in canaries.within(place, text)] == []
    del machines["pg/2"]
    assert leaks.search(own, machines, canaries) == []
    assert _actions_run(own) >= _ACTIONS
    _plant(own, machines, canaries, passwords["patroni-password"], tmp_path)


def _machines(own: application.Application, watch: process_watch.Watch) -> list[str]:
    """Have machines on which nothing of the charm's is yet; return their names once they are watched."""

    def watched() -> list[str]:
        names = [machine.instance_id for machine in own.status().machines.values()]
        return names if len(names) == 3 and all(watch.sees(name) for name in names) else []

    own.juju.cli("add-machine", "-n", "3")
    own.until("three machines that are watched", watched)
    return watched()


def _actions_run(own: application.Application) -> set[str]:
    shown = (own.juju.cli("show-operation", number, "--format", "json") for number in leaks.operations(own))
    return {json.loads(text).get("action", {}).get("name", "") for text in shown}


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
    _until_pause(own)
    own.refusal("pg/0", "resume-refresh")
    # Rolled back, with hooks that are killed.
    own.refresh(packed)
    for _ in range(20):
        own.lab.call("fault_kill_hook", model=own.juju.model, unit="pg/2")
        time.sleep(0.5)
    own.until("it is rolled back", lambda: deployment.pause(own.status(), "pg") is None, 900)
    own.settle(3, 900)
    assert set(own.revisions().values()) == {charms.EARLIER.revision}
    # And to the end.
    own.refresh(new)
    _until_pause(own)
    own.juju.run("pg/1", "resume-refresh", wait=600)
    own.settle(3, 900)
    assert set(own.revisions().values()) == {pinned.revision}
    # A client with a wrong password, a database that crashes.
    address = own.addresses()["pg/1"]
    wrong = f"PGPASSWORD=wrong charmed-postgresql.psql -w -h {address} -U operator -c 'SELECT 1' postgres"
    own.lab.shell(own.hostname("pg/0"), wrong, check=False)
    own.lab.shell(own.hostname("pg/1"), "systemctl kill -s KILL snap.charmed-postgresql.patroni")
    own.settle(3)


def _until_pause(own: application.Application) -> None:
    def paused() -> bool:
        status = own.status()
        pause = deployment.pause(status, "pg")
        return pause is not None and deployment.healthy(status, "pg", pause.check_from)

    own.until("it pauses", paused, 900)


def _ask(own: application.Application) -> None:
    """Run all actions that the life has not needed."""
    for name in ("get-cluster-status", "get-refresh-status", "get-snap-refresh-status"):
        for form in ("table", "json"):
            own.action("pg/2", name, format=form)
    own.action("pg/2", "get-primary")
    own.action("pg/leader", "pre-refresh-check")
    own.refusal("pg/2", "force-refresh-start")
    own.refusal("pg/0", "force-majority")
    with contextlib.suppress(jubilant.TaskError):
        own.action("pg/0", "run-snap-refresh")


def _debug_log(own: application.Application) -> str:
    return own.juju.cli("debug-log", "--replay", "--no-tail")


def _plant(
    own: application.Application,
    machines: dict[str, str],
    canaries: leaks.Canaries,
    password: str,
    directory: pathlib.Path,
) -> None:
    """Let a password come to light in each place, and see that it is found there, and not only elsewhere."""
    file = "/dev/shm/canary"
    unit = "pg/1"
    lab, machine = own.lab, machines[unit]
    lab.run(machine, "sh", "-c", f"cat >{file}", input=password)
    log = lab.settings.log / "canary.log"
    log.write_text(password)
    read = f"$(cat {file})"
    in_unit: dict[str, str] = {
        "debug-log": f"juju-log {read}",
        f"databags of {unit}": f"relation-set -r $(relation-ids database-peers) leak={read}",
        r"operation \d+": f"echo {read}",
        f"status log of {unit}": f"status-set maintenance {read}",
        "status": f"status-set active {read}",
    }
    leak = f"{strike.COMMON}/var/log/patroni/leak"
    on_machine: dict[str, str] = {
        f"{file} of {unit}": "true",
        f"journal of {unit}": f"logger {read}",
        f"snapd's changes of {unit}": f"snap alias charmed-postgresql.psql {read}",
        f"{leak} of {unit}": f"cp {file} {leak}",
        rf"{leaks.CONFIGURATION}x\d+/etc/patroni/pgpass of {unit} is _daemon_ 644": (
            f"chmod 644 {leaks.CONFIGURATION}x*/etc/patroni/pgpass"
        ),
    }
    for script in on_machine.values():
        lab.shell(machine, script)
    assert [each for each in modes.wrong(own, machine) if "pgpass is _daemon_ 644, not _daemon_ 600" in each]
    for script in in_unit.values():
        own.juju.exec(script, unit=unit)
    places = [leak.place for leak in leaks.search(own, machines, canaries)]
    for place in (*in_unit, *on_machine, "controller's canary.log"):
        assert [each for each in places if re.fullmatch(place, each)], f"not found in {place}: {places}"
    log.unlink()
    processes: dict[str, str] = {
        "command lines": f"setsid sh -c 'sleep 60; :' {read} >/dev/null 2>&1 &",
        "environments": f"LEAK={read} setsid sleep 60 >/dev/null 2>&1 &",
    }
    for name, script in processes.items():
        watch = process_watch.Watch(own, directory / f"planted-{name.split()[0]}", 120)
        watch.start()
        own.until("it is watched", lambda watch=watch: watch.sees(machine))
        lab.shell(machine, script)
        time.sleep(2)
        assert list(canaries.within(name, watch.end()[f"{name} of {machine}"])), f"not found in {name}"


def test_forms_of_a_password_are_recognised():
    password = "abcdefghijklmnopqrstuvwxyz012345"
    canaries = leaks.Canaries({"one": password, "other": "x" * 32})
    for user in ("a", "ab", "abc", "patroni"):
        header = base64.b64encode(f"{user}:{password}".encode()).decode()
        assert list(canaries.within("here", header)) == [leaks.Leak("here", "one")], user
    assert list(canaries.within("here", password[1:])) == []


def test_modes_and_owners_are_compared():
    found = {each.pattern: [(each.pattern, each.owner, each.mode)] for each in modes.EXPECTED}
    assert modes.differences(found) == []
    first, second = modes.EXPECTED[:2]
    found[first.pattern] = [("/a", "_daemon_", 0o600), ("/b", "_daemon_", 0o644), ("/c", "root", 0o600)]
    del found[second.pattern]
    told = ["/b is _daemon_ 644, not _daemon_ 600", "/c is root 600, not _daemon_ 600"]
    assert modes.differences(found) == [*told, f"nothing is {second.pattern}"]
