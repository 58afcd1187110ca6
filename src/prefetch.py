"""Asks hook tools ahead, while the rest of the charm is imported.

A hook tool is a process that waits for Juju's agent; an import keeps a processor busy. Beside each other they take the
time of the longer one. Asked is what every hook asks anyway. What fails is left out: who needs it asks for it again,
and gets the failure where it can be told. Juju's agent takes several at a time and answers one after the other (Juju:
worker/uniter/runner/jujuc/server.go, Jujuc.Main).
"""

import functools
import json
import os
import subprocess
import threading
import time
import typing

ENDPOINTS = ("refresh-v-three", "database-peers")
TIMEOUT_SECONDS = 60.0
Command = tuple[str, ...]
Answer = typing.Any
"""What a hook tool prints as JSON."""


def question(tool: str, *arguments: str) -> Command:
    """The command line of a hook tool."""
    return (tool, "--format=json", *arguments)


def databag(relation: int, member: str, *, is_application: bool) -> Command:
    """The command line that reads a databag."""
    return question("relation-get", "-r", str(relation), "-", member, *(("--app",) if is_application else ()))


class Prefetch:
    """Has asked for everything once it is made; the answers come beside."""

    def __init__(self, unit: str):
        self.begun = time.monotonic()
        self._unit = unit
        self._answers: dict[Command, Answer] = {}
        asked = [self._ask_for_unit, *(functools.partial(self._ask_for_endpoint, each) for each in ENDPOINTS)]
        self._threads = [threading.Thread(target=each) for each in asked]
        for thread in self._threads:
            thread.start()

    def wait(self) -> dict[Command, Answer]:
        """The answers by their questions, once all are there."""
        for thread in self._threads:
            thread.join()
        return self._answers

    def _ask_for_unit(self) -> None:
        # The leader looks after the members, and so needs Juju's plan.
        plan = [("goal-state",)] if self._ask(question("is-leader")) else []
        for command in ("config-get",), ("storage-list",), ("network-get", "database-peers"), *plan:
            self._ask(question(*command))

    def _ask_for_endpoint(self, endpoint: str) -> None:
        application = self._unit.rpartition("/")[0]
        for identifier in self._ask(question("relation-ids", endpoint)) or ():
            relation = int(identifier.rpartition(":")[2])
            # Among peers the other application is one's own.
            self._answers[question("relation-list", "-r", str(relation), "--app")] = application
            others = self._ask(question("relation-list", "-r", str(relation))) or ()
            self._ask(databag(relation, application, is_application=True))
            for unit in (self._unit, *others):
                self._ask(databag(relation, unit, is_application=False))

    def _ask(self, command: Command) -> Answer:
        try:
            done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8", timeout=TIMEOUT_SECONDS)
            self._answers[command] = json.loads(done.stdout)
        except (subprocess.SubprocessError, OSError, ValueError):
            return None
        return self._answers[command]


_begun: Prefetch | None = None


def begin() -> None:
    """Ask for what this hook will need. Once a process: each hook is one."""
    global _begun
    _begun = Prefetch(os.environ["JUJU_UNIT_NAME"])


def take() -> Prefetch | None:
    """What was asked for; None where `begin` was not called, or all was taken before."""
    global _begun
    taken, _begun = _begun, None
    return taken
