"""Requests to snapd that the snap library does not offer: updates, connections, holds with a time, refreshes.

What each does is in snapd's documentation, "snapd REST API". None of them waits: a change goes on by itself.
"""

import collections.abc
import datetime
import typing

from workload import snap, snapd_requests

STORE_TIMEOUT_SECONDS = 120.0
"""snapd itself asks a store that does not answer several times, and then says so."""

MARK_MICROSECOND = 500_000
"""Where in its second a hold of the charm's ends: those of `snap refresh --hold` end where one begins.

snapd counts from its own now, so a little is added (holdRefreshes of its package snapstate).
"""
_DRIFT_MICROSECONDS = 300_000


def is_marked(until: datetime.datetime) -> bool:
    """Whether a hold that ends then is one of the charm's."""
    return abs(until.microsecond - MARK_MICROSECOND) <= _DRIFT_MICROSECONDS


class Snapd:
    """snapd on this machine. Everything raises SnapOperationError with snapd's own words where it does not succeed."""

    def __init__(self, path: str = snapd_requests.SOCKET):
        self._path = path

    def updates(self) -> list[dict[str, typing.Any]]:
        """Updates that the store has for the installed snaps, held or not: name, revision, version, channel."""
        return self._request("GET", "/v2/find", query={"select": "refresh"})["result"]

    def connections(self, name: str) -> list[tuple[str, str, str]]:
        """Connections of a snap: interface, name of the snap with the plug, name of the snap with the slot."""
        answer = self._request("GET", "/v2/connections", query={"snap": name})["result"]
        found = answer.get("established") or []
        return [(each["interface"], each["plug"]["snap"], each["slot"]["snap"]) for each in found]

    def changes(self) -> list[str]:
        """Summaries of the changes in progress that refresh snaps."""
        answer = self._request("GET", "/v2/changes", query={"select": "in-progress"})["result"]
        return [each["summary"] for each in answer or [] if "refresh" in each["kind"]]

    def revisions(self, name: str) -> set[str]:
        """The revisions of a snap that the machine has, the current one and those that it keeps."""
        found = self._request("GET", "/v2/snaps", query={"select": "all", "snaps": name})["result"]
        return {str(each["revision"]) for each in found}

    def download_bytes(self, name: str, revision: str) -> int:
        """Ask the store for a revision without downloading it; its size. snapd calls this a peek at its headers."""
        body = {"snap-name": name, "revision": revision, "header-peek": True}
        return self._request("POST", "/v2/download", body=body, timeout=STORE_TIMEOUT_SECONDS)["size"]

    def hold(self, names: collections.abc.Iterable[str], until: datetime.datetime) -> None:
        """Hold the snaps' refreshes, whoever asks for all snaps to be refreshed; a request that names one succeeds.

        until: to the second, to which the mark is added.
        """
        marked = until.astimezone(datetime.UTC).replace(microsecond=MARK_MICROSECOND)
        time = marked.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._many("hold", names, {"time": time, "hold-level": "general"})

    def unhold(self, names: collections.abc.Iterable[str]) -> None:
        """Take the holds away."""
        self._many("unhold", names, {})

    def refresh(self, name: str) -> None:
        """Begin to refresh a snap to what its channel has. Raises NoUpdateError where that is what is installed."""
        self._request("POST", f"/v2/snaps/{name}", body={"action": "refresh"})
        snap.forget()

    def _many(self, action: str, names: collections.abc.Iterable[str], options: dict[str, str]) -> None:
        self._request("POST", "/v2/snaps", body={"action": action, "snaps": sorted(names), **options})
        snap.forget()

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: object = None,
        timeout: float = snapd_requests.TIMEOUT_SECONDS,
    ) -> dict[str, typing.Any]:
        return snapd_requests.request(method, path, query, body, timeout, self._path)
