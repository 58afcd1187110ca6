"""The error answers of snapd's REST API."""

from __future__ import annotations


class Refusal(Exception):
    """A request that the store refuses, with the status, kind and value that snapd's API gives for it.

    The kinds are those of snapd's client package: snap-not-found, snap-revision-not-available,
    snap-channel-not-available (status 404), snap-already-installed, snap-no-update-available, dns-failure (status 400).
    """

    def __init__(self, status: int, kind: str, message: str, value: object = None):
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.value = value
