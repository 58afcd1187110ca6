"""What an operator types: the commands of the README, and the actions with their refusals."""

from __future__ import annotations

import re
import shlex
import subprocess
import time

import pytest

from rehearsal import load


def _readme(heading: str) -> list[str]:
    """Return the commands of the first block after a line of the README."""
    text = (load.TREE / "README.md").read_text()
    found = re.search(rf"{re.escape(heading)}.*?```shell\n(.*?)```", text, re.DOTALL)
    assert found, f"the README has no commands after {heading!r}"
    return [line for line in found[1].splitlines() if line]


def _type(three, line: str, input: str = "") -> str:
    """Run a line of the README in this model, with the name of this application."""
    words = shlex.split(line.replace("postgresql-machine", three.application), comments=True)
    words[2:2] = ["--model", three.juju.model]
    completed = subprocess.run(words, input=input, capture_output=True, text=True, timeout=120, check=False)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


@pytest.mark.quick
def test_the_commands_of_the_readme_look_inside(three):
    # The README's unit 0 may be gone by now.
    number = next(iter(three.units())).rpartition("/")[2]
    status, patronictl, psql = [line.replace("machine/0", f"machine/{number}") for line in _readme("Look inside:")]
    shown = _type(three, status)
    for unit in three.units():
        assert re.search(rf"{unit} +(primary +running|synchronous standby +streaming) +\d+", shown), shown
    table = _type(three, patronictl)
    for unit in three.units():
        assert re.search(rf"{unit.replace('/', '-')} .*(Leader|Sync Standby) .*(running|streaming)", table), table
    assert "operator|t" in _type(
        three, f"{psql} -At", "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = 'operator';"
    )


def test_the_password_that_the_readme_shows_lets_operator_in_from_another_unit(three):
    secrets, show = _readme("From another unit")
    [identifier] = [line.split()[0] for line in _type(three, secrets).splitlines() if three.application in line.split()]
    shown = _type(three, show.replace("SECRET-ID", identifier))
    password = re.search(r"operator-password: (\w{32})", shown)
    assert password
    first, second, _ = three.addresses()
    host = three.addresses()[second]
    query = f"PGPASSWORD={password[1]} charmed-postgresql.psql -h {host} -U operator -At -c 'SELECT 1' postgres"
    assert three.lab.shell(three.hostname(first), query) == "1\n"
    wrong = query.replace(password[1], "wrong").replace("psql -h", "psql -w -h")
    assert "1" not in three.lab.shell(three.hostname(first), wrong, check=False).split()


def test_the_primary_and_the_cluster_are_told_by_actions(three):
    primary = three.primary()
    for unit in three.units():
        assert three.action(unit, "get-primary") == {"primary": primary}
    report = three.cluster_status()
    assert (report["application"], report["paused"], report["synchronous-node-count"]) == (three.application, False, 2)
    assert report["cluster-id"].isdigit()
    assert {member["unit"] for member in report["members"]} == set(three.units())
    for member in report["members"]:
        assert member["role"] == ("primary" if member["unit"] == primary else "synchronous standby")
        assert member["state"] == ("running" if member["unit"] == primary else "streaming")
        assert member["address"] == three.addresses()[member["unit"]]
        assert member["snap-revision"] == "416"
        assert member["restart-pending"] is False
        assert member["timeline"] == report["members"][0]["timeline"]
    table = three.action("pg/leader", "get-cluster-status")["status"].splitlines()
    assert table[0].split() == ["Unit", "Role", "State", "Timeline", "Lag", "Snap", "Restart"]
    assert [line.split()[0] for line in table[1:]] == list(three.units())


def test_the_primary_is_switched_over_under_writes(three, write, measure):
    with write(three) as writing:
        for parameters in ({}, {"candidate": ""}):
            old = three.primary()
            if parameters:
                parameters["candidate"] = next(unit for unit in three.units() if unit != old)
            begun = time.monotonic()
            results = three.action("pg/leader", "switchover", **parameters)
            assert results["old-primary"] == old
            assert results["new-primary"] == parameters.get("candidate", results["new-primary"]) != old
            assert three.primary() == results["new-primary"]
            writing.await_write()
            measure(f"longest gap in a switchover {'to a candidate' if parameters else ''}", writing.gap(begun))
            assert writing.gap(begun) < 15
            three.settle(3)


def test_a_switchover_that_cannot_be_is_refused_with_the_reason(three):
    primary = three.primary()
    standby, _ = [unit for unit in three.units() if unit != primary]
    units = ", ".join(three.units())

    def refusal(candidate: str) -> str:
        return three.refusal("pg/leader", "switchover", candidate=candidate)

    assert refusal("pg/77") == f"No switchover: 'pg/77' is no unit of this application; units: {units}"
    assert refusal("nonsense").startswith("No switchover: 'nonsense' is no unit of this application")
    assert refusal(primary) == f"No switchover: {primary} is the primary already"

    three.lab.shell(three.hostname(primary), "charmed-postgresql.patronictl pause")
    try:
        three.until("Patroni is paused", lambda: three.patroni().get("pause"))
        assert refusal(standby) == "No switchover: Patroni is paused; run `sudo charmed-postgresql.patronictl resume`"
        assert "Patroni is paused" in three.action("pg/leader", "get-cluster-status")["status"]
    finally:
        three.lab.shell(three.hostname(primary), "charmed-postgresql.patronictl resume")
    three.until("Patroni is no longer paused", lambda: not three.patroni().get("pause"))

    three.juju.config(three.application, {"synchronous-node-count": "1"})
    try:
        three.until("one standby is not synchronous", lambda: _roles(three).count("replica") == 1)
        [asynchronous] = [member["name"] for member in three.patroni()["members"] if member["role"] == "replica"]
        said = refusal(asynchronous.replace("-", "/"))
        assert said == f"No switchover: {asynchronous} is not a synchronous standby"
    finally:
        three.juju.config(three.application, {"synchronous-node-count": "all"})
    three.settle(3)
    assert three.primary() == primary


def test_the_commands_of_statuses_show_what_they_are_named_for(three):
    machine = three.hostname(three.primary())
    shown = {
        "journalctl -u snap.charmed-postgresql.patroni": "patroni",
        "journalctl -b": "systemd",
        "findmnt --verify": "errors",
        "snap changes": "charmed-postgresql",
        "systemctl status snapd": "active (running)",
        "timedatectl": "Local time",
    }
    for command, text in shown.items():
        # As a person sees it, whatever it ends with: a warning of findmnt is no failure of this test.
        assert text in three.lab.shell(machine, f"SYSTEMD_PAGER= {command} 2>&1", check=False), command


def test_a_member_is_restarted_as_statuses_say(three, write):
    standby = next(unit for unit in three.units() if unit != three.primary())
    machine, member = three.hostname(standby), standby.replace("/", "-")
    query = "charmed-postgresql.psql -U operator -At -c 'SELECT pg_postmaster_start_time()' postgres"
    before = three.lab.shell(machine, query)
    with write(three) as writing:
        three.lab.shell(machine, f"charmed-postgresql.patronictl restart {three.application} {member} --force")
        three.settle(3)
        writing.await_write()
    assert three.lab.shell(machine, query) != before


def test_a_snap_that_is_disabled_is_enabled_as_statuses_say(three, write):
    standby = next(unit for unit in three.units() if unit != three.primary())
    machine = three.hostname(standby)
    with write(three) as writing:
        three.lab.shell(machine, "snap disable charmed-postgresql")
        three.juju.exec("true", unit=standby)
        three.await_status("blocked", "Snap charmed-postgresql is disabled", standby)
        three.lab.shell(machine, "snap enable charmed-postgresql")
        three.juju.exec("true", unit=standby)
        three.settle(3)
        writing.await_write()


def _roles(three) -> list[str]:
    return [member["role"] for member in three.patroni()["members"]]


def test_one_unit_alone_has_nobody_to_switch_over_to(empty):
    empty.create(1)
    empty.settle(1)
    assert empty.action("pg/0", "get-primary") == {"primary": "pg/0"}
    assert empty.refusal("pg/0", "switchover") == "No switchover: there is no other member"
    [member] = empty.cluster_status()["members"]
    assert (member["unit"], member["role"], member["state"]) == ("pg/0", "primary", "running")
