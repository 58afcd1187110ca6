"""pytest-operator itself runs a suite against the lab, as it would against any controller."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import api_world
import pytest

_SUITE = """
    import asyncio
    import json
    import os
    import pathlib

    import pytest
    from pytest_operator.plugin import OpsTest

    CHARM = os.environ["SUITE_CHARM"]


    @pytest.mark.abort_on_fail
    async def test_deploy(ops_test: OpsTest) -> None:
        model = ops_test.model
        assert ops_test.model_full_name == f"lab:{ops_test.model_name}"
        await model.deploy(CHARM, num_units=2)
        await model.wait_for_idle(apps=["tiny"], status="active", idle_period=0.5, timeout=60)
        status, out, err = await ops_test.juju("status", "--format", "json")
        assert status == 0, err
        assert sorted(json.loads(out)["applications"]["tiny"]["units"]) == ["tiny/0", "tiny/1"]


    async def test_both_clients(ops_test: OpsTest) -> None:
        unit = ops_test.model.units["tiny/0"]
        async with ops_test.fast_forward("10s"):
            _, out, _ = await ops_test.juju("model-config", "update-status-hook-interval")
            assert out == "10s\\n"
            task = await (await unit.run_action("echo", what="hello")).wait()
            assert task.results["said"] == "hello"
        status, out, _ = await ops_test.juju("ssh", "tiny/0", "echo", "here")
        assert (status, out) == (0, "here\\n")
        await ops_test.juju("config", "tiny", "greeting=there")
        await ops_test.model.block_until(lambda: unit.workload_status_message == "greeting there", timeout=30)


    async def test_another_model(ops_test: OpsTest) -> None:
        await ops_test.track_model("second", model_name="second-of-suite")
        with ops_test.model_context("second") as model:
            assert not model.applications
        await ops_test.forget_model("second", timeout=30)
        assert "second-of-suite" not in await ops_test._controller.list_models()


    async def test_build(ops_test: OpsTest, tmp_path: pathlib.Path) -> None:
        (tmp_path / "metadata.yaml").write_text("name: packed")
        (tmp_path / "charmcraft.yaml").write_text("type: charm")
        built = await ops_test.build_charm(tmp_path)
        assert built.name == "packed_all.charm"


    @pytest.mark.skipif("BREAK" not in os.environ, reason="shows that the suite can fail")
    async def test_failure(ops_test: OpsTest) -> None:
        await ops_test.model.wait_for_idle(apps=["tiny"], status="blocked", timeout=1)
"""

_CHARMCRAFT = """\
#!/bin/sh
[ "$1" = pack ] || exit 2
echo x >packed_all.charm
"""


@pytest.fixture
def suite(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "suite"
    directory.mkdir()
    (directory / "test_suite.py").write_text(textwrap.dedent(_SUITE))
    charmcraft = tmp_path / "bin" / "charmcraft"
    charmcraft.parent.mkdir()
    charmcraft.write_text(_CHARMCRAFT)
    charmcraft.chmod(0o755)
    return directory


def run(api: api_world.ApiLab, suite: pathlib.Path, **variables: str) -> subprocess.CompletedProcess[str]:
    charm = api_world.charm(suite.parent)
    path = f"{suite.parent / 'bin'}:{api_world.ROOT / 'lab/bin'}:{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "JUJU_"))}
    environment |= {"JUJU_DATA": str(api.data), "PATH": path, "SUITE_CHARM": str(charm), **variables}
    options = ["--asyncio-mode", "auto", "--destructive-mode", "--crash-dump", "never", "-p", "no:cacheprovider"]
    # Neither parses sources at the end: see `api_world.ApiLab` on Python 3.11 and python-libjuju's futures.
    options += ["--tb", "native", "-p", "no:hypothesispytest"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "--rootdir", str(suite), *options, str(suite)],
        cwd=suite,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_suite_passes_and_cleans_up(api: api_world.ApiLab, suite: pathlib.Path) -> None:
    before = {model["short-name"] for model in api.rpc("models")}
    done = run(api, suite)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed, 1 skipped" in done.stdout
    api.run(_gone(api, before))


async def _gone(api: api_world.ApiLab, wanted: set[str]) -> None:
    import asyncio

    while {model["short-name"] for model in api.rpc("models")} - wanted:
        await asyncio.sleep(0.1)


def test_a_suite_fails_where_it_should(api: api_world.ApiLab, suite: pathlib.Path) -> None:
    done = run(api, suite, BREAK="yes")
    assert done.returncode == 1
    assert "1 failed, 4 passed" in done.stdout
    assert "Timed out waiting for model" in done.stdout
