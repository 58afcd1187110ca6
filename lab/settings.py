"""Where a lab keeps its things, as told by the environment.

=========================  ==========================================================================================
variable                   meaning
=========================  ==========================================================================================
`LAB_NAME`                 which lab; labs of different names do not meet. Default `lab`
`LAB_STATE`                directory below which each lab has its own. Default `$XDG_STATE_HOME/charm-lab`
`LAB_CACHE`                directory of what is built once. Default `$XDG_CACHE_HOME/charm-lab`
`LAB_MIRROR`               address of a package archive, instead of the one that the host's apt uses
`LAB_SUITE`                distribution release of the machines, instead of the one that fits the host's distribution
`LAB_CONTROLLER_COMMAND`   command line run as the controller, instead of `python -m lab.controller`; empty for none
=========================  ==========================================================================================
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shlex
import sys
from collections.abc import Mapping

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class SettingsError(ValueError):
    """The environment asks for something that cannot be."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """One lab's settings. Every part of the lab takes these rather than reading the environment itself."""

    name: str
    state: pathlib.Path
    cache: pathlib.Path
    mirror: str | None = None
    suite: str | None = None
    controller_command: tuple[str, ...] = (sys.executable, "-m", "lab.controller")

    @property
    def description(self) -> pathlib.Path:
        """`lab.json`: the running lab's process, subnet and route."""
        return self.state / "lab.json"

    @property
    def controller_socket(self) -> pathlib.Path:
        """The Unix socket of the controller's RPC."""
        return self.state / "controller.socket"

    @property
    def controller_database(self) -> pathlib.Path:
        """The controller's SQLite file."""
        return self.state / "controller.sqlite"

    @property
    def juju_data(self) -> pathlib.Path:
        """What `JUJU_DATA` is for the clients of this lab."""
        return self.state / "juju"

    @property
    def machines(self) -> pathlib.Path:
        """One directory a machine."""
        return self.state / "machines"

    @property
    def storage(self) -> pathlib.Path:
        """The storage pool."""
        return self.state / "storage"

    @property
    def store(self) -> pathlib.Path:
        """The snap store's directory."""
        return self.state / "store"

    @property
    def charmhub(self) -> pathlib.Path:
        """The local stand-in of Charmhub: one directory a charm."""
        return self.state / "charmhub"

    @property
    def log(self) -> pathlib.Path:
        """Logs of the init and of the controller."""
        return self.state / "log"

    def environment(self) -> dict[str, str]:
        """Return the variables that make `load` give these settings again, in another process."""
        variables = {
            "LAB_NAME": self.name,
            "LAB_STATE": str(self.state.parent),
            "LAB_CACHE": str(self.cache),
            "LAB_CONTROLLER_COMMAND": shlex.join(self.controller_command),
        }
        if self.mirror:
            variables["LAB_MIRROR"] = self.mirror
        if self.suite:
            variables["LAB_SUITE"] = self.suite
        return variables


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ`, or from this process's environment.

    Raises:
        SettingsError: the lab's name is not made of at most 31 lower-case letters, digits and hyphens, or a directory
            has a character in its name that options of mounts are made of.
    """
    environ = os.environ if environ is None else environ
    name = environ.get("LAB_NAME") or "lab"
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"LAB_NAME is {name!r}: a letter, then at most 30 lower-case letters, digits and hyphens are allowed"
        )
    home = pathlib.Path(environ.get("HOME") or pathlib.Path.home())
    states = environ.get("LAB_STATE") or _base(environ, "XDG_STATE_HOME", home / ".local" / "state") / "charm-lab"
    cache = environ.get("LAB_CACHE") or _base(environ, "XDG_CACHE_HOME", home / ".cache") / "charm-lab"
    for variable, directory in (("LAB_STATE", str(states)), ("LAB_CACHE", str(cache))):
        if any(character in directory for character in ",:\\"):
            raise SettingsError(f"{variable} is {directory}: commas, colons and backslashes are not allowed")
    settings = Settings(
        name=name,
        state=pathlib.Path(states).absolute() / name,
        cache=pathlib.Path(cache).absolute(),
        mirror=environ.get("LAB_MIRROR") or None,
        suite=environ.get("LAB_SUITE") or None,
    )
    if (command := environ.get("LAB_CONTROLLER_COMMAND")) is not None:
        settings = dataclasses.replace(settings, controller_command=tuple(shlex.split(command)))
    return settings


def _base(environ: Mapping[str, str], variable: str, default: pathlib.Path) -> pathlib.Path:
    """Return a base directory after the XDG Base Directory Specification: relative values are to be ignored."""
    value = environ.get(variable, "")
    return pathlib.Path(value) if value.startswith("/") else default
