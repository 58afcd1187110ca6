"""What the integration tests share. They run against any controller that the `juju` command is set up for.

`CHARM_PATH` names a packed charm; without it charmcraft packs this tree, once.
"""

from __future__ import annotations

import inspect
import os
import pathlib
from collections.abc import AsyncIterator

import charm_versions
import database
import pytest
from pytest_operator import plugin

TREE = pathlib.Path(__file__).parents[2]
UNITS = 3
LATER = "16/1.1.0"
"""The version of the charm under which what it pins is refreshed to."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.pluginmanager.hasplugin("pytest-operator"):
        return
    for item in items:
        if pathlib.Path(__file__).parent in item.path.parents and inspect.iscoroutinefunction(
            getattr(item, "function", None)
        ):
            item.add_marker(pytest.mark.skip(reason="needs a controller and pytest-operator: make integration"))


@pytest.fixture(scope="session")
def built() -> dict[str, pathlib.Path]:
    """What has been packed in this session."""
    return {}


@pytest.fixture(scope="module")
async def packed(ops_test: plugin.OpsTest, built: dict[str, pathlib.Path]) -> pathlib.Path:
    """The charm as charmcraft packs it."""
    if "charm" not in built:
        given = os.environ.get("CHARM_PATH")
        built["charm"] = pathlib.Path(given).resolve() if given else await ops_test.build_charm(TREE)
    return built["charm"]


@pytest.fixture(scope="module")
def earlier(packed: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The charm with the workload that came before, as version 16/1.0.0."""
    return charm_versions.write(packed, charm_versions.EARLIER, tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="module")
def later_version(packed: pathlib.Path) -> charm_versions.Version:
    """What the charm pins."""
    return charm_versions.pinned(packed, LATER)


@pytest.fixture(scope="module")
def later(
    packed: pathlib.Path, later_version: charm_versions.Version, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The charm with the workload that it pins, as version 16/1.1.0."""
    return charm_versions.write(packed, later_version, tmp_path_factory.mktemp("later"))


@pytest.fixture(scope="module")
async def application(ops_test: plugin.OpsTest) -> AsyncIterator[database.Database]:
    """The application's model, in which nothing is deployed yet."""
    made = database.Database(ops_test)
    yield made
    # pytest-operator takes units out of their cluster one after the other, which nobody needs any more.
    await made.command("remove-application", database.APPLICATION, "--force", "--no-wait", "--no-prompt")


@pytest.fixture
async def cluster(deployed: database.Database) -> database.Database:
    """What the module has deployed, found well: each test leaves them so."""
    await deployed.settle(UNITS, database.SETTLED)
    return deployed
