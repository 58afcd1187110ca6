"""A lab with three units that go through the cells one after the other.

`FAULTS_LAB` names a lab to use and to leave up afterwards; without it there is one of its own. `CELLS` chooses cells by
patterns of their names, `FAULTS_ALONE=1` plays each in a life of its own, `FAULTS_KEEP=0` leaves the page as it is.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterator

import application
import cells
import itineraries
import jubilant
import lab_world
import pytest
import scene

from rehearsal import charms, cli, load


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents and "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.machines)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "itinerary" in metafunc.fixturenames:
        chosen = cells.chosen(os.environ.get("CELLS") or "*")
        alone = bool(os.environ.get("FAULTS_ALONE"))
        lives = itineraries.singly(chosen) if alone else itineraries.plan(chosen)
        marked = [pytest.param(each, id=each.name, marks=[pytest.mark.quick] if each.quick else []) for each in lives]
        metafunc.parametrize("itinerary", marked)


@pytest.fixture(scope="session")
def lab() -> Iterator[lab_world.Lab]:
    """A lab that runs."""
    kept = os.environ.get("FAULTS_LAB")
    os.environ["LAB_NAME"] = kept or f"faults-{os.getpid()}"
    cli.use_lab_commands()
    running = lab_world.Lab()
    try:
        running.up()
        yield running
    finally:
        if not kept:
            running.down()


@pytest.fixture(scope="session")
def packed(lab: lab_world.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The charm of this tree, packed by charmcraft."""
    present = charms.pinned(load.TREE)
    first = charms.Version(charms.EARLIER.charm, present.workload, charms.EARLIER.revisions)
    return charms.pack(load.TREE, first, tmp_path_factory.mktemp("charm"))


class Stage:
    """Has a scene; after a failure another one."""

    def __init__(self, lab: lab_world.Lab, packed: pathlib.Path, directory: pathlib.Path) -> None:
        self._lab = lab
        self._packed = packed
        self._directory = directory
        self._scene: scene.Scene | None = None

    def scene(self) -> scene.Scene:
        """Return the scene; make it where there is none."""
        if self._scene is None:
            juju = jubilant.Juju(model=f"faults-{time.time_ns() // 10**6 % 10**8}")
            assert juju.model
            juju.add_model(juju.model)
            applied = application.Application(juju, self._lab, self._packed)
            made = scene.Scene(applied, self._packed, self._directory / juju.model)
            made.__enter__()
            self._scene = made
        return self._scene

    def discard(self) -> None:
        """Let the next one have another."""
        if self._scene is None:
            return
        ended, self._scene = self._scene, None
        error = AssertionError("discarded")
        ended.__exit__(AssertionError, error, None)
        self._lab.store_faults()
        juju = ended.application.juju
        assert juju.model
        juju.destroy_model(juju.model, destroy_storage=True, force=True, no_wait=True)


@pytest.fixture(scope="session")
def stage(lab: lab_world.Lab, packed: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(lab, packed, tmp_path_factory.mktemp("faults"))
    yield made
    made.discard()
