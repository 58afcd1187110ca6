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
"""How long something has to be otherwise than at the last event to be worth one. A member restarts in less."""
NEAR_ZERO_LAG = 1024 * 1024
EVENT = "cluster_changed"


@dataclasses.dataclass(frozen=True)
class View:
    """What is told of the cluster, as far as the charm acts on it."""

    told: frozenset[str] = frozenset()
    """All of it."""
    awaited: frozenset[str] = frozenset()
    """What somebody may wait for, and what concerns this unit itself."""


class Attention:
    """Decides when the unit gets an event. Times are in seconds, of any clock that does not go back."""

    def __init__(self, now: float, seen: View | None = None):
        self.seen = seen
        """What the last event was given for; None: there was none, or it did not go through."""
        self._looked_at = seen
        self._as_seen = self._given = now
        self._news = False

    def look(self, view: View, now: float, retry_seconds: float | None) -> bool:
        """Whether an event is due. Order matters: each look is compared with the one before."""
        if self._looked_at is not None and view.awaited - self._looked_at.awaited:
            self._news = True
        self._looked_at = view
        if view == self.seen:
            self._as_seen = now
        retry = retry_seconds is not None and now - self._given >= retry_seconds
        return self.seen is None or self._news or retry or now - self._as_seen >= LASTING_SECONDS

    def give(self, view: View, now: float) -> None:
        """An event is given for this view."""
        self.seen = self._looked_at = view
        self._as_seen = self._given = now
        self._news = False

    def fail(self) -> None:
        """The event did not go through: another one is due."""
        self.seen = None


def look(endpoints: list[str], name: str) -> View:
    """What the first endpoint that answers tells of the cluster, to the member of that name."""
    for number, endpoint in enumerate(endpoints):
        answer = _get(endpoint, "/cluster")
        if answer is None:
            continue
        # Without a majority of members /cluster stays as it was, whatever becomes of this one.
        own = _get(endpoint, "/patroni") or {}
        members = answer.get("members", [])
        around = {
            f"{number} answers",
            f"primary here: {own.get('role') == 'primary'}",
            f"streams here: {own.get('replication_state') == 'streaming'}",
            f"paused: {bool(answer.get('pause'))}",
            f"members: {sorted(str(member.get('name')) for member in members)}",
            *(str(_condition(member)) for member in members if member.get("name") == name),
        }
        told = around.union(str(_condition(member)) for member in members)
        return View(frozenset(told), frozenset(around.union(*(_well(member, members) for member in members))))
    return View(frozenset({"nobody answers"}), frozenset({"nobody answers"}))


def _condition(member: dict[str, typing.Any]) -> tuple[str | bool, ...]:
    told = (str(member.get(key)) for key in ("name", "role", "state", "timeline"))
    return (*told, bool(member.get("pending_restart")), _has_caught_up(member))


def _well(member: dict[str, typing.Any], members: list[dict[str, typing.Any]]) -> set[str]:
    """How it is well with a member: as the primary, or as a standby that could become it, or a synchronous one."""
    name, role, state = (str(member.get(key)) for key in ("name", "role", "state"))
    if role == "leader":
        return {f"{name} is the primary"} if state == "running" else set()
    if state != "streaming" or not _has_caught_up(member):
        return set()
    follows = any(each.get("role") == "leader" and each.get("timeline") == member.get("timeline") for each in members)
    return {f"{name} streams, {role}", f"{name} follows: {follows}"}


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
    name = unit.replace("/", "-")
    attention = Attention(time.monotonic())
    while True:
        settings = read_settings(file)
        endpoints = settings.get("endpoints") or []
        if attention.look(look(endpoints, name), time.monotonic(), settings.get("retry_seconds")):
            time.sleep(SETTLE_SECONDS)
            attention.give(look(endpoints, name), time.monotonic())
            if dispatch(unit, charm_directory):
                # It has waited for other hooks, and taken a while: what has changed meanwhile has waited long enough.
                continue
            attention.fail()
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
