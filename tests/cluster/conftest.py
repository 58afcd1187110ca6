"""Real machines with the real charm, as its operators have them.

`CLUSTER_LAB` names a lab to use and to leave up afterwards; without it the tests have one of their own.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import time
from collections.abc import Callable, Iterator

import application
import jubilant
import lab_world
import pytest
import writing

from rehearsal import charms, cli, load

_FAILED = pytest.StashKey[bool]()
_MEASURED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MEASURED] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.machines)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if report.failed:
        item.stash[_FAILED] = True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    measured = terminalreporter.config.stash[_MEASURED]
    if measured:
        terminalreporter.section("measured")
        for line in measured:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def lab() -> Iterator[lab_world.Lab]:
    """A lab that runs."""
    kept = os.environ.get("CLUSTER_LAB")
    os.environ["LAB_NAME"] = kept or f"cluster-{os.getpid()}"
    cli.use_lab_commands()
    running = lab_world.Lab()
    try:
        running.up()
        yield running
    finally:
        if not kept:
            running.down()


@pytest.fixture(scope="session")
def charm(lab: lab_world.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The charm of this tree, packed by charmcraft."""
    return charms.pack(load.TREE, charms.pinned(load.TREE), tmp_path_factory.mktemp("charm"))


class Models:
    """Makes models and ends them."""

    def __init__(self, lab: lab_world.Lab, charm: pathlib.Path) -> None:
        self._lab = lab
        self._charm = charm
        self._numbers = itertools.count(1)
        self._made: list[jubilant.Juju] = []

    def add(self, name: str) -> application.Application:
        """Make a model; return the application that can be deployed in it."""
        juju = jubilant.Juju(model=f"{name}-{time.time_ns() // 10**6 % 10**8}-{next(self._numbers)}")
        assert juju.model
        juju.add_model(juju.model)
        self._made.append(juju)
        return application.Application(juju, self._lab, self._charm)

    def end(self, juju: jubilant.Juju) -> None:
        """End a model with all in it, storage too."""
        assert juju.model
        self._made.remove(juju)
        juju.destroy_model(juju.model, destroy_storage=True, force=True, no_wait=True)

    def end_all(self) -> None:
        """End what has been made."""
        for juju in list(self._made):
            self.end(juju)


@pytest.fixture(scope="session")
def models(lab: lab_world.Lab, charm: pathlib.Path) -> Iterator[Models]:
    made = Models(lab, charm)
    yield made
    made.end_all()


@pytest.fixture
def empty(models: Models, lab: lab_world.Lab) -> Iterator[application.Application]:
    """A model of the test's own, in which nothing is deployed yet."""
    made = models.add("own")
    yield made
    lab.store_faults()
    models.end(made.juju)


class Shared:
    """Three units that tests share: each leaves three healthy ones, or they are made anew."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._application: application.Application | None = None

    def three(self) -> application.Application:
        """Return the application with its three healthy units."""
        if self._application is None:
            self._application = self._models.add("shared")
            self._application.create(3)
        try:
            self._application.settle(3)
        except AssertionError:
            self.discard()
            raise
        return self._application

    def discard(self) -> None:
        """Let the next test have others."""
        if self._application is not None:
            self._models.end(self._application.juju)
            self._application = None


@pytest.fixture(scope="session")
def shared(models: Models) -> Shared:
    return Shared(models)


@pytest.fixture
def three(shared: Shared, request: pytest.FixtureRequest) -> Iterator[application.Application]:
    """Three healthy units."""
    yield shared.three()
    if request.node.stash.get(_FAILED, False):
        shared.discard()


Write = Callable[[application.Application], writing.Writing]


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Write:
    """Makes a client of an application: see `writing.Writing`."""
    numbers = itertools.count(1)
    return lambda applied: writing.Writing(applied, tmp_path / f"client-{next(numbers)}")


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Keeps a figure, in seconds, for the report in the end."""
    measured = request.config.stash[_MEASURED]
    return lambda what, seconds: measured.append(f"{seconds:8.3f} s  {what}")
