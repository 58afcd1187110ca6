"""The majority is lost for good: the units that are left agree on a new one, and have all that was acknowledged."""

from __future__ import annotations

import application
import jubilant


def test_two_of_three_machines_are_lost_for_good(empty, write):
    empty.create(3)
    empty.settle(3)
    primary = empty.primary()
    left, also_lost = [unit for unit in empty.units() if unit != primary]
    with write(empty) as writing:
        writing.move(left)
        # All at the same time: each acknowledged write is on the one that is left, too.
        empty.fault("crash", *[empty.machine_number(unit) for unit in (primary, also_lost)])
        empty.await_status("blocked", "No majority: 1 of 3 members reachable", left)
        told = empty.action(left, "force-majority")
        assert told["awaited"].split(", ") == sorted([primary, also_lost])
        empty.await_status("waiting", "New majority waits for units", left)
        empty.juju.cli("remove-unit", primary, also_lost, "--force", "--no-wait", "--no-prompt")
        empty.await_gone(primary, also_lost)
        empty.await_status("blocked", "Members lost: 2", left)
        # A reboot meanwhile starts nothing.
        empty.fault("reboot", empty.machine_number(left))
        empty.until("the unit is back", lambda: _is_idle(empty, left))
        host = empty.addresses()[left]
        assert empty.patroni([host]) == {"members": []}
        empty.await_status("blocked", "Members lost: 2", left)
        assert empty.action(left, "force-majority", **{"accept-data-loss": True})["generation"] == "1"
        assert empty.settle(1) == [left]
        writing.move(left)
        empty.juju.add_unit(empty.application, num_units=2)
        empty.settle(3)
        empty.await_members()
        writing.await_write()
        assert "there is one" in empty.refusal(left, "force-majority")


def test_all_addresses_change_at_once(three, write):
    units = list(three.units())
    with write(three) as writing:
        writing.stop()
        old = three.addresses()
        for unit in units:
            three.lab.readdress(three.hostname(unit), None)
        for unit in units:
            three.await_status("blocked", "see force-majority", unit)
        assert not set(old.values()) & set(three.addresses().values())
        three.action(units[0], "force-majority")
        assert three.settle(3) == units
        three.await_members()
        writing.move(units[0])


def _is_idle(applied: application.Application, unit: str) -> bool:
    try:
        found = applied.units()[unit]
    except jubilant.CLIError:
        return False
    return found.juju_status.current == "idle"
