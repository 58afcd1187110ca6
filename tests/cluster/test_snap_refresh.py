"""The snaps that the workload stands on refresh one unit at a time, when it does not hurt; snapd is real.

The units are the module's own, and the last test leaves them as they are without the charm.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator

import application
import lab_world
import pytest
import snap_updates
from snap_updates import BASE, READER, SNAPD

from rehearsal import deployment, events

TOGETHER_SECONDS = 30
NEWEST = "16/edge"
_PATRONI = f"snap.{deployment.SNAP}.patroni.service"
_PROCESS = f"systemctl show --property=MainPID --value {_PATRONI}"
_STARTED = f"systemctl show --timestamp=unix --property=ActiveEnterTimestamp --value {_PATRONI}"
_HISTORY = """
import json, sys, urllib.request
for host in sys.argv[1:]:
    try:
        with urllib.request.urlopen(f"http://{host}:8008/history", timeout=3) as answer:
            print(answer.read().decode())
            break
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def made(models, lab: lab_world.Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[snap_updates.Snaps]:
    """Three units, and a snap that is connected to their workload's."""
    before = lab.offered()
    applied = models.add("snaps")
    applied.create(3)
    applied.settle(3, seconds=2 * application.PATIENCE)
    snaps = snap_updates.Snaps(applied, lab, tmp_path_factory.mktemp("snaps"))
    snaps.connect_reader()
    snaps.look_all()
    applied.juju.model_config({"update-status-hook-interval": "10s"})
    yield snaps
    lab.outage(False)
    models.end(applied.juju)
    lab.withdraw(before)


@pytest.fixture
def snaps(made: snap_updates.Snaps) -> snap_updates.Snaps:
    """All is well, and everything that may ever refresh is held."""
    made.applied.settle(3)
    made.await_quiet()
    return made


def switchovers(applied: application.Application, since: float) -> list[tuple[float, str]]:
    """Return when each primary since then was promoted, and its unit."""
    told = applied.lab.inside(_HISTORY, *applied.addresses().values())
    found = [(events.timestamp(entry[3]), entry[4].replace("-", "/")) for entry in told if len(entry) > 4]
    return [(at, unit) for at, unit in found if at >= since]


def test_with_nothing_pending_a_hook_makes_one_request_at_most_and_takes_20_ms(snaps, measure):
    found = [snaps.reconcile(snaps.applied.leader()) for _ in range(12)]
    # One hook an hour asks the store, and one for the connections; all others nobody.
    assert max(len(requests) for requests, _ in found) <= 1, found
    assert sum(bool(requests) for requests, _ in found) <= 2, found
    seconds = sorted(each for _, each in found)
    measure("a hook with nothing pending, for its snaps: fastest", seconds[0])
    measure("a hook with nothing pending, for its snaps: median", statistics.median(seconds))
    assert statistics.median(seconds) < 0.02


def test_one_unit_at_a_time_the_primary_last_after_a_hand_over(snaps, write, measure):
    applied = snaps.applied
    primary = applied.primary()
    before = snaps.revisions(BASE, SNAPD, READER)
    processes = {unit: snaps.shell(unit, _PROCESS) for unit in applied.units()}
    with write(applied) as writing:
        begun, since = time.monotonic(), snap_updates.now()
        wanted = snaps.release(BASE, SNAPD, READER)
        # All was held before there was an update: so none comes in unseen.
        assert "refreshed" not in snaps.tick()
        assert snaps.revisions(BASE, SNAPD, READER) == before
        for unit in applied.units():
            pending = {each["name"] for each in snaps.look(unit)["snaps"] if each["pending"] == "ready"}
            assert pending >= {BASE, SNAPD, READER}
        snaps.age(primary, hours=2)
        with snaps.ticking():
            snaps.await_revisions(wanted, seconds=600)
        snaps.await_quiet()
        applied.settle(3)
        found = {unit: snap_updates.span(snaps.refreshes(unit, since)) for unit in applied.units()}
        order = sorted(found, key=lambda unit: found[unit])
        assert order[-1] == primary, found
        for earlier, later in itertools.pairwise(order):
            assert found[earlier][1] <= found[later][0], found
        [(promoted, new)] = switchovers(applied, since)
        assert new != primary
        assert found[order[-2]][1] <= promoted <= found[primary][0]
        # snapd starts no service anew for what the workload stands on.
        assert processes == {unit: snaps.shell(unit, _PROCESS) for unit in applied.units()}
        writing.await_write()
        measure("longest gap while base, snapd and a connected snap refreshed on three units", writing.gap(begun))
        measure("from the release to the last unit's refresh", found[primary][1] - since)


def test_a_window_that_is_closed_narrows_it(snaps, write):
    applied = snaps.applied
    hour = (int(snaps.shell(applied.leader(), "date +%H")) + 6) % 24
    window = f"{hour:02}:00-{hour:02}:30"
    applied.juju.config(applied.application, {"snap-refresh-window": window})
    before = snaps.revisions(SNAPD)
    with write(applied) as writing:
        wanted = snaps.release(SNAPD)
        snaps.look_all()
        for unit in applied.units():
            said = applied.await_status("active", f"the window {window} opens", unit)
            assert "updates of snapd held: " in said
        assert "refreshed" not in snaps.tick()
        assert snaps.revisions(SNAPD) == before
        applied.juju.config(applied.application, {"snap-refresh-window": "00:00-24:00"})
        snaps.age(applied.primary(), hours=2)
        snaps.await_revisions(wanted)
        writing.await_write()
    applied.juju.config(applied.application, {"snap-refresh-window": ""})


def test_without_snapd_a_unit_serves_and_says_so(snaps, write):
    applied = snaps.applied
    silent = next(unit for unit in applied.units() if unit not in (applied.primary(), applied.leader()))
    units = "snapd.socket snapd.service"
    with write(applied) as writing:
        wanted = snaps.release(SNAPD)
        snaps.shell(silent, f"systemctl stop {units}; systemctl mask --now {units}")
        applied.await_status("waiting", "snapd does not answer", silent)
        others = [unit for unit in applied.units() if unit != silent]
        for unit in others:
            snaps.look(unit)
        assert {member["state"] for member in applied.patroni()["members"]} == {"running", "streaming"}
        writing.await_write()
        snaps.shell(silent, f"systemctl unmask {units} && systemctl start snapd.socket")
        snaps.look_all()
        snaps.age(applied.primary(), hours=2)
        snaps.await_revisions(wanted)
        applied.settle(3)


def test_an_unhealthy_cluster_is_left_alone_for_48_hours(snaps, write, measure):
    applied = snaps.applied
    primary = applied.primary()
    broken = next(unit for unit in applied.units() if unit not in (primary, applied.leader()))
    alive = [unit for unit in applied.units() if unit != broken]
    before = snaps.revisions(SNAPD)
    with write(applied) as writing:
        writing.move(primary)
        applied.fault("crash", applied.machine_number(broken))
        applied.until("the crashed one is missing", lambda: len(applied.patroni()["members"]) < 3)
        wanted = snaps.release(SNAPD)
        for unit in alive:
            assert snaps.look(unit)["decision"] == "hold"
            snaps.age(unit, hours=47)
            said = applied.await_status("active", "at the latest", unit)
            assert "the cluster is not healthy" in said
        machines = [applied.hostname(unit) for unit in alive]
        assert "refreshed" not in applied.lab.tick(*machines)
        assert all(snaps.listed(unit)[SNAPD][0] == before[unit][SNAPD] for unit in alive)
        for unit in alive:
            snaps.age(unit, hours=1)
        applied.until(
            "48 hours are over: refreshed", lambda: {snaps.listed(unit)[SNAPD][0] for unit in alive} == {wanted[SNAPD]}
        )
        writing.await_write()
        applied.fault("start", applied.machine_number(broken))
        applied.settle(3)
        snaps.look(broken)
        snaps.await_revisions(wanted)
        applied.settle(3)


def test_holds_removed_by_hand_are_put_back_and_reported(snaps):
    applied = snaps.applied
    unit = next(unit for unit in applied.units() if unit != applied.primary())
    snaps.shell(unit, f"snap refresh --unhold {deployment.SNAP} {BASE} {SNAPD}")
    applied.await_status("active", f"holds were removed, put back: {deployment.SNAP}, {BASE}, {SNAPD}", unit)
    assert all(held for _, held in snaps.listed(unit).values())
    assert "charm refresh wanted" not in applied.message()[1]


def test_without_the_charm_all_units_restart_together(made, write, measure):
    applied = made.applied
    applied.settle(3)
    addresses = applied.addresses()
    machines = {unit: applied.hostname(unit) for unit in addresses}
    *_, highest = addresses
    pinned = made.revisions(deployment.SNAP)[highest]
    wanted = made.release(BASE, SNAPD)
    # The charm pins the newest revision, which another channel serves than the one that is followed.
    wanted[deployment.SNAP] = applied.lab.release(deployment.SNAP, NEWEST)
    for unit in addresses:
        made.shell(unit, f"snap switch {deployment.SNAP} --channel={NEWEST}")
    with write(applied) as writing:
        applied.lab.outage(True)
        for machine in machines.values():
            applied.lab.shell(machine, "while pgrep -f '[s]rc/charm.py'; do sleep 0.2; done")
        begun, since = time.monotonic(), snap_updates.now()
        for machine in machines.values():
            applied.lab.shell(machine, f"snap refresh --unhold {' '.join(wanted)}")
        applied.lab.tick(*machines.values())
        for unit, host in addresses.items():
            applied.until(f"{unit} runs", lambda unit=unit, host=host: applied.runs(unit, [host]))
        writing.await_write()
        gap = writing.gap(begun)
        measure("longest gap where nobody holds base, snapd and workload back on three units", gap)
        # Looked at before the charm is back: it puts the pinned workload back at once, on the highest unit first.
        found = {}
        for machine in machines.values():
            listed = made.listed_on(machine)
            assert {name: listed[name][0] for name in wanted} == wanted, machine
            found[machine] = snap_updates.span(made.refreshes_on(machine, since))
        assert max(start for start, _ in found.values()) < min(end for _, end in found.values()), found
        printed = [applied.lab.shell(machine, _STARTED) for machine in machines.values()]
        started = [int(text.strip().removeprefix("@")) for text in printed]
        assert min(started) >= since
        assert max(started) - min(started) < TOGETHER_SECONDS
        applied.lab.outage(False)
        made.await_revisions(pinned, highest)
        applied.until("the highest unit runs", lambda: applied.runs(highest, addresses.values()))
