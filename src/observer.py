#!/usr/bin/python3
"""Watches the cluster beside the charm, and gives the unit an event when something has changed.

Juju tells a unit what other units publish, not what its database does: a standby that has caught up, a failover, a
member that has gone. Without this the charm would learn of them at the next update-status, minutes later. It is a
service of its own, uses the standard library only, reads only what Patroni tells everybody, and runs `juju-exec`, which
queues like any hook.

What somebody may wait for is an event at once: a member that streams again, a new primary, whatever becomes of this
unit. What has only got worse elsewhere is one if it lasts: a member that restarts, as each does in a refresh, would
else be several events of each unit, and Patroni acts on it, not the charm.

Its settings (JSON) are read again when they change: {"endpoints": [URL...], "retry_seconds": number or null}.
"""

import argparse
import dataclasses
import http.client
import json
import pathlib
import shutil
import subprocess
import sys
import time
import typing
import urllib.parse

POLL_SECONDS = 0.5
TIMEOUT_SECONDS = 2.0
DISPATCH_TIMEOUT_SECONDS = 600.0
# A burst of changes, as in a switchover, is one event.
SETTLE_SECONDS = 0.25
LASTING_SECONDS = 10.0
"""How long something has to be otherwise than at the last event to be worth one. Most restarts take less."""
AGAIN_SECONDS = (1.0, 2.0, 4.0, 10.0)
"""How long to wait after an event that did not go through, after the second in a row, and so on."""
NEAR_ZERO_LAG = 1024 * 1024
EVENT = "cluster_changed"


@dataclasses.dataclass(frozen=True)
class View:
    """What is told of the cluster, as far as the charm acts on it."""

    told: frozenset[str]
    """All of it."""
    awaited: frozenset[str]
    """What somebody may wait for, and what concerns this unit itself or all members."""


class Attention:
    """Decides when the unit gets an event. Times are in seconds, of any clock that does not go back."""

    def __init__(self, now: float, seen: View | None = None):
        self.seen = seen
        """What the last event was given for; None: there was none, or it did not go through."""
        self._before = seen
        self._as_seen = self._given = now
        self._news = False
        self._failures = 0

    def is_due(self, view: View, now: float, retry_seconds: float | None) -> bool:
        """Whether an event is due, now that this is seen. Each view is compared with the one before, too."""
        if self._before is not None and view.awaited - self._before.awaited:
            self._news = True
        self._before = view
        if view == self.seen:
            self._as_seen = now
        if self._failures:
            return now - self._given >= AGAIN_SECONDS[min(self._failures, len(AGAIN_SECONDS)) - 1]
        retry = retry_seconds is not None and now - self._given >= retry_seconds
        return self.seen is None or self._news or retry or now - self._as_seen >= LASTING_SECONDS

    def give(self, view: View, now: float) -> None:
        """An event is about to be given for this view."""
        self.seen = self._before = view
        self._as_seen = self._given = now
        self._news = False

    def given(self, succeeded: bool, now: float) -> None:
        """Whether that event has gone through. If not, it is due again, after a while."""
        self._failures = 0 if succeeded else self._failures + 1
        if not succeeded:
            self.seen, self._given = None, now


def ask(endpoints: list[str], name: str) -> View:
    """What the first endpoint that answers tells of the cluster, to the member of that name, whose own is the first."""
    for number, endpoint in enumerate(endpoints):
        answer = _get(endpoint, "/cluster")
        if answer is None:
            continue
        # Without a majority of members /cluster stays as it was, whatever becomes of the one that is asked.
        condition = _get(endpoint, "/patroni") or {}
        members = answer.get("members", [])
        concerning = {
            f"its own answers: {number == 0}",
            f"a primary is asked: {condition.get('role') == 'primary'}",
            f"a standby that streams is asked: {condition.get('replication_state') == 'streaming'}",
            f"paused: {bool(answer.get('pause'))}",
            f"members: {sorted(str(member.get('name')) for member in members)}",
            *(_all_of(member) for member in members if member.get("name") == name),
        }
        told = concerning.union(_all_of(member) for member in members)
        return View(frozenset(told), frozenset(concerning.union(*(_good(member, members) for member in members))))
    return View(frozenset({"nobody answers"}), frozenset({"nobody answers"}))


def _all_of(member: dict[str, typing.Any]) -> str:
    told = [str(member.get(key)) for key in ("name", "role", "state", "timeline")]
    return str((*told, bool(member.get("pending_restart")), _has_caught_up(member)))


def _good(member: dict[str, typing.Any], members: list[dict[str, typing.Any]]) -> set[str]:
    """How it is well with a member."""
    name, role, state = (str(member.get(key)) for key in ("name", "role", "state"))
    if role == "leader":
        return {f"{name} is the primary"} if state == "running" else set()
    if state != "streaming":
        return set()
    follows = any(each.get("role") == "leader" and each.get("timeline") == member.get("timeline") for each in members)
    good = {
        "streams": True,
        "follows": follows,
        "is near": _has_caught_up(member),
        # One that becomes a plain standby is about to stop, mostly.
        f"is {role}": role != "replica",
    }
    return {f"{name} {what}" for what, is_so in good.items() if is_so}


def _has_caught_up(member: dict[str, typing.Any]) -> bool:
    return isinstance(member.get("lag"), int) and member["lag"] <= NEAR_ZERO_LAG


def _get(endpoint: str, path: str) -> dict[str, typing.Any] | None:
    url = urllib.parse.urlsplit(endpoint)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return json.loads(response.read()) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def dispatch(unit: str, charm_directory: pathlib.Path) -> bool:
    """Give the unit an event; whether it went through."""
    juju_exec = shutil.which("juju-exec", path="/usr/bin:/usr/local/bin:/snap/bin:/usr/sbin")
    if juju_exec is None:
        print("juju-exec is not installed", file=sys.stderr, flush=True)
        return False
    hook = f"cd {charm_directory} && JUJU_HOOK_NAME={EVENT} JUJU_DISPATCH_PATH=hooks/{EVENT} ./dispatch"
    try:
        subprocess.run([juju_exec, "-u", unit, hook], check=True, timeout=DISPATCH_TIMEOUT_SECONDS, capture_output=True)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"the event did not go through: {type(error).__name__}", file=sys.stderr, flush=True)
        return False
    return True


def read_settings(file: pathlib.Path) -> dict[str, typing.Any]:
    """The settings; none of them if the file is absent or not whole."""
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return {}


def watch(unit: str, charm_directory: pathlib.Path, file: pathlib.Path) -> typing.NoReturn:
    """Watch for ever."""
    # As everywhere (docs/reference/formats.md); this program imports nothing of the charm.
    name = unit.replace("/", "-")
    attention = Attention(time.monotonic())
    while True:
        settings = read_settings(file)
        endpoints = settings.get("endpoints") or []
        if attention.is_due(ask(endpoints, name), time.monotonic(), settings.get("retry_seconds")):
            time.sleep(SETTLE_SECONDS)
            attention.give(ask(endpoints, name), time.monotonic())
            succeeded = dispatch(unit, charm_directory)
            attention.given(succeeded, time.monotonic())
            if succeeded:
                # It has waited for other hooks, and taken a while: what has changed meanwhile has waited long enough.
                continue
        time.sleep(POLL_SECONDS)


def main() -> None:
    """Entry point of the service."""
    parser = argparse.ArgumentParser(description="Watches the cluster and gives the unit events.")
    parser.add_argument("--unit", required=True)
    parser.add_argument("--charm-directory", required=True, type=pathlib.Path)
    parser.add_argument("--settings", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    watch(arguments.unit, arguments.charm_directory, arguments.settings)


if __name__ == "__main__":
    main()
