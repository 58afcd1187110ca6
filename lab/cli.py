"""The lab's own command line: `python -m lab`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import pathlib
import socket
import sys
import time
import typing
from collections.abc import Callable, Mapping, Sequence

from lab import cache, commands, namespaces, requirements, settings
from lab.image import build, chroot, gold, mirror
from lab.machines import machine, nspawn
from lab.snaps import release, store, tick

_CONTROLLER_TIMEOUT = 30.0

Command = Callable[[settings.Settings, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the lab; return the exit status."""
    parsed = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    command: Command = parsed.command
    try:
        return command(settings.load(), parsed)
    except (
        settings.SettingsError,
        commands.CommandError,
        namespaces.NamespacesError,
        mirror.MirrorError,
        chroot.ChrootError,
        machine.MachineError,
        LookupError,
        OSError,
    ) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _doctor(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    missing = requirements.missing(lab_settings)
    packages = requirements.packages(missing)
    if arguments.packages:
        print(*packages)
        return 0
    for item in missing:
        print(f"missing: {item.what}\n   help: {item.remedy}")
    if packages:
        print(f"all packages at once: apt-get install {' '.join(packages)}")
    if not missing:
        print(f"ready: machines will run {mirror.distribution(lab_settings).suite} on {mirror.architecture()}")
    return 1 if missing else 0


def _build(lab_settings: settings.Settings, _: argparse.Namespace) -> int:
    _require(lab_settings)
    started = time.monotonic()
    gold.ensure(lab_settings)
    build.ensure(lab_settings)
    store.ensure(lab_settings)
    print(f"all is built ({time.monotonic() - started:.1f} s), in {lab_settings.cache}")
    return 0


def _up(lab_settings: settings.Settings, _: argparse.Namespace) -> int:
    _require(lab_settings)
    running = namespaces.find(lab_settings)
    if running is None:
        layers = gold.layers(lab_settings)
        store.ensure(lab_settings)
        running = namespaces.up(lab_settings, layers=layers)
        _wait_for_controller(lab_settings)
    print(
        f"The lab {lab_settings.name} runs, on {running.subnet}. For its `juju` command:\n\n"
        f"  export {_variables(lab_settings)} JUJU_DATA={lab_settings.juju_data}\n"
        f'  export PATH="{commands.ROOT / "lab" / "bin"}:$PATH"\n\n'
        "Its network, in which Juju's client API is too, is reached from inside only: `python -m lab enter -- COMMAND`."
    )
    return 0


def _variables(lab_settings: settings.Settings) -> str:
    """Return what a shell needs to mean the same lab: its name, and where labs are if that was said."""
    variables = {"LAB_NAME": lab_settings.name}
    if os.environ.get("LAB_STATE"):
        variables["LAB_STATE"] = str(lab_settings.state.parent)
    return " ".join(f"{name}={value}" for name, value in variables.items())


def _down(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    _require_root()
    names = [lab_settings.name]
    if arguments.all:
        names = sorted(path.parent.name for path in lab_settings.state.parent.glob("*/lab.json"))
    for name in names:
        one = settings.load(os.environ | {"LAB_NAME": name})
        if arguments.keep and namespaces.find(one):
            _in_lab(one, ["_stop-machines"])
        ended = namespaces.down(one, keep=arguments.keep)
        print(f"The lab {name} {'has ended' if ended else 'did not run'}.")
    return 0


def _stop_machines(lab_settings: settings.Settings, _: argparse.Namespace) -> int:
    machines = nspawn.Machines(lab_settings)
    for name in machines.names():
        machines.get(name).stop()
    return 0


def _exec(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    _reexecute_inside(lab_settings)
    command = nspawn.Machines(lab_settings).get(arguments.machine).command(_words(arguments))
    terminal = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
    _execute(command, {**machine.ENVIRONMENT, **terminal})


def _netns(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    _reexecute_inside(lab_settings)
    namespace = nspawn.Machines(lab_settings).get(arguments.machine).network_namespace
    _execute([commands.find("nsenter"), f"--net={namespace}", "--", *_words(arguments)])


def _enter(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    _require_root()
    # Juju's clients in there are this lab's: the `juju` command, and libraries that speak to its API.
    os.environ["LAB_NAME"] = lab_settings.name
    os.environ["JUJU_DATA"] = str(lab_settings.juju_data)
    os.environ["PATH"] = f"{commands.ROOT / 'lab' / 'bin'}:{os.environ['PATH']}"
    _execute(namespaces.enter(lab_settings, _words(arguments)))


def _shell(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    if arguments.machine:
        return _exec(lab_settings, argparse.Namespace(machine=arguments.machine, words=["bash", "-l"]))
    return _enter(lab_settings, argparse.Namespace(words=[os.environ.get("SHELL", "/bin/bash")]))


def _machines(lab_settings: settings.Settings, _: argparse.Namespace) -> int:
    _reexecute_inside(lab_settings)
    machines = nspawn.Machines(lab_settings)
    for one in map(machines.get, machines.names()):
        print(f"{one.name}\t{one.address}\t{'running' if one.running else 'stopped'}")
    return 0


def _readdress(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    _reexecute_inside(lab_settings)
    found = nspawn.Machines(lab_settings).get(arguments.machine)
    try:
        found.change_address(arguments.address)
    except ValueError as error:
        raise machine.MachineError(str(error)) from error
    print(found.address)
    return 0


def _store_release(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    try:
        name, revision, channel = release.release(lab_settings, arguments.snap, arguments.channel)
    except ValueError as error:
        raise LookupError(str(error)) from error
    print(f"{channel} serves {name} {revision}")
    return 0


def _store_withdraw(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    print(f"the store has no {arguments.snap} {release.withdraw(lab_settings, arguments.snap)} any more")
    return 0


def _snapd_tick(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    _reexecute_inside(lab_settings)
    machines = nspawn.Machines(lab_settings)
    found = [machines.get(name) for name in arguments.machines or machines.names()]
    running = [one for one in found if one.running or arguments.machines]
    for name, said in tick.tick(running).items():
        for line in said.splitlines():
            print(f"{name}\t{line}")
    return 0


def _prune(lab_settings: settings.Settings, arguments: argparse.Namespace) -> int:
    in_use = set()
    for description in lab_settings.state.parent.glob("*/machines/*/machine.json"):
        in_use.update(map(pathlib.Path, json.loads(description.read_text())["layers"]))
    limits: dict[str, typing.Any] = {"newest": 0, "seconds": 0} if arguments.all else {}
    for entry in cache.prune(lab_settings.cache, in_use=in_use, **limits):
        print(f"removed {entry}")
    return 0


def _require(lab_settings: settings.Settings) -> None:
    missing = requirements.missing(lab_settings)
    if missing:
        reasons = "".join(f"\n  {item.what} ({item.remedy})" for item in missing)
        raise namespaces.NamespacesError(f"this host cannot run a lab yet. Missing are:{reasons}")


def _require_root() -> None:
    if os.geteuid() != 0:
        raise namespaces.NamespacesError("this has to be run as root")


def _wait_for_controller(lab_settings: settings.Settings) -> None:
    """Wait until the controller takes connections.

    Raises:
        namespaces.NamespacesError: it does not, within half a minute.
    """
    if not lab_settings.controller_command:
        return
    deadline = time.monotonic() + _CONTROLLER_TIMEOUT
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as channel:
            try:
                channel.connect(str(lab_settings.controller_socket))
            except OSError:
                time.sleep(0.05)
            else:
                return
    log = lab_settings.log / "controller.log"
    raise namespaces.NamespacesError(f"the lab runs, but its controller does not answer: see {log}")


def _reexecute_inside(lab_settings: settings.Settings) -> None:
    """Run this very command again in the lab's namespaces, unless it is there already."""
    _require_root()
    lab = namespaces.find(lab_settings)
    if lab is None or not lab.inside:
        os.environ |= lab_settings.environment()
        os.environ |= commands.module_environment()
        _execute(namespaces.enter(lab_settings, commands.module("lab", *sys.argv[1:])))


def _in_lab(lab_settings: settings.Settings, arguments: Sequence[str]) -> None:
    environment = commands.module_environment() | lab_settings.environment()
    commands.run(*namespaces.enter(lab_settings, commands.module("lab", *arguments)), timeout=300, env=environment)


def _execute(command: Sequence[str], environment: Mapping[str, str] | None = None) -> typing.NoReturn:
    sys.stdout.flush()
    os.execvpe(command[0], list(command), environment or os.environ)  # noqa: S606 - no shell is wanted


def _words(arguments: argparse.Namespace) -> list[str]:
    words = list(arguments.words)
    return words[1:] if words[:1] == ["--"] else words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="Real machines and a stand-in for Juju on this host.",
        epilog="LAB_NAME says which lab is meant; lab/settings.py lists the other variables.",
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, command: Command, text: str, *positional: str) -> argparse.ArgumentParser:
        internal = name.startswith("_")
        one = (
            verbs.add_parser(name, description=text)
            if internal
            else verbs.add_parser(name, description=text, help=text)
        )
        one.set_defaults(command=command)
        for word in positional:
            one.add_argument(word, nargs=argparse.REMAINDER if word == "words" else None, metavar=word.upper())
        return one

    doctor = verb("doctor", _doctor, "Say what the host needs and what is missing.")
    doctor.add_argument("--packages", action="store_true", help="print the missing packages only, on one line")
    verb("build", _build, "Build what is not in the cache: image, layers, snaps.")
    verb("up", _up, "Start the lab, unless it runs.")
    down = verb("down", _down, "End the lab and remove all that is left of it.")
    down.add_argument("--all", action="store_true", help="every lab below the same state directory")
    down.add_argument("--keep", action="store_true", help="power machines off and keep their files for the next `up`")
    verb("machines", _machines, "List the machines: name, address, state.")
    readdress = verb(
        "readdress", _readdress, "Give a machine another address, as its network may do at any time.", "machine"
    )
    readdress.add_argument("address", nargs="?", metavar="ADDRESS", help="a free one of the lab; any if absent")
    verb("exec", _exec, "Run a command in a machine.", "machine", "words")
    verb("netns", _netns, "Run a command of the host in a machine's network.", "machine", "words")
    verb(
        "enter",
        _enter,
        "Run a command of the host in the lab's network, where all machines and Juju's client API are reached.",
        "words",
    )
    shell = verb("shell", _shell, "Open a shell in the lab's network, or in a machine.")
    shell.add_argument("machine", nargs="?", metavar="MACHINE")
    released = verb("store-release", _store_release, "Let the store serve a new revision of a snap.", "snap")
    released.epilog = "SNAP names one of the store, whose content is released anew, or a file that ends in .snap."
    released.add_argument("--channel", help="TRACK/RISK[/BRANCH]; by default the snap's default channel")
    verb("store-withdraw", _store_withdraw, "Take the newest revision of a snap back from the store.", "snap")
    ticked = verb("snapd-tick", _snapd_tick, "Refresh now what has an update and is not held, as snapd does by itself.")
    ticked.add_argument("machines", nargs="*", metavar="MACHINE", help="all that run if absent")
    prune = verb("prune", _prune, "Remove what is old from the cache.")
    prune.add_argument("--all", action="store_true", help="everything that no machine uses")
    verb("_stop-machines", _stop_machines, "Power all machines off.")
    return parser
