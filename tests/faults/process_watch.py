"""Looks at every command line and environment on a model's machines, each machine from when it can be entered."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import application

from rehearsal import load

NAMES = {"cmdline": "command lines", "environ": "environments"}
_SAMPLE = load.TREE / "tests/cluster/sample.py"
_LOOK_SECONDS = 0.2


class Watch:
    """Watches from `start` to `end`; also machines that come in between, and those that go."""

    def __init__(self, applied: application.Application, directory: pathlib.Path, seconds: int) -> None:
        self._lab = applied.lab
        self._prefix = f"juju-{applied.juju.show_model().model_uuid[-6:]}-"
        self._directory = directory
        self._seconds = seconds
        self._stop_file = f"/run/{directory.name}-ended"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._directory.mkdir()
        self._thread.start()

    def sees(self, machine: str) -> bool:
        """Whether the processes of a machine are looked at."""
        path = self._path(machine)
        return path.exists() and path.stat().st_size > 0

    def end(self) -> dict[str, str]:
        """Look no more; return all that was seen, by "command lines of MACHINE" and "environments of MACHINE"."""
        self._ended.set()
        self._thread.join()
        for machine, process in self._processes.items():
            if process.poll() is None:
                self._lab.shell(machine, f"touch {self._stop_file}")
        for process in self._processes.values():
            process.wait(timeout=60)
        return dict(self._texts())

    def _texts(self) -> Iterator[tuple[str, str]]:
        for machine in self._processes:
            lines = self._path(machine).read_text().splitlines(keepends=True)
            # The last line may have been cut off with the machine.
            seen = [json.loads(line) for line in lines if line.endswith("\n")]
            for name, words in NAMES.items():
                yield f"{words} of {machine}", "\n".join(text for kind, text in seen if kind == name)

    def _path(self, machine: str) -> pathlib.Path:
        return self._directory / f"{machine}.jsonl"

    def _follow(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for path in self._lab.settings.machines.glob(f"{self._prefix}*"):
                running = self._processes.get(path.name)
                # It can not be entered before it runs, and is entered anew after each boot.
                if running is None or running.poll() is not None:
                    self._processes[path.name] = self._sample(path.name)

    def _sample(self, machine: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lab", "exec", machine, "--", "python3", "-"]
        with _SAMPLE.open("rb") as source, self._path(machine).open("ab") as output:
            return subprocess.Popen(
                [*command, str(self._seconds), self._stop_file],
                cwd=load.TREE,
                stdin=source,
                stdout=output,
                stderr=subprocess.DEVNULL,
            )
