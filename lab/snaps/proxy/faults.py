"""Faults of the store that a test asks for.

``faults.json`` in the store's directory is a list of rules, looked at again for each request; no file, no faults:

    [{"fault": "unreachable", "machine": NAME?, "snap": NAME?},
     {"fault": "slow", "seconds": S, "machine": NAME?, "snap": NAME?, "revision": N?},
     {"fault": "error", "message": TEXT, "machine": NAME?, "snap": NAME?, "revision": N?}]

A matcher that is absent matches everything. As with the real store, a revision that the machine already has needs no
download and so meets no fault.
"""

from __future__ import annotations

import json
import pathlib
import time
import typing
from collections.abc import Callable

from . import refusal

FILE_NAME = "faults.json"
MATCHERS = ("machine", "snap", "revision")
UNREACHABLE = "cannot reach the snap store: temporary failure in name resolution"


class Faults:
    """The rules that apply to one machine."""

    def __init__(self, directory: pathlib.Path, machine: str, sleep: Callable[[float], None] = time.sleep):
        self._path = directory / FILE_NAME
        self._machine = machine
        self._sleep = sleep

    def query(self, snap: str | None = None) -> None:
        """Ask the store about a snap, or for all of them.

        Raises:
            refusal.Refusal: the store is not reachable.
        """
        if self._rules("unreachable", snap=snap):
            raise refusal.Refusal(400, "dns-failure", UNREACHABLE)

    def download(self, snap: str, revision: str) -> None:
        """Stand before a download: wait as long as a slow one takes.

        Raises:
            refusal.Refusal: the store is not reachable, or an error is asked for.
        """
        self.query(snap)
        for rule in self._rules("slow", snap=snap, revision=revision):
            self._sleep(float(rule["seconds"]))
        self._refuse(snap, revision)

    def peek(self, snap: str, revision: str) -> None:
        """Ask what a download would be.

        Raises:
            refusal.Refusal: the store is not reachable, or an error is asked for.
        """
        self.query(snap)
        self._refuse(snap, revision)

    def _refuse(self, snap: str, revision: str) -> None:
        for rule in self._rules("error", snap=snap, revision=revision):
            raise refusal.Refusal(400, "", rule["message"], snap)

    def _rules(self, fault: str, **subject: str | None) -> list[dict[str, typing.Any]]:
        try:
            rules = json.loads(self._path.read_text())
        except FileNotFoundError:
            return []
        facts = {"machine": self._machine, **subject}
        return [
            rule
            for rule in rules
            if rule["fault"] == fault and all(str(rule[key]) == facts.get(key) for key in MATCHERS if key in rule)
        ]
