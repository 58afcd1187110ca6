"""What all simulations of a test process share: the charm, laid out and published, and the fork server that runs it."""

from __future__ import annotations

import collections.abc
import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
import weakref

from tests.model import machines, versions

PREFIX = "charm-model-"


class Stage:
    """A directory with the charm, its versions in a Charmhub, and a fork server."""

    def __init__(self) -> None:
        """Set it up."""
        # In memory where the host offers that: a life writes thousands of small files.
        memory = pathlib.Path("/dev/shm")
        place = memory if os.access(memory, os.W_OK) else None
        _clear_away(place or pathlib.Path(tempfile.gettempdir()))
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
        self._removal = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        charms = self.directory / "charm"
        versions.lay_out(charms)
        versions.publish(charms, self.directory)
        self.fork_server = machines.ForkServer(charms)

    @contextlib.contextmanager
    def broken(self, mutation: str) -> collections.abc.Iterator[None]:
        """With another fork server, whose charm is broken. mutation: as of `machines.ForkServer`."""
        whole = self.fork_server
        self.fork_server = machines.ForkServer(self.directory / "charm", mutation)
        try:
            yield
        finally:
            self.fork_server.close()
            self.fork_server = whole

    @property
    def charmhub(self) -> pathlib.Path:
        """The Charmhub with all versions."""
        return self.directory / "charmhub"

    def close(self) -> None:
        """End the fork server and delete everything."""
        self.fork_server.close()
        self._removal()


def _clear_away(place: pathlib.Path) -> None:
    """Delete what processes have left behind that were killed."""
    for found in place.glob(f"{PREFIX}*-*"):
        owner = found.name.removeprefix(PREFIX).partition("-")[0]
        if not pathlib.Path(f"/proc/{owner}").exists():
            shutil.rmtree(found, ignore_errors=True)


@functools.lru_cache(1)
def shared() -> Stage:
    """The stage of this process, for the charm as it is."""
    return Stage()
