"""Spares charm-refresh the hook tools that it asks again and again in one hook.

charm-refresh keeps nothing: in a cluster of three units it runs some hundred tools a hook, most of them for an answer
that it had a moment ago. Each is a process. Within one hook the answers only change by the hook's own writes, since
Juju shows a hook the same data from its beginning to its end; so they are kept until the hook writes.
"""

import subprocess
import types
import typing

import charm_._main as charm_library

_READS = frozenset({"is-leader", "relation-ids", "relation-list", "relation-get", "config-get"})


class _Remembering(types.ModuleType):
    """Stands for the module subprocess in charm-refresh's library."""

    def __init__(self) -> None:
        super().__init__("subprocess")
        self._answers: dict[tuple[str, ...], typing.Any] = {}

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(subprocess, name)

    def run(self, command: list[str], **options: typing.Any) -> typing.Any:
        """Run a hook tool, or give the answer that it gave before. Raises what subprocess.run raises."""
        if command[0] not in _READS:
            # Of what is remembered, only databags can be changed by the hook itself.
            self._answers = {key: answer for key, answer in self._answers.items() if key[0] != "relation-get"}
            return subprocess.run(command, **options)
        key = tuple(command)
        if key not in self._answers:
            self._answers[key] = subprocess.run(command, **options)
        return self._answers[key]


def install() -> None:
    """Remember answers from here on. Once a process: each hook is one."""
    charm_library.subprocess = _Remembering()
