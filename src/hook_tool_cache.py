"""Spares a hook the hook tools that it would run again and again for the same answer.

charm-refresh keeps nothing: in a cluster of three units it runs some hundred tools a hook, and ops asks for much of it
once more. Each is a process. Within one hook the answers only change by the hook's own writes, since Juju shows a hook
the same data from its beginning to its end. So a databag, the configuration and the storages are each read once and
whole; what a hook writes to a databag makes that one unknown; and what stands in a databag already is not written.
Leadership alone is promised for 30 seconds only. Most is asked ahead (prefetch.py).
"""

import collections.abc
import dataclasses
import json
import math
import os
import subprocess
import time
import types
import typing

import charm_._main as charm_library
from ops.hookcmds import _utils as ops_library

import prefetch

LEADER_SECONDS = 15.0
"""How long a leader is taken for one: half of what Juju promises (Juju's documentation of is-leader)."""


@dataclasses.dataclass(frozen=True)
class _Call:
    """A hook tool's command line."""

    tool: str
    relation: int | None
    is_application: bool
    names: tuple[str, ...]
    """The arguments that are no options."""

    @classmethod
    def parse(cls, command: collections.abc.Sequence[str]) -> "_Call":
        """From a command line of ops or of charm-refresh, which spell the same call differently."""
        relation, is_application, names = None, False, []
        arguments = iter(command[1:])
        for argument in arguments:
            if argument in ("-r", "--relation"):
                relation = int(next(arguments).rpartition(":")[2])
            elif argument in ("--format", "--file"):
                next(arguments)
            elif argument == "--app":
                is_application = True
            elif not argument.startswith("--format="):
                names.append(argument)
        return cls(command[0], relation, is_application, tuple(names))


class HookTools:
    """The hook tools of one hook."""

    def __init__(
        self,
        run: collections.abc.Callable[..., subprocess.CompletedProcess[str]],
        asked: prefetch.Prefetch | None = None,
    ):
        self._run = run
        self._asked = asked
        self._answers: dict[prefetch.Command, prefetch.Answer] = {}
        self._leader_asked = asked.begun if asked is not None else -math.inf
        self._readers: dict[str, collections.abc.Callable[[_Call], prefetch.Answer]] = {
            "is-leader": lambda _: self._is_leader(),
            "relation-ids": lambda call: self._ask("relation-ids", *call.names),
            "relation-list": lambda call: self._ask(
                "relation-list", "-r", str(call.relation), *(("--app",) if call.is_application else ())
            ),
            "relation-get": self._relation_get,
            "config-get": self._config_get,
            "storage-list": self._storage_list,
            "network-get": self._network_get,
            "goal-state": self._goal_state,
        }

    def run(
        self, command: collections.abc.Sequence[str], **options: typing.Any
    ) -> subprocess.CompletedProcess[typing.Any]:
        """Stand in for subprocess.run. Raises what it raises."""
        if command[0] == "relation-set":
            return self._relation_set(command, **options)
        reader = self._readers.get(command[0])
        if reader is None:
            return self._run(command, **options)
        try:
            answer = reader(_Call.parse(command))
        except _CannotTellError:
            return self._run(command, **options)
        return subprocess.CompletedProcess(command, 0, json.dumps(answer), "")

    def _ask(self, tool: str, *arguments: str) -> prefetch.Answer:
        return self._answer(prefetch.question(tool, *arguments))

    def _answer(self, command: prefetch.Command) -> prefetch.Answer:
        self._take()
        if command not in self._answers:
            done = self._run(command, capture_output=True, check=True, encoding="utf-8")
            self._answers[command] = json.loads(done.stdout)
        return self._answers[command]

    def _take(self) -> None:
        if self._asked is not None:
            self._answers |= self._asked.wait()
            self._asked = None

    def _is_leader(self) -> prefetch.Answer:
        if time.monotonic() - self._leader_asked > LEADER_SECONDS:
            self._answers.pop(prefetch.question("is-leader"), None)
            self._leader_asked = time.monotonic()
        return self._ask("is-leader")

    def _relation_get(self, call: _Call) -> prefetch.Answer:
        if call.relation is None or len(call.names) != 2:
            # In a relation's own hook the unit may be left out; only Juju knows whom it means.
            raise _CannotTellError
        key, member = call.names
        databag = self._databag(call.relation, member, is_application=call.is_application)
        return databag if key == "-" else databag.get(key)

    def _databag(self, relation: int, member: str, *, is_application: bool) -> dict[str, str]:
        return self._answer(prefetch.databag(relation, member, is_application=is_application))

    def _config_get(self, call: _Call) -> prefetch.Answer:
        options = self._ask("config-get")
        return options.get(call.names[0]) if call.names else options

    def _storage_list(self, call: _Call) -> prefetch.Answer:
        storages = self._ask("storage-list")
        return [each for each in storages if not call.names or each.rpartition("/")[0] == call.names[0]]

    def _network_get(self, call: _Call) -> prefetch.Answer:
        if call.relation is not None or len(call.names) != 1:
            # A relation, or a part of the answer, is asked for.
            raise _CannotTellError
        return self._ask("network-get", call.names[0])

    def _goal_state(self, call: _Call) -> prefetch.Answer:
        # The operator may change the plan while the hook runs: what was asked ahead counts once.
        self._take()
        try:
            return self._answers.pop(prefetch.question("goal-state", *call.names))
        except KeyError:
            raise _CannotTellError from None

    def _relation_set(
        self, command: collections.abc.Sequence[str], **options: typing.Any
    ) -> subprocess.CompletedProcess[typing.Any]:
        call, values = _Call.parse(command), json.loads(options.get("input") or "{}")
        if call.relation is None:
            raise ValueError("a databag is written without naming its relation")
        unit = os.environ["JUJU_UNIT_NAME"]
        member = unit.rpartition("/")[0] if call.is_application else unit
        databag = self._databag(call.relation, member, is_application=call.is_application)
        if all((databag.get(key) or None) == (value or None) for key, value in values.items()):
            return subprocess.CompletedProcess(command, 0, "", "")
        self._answers.pop(prefetch.databag(call.relation, member, is_application=call.is_application))
        return self._run(command, **options)


class _CannotTellError(Exception):
    """Only the hook tool itself has this answer."""


def install() -> None:
    """Remember answers from here on. Once a process: each hook is one."""
    # By name, since tests replace subprocess.run itself.
    tools = HookTools(lambda *command, **options: subprocess.run(*command, **options), prefetch.take())
    stand_in = _Module(tools)
    for library in (charm_library, ops_library):
        setattr(library, "subprocess", stand_in)  # noqa: B010  a module's attribute, for the type checker


class _Module(types.ModuleType):
    """Stands for the module subprocess in a library."""

    def __init__(self, tools: HookTools) -> None:
        super().__init__("subprocess")
        self.run = tools.run

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(subprocess, name)
