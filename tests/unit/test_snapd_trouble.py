"""snapd that is silent, and a snap that it has disabled: a clear status, and all is well once the cause has gone."""

from __future__ import annotations

from tests.fakes import juju
from tests.unit.conftest import Deployed
from tests.unit.test_trouble import status


def test_snapd_does_not_answer_at_first(on: juju.Application) -> None:
    on.deploy(1, snapd_running=False)
    on.run(60)
    assert on.units[0].machine.installs == []
    assert status(on) == ("waiting", "snapd does not answer: connection refused; see `systemctl status snapd`")
    on.units[0].machine.snapd_running = True
    on.settle()
    assert on.are_active(), on.summary()


def test_snapd_stops_answering(deployed: Deployed) -> None:
    on = deployed(3)
    on.units[1].machine.snapd_running = False
    on.update_status()
    on.run(30)
    assert on.units[1].failures == []
    assert status(on, 1) == ("waiting", "snapd does not answer: connection refused; see `systemctl status snapd`")
    # PostgreSQL serves all the same.
    assert on.world.raft.has_quorum()
    assert len(on.world.raft.alive()) == 3
    on.units[1].machine.snapd_running = True
    on.settle()
    assert on.are_active(), on.summary()


def test_a_snap_that_is_disabled(deployed: Deployed) -> None:
    on = deployed(3)
    machine = on.units[1].machine
    machine.disable_snap()
    on.update_status()
    on.run(30)
    assert on.units[1].failures == []
    text = "Snap charmed-postgresql is disabled; as root: `snap enable charmed-postgresql`"
    assert status(on, 1) == ("blocked", text)
    # What snapd makes a link again has not become anything else.
    assert not machine.paths.revision_data.exists()
    machine.enable_snap()
    on.update_status()
    on.settle()
    assert on.are_active(), on.summary()
