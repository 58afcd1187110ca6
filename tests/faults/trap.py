"""Lets a charm's process end in the very moment in which the charm tells that a step has come.

Whoever only reads the log may come too late: the last hook tools of a hook take milliseconds. So the tool `juju-log` of
the unit is replaced by one that tells as ever, and then springs, once.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import sighting

KILL = "kill -KILL 0"
"""The tool is of the hook's process group, as all that the hook has started: so are those that Juju would kill."""
FAIL = 'mv "$tools" "$tools.aside"; exit 1'
"""It fails, and there are no tools any more."""

_TOOL = """#!/bin/sh
tools=${{0%/*}}
"$tools/trap/juju-log" "$@" || exit
case "$*" in
*"{text}"*)
    ln -sf hook-tool "$tools/juju-log"
    {springs}
    ;;
esac
"""


@dataclasses.dataclass(frozen=True)
class Trap:
    """The trap on one unit."""

    tools: pathlib.Path
    """The directory of the unit's hook tools."""

    @classmethod
    def on(cls, machine: sighting.Machine, unit: str) -> Trap:
        """The one of that unit."""
        return cls(machine.root / f"var/lib/juju/tools/unit-{unit.replace('/', '-')}")

    @property
    def aside(self) -> pathlib.Path:
        """Where the tools are while the unit is to have none."""
        return self.tools.with_name(f"{self.tools.name}.aside")

    def lay(self, text: str, springs: str) -> None:
        """Let it spring at the next line with that text."""
        real = self.tools / "trap/juju-log"
        real.parent.mkdir(exist_ok=True)
        real.unlink(missing_ok=True)
        real.symlink_to("../hook-tool")
        replacement = self.tools / "juju-log.new"
        replacement.write_text(_TOOL.format(text=text, springs=springs))
        replacement.chmod(0o755)
        # In one step: a hook that runs just now must not miss its tool.
        replacement.replace(self.tools / "juju-log")

    def remove(self) -> None:
        """Leave everything as it was."""
        if self.aside.exists() and not self.tools.exists():
            self.aside.rename(self.tools)
        if not (self.tools / "trap").exists():
            return
        restored = self.tools / "juju-log.new"
        restored.unlink(missing_ok=True)
        restored.symlink_to("hook-tool")
        restored.replace(self.tools / "juju-log")
        shutil.rmtree(self.tools / "trap")
