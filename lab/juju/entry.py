"""Runs a command in a machine with the caller's terminal: `python -m lab.juju.entry MACHINE USER TERMINAL [COMMAND]`.

`enter` gives the command line that starts this module where machines can be reached, which is inside the lab's
namespaces; there it becomes the command. The lab is that of the settings in its environment. A root-less machine, which
a lab without namespaces has, is a directory, and its users are whoever runs the lab.
"""

from __future__ import annotations

import collections.abc
import os
import pathlib
import shlex
import shutil
import sys
import typing

from lab import commands, namespaces, settings
from lab.machines import machine, nspawn, rootless

_LOGIN = """
id -u "$0" >/dev/null 2>&1 || { echo "Permission denied: there is no user $0" >&2; exit 255; }
exec "$@"
"""


def enter(state: pathlib.Path, name: str, user: str, command: str | None, *, terminal: bool) -> list[str]:
    """Return the command line that runs a shell command, or a login shell, as a user of a machine.

    Args:
        state: the lab's state directory.
        name: the machine's name in the lab.
        user: who runs it.
        command: what is run; None for a login shell.
        terminal: whether the command gets a terminal of its own.

    Raises:
        namespaces.NamespacesError: the lab does not run.
    """
    lab_settings = of_state(state)
    variables = [f"{key}={value}" for key, value in lab_settings.environment().items()]
    variables.append(f"PYTHONPATH={commands.module_environment()['PYTHONPATH']}")
    module = commands.module("lab.juju.entry", name, user, "yes" if terminal else "no", *([command] if command else []))
    argv = [commands.find("env"), *variables, *module]
    return argv if _rootless(lab_settings, name) else namespaces.enter(lab_settings, argv)


def of_state(state: pathlib.Path) -> settings.Settings:
    """The settings of the lab whose state directory this is."""
    return settings.load({**os.environ, "LAB_NAME": state.name, "LAB_STATE": str(state.parent)})


def _rootless(lab_settings: settings.Settings, name: str) -> bool:
    # A real machine's directory has the overlay's parts, a root-less one's has only its root.
    return not (lab_settings.machines / name / "upper").is_dir()


def _real(lab_settings: settings.Settings, name: str, user: str, command: str | None, terminal: bool) -> list[str]:
    login = ["runuser", "--login", user, *(["--command", command] if command else [])]
    if terminal:
        # A terminal that belongs to the machine: on the caller's, shells there would have no job control.
        login = ["script", "--quiet", "--return", "--command", shlex.join(login), "/dev/null"]
    return nspawn.Machines(lab_settings).get(name).command(["sh", "-c", _LOGIN, user, *login])


def _execute(argv: list[str], environment: collections.abc.Mapping[str, str]) -> typing.NoReturn:
    sys.stdout.flush()
    os.execvpe(argv[0], argv, dict(environment))  # noqa: S606 - an argument list, no shell


def main(arguments: list[str]) -> typing.NoReturn:
    """Become the command."""
    name, user, terminal, *command = arguments
    lab_settings = settings.load()
    line = command[0] if command else None
    environment = {**machine.ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")}
    if not _rootless(lab_settings, name):
        _execute(_real(lab_settings, name, user, line, terminal == "yes"), environment)
    found = rootless.Machines(lab_settings.state).get(name)
    home = found.inside("/root")
    os.chdir(home)
    own = f"{found.inside('/usr/local/sbin')}:{found.inside('/usr/local/bin')}"
    environment |= {"HOME": home, "PATH": f"{own}:{environment['PATH']}", "LAB_MACHINE_ROOT": found.inside("/")}
    shell = shutil.which("bash") or "/bin/sh"
    _execute([shell, "-c", line] if line else [shell], environment)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (LookupError, machine.MachineError, commands.CommandError) as error:
        print(f"ERROR {error}", file=sys.stderr)
        sys.exit(255)
