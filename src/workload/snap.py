"""The workload's snap: its revision, its hold, its service.

Over charms.operator_libs_linux, with its traps kept in here.
"""

import dataclasses
import functools
import logging
import pathlib
import subprocess
import threading
import time
import typing

from charms.operator_libs_linux.v2 import snap as snap_library

from workload import paths, snapd_memory, snapd_requests
from workload.snapd_requests import SnapdUnreachableError, SnapOperationError

logger = logging.getLogger(__name__)

SOCKET = snapd_requests.SOCKET
CHANGE_SECONDS = 60.0
"""How long a hook waits for what snapd has begun with the workload's snap; then snapd is as good as silent to it."""
CHANGE_INTERVAL_SECONDS = 0.2
SYSTEMCTL = "/usr/bin/systemctl"
SERVICE_TIMEOUT_SECONDS = 120
FAR_YEAR = 2100
ACTIVE = "active"
"""The status of an installed snap that is not disabled (snapd's package client, StatusActive)."""


def _await_changes() -> None:
    """Let snapd end what it has begun with the workload's snap.

    After a hook that was cut off, or a machine that was, snapd goes on with its change or takes it back. In the midst
    of it the snap has no current revision, its files are not there, and whatever else is asked of snapd is refused.
    Raises SnapdUnreachableError.
    """
    end = time.monotonic() + CHANGE_SECONDS
    while changes := _changes():
        if time.monotonic() > end:
            raise SnapdUnreachableError(f"snapd has not ended: {', '.join(changes)}")
        time.sleep(CHANGE_INTERVAL_SECONDS)


def _changes() -> list[str]:
    """Summaries of the changes of the workload's snap that are in progress."""
    query = {"select": "in-progress", "for": paths.SNAP}
    answer = snapd_requests.request("GET", "/v2/changes", query=query, address=SOCKET)
    return [each["summary"] for each in answer["result"] or []]


def _ask() -> list[dict[str, typing.Any]]:
    try:
        _await_changes()
        ask = snap_library.SnapClient().get_installed_snaps
        return ask() if _memory is None else snapd_memory.installed(_memory, ask, SOCKET)
    except SnapdUnreachableError:
        raise
    except (SnapOperationError, snap_library.SnapAPIError, OSError) as error:
        raise SnapdUnreachableError(f"snapd does not answer: {_message(error)}") from error


class _Asked(threading.Thread):
    """Asks snapd beside everything else, once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._answer: list[dict[str, typing.Any]] | SnapdUnreachableError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._answer = _ask()
        except SnapdUnreachableError as error:
            self._answer = error

    def wait(self) -> list[dict[str, typing.Any]]:
        """The answer. Raises SnapdUnreachableError."""
        self.join()
        if isinstance(self._answer, SnapdUnreachableError):
            raise self._answer
        return _ask() if self._answer is None else self._answer


_asked: _Asked | None = None
_memory: pathlib.Path | None = None


def ask_ahead(charm_directory: pathlib.Path) -> None:
    """Ask snapd for the installed snaps while the charm goes on; who asks first takes the answer. Once a process.

    What it tells is kept in the charm directory.
    """
    global _asked, _memory
    _memory = charm_directory / snapd_memory.FILE
    _asked = _Asked()


@functools.cache
def _installed() -> list[dict[str, typing.Any]]:
    global _asked
    asked, _asked = _asked, None
    return _ask() if asked is None else asked.wait()


def installed(name: str) -> dict[str, typing.Any] | None:
    """What snapd tells of an installed snap (its GET /v2/snaps); None where it is not installed.

    snapd takes long over its answer: so it is asked once a hook at most, beside the imports, only if it has done
    something since it was last asked, and again after each change through this module. Raises SnapdUnreachableError.
    """
    return next((each for each in _installed() if each["name"] == name), None)


def forget() -> None:
    """Ask snapd anew from here on."""
    global _asked
    _asked = None
    _installed.cache_clear()
    if _memory is not None:
        _memory.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class SnapState:
    """What snapd tells of the workload's snap."""

    revision: str | None
    """None: not installed."""
    held: bool = False
    enabled: bool = True
    """A snap that is disabled is there, but nothing of it: no program, no service, no current revision."""


class Snap:
    """The workload's snap on this machine."""

    def __init__(self, name: str = paths.SNAP):
        self._name = name

    def state(self) -> SnapState:
        """The installed revision, whether it is held and enabled. Raises SnapdUnreachableError."""
        found = installed(self._name)
        if found is None:
            return SnapState(None)
        return SnapState(str(found["revision"]), _is_held(found.get("hold")), found["status"] == ACTIVE)

    def all_installed(self) -> list[dict[str, typing.Any]]:
        """What snapd tells of all snaps of the machine, as `state` has asked it. Raises SnapdUnreachableError."""
        return _installed()

    def install(self, revision: str) -> None:
        """Install the snap at that revision. Raises SnapOperationError."""
        self._ensure(revision)

    def refresh(self, revision: str) -> None:
        """Refresh the snap to that revision. snapd then starts Patroni, which is stopped but not disabled, by itself.

        Raises SnapOperationError.
        """
        self._ensure(revision)

    def hold(self) -> None:
        """Keep snapd from refreshing the snap, for ever: only the charm refreshes it. Raises SnapOperationError."""
        try:
            self._snap().hold()
        except snap_library.SnapError as error:
            raise SnapOperationError(_message(error)) from error

    def start(self) -> None:
        """Start Patroni, and at each boot from now on. Raises SnapOperationError."""
        try:
            self._snap().start([paths.PATRONI_SERVICE], enable=True)
        except snap_library.SnapError as error:
            raise SnapOperationError(_message(error)) from error

    def stop(self, disable: bool = False) -> None:
        """Stop Patroni, which stops its PostgreSQL cleanly first. Raises SnapOperationError."""
        try:
            self._snap().stop([paths.PATRONI_SERVICE], disable=disable)
        except snap_library.SnapError as error:
            raise SnapOperationError(_message(error)) from error

    def is_running(self) -> bool:
        """Whether Patroni's service runs."""
        unit = f"snap.{self._name}.{paths.PATRONI_SERVICE}.service"
        result = subprocess.run(
            [SYSTEMCTL, "is-active", "--quiet", unit], timeout=SERVICE_TIMEOUT_SECONDS, check=False, capture_output=True
        )
        return result.returncode == 0

    def _snap(self) -> snap_library.Snap:
        # A fresh cache each time: after a change the old object still tells the old revision.
        forget()
        try:
            return snap_library.SnapCache()[self._name]
        except (snap_library.SnapError, snap_library.SnapNotFoundError) as error:
            # Not found: also where the store could not be asked.
            raise SnapOperationError(_message(error)) from error
        except (snap_library.SnapAPIError, OSError) as error:
            raise SnapdUnreachableError(f"snapd does not answer: {_message(error)}") from error

    def _ensure(self, revision: str) -> None:
        try:
            self._snap().ensure(snap_library.SnapState.Latest, revision=revision)
        except snap_library.SnapError as error:
            raise SnapOperationError(_message(error)) from error


def _is_held(until: str | None) -> bool:
    """Whether it is held for good; a hold that ends is none. snapd writes a far year where it was set for ever."""
    return until is not None and int(until[:4]) >= FAR_YEAR


def _message(error: Exception) -> str:
    """What snapd itself said, on one line.

    The library puts its command line before them, and lines of the journal after them.
    """
    cause = error.__cause__
    if isinstance(cause, subprocess.CalledProcessError) and cause.stderr:
        return " ".join(str(cause.stderr).split())
    for each in (cause, error):
        if isinstance(each, snap_library.SnapAPIError):
            return str(each.body.get("message") or each)
    return str(error).strip()
