"""What the charm finds on its machine: files are real, the clock, systemd and users are the world's."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import pathlib
import types
from unittest import mock

import charm_._main as charm_library

import charm
import draining
import graceful_stop
import hook_tool_cache
import leaving
import refresh
import refresh_situation
import switchover
from snap_refresh import observation as snap_observation
from tests.fakes import workload, world
from workload import files, service, watch


class _Time(types.SimpleNamespace):
    """The world's clock, in place of the module `time`."""

    def __init__(self, on: world.World):
        super().__init__(sleep=on.advance, monotonic=lambda: on.now, time=lambda: on.now)


class _Systemd(types.SimpleNamespace):
    """A fake machine's systemd, in place of the library."""

    def __init__(self, machine: world.Machine):
        wanted = machine.root / "etc/systemd/system/multi-user.target.wants"

        def enable(service: str) -> None:
            wanted.mkdir(parents=True, exist_ok=True)
            (wanted / service).unlink(missing_ok=True)
            (wanted / service).symlink_to(f"../{service}")

        def disable(*arguments: str) -> None:
            (wanted / arguments[-1]).unlink(missing_ok=True)
            machine.services[arguments[-1]] = "disabled"

        def restart(service: str) -> None:
            machine.services[service] = "running"

        super().__init__(
            daemon_reload=lambda: None, service_enable=enable, service_restart=restart, service_disable=disable
        )


@contextlib.contextmanager
def at_home(machine: world.Machine, directory: pathlib.Path) -> collections.abc.Iterator[None]:
    """In the charm directory, on the machine."""
    owner = files.Owner(os.getuid(), os.getgid())
    time = _Time(machine.world)
    free = files.free_bytes

    def free_bytes(path: pathlib.Path) -> int | None:
        return machine.free_for_snap if path == machine.root / "var/lib/snapd/snaps" else free(path)

    home = pathlib.Path.cwd()
    remembered = mock.patch.object(charm_library, "subprocess", charm_library.subprocess)
    os.chdir(directory)
    try:
        with (
            remembered,
            mock.patch.object(charm.machine, "Workload", lambda: workload.Workload(machine)),
            mock.patch.object(files.Owner, "named", staticmethod(lambda _: owner)),
            mock.patch.object(files, "free_bytes", free_bytes),
            mock.patch.object(files, "ROOT", owner),
            mock.patch.object(watch, "systemd", _Systemd(machine)),
            mock.patch.object(service, "systemd", _Systemd(machine)),
            mock.patch.object(charm, "time", time),
            mock.patch.object(draining, "time", time),
            mock.patch.object(graceful_stop, "time", time),
            mock.patch.object(leaving, "time", time),
            mock.patch.object(refresh, "time", time),
            mock.patch.object(refresh_situation, "time", time),
            mock.patch.object(switchover, "time", time),
            mock.patch.object(snap_observation, "time", time),
            mock.patch("platform.machine", lambda: machine.architecture),
            # Nothing here has to survive a power failure.
            mock.patch.object(os, "fsync", lambda _: None),
            # Hooks of units that the relation does not show (any more) are no mistake here.
            mock.patch.dict(os.environ, {"SCENARIO_SKIP_CONSISTENCY_CHECKS": "1"}),
        ):
            # Each hook is a process, in which answers are remembered.
            hook_tool_cache.install()
            yield
    finally:
        os.chdir(home)
