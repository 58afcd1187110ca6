"""A world of machines with the real charm on them, for tests that play whole lives of units."""

from __future__ import annotations

import collections.abc
import copy
import logging
import pathlib
import shutil

import charm_._main as charm_library
import pytest
from ops.hookcmds import _utils as ops_library

from tests.fakes import juju, world
from tests.unit import hook_tools

Deployed = collections.abc.Callable[..., juju.Application]


def check(on: juju.Application) -> None:
    """What must hold whatever happened."""
    assert on.world.violations == []
    assert on.secrets_in_log() == []
    for unit in on.units.values():
        for status in unit.statuses:
            # charm-refresh's own texts are its own; none of the charm's may be cut by `juju status`.
            assert len(status.message) <= 120, status.message


@pytest.fixture(autouse=True)
def _quiet() -> collections.abc.Iterator[None]:
    # ops and ops.testing tell at length what they do; pytest would keep it all.
    logging.getLogger("ops-scenario").setLevel(logging.ERROR)
    logging.disable(logging.DEBUG)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def on(tmp_path: pathlib.Path) -> collections.abc.Iterator[juju.Application]:
    """An application without units."""
    made = juju.Application(world.World(tmp_path))
    yield made
    check(made)


@pytest.fixture(scope="session")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[pathlib.Path, juju.Application]]:
    return {}


@pytest.fixture
def deployed(
    _kept: dict[int, tuple[pathlib.Path, juju.Application]], tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[Deployed]:
    """Gives an application with that many settled units. Each size is deployed once, and copied for each test."""
    given: list[juju.Application] = []

    def deploy(count: int = 3) -> juju.Application:
        if count not in _kept:
            directory = tmp_path_factory.mktemp(f"deployed-{count}") / "world"
            made = juju.Application(world.World(directory))
            made.deploy(count)
            made.settle()
            assert made.are_active(), made.summary()
            check(made)
            shutil.copytree(directory, directory.with_name("kept"), symlinks=True)
            _kept[count] = directory, made
        directory, made = _kept[count]
        shutil.rmtree(directory)
        shutil.copytree(directory.with_name("kept"), directory, symlinks=True)
        given.append(copy.deepcopy(made))
        return given[-1]

    yield deploy
    for application in given:
        check(application)


@pytest.fixture
def tools(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> hook_tools.Tools:
    """Hook tools of postgresql-machine/0 that both libraries find."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("JUJU_UNIT_NAME", "postgresql-machine/0")
    for library in (charm_library, ops_library):
        monkeypatch.setattr(library, "subprocess", library.subprocess)
    return hook_tools.Tools(tmp_path)
