"""Machines boot while there is no controller: no hook runs, and the cluster serves all the same."""

from __future__ import annotations

import signal
import time

import application
import pytest

SERVICE = "snap.charmed-postgresql.patroni.service"
LONGEST_GAP = 60.0
"""Seconds without an acknowledged write while a primary is lost, on a host that is busy."""


@pytest.fixture
def outage(lab):
    """Lets the controller be gone, and back at the end."""
    yield lab.outage
    lab.outage(False)


def test_systemd_stops_postgresql_by_a_fast_shutdown(three):
    for unit in three.units():
        asked = three.lab.shell(three.hostname(unit), f"systemctl show --property=KillSignal --value {SERVICE}")
        assert int(asked) == signal.SIGINT


@pytest.mark.parametrize("whom", ["primary", "standby"])
def test_a_machine_that_reboots_serves_again_without_any_hook(three, write, outage, measure, whom):
    primary = three.primary()
    rebooting = primary if whom == "primary" else next(unit for unit in three.units() if unit != primary)
    host, machine = three.addresses()[rebooting], three.machine_number(rebooting)
    with write(three) as writing:
        writing.move(next(unit for unit in three.units() if unit != rebooting))
        outage(True)
        begun = time.monotonic()
        three.fault("reboot", machine)
        three.until(f"{rebooting} itself says that it runs", lambda: three.runs(rebooting, [host]))
        writing.await_write()
        measure(f"longest gap while the machine of the {whom} rebooted", writing.gap(begun))
        assert writing.gap(begun) < LONGEST_GAP
        outage(False)
        three.settle(3)
        three.await_members()


@pytest.mark.parametrize("end", ["reboot", "crash"])
def test_all_machines_at_once(three, write, outage, measure, end):
    addresses = three.addresses()
    machines = [three.machine_number(unit) for unit in addresses]
    with write(three) as writing:
        outage(True)
        begun = time.monotonic()
        three.fault(end, *machines)
        if end == "crash":
            three.fault("start", *machines)
        for unit, host in addresses.items():
            three.until(f"{unit} itself says that it runs", lambda unit=unit, host=host: three.runs(unit, [host]))
        writing.await_write()
        measure(f"longest gap around a {end} of all machines", writing.gap(begun))
        outage(False)
        three.settle(3)
        three.await_members()


def test_a_unit_alone_reboots_while_another_one_cannot_join_yet(empty):
    """Whoever is no member yet has no vote: the first unit needs none."""
    empty.create(1)
    empty.settle(1)
    first, host = "pg/0", empty.addresses()["pg/0"]
    empty.juju.cli("add-machine")
    empty.until("a second machine", lambda: _is_started(empty, "1"))
    second = empty.status().machines["1"].instance_id
    empty.lab.shell(second, "systemd-run --unit=other python3 -m http.server 5432")
    empty.juju.add_unit(empty.application, to="1")
    empty.await_status("blocked", "Port 5432 is taken", "pg/1")
    empty.until("the first unit has heard of it", lambda: empty.units()[first].juju_status.current == "idle")
    empty.fault("reboot", empty.machine_number(first))
    empty.until("the first unit serves again", lambda: empty.takes_writes(host))
    empty.lab.shell(second, "systemctl stop other")
    empty.settle(2)
    empty.await_members()


def _is_started(applied: application.Application, machine: str) -> bool:
    found = applied.status().machines.get(machine)
    return found is not None and found.juju_status.current == "started"
