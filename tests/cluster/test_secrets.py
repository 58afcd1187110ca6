"""The system users' passwords are in Juju's secret and in Patroni's own files, and nowhere else."""

from __future__ import annotations

import concurrent.futures
import pathlib

import application
import pytest

SAMPLE = pathlib.Path(__file__).with_name("sample.py").read_text()
SECONDS = 40
CONFIGURATION = "/var/snap/charmed-postgresql/x1/etc/patroni"
LOGS = "journalctl --all --no-pager; cat /var/snap/charmed-postgresql/common/var/log/*/*"


def _passwords_in(text: str, passwords: dict[str, str]) -> list[str]:
    return [key for key, password in passwords.items() if password in text]


def test_the_search_finds_what_is_there():
    assert _passwords_in("x=abc", {"one": "abc", "other": "def"}) == ["one"]


def test_passwords_are_nowhere_but_where_they_belong(three):
    passwords = three.secret()
    assert len(passwords) == 5
    assert all(len(password) == 32 and password.isalnum() for password in passwords.values())
    machines = {unit: three.hostname(unit) for unit in three.units()}
    with concurrent.futures.ThreadPoolExecutor() as executor:
        samples = [
            executor.submit(three.lab.run, machine, "python3", "-", str(SECONDS), input=SAMPLE)
            for machine in machines.values()
        ]
        _do_all_sorts(three)
        seen = [sample.result() for sample in samples]
    assert all("juju" in text and "postgres" in text for text in seen), "nothing was seen"
    for text in seen:
        assert not _passwords_in(text, passwords)

    for unit, machine in machines.items():
        logs = three.lab.shell(machine, LOGS)
        assert "Patroni" in logs or "patroni" in logs
        assert not _passwords_in(logs, passwords), unit
        assert not _passwords_in(three.juju.cli("show-unit", unit), passwords)
        assert _files_with(three, machine, passwords) == {f"{CONFIGURATION}/patroni.yaml", f"{CONFIGURATION}/pgpass"}
    everything = three.juju.cli("status", "--format", "json", "--relations", "--storage")
    everything += three.juju.cli("debug-log", "--replay", "--no-tail") + three.juju.cli("show-status-log", "pg/0")
    assert "pg/0" in everything or "pg/1" in everything
    assert not _passwords_in(everything, passwords)


def _do_all_sorts(three: application.Application) -> None:
    """Let the charm do what needs passwords."""
    primary = three.primary()
    three.action("pg/leader", "switchover")
    for value in ("1", "all"):
        three.juju.config(three.application, {"synchronous-node-count": value})
        three.settle(3) if value == "all" else three.until(
            "the configuration is changed",
            lambda: "replica" in [member["role"] for member in three.patroni()["members"]],
        )
    assert three.primary() != primary


def _files_with(three: application.Application, machine: str, passwords: dict[str, str]) -> set[str]:
    """Return the files of a machine that hold a password, each readable by the workload's user alone."""
    places = "/etc /home /root /run /srv /tmp /usr/local /var"
    # The passwords themselves go in by standard input: they are in no command line here either.
    command = f"cat >/dev/shm/patterns; grep -rlFs -D skip -f /dev/shm/patterns {places}; rm /dev/shm/patterns"
    found = three.lab.run(machine, "sh", "-c", command, input="\n".join(passwords.values()) + "\n").split()
    files = {name for name in found if "/current/" not in name}
    for name in files:
        mode = three.lab.run(machine, "stat", "-c", "%U %a", name).strip()
        if (name.startswith(CONFIGURATION)) and mode != "_daemon_ 600":
            pytest.fail(f"{name} is {mode}")
    return files
