"""Releases and refreshes of all snaps in real machines, as a person asks for them; snapd is real."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Iterator

import pytest

from lab import cli, settings
from lab.image import mirror
from lab.machines import machine as machines_of
from lab.machines import nspawn
from lab.snaps import release, squashfs, store, tick
from lab.snaps.proxy import index

pytestmark = [pytest.mark.machines, pytest.mark.inside]

FILES = {"interface": "content", "content": "files"}


def run(machine: nspawn.NspawnMachine, *argv: str) -> str:
    return machine.run(argv, timeout=120).stdout.strip()


def revisions(machine: nspawn.NspawnMachine) -> dict[str, str]:
    return {line.split()[0]: line.split()[2] for line in run(machine, "snap", "list").splitlines()[1:]}


def build(directory: pathlib.Path, name: str, version: str, **description: object) -> str:
    """A snap without programs; return its file."""
    tree = directory / f"{name}-{version}"
    (tree / "files").mkdir(parents=True)
    own = {"name": name, "version": version, "base": "core24", "architectures": [mirror.architecture()]}
    squashfs.write_metadata(tree, own | {"confinement": "strict", **description})
    squashfs.pack(tree, directory / f"{tree.name}.snap")
    return str(directory / f"{tree.name}.snap")


@contextlib.contextmanager
def another(machines: nspawn.Machines) -> Iterator[nspawn.NspawnMachine]:
    machine = machines.create("juju-0e40ed-1")
    try:
        machine.start()
        yield machine
    finally:
        machine.destroy()


@pytest.fixture
def host(
    own_machine: nspawn.NspawnMachine | None, running_lab: settings.Settings
) -> Iterator[nspawn.NspawnMachine | None]:
    """A machine whose store has the lab's snaps, and afterwards neither what was released nor faults."""
    store.ensure(running_lab)
    before = {name: set(snap.revisions) for name, snap in offered(running_lab).items()}
    yield own_machine
    store.set_faults(running_lab.store, [])
    for name, snap in offered(running_lab).items():
        for revision in sorted(set(snap.revisions) - before.get(name, set()), key=int, reverse=True):
            store.withdraw(running_lab.store, name, int(revision))


def offered(running_lab: settings.Settings) -> dict[str, index.Snap]:
    return dict(index.IndexFile(running_lab.store, mirror.architecture()).snaps())


def test_a_tick_refreshes_on_all_machines_what_is_not_held(
    host: nspawn.NspawnMachine,
    machines: nspawn.Machines,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    provider = build(tmp_path, "provider", "1", slots={"files": FILES | {"read": ["$SNAP/files"]}})
    consumer = build(tmp_path, "consumer", "1", plugs={"files": FILES | {"target": "$SNAP/files"}})
    for file in (provider, consumer):
        assert cli.main(["store-release", file]) == 0
    with another(machines) as other:
        for machine in (host, other):
            run(machine, "snap", "install", "provider")
            run(machine, "snap", "install", "consumer")
            run(machine, "snap", "connect", "consumer:files", "provider:files")
        old = {"core24": "1", "snapd": "1", "provider": "1", "consumer": "1"}
        assert revisions(host) == revisions(other) == old

        newer = build(tmp_path, "provider", "2", slots={"files": FILES | {"read": ["$SNAP/files"]}})
        for snap in ("core24", "snapd", newer):
            assert cli.main(["store-release", snap]) == 0
        assert "latest/stable serves core24 2\n" in capsys.readouterr().out
        run(host, "snap", "refresh", "--hold=48h", "core24")
        # Held ones are listed: snapd does not keep from anybody that there is an update.
        assert {line.split()[0] for line in run(host, "snap", "refresh", "--list").splitlines()[1:]} == {
            *("core24", "snapd", "provider"),
        }

        assert cli.main(["snapd-tick"]) == 0
        said = capsys.readouterr().out
        assert f"{other.name}\tcore24 1+2 from Lab refreshed" in said
        assert f"{host.name}\tsnapd 0+2 from Lab refreshed" in said
        assert f"{host.name}\tcore24" not in said
        assert revisions(other) == old | {"core24": "2", "snapd": "2", "provider": "2"}
        assert revisions(host) == old | {"snapd": "2", "provider": "2"}
        # The distribution's snapd goes on, not the one that its snap would be.
        assert "snapd   2." in run(host, "snap", "version")

        assert cli.main(["snapd-tick", host.name, other.name]) == 0
        assert capsys.readouterr().out == "".join(f"{each.name}\tAll snaps up to date.\n" for each in (host, other))

        run(host, "snap", "refresh", "--unhold", "core24")
        assert tick.tick([host]) == {host.name: "core24 1+2 from Lab refreshed"}
        assert 'Refresh "core24"' in run(host, "snap", "changes").splitlines()[-1]


def test_what_is_withdrawn_is_no_update_any_more(
    host: nspawn.NspawnMachine, running_lab: settings.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["store-release", "snapd"]) == 0
    assert "snapd" in run(host, "snap", "refresh", "--list")
    assert cli.main(["store-withdraw", "snapd"]) == 0
    assert "the store has no snapd 2 any more" in capsys.readouterr().out
    assert run(host, "snap", "refresh", "--list") == ""
    assert cli.main(["store-withdraw", "snapd"]) == 1
    assert cli.main(["store-release", "nothing"]) == 1
    assert "the store has no snap nothing" in capsys.readouterr().err


def test_a_machine_that_cannot_refresh_is_named_and_the_others_go_on(
    host: nspawn.NspawnMachine, machines: nspawn.Machines, running_lab: settings.Settings
) -> None:
    with another(machines) as other:
        release.release(running_lab, "snapd")
        store.set_faults(running_lab.store, [{"fault": "unreachable", "machine": host.name}])
        with pytest.raises(machines_of.MachineError, match=f"^{host.name}: `snap refresh` failed: error"):
            tick.tick([host, other])
        assert (revisions(host)["snapd"], revisions(other)["snapd"]) == ("1", "2")


def test_the_workload_snap_has_a_gate_that_asks_the_file(host: nspawn.NspawnMachine) -> None:
    name = "charmed-postgresql"
    answer = f"/var/snap/{name}/common/gate-auto-refresh"
    run(host, "snap", "install", name)
    # Only snapd itself, within its own automatic refresh, may ask a gate. Asked in the snap's name by anybody else,
    # snapctl says by what it refuses what the hook has asked for.
    asked = ["snap", "run", "--shell", f"{name}.psql", "-c", "$SNAP/meta/hooks/gate-auto-refresh"]
    assert "cannot hold outside of gate-auto-refresh hook" in host.run(asked, timeout=60, check=False).stderr
    until = int(time.time()) + 600
    run(host, "sh", "-c", f"printf 'decision=proceed\\nreason=turn\\nvalid-until={until}\\n' >{answer}")
    assert "cannot proceed: requires snap-refresh-control" in host.run(asked, timeout=60, check=False).stderr
