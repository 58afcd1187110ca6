#!/usr/bin/python3
"""Watches the cluster beside the charm, and gives the unit an event when something has changed.

Juju tells a unit what other units publish, not what its database does: a standby that has caught up, a failover, a
member that has gone. Without this the charm would learn of them at the next update-status, minutes later. It is a
service of its own, uses the standard library only, reads only what Patroni tells everybody, and runs `juju-exec`, which
queues like any hook.

Its settings (JSON) are read again when they change: {"endpoints": [URL...], "retry_seconds": number or null}.
"""

import argparse
import hashlib
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
NEAR_ZERO_LAG = 1024 * 1024
EVENT = "cluster_changed"


def digest(endpoints: list[str]) -> str | None:
    """What the first endpoint that answers tells of the cluster, as far as the charm acts on it.

    None if nobody answers.
    """
    for endpoint in endpoints:
        answer = _get(endpoint, "/cluster")
        if answer is None:
            continue
        # Without a majority of members /cluster stays as it was, whatever becomes of this one.
        own = _get(endpoint, "/patroni") or {}
        condition = [own.get("role") == "primary", own.get("replication_state") == "streaming"]
        members = sorted(
            (
                str(member.get("name")),
                str(member.get("role")),
                str(member.get("state")),
                str(member.get("timeline")),
                bool(member.get("pending_restart")),
                isinstance(member.get("lag"), int) and member["lag"] <= NEAR_ZERO_LAG,
            )
            for member in answer.get("members", [])
        )
        return hashlib.sha256(json.dumps([members, condition, bool(answer.get("pause"))]).encode()).hexdigest()
    return None


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
    seen, dispatched = None, time.monotonic()
    while True:
        settings = read_settings(file)
        now = digest(settings.get("endpoints") or [])
        retry = settings.get("retry_seconds")
        due = retry is not None and time.monotonic() - dispatched >= retry
        if now != seen or due:
            time.sleep(SETTLE_SECONDS)
            now = digest(settings.get("endpoints") or [])
            dispatched = time.monotonic()
            if dispatch(unit, charm_directory):
                seen = now
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
