"""Fixtures of the lab's tests, and how a test gets into the namespaces of a running lab.

A test marked `inside` runs there: outside, its body is not run, but pytest is started again in the lab for this one
test, and what that says is the result.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import typing
from collections.abc import Iterator

import juju_support
import pytest

from lab import commands, namespaces, settings
from lab.image import gold
from lab.juju import __main__ as juju
from lab.machines import nspawn

if typing.TYPE_CHECKING:
    import api_world
    import engine_world

INSIDE = "LAB_TESTS_INSIDE"
MACHINES = "machines"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "machines: needs root on Linux; boots real machines")
    config.addinivalue_line("markers", "inside: runs in the namespaces of the session's lab")
    config.addinivalue_line("markers", "api(*calls): makes these calls of Juju's client API, and fails if it does not")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("machines"):
            if config.pluginmanager.hasplugin("xdist"):
                # One process of several: they share a lab, and the host's processors.
                item.add_marker(pytest.mark.xdist_group(MACHINES))
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not pyfuncitem.get_closest_marker("inside") or INSIDE in os.environ:
        return None
    running = pyfuncitem.funcargs["running_lab"]
    assert isinstance(running, settings.Settings)
    test = pyfuncitem.nodeid.removesuffix(f"@{MACHINES}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    result = subprocess.run(
        namespaces.enter(running, command),
        cwd=pyfuncitem.config.rootpath,
        env=commands.module_environment() | running.environment() | {INSIDE: "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if result.returncode:
        pytest.fail(result.stdout + result.stderr, pytrace=False)
    return True


@pytest.fixture
def lab_settings(short_directory: pathlib.Path) -> settings.Settings:
    """Settings of a lab without a controller, with nothing on disk yet."""
    return settings.Settings(
        name="test", state=short_directory / "test", cache=settings.load().cache, controller_command=()
    )


@pytest.fixture
def short_directory() -> Iterator[pathlib.Path]:
    """A directory whose path leaves room for the names of Unix sockets below it."""
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as directory:
        yield pathlib.Path(directory)


@pytest.fixture(scope="session")
def running_lab() -> Iterator[settings.Settings]:
    """A running lab without a controller. Inside, the one that the test runs in."""
    if INSIDE in os.environ:
        yield settings.load()
        return
    directory = pathlib.Path(tempfile.mkdtemp(prefix="lab-"))
    own = settings.Settings(
        name="session", state=directory / "session", cache=settings.load().cache, controller_command=()
    )
    namespaces.up(own, layers=gold.layers(settings.load()))
    try:
        yield own
    finally:
        namespaces.down(own)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def machines(running_lab: settings.Settings) -> nspawn.Machines:
    """The machines of the session's lab, for tests marked `inside`."""
    return nspawn.Machines(running_lab)


@pytest.fixture
def machine(machines: nspawn.Machines) -> nspawn.NspawnMachine | None:
    """A running machine that tests share: they leave it as they find it, but for a reboot."""
    return _shared(machines, "juju-5ba4ed-0")


@pytest.fixture
def other(machines: nspawn.Machines) -> nspawn.NspawnMachine | None:
    """Another one that tests share."""
    return _shared(machines, "juju-5ba4ed-1")


@pytest.fixture
def own_machine(machines: nspawn.Machines) -> Iterator[nspawn.NspawnMachine | None]:
    """A running machine of the test's own."""
    made = _shared(machines, "juju-0e40ed-0")
    yield made
    if made and made.name in machines.names():
        made.destroy()


def _shared(machines: nspawn.Machines, name: str) -> nspawn.NspawnMachine | None:
    """Return a running machine. Outside of the lab, where no body of a test needs it, there is none."""
    if INSIDE not in os.environ:
        return None
    made = machines.get(name) if name in machines.names() else machines.create(name)
    made.start()
    return made


@pytest.fixture(scope="session")
def _api_lab() -> Iterator[api_world.ApiLab]:
    import api_world

    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as directory:
        made = api_world.ApiLab(pathlib.Path(directory) / "lab")
        made.start()
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def api(_api_lab: api_world.ApiLab) -> Iterator[api_world.ApiLab]:
    """The lab that tests of the API share, as python-libjuju finds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUJU_DATA", str(_api_lab.data))
        patch.delenv("JUJU_MODEL", raising=False)
        yield _api_lab


@pytest.fixture(autouse=True)
def _calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Holds tests to the calls of the API that they say they make."""
    claimed = {call for marker in request.node.iter_markers("api") for call in marker.args}
    if not claimed:
        yield
        return
    import api_world

    made = api_world.record(monkeypatch)
    yield
    assert claimed <= made, f"calls that were not made: {claimed - made}"


@pytest.fixture
def world(tmp_path: pathlib.Path) -> Iterator[engine_world.World]:
    """A controller that the test drives itself."""
    import engine_world

    made = engine_world.World(tmp_path)
    yield made
    made.engine.close()
    made.store.close()


@pytest.fixture
def canned(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[juju_support.CannedController]:
    """A controller of canned answers, and the model `prod` for the `juju` command."""
    controller = juju_support.CannedController(tmp_path)
    monkeypatch.setenv("JUJU_DATA", str(tmp_path / "juju"))
    monkeypatch.setenv("JUJU_MODEL", "prod")
    monkeypatch.chdir(tmp_path)
    yield controller
    controller.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> juju_support.Run:
    """Runs the `juju` command in this process."""

    def runner(line: str) -> juju_support.Result:
        status = juju.main(shlex.split(line))
        captured = capsys.readouterr()
        return juju_support.Result(status, captured.out, captured.err)

    return runner
