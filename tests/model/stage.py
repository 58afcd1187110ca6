"""What all simulations of a test process share: the charm, laid out and published, and the fork server that runs it."""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
import tempfile
import weakref

from tests.model import machines, versions


class Stage:
    """A directory with the charm, its versions in a Charmhub, and a fork server."""

    def __init__(self, mutation: str = "") -> None:
        """Set it up. mutation: as of `machines.ForkServer`."""
        # In memory where the host offers that: a life writes thousands of small files.
        memory = pathlib.Path("/dev/shm")
        place = memory if os.access(memory, os.W_OK) else None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="model-", dir=place))
        self._removal = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        charm = self.directory / "charm"
        versions.lay_out(charm)
        versions.publish(charm, self.directory)
        self.fork_server = machines.ForkServer(charm, mutation)

    @property
    def charmhub(self) -> pathlib.Path:
        """The Charmhub with all versions."""
        return self.directory / "charmhub"

    def close(self) -> None:
        """End the fork server and delete everything."""
        self.fork_server.close()
        self._removal()


@functools.lru_cache(1)
def shared() -> Stage:
    """The stage of this process, for the charm as it is."""
    return Stage()
