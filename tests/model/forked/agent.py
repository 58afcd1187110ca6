"""The agent of a hook's unit, asked without an exec."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import typing

import cuts

_run = subprocess.run


class HookTools:
    """Asks the agent, as the tools' executable does (lab/controller/tools/hook-tool has the protocol)."""

    def __init__(self, points: cuts.Points):
        self._points = points
        agent = pathlib.Path(os.environ["CHARM_DIR"]).parent
        self._known = frozenset(os.listdir(agent.parents[1] / "tools" / agent.name))  # noqa: PTH208  for speed
        self._directory = str(pathlib.Path.cwd())
        # A socket's address holds 107 bytes; the way through the directory's descriptor is always short enough.
        place = pathlib.Path(os.environ["JUJU_AGENT_SOCKET_ADDRESS"])
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(f"/proc/self/fd/{os.open(place.parent, os.O_PATH | os.O_DIRECTORY)}/{place.name}")
        self._answers = self._connection.makefile("rb")

    def run(self, command: typing.Any, **keywords: typing.Any) -> subprocess.CompletedProcess[typing.Any]:
        """Stands in for subprocess.run: hook tools are asked for directly, all else runs."""
        name = os.path.basename(str(command[0])) if isinstance(command, list | tuple) else ""  # noqa: PTH119  for speed
        if name not in self._known:
            return _run(command, **keywords)
        self._points.reach()
        code, out, err = self._ask(name, [str(each) for each in command[1:]], keywords.get("input"))
        if code and keywords.get("check"):
            raise subprocess.CalledProcessError(code, command, out, err)
        return subprocess.CompletedProcess(command, code, out, err)

    def _ask(self, name: str, arguments: list[str], standard_input: str | None) -> tuple[int, str, str]:
        request: dict[str, typing.Any] = {
            "context": os.environ["JUJU_CONTEXT_ID"],
            "tool": name,
            "arguments": arguments,
            "directory": self._directory,
            "files": {},
        }
        while True:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            kind, *rest = self._answers.readline().decode().rstrip("\n").split(" ", 4)
            if kind == "read":
                wanted = self._answers.read(int(rest[0])).decode().split("\0")[:-1]
                request["files"] = {path: _content(path, standard_input) for path in wanted}
                continue
            code, out, err = int(rest[0]), int(rest[1]), int(rest[2])
            return code, self._answers.read(out).decode(), self._answers.read(err).decode()


def _content(path: str, standard_input: str | None) -> str | None:
    if path == "-":
        return standard_input or ""
    file = pathlib.Path(path)
    return file.read_text() if file.exists() else None
