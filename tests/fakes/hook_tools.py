"""Serves what charm_refresh and ops ask outside of ops' own backend: hook tools as subprocesses, and snapd.

charm_refresh itself runs as it is.
"""

from __future__ import annotations

import collections.abc
import contextlib
import inspect
import json
import subprocess
import types
import typing
from unittest import mock

import ops
from scenario import _ops_main_mock, _runtime, mocking

from workload import snap

_run = subprocess.run

_signatures: dict[object, inspect.Signature] = {}
_original_signature = inspect.signature


def _signature(function: typing.Any, **keywords: typing.Any) -> inspect.Signature:
    """Kept by method, since ops asks for that of each observer in each hook."""
    key = getattr(function, "__func__", function), *keywords.items()
    if key not in _signatures:
        _signatures[key] = _original_signature(function, **keywords)
    return _signatures[key]


GoalState = dict[str, str]
"""Each unit's name and status."""


class Served:
    """One hook that runs: the backend that ops has made for it, and what Juju and snapd would say."""

    def __init__(self, goal_state: GoalState, revision: collections.abc.Callable[[], str | None]):
        self.goal_state = goal_state
        self.revision = revision
        """The snap's revision; raises SnapdUnreachableError where snapd does not run."""
        self.backend: typing.Any = None
        self.calls = 0
        self.writes = 0
        """To databags, by ops and by charm_refresh."""

    def run(self, command: typing.Any, **keywords: typing.Any) -> subprocess.CompletedProcess[str]:
        """Stands in for subprocess.run."""
        tool = command[0] if isinstance(command, list | tuple) else ""
        handler = _TOOLS.get(str(tool))
        if handler is None:
            return _run(command, **keywords)
        self.calls += 1
        arguments = [str(each) for each in command[1:] if each not in ("--format", "json", "--format=json")]
        answer = handler(self, arguments, keywords.get("input"))
        return subprocess.CompletedProcess(command, 0, json.dumps(answer), "")

    def installed(self, name: str) -> dict[str, typing.Any] | None:
        """Stands in for what snapd tells of a snap."""
        found = self.revision()
        return None if found is None else {"name": name, "revision": found}


def _relation_get(served: Served, arguments: list[str], _: str | None) -> object:
    is_app = "--app" in arguments
    _, identifier, key, member = [each for each in arguments if each != "--app"]
    content = served.backend.relation_get(int(identifier), member, is_app)
    return content if key == "-" else content.get(key)


def _relation_set(served: Served, arguments: list[str], content: str | None) -> None:
    is_app = "--app" in arguments
    values = {key: value or "" for key, value in json.loads(content or "{}").items()}
    served.backend.relation_set(int(arguments[1]), values, is_app)


def _relation_list(served: Served, arguments: list[str], _: str | None) -> object:
    return served.backend.app_name if "--app" in arguments else list(served.backend.relation_list(int(arguments[1])))


def _config_get(served: Served, arguments: list[str], _: str | None) -> object:
    options = served.backend.config_get()
    return options.get(arguments[0]) if arguments else options


def _status_set(served: Served, arguments: list[str], _: str | None) -> None:
    is_app = "--application" in arguments
    state, message = [each for each in arguments if each != "--application"]
    served.backend.status_set(state, message, is_app=is_app)


def _goal_state(served: Served, _: list[str], __: str | None) -> object:
    since = "2025-03-10 10:51:40Z"
    units = {name: {"status": status, "since": since} for name, status in served.goal_state.items()}
    return {"units": units, "relations": {}}


def _action_set(served: Served, arguments: list[str], _: str | None) -> None:
    served.backend.action_set(dict(each.split("=", 1) for each in arguments))


_TOOLS: dict[str, collections.abc.Callable[[Served, list[str], str | None], object]] = {
    "is-leader": lambda served, *_: served.backend.is_leader(),
    "relation-ids": lambda served, arguments, _: [
        f"{arguments[0]}:{each}" for each in served.backend.relation_ids(arguments[0])
    ],
    "relation-list": _relation_list,
    "relation-get": _relation_get,
    "relation-set": _relation_set,
    "config-get": _config_get,
    "status-set": _status_set,
    "goal-state": _goal_state,
    "application-version-set": lambda served, arguments, _: served.backend.application_version_set(arguments[0]),
    "action-get": lambda served, *_: served.backend.action_get(),
    "action-set": _action_set,
    "action-fail": lambda served, arguments, _: served.backend.action_fail(*arguments),
    "action-log": lambda served, arguments, _: served.backend.action_log(arguments[0]),
}


@contextlib.contextmanager
def serve(served: Served, metadata: ops.CharmMeta) -> collections.abc.Iterator[None]:
    """While this lasts, hook tools and snapd are served. metadata: the charm's, which ops would parse for each hook."""

    class Backend(mocking._MockModelBackend):
        def __init__(self, *arguments: typing.Any, **keywords: typing.Any):
            super().__init__(*arguments, **keywords)
            served.backend = self

        def relation_set(self, *arguments: typing.Any, **keywords: typing.Any) -> None:
            served.writes += 1
            super().relation_set(*arguments, **keywords)

    with (
        mock.patch.object(_ops_main_mock, "_MockModelBackend", Backend),
        mock.patch.object(subprocess, "run", served.run),
        mock.patch.object(snap, "installed", served.installed),
        # ops.testing writes the metadata for each hook, and ops reads them; the state is copied, though it is made for
        # one hook only: together most of the time that a hook would take.
        mock.patch.object(_runtime, "yaml", types.SimpleNamespace(safe_dump=json.dumps)),
        mock.patch.object(_ops_main_mock.Ops, "_load_charm_meta", lambda _: metadata),
        mock.patch.object(_runtime, "copy", types.SimpleNamespace(deepcopy=lambda state: state)),
        mock.patch.object(inspect, "signature", _signature),
    ):
        yield
