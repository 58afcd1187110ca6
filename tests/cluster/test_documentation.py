"""The commands of the tutorial and of the how-tos, typed in the situation that they are for."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import application
import jubilant
import lab_world
import pages
import pytest

from rehearsal import charms, load

NAME = "postgresql-machine"
OPERATOR = "charmed-postgresql.psql -U operator postgres -At -c"


@pytest.fixture(scope="module")
def packed(charm: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory with the charms that the how-tos name, and one that may follow neither."""
    directory = tmp_path_factory.mktemp("charms")
    new = charms.pinned(load.TREE)
    made = {
        "old.charm": charms.variant(charm, charms.EARLIER, directory),
        "new.charm": charms.variant(charm, new, directory),
        "incompatible.charm": charms.variant(charm, dataclasses.replace(new, charm="16/2.0.0"), directory),
    }
    for name, file in made.items():
        file.rename(directory / name)
    return directory


@dataclasses.dataclass(frozen=True)
class Documented:
    """Three units of the old charm, under the name that the pages give them, and who reads there."""

    deployed: application.Application
    reader: pages.Reader

    def refresh(self, charm: str, condition: pages.Condition) -> None:
        """Refresh, and look on until it is as wanted."""
        self.reader.type(f"juju refresh {NAME} --path ./{charm}.charm")
        self.reader.until(condition)

    def snap_revision(self, number: int) -> str:
        """The revision of the snap on a unit."""
        members = self.deployed.cluster_status()["members"]
        return next(each["snap-revision"] for each in members if each["unit"] == f"{NAME}/{number}")

    def roll_back(self) -> None:
        """End with three units of the old charm."""
        self.refresh("old", pages.settled())


@pytest.fixture(scope="module")
def make(
    lab: lab_world.Lab, packed: pathlib.Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Documented]]:
    """Makes three units of the old charm in a model of that name; those made before go."""
    made: list[str] = []

    def end() -> None:
        for name in made:
            jubilant.Juju(model=name).destroy_model(name, destroy_storage=True, force=True, no_wait=True)
        made.clear()

    def begin(name: str) -> Documented:
        end()
        juju = jubilant.Juju(model=f"{name}-{time.time_ns() // 10**6 % 10**8}")
        assert juju.model
        juju.add_model(juju.model)
        made.append(juju.model)
        deployed = application.Application(juju, lab, packed / "old.charm", NAME)
        deployed.create(3)
        documented = Documented(deployed, pages.Reader(packed, {"JUJU_MODEL": juju.model}))
        documented.reader.until(pages.settled())
        return documented

    yield begin
    end()


@pytest.fixture(scope="module")
def three(make: Callable[[str], Documented]) -> Documented:
    """Three units that most tests share: each leaves them settled, with the old charm."""
    return make("documented")


def test_the_tutorial(lab: lab_world.Lab) -> None:
    page = "tutorial/first-refresh.md"
    reader = pages.Reader(load.TREE, {})
    reader.play(page, "Prepare")
    try:
        *_, made = reader.play(page, "Deploy", watch=[pages.settled(1), pages.settled()])
        assert "SELECT 1" in made
        check, plan = reader.play(page, "Look before you leap")
        assert "Charm is ready for refresh" in check
        assert "Next refresh" in plan or "order" in plan.lower(), plan
        *_, version = reader.play(page, "Refresh, and stop to think", watch=[pages.paused(1)])
        assert "16.15" in version
        reader.play(page, "Go back", watch=[pages.settled()])
        *_, note, history = reader.play(page, "Refresh to the end", watch=[pages.paused(1), pages.settled()])
        assert "42" in note
        assert "rolled back" in history and "completed" in history
    finally:
        reader.play(page, "Clean up")


def test_to_roll_back(three: Documented) -> None:
    three.refresh("new", pages.paused(1))
    *_, told = three.reader.play("how-to/roll-back.md", "Go back", watch=[pages.settled()])
    assert "rolled back" in told


def test_to_recover_from_a_check_that_failed(three: Documented) -> None:
    primary = three.deployed.primary()
    machine = three.deployed.hostname(primary)
    three.deployed.lab.shell(machine, f"{OPERATOR} 'SELECT pg_sleep(3600)' >/dev/null 2>&1 &")
    # A transaction is taken for a long one after a minute.
    time.sleep(61)
    three.refresh("new", pages.says("Pre-refresh check failed"))
    assert "SELECT" in "".join(_sessions(three, machine))

    def names(line: str) -> str:
        line = line.replace(f"{NAME}/0", primary)
        if "PID" in line:  # afterwards the session is gone, and the refresh goes on
            [sleeper] = _sessions(three, machine)
            line = line.replace("PID", sleeper.partition("|")[0])
        return line

    three.reader.play("how-to/recover.md", "A check failed", names=names)
    three.reader.until(pages.paused(1))
    three.roll_back()


def _sessions(three: Documented, machine: str) -> list[str]:
    """Return "process|query" of each session that sleeps."""
    query = "SELECT pid, query FROM pg_stat_activity WHERE query LIKE $$SELECT pg_sleep%$$"
    return three.deployed.lab.shell(machine, f"{OPERATOR} '{query}'").splitlines()


def test_to_recover_where_the_snap_cannot_be_had(three: Documented) -> None:
    three.deployed.lab.store_faults({"fault": "unreachable", "snap": "charmed-postgresql"})
    three.refresh("new", pages.says("hook failed"))
    # PostgreSQL has not been stopped.
    assert len(three.deployed.patroni()["members"]) == 3
    logged, _ = three.reader.play(
        "how-to/recover.md", "The snap cannot be had", before={"juju resolved": three.deployed.lab.store_faults}
    )
    assert "cannot reach the snap store" in logged or "snap" in logged
    three.reader.until(pages.paused(1))
    three.roll_back()


def test_to_recover_from_a_hook_that_failed(three: Documented) -> None:
    three.deployed.lab.store_faults({"fault": "unreachable", "snap": "charmed-postgresql"})
    three.refresh("new", pages.says("hook failed"))
    logged, _ = three.reader.play(
        "how-to/recover.md", "A unit is in error", before={"juju resolved": three.deployed.lab.store_faults}
    )
    assert "ERROR" in logged
    three.reader.until(pages.paused(1))
    three.roll_back()


def test_to_look_at_a_unit_that_does_not_become_healthy(three: Documented) -> None:
    three.refresh("new", pages.paused(1))
    patroni, postgresql = three.reader.play("how-to/recover.md", "A refreshed unit does not become healthy")
    assert "INFO" in patroni
    assert "LOG" in postgresql
    three.roll_back()


def test_to_begin_to_recover(three: Documented) -> None:
    three.refresh("new", pages.paused(1))
    told, shown = three.reader.play("how-to/recover.md", "")
    assert "juju run postgresql-machine/1 resume-refresh" in told.splitlines()[-1] or "resume-refresh" in told
    assert "resume-refresh" in shown
    three.roll_back()


def test_to_recover_where_the_majority_is_lost(three: Documented) -> None:
    leader = three.deployed.leader()
    others = [three.deployed.machine_number(unit) for unit in three.deployed.units() if unit != leader]
    three.deployed.fault("crash", *others)
    three.reader.until(pages.says("No majority: 1 of 3 members reachable"))
    _, told = three.reader.play("how-to/recover.md", "The majority is lost")
    assert "Unit" in told
    three.deployed.fault("start", *others)
    three.reader.until(pages.settled())


def test_to_tell_a_unit_of_its_new_charm_confirms_nothing(make: Callable[[str], Documented]) -> None:
    documented = make("told")
    reader = documented.reader
    reader.type(f"juju config {NAME} pause-after-unit-refresh=all")
    documented.refresh("new", pages.paused(1))
    reader.type(f"juju run --wait=10m {NAME}/1 resume-refresh")
    reader.until(pages.paused(0))
    before, *_ = reader.play(
        "how-to/recover.md",
        "A unit waits for Juju's upgrade-charm event",
        watch=[lambda shown: shown.count("'invalid' is not allowed") >= 3],
        names=lambda line: line.replace("VALUE", "all"),
    )
    assert before.strip() == "all"
    reader.until(lambda shown: pages.paused(0)(shown) and "not allowed" not in shown)
    # It was told three times, and still waits for its confirmation.
    assert documented.snap_revision(0) == "366"
    reader.type(f"juju run --wait=10m {NAME}/0 resume-refresh")
    reader.until(pages.settled())


def test_to_recover_from_a_standby_that_does_not_stream(make: Callable[[str], Documented]) -> None:
    documented = make("damaged")
    deployed, reader = documented.deployed, documented.reader
    damaged = next(unit for unit in deployed.units() if unit != deployed.primary())
    # PostgreSQL does not start with a setting that it cannot read.
    settings = "/var/snap/charmed-postgresql/common/var/lib/postgresql/16/main/postgresql.auto.conf"
    deployed.lab.shell(
        deployed.hostname(damaged), f"echo nonsense >>{settings}; systemctl restart snap.charmed-postgresql.patroni"
    )
    reader.until(pages.says("PostgreSQL: start failed"))
    _, patroni, primary, *_ = reader.play(
        "how-to/recover.md",
        "A standby does not stream",
        watch=[lambda shown: f"{damaged} " not in shown and f"{damaged}*" not in shown, pages.settled()],
        names=lambda line: line.replace(f"{NAME}/2", damaged),
    )
    assert "INFO" in patroni
    assert damaged not in primary
    assert damaged not in deployed.units()


def test_to_force_past_the_compatibility_check(three: Documented) -> None:
    three.refresh("incompatible", pages.says("Refresh incompatible"))
    three.reader.play("how-to/force.md", "Past the compatibility check")
    three.reader.until(pages.paused(1))
    three.roll_back()


def test_to_force_past_the_checks_and_the_health_of_what_has_refreshed(three: Documented) -> None:
    machine = three.deployed.hostname(three.deployed.primary())
    three.deployed.lab.shell(machine, f"{OPERATOR} 'SELECT pg_sleep(3600)' >/dev/null 2>&1 &")
    time.sleep(61)
    three.refresh("new", pages.says("Pre-refresh check failed"))
    three.reader.play("how-to/force.md", "Past the checks")
    three.reader.until(pages.paused(1))
    # With one of the refreshed units away resume-refresh refuses, unless it is told to.
    refreshed = three.deployed.machine_number(f"{NAME}/2")
    three.deployed.fault("crash", refreshed)
    three.deployed.until("the unit is missed", lambda: _refuses(three))
    three.reader.play("how-to/force.md", "Past the health of what has refreshed")
    three.deployed.fault("start", refreshed)
    three.reader.until(pages.settled())


def _refuses(three: Documented) -> bool:
    try:
        three.deployed.refusal(f"{NAME}/1", "resume-refresh")
    except AssertionError:
        return False
    return True


def test_to_refresh(make: Callable[[str], Documented]) -> None:
    documented = make("refreshed")
    check, plan = documented.reader.play("how-to/refresh.md", "Check")
    assert "Charm is ready for refresh" in check
    assert re.search(r"go(es)? back", plan), plan
    documented.reader.play("how-to/refresh.md", "Choose where it waits")
    documented.reader.play("how-to/refresh.md", "Refresh", watch=[pages.paused(1)])
    documented.reader.play("how-to/refresh.md", "Go on", watch=[pages.settled()])
    assert "16.15" in documented.reader.type("juju status")


def test_to_recover_from_the_loss_of_a_machine(make: Callable[[str], Documented]) -> None:
    documented = make("lost")
    documented.refresh("new", pages.paused(1))
    documented.deployed.fault("crash", documented.deployed.machine_number(f"{NAME}/0"))

    def joined(shown: str) -> bool:
        return f"{NAME}/3" in shown and f"{NAME}/0" not in shown and pages.paused(1)(shown)

    documented.reader.play("how-to/recover.md", "A machine is lost for good", watch=[joined])
    # The pause stays: the old unit has not been refreshed.
    assert documented.deployed.cluster_status()["members"][0]["snap-revision"] == "366"


def test_to_recover_from_a_majority_that_is_lost_for_good(make: Callable[[str], Documented]) -> None:
    documented = make("minority")
    deployed, reader = documented.deployed, documented.reader
    for unit in deployed.units():
        deployed.lab.readdress(deployed.hostname(unit))
    reader.until(lambda shown: shown.count("see force-majority") >= 3)
    reader.play("how-to/recover.md", "An address has changed", watch=[pages.settled()])
    deployed.fault("crash", *[deployed.machine_number(f"{NAME}/{number}") for number in (1, 2)])
    reader.until(pages.says("No majority: 1 of 3 members reachable"))
    _, told, *_ = reader.play("how-to/recover.md", "The majority is lost for good", watch=[pages.settled()])
    assert "generation" in told
    assert list(deployed.units()) == [f"{NAME}/{number}" for number in (0, 3, 4)]
