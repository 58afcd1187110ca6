"""charm-refresh runs without lightkube and httpx, and asks snapd together with the charm."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys

import charm_refresh
import pytest

import charm_refresh_imports
from workload import snap

SOURCE = pathlib.Path(str(charm_refresh_imports.__file__)).parent


def run(program: str) -> str:
    environment = {"PYTHONPATH": f"{SOURCE}:{SOURCE.parent / 'lib'}"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def test_the_charm_imports_neither_of_them() -> None:
    program = "import sys, charm; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = run(program)
    assert "'charm_refresh'" in loaded
    assert not [name for name in ("lightkube", "httpx", "httpcore") if f"'{name}'" in loaded]


def test_who_wants_the_real_ones_still_gets_them() -> None:
    program = "import charm_refresh_imports, httpx; print(httpx.__file__)"
    found = importlib.util.find_spec("httpx")
    assert found is not None
    assert run(program) == found.origin


def test_it_does_not_matter_who_imported_charm_refresh_first() -> None:
    program = "import charm_refresh, charm_refresh_imports; print(charm_refresh._main.httpx.Client.__module__)"
    assert run(program) == "charm_refresh_imports"


@pytest.mark.parametrize("answer", [None, "416"])
def test_charm_refresh_is_told_what_the_charm_knows(monkeypatch: pytest.MonkeyPatch, answer: str | None) -> None:
    found = None if answer is None else {"name": "charmed-postgresql", "revision": answer}
    monkeypatch.setattr(snap, "_installed", lambda: [{"name": "core24", "revision": "1"}, *([found] if found else [])])
    machines = object.__new__(charm_refresh.Machines)
    machines._workload_snap_name = "charmed-postgresql"
    assert machines._get_installed_snap_revision() == answer


def test_another_use_than_the_known_one_says_where_it_failed() -> None:
    httpx = charm_refresh._main.httpx
    with pytest.raises(RuntimeError, match="not snapd's socket"):
        httpx.Client(transport=httpx.HTTPTransport(uds="/run/other.socket"))
    with pytest.raises(RuntimeError, match="is not asked through here"):
        httpx.Client(transport=httpx.HTTPTransport(uds=snap.SOCKET)).get("http://localhost/v2/find", params={})
