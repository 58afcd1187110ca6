"""The command line: `python -m rehearsal`, which `make rehearse` calls."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence

import jubilant
import rich.console

from rehearsal import charms, commands, deployment, environment, load, operate, page, progress, rehearse, report

TREE = load.TREE
MODEL = "rehearsal"
LINE = 120
"""Characters in a line where no terminal says how many there are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse; return 0 only if nothing was wrong."""
    options = _parse(arguments)
    # SIGTERM is to leave as little behind as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = console()
    use_lab_commands()
    with progress.Progress(out, options.application) as shown:
        try:
            old, new = pack(shown, options.report / "charms")
            result = run(shown, options, old, new)
        except (*rehearse.FAILURES, OSError) as error:
            shown.say(rehearse.text(error))
            return 1
    result.environment = {"Charm": f"{old.version} to {new.version}", **environment.describe(TREE)}
    result.save(options.report / "rehearsal.json")
    shown_page = page.write(result, options.report / "rehearsal.html")
    out.print(report.table(result))
    out.print(f"To look at: {shown_page}. Everything that was recorded is beside it.", soft_wrap=True)
    if result.problems:
        out.print("[bold red]The rehearsal failed:[/]")
        for problem in result.problems:
            out.print(f"- {problem}", markup=False)
    else:
        verified = sum(copy.verified_bytes for copy in result.copies) / 2**20
        out.print(
            "[green]All units are active, every acknowledged write is on every unit, and the checksums of "
            f"{verified:.0f} MiB hold.[/]"
        )
    if options.keep:
        out.print(look_around(options.application), markup=False, soft_wrap=True)
    return 1 if result.problems else 0


def console() -> rich.console.Console:
    """Return the terminal, or standard output with lines of a fixed length."""
    found = rich.console.Console(highlight=False)
    return found if found.is_terminal else rich.console.Console(highlight=False, width=LINE)


def use_lab_commands() -> None:
    """Put the lab's `juju` and `charmcraft` first on PATH, and let no other controller's variables interfere."""
    os.environ["PATH"] = f"{TREE / 'lab' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    for variable in ("JUJU_DATA", "JUJU_MODEL", "JUJU_CONTROLLER"):
        os.environ.pop(variable, None)


def pack(shown: progress.Progress, directory: pathlib.Path) -> tuple[operate.Charm, operate.Charm]:
    """Pack the earlier and the present version.

    Raises:
        subprocess.CalledProcessError: Packing failed.
    """
    packed: list[operate.Charm] = []
    for version in (charms.EARLIER, charms.pinned(TREE)):
        shown.begin(f"pack {version.charm}")
        packed.append(operate.Charm(charms.pack(TREE, version, directory), version))
        shown.end()
    return packed[0], packed[1]


def run(shown: progress.Progress, options: argparse.Namespace, old: operate.Charm, new: operate.Charm) -> report.Result:
    """Rehearse in a lab of its own.

    Raises:
        subprocess.CalledProcessError: The lab does not start.
        jubilant.CLIError: The model cannot be made.
    """
    juju = jubilant.Juju(model=MODEL)
    application = deployment.Deployment(juju, options.application)

    options.report.mkdir(parents=True, exist_ok=True)
    settings = rehearse.Options(units=options.units, patience=options.patience)
    with lab(shown, keep=options.keep):
        juju.add_model(MODEL)
        juju.cli("switch", MODEL, include_model=False)  # for whoever looks around
        result = rehearse.Rehearsal(application, shown, lambda: client(application, options.report), settings).run(
            old, new
        )
        if result.problems:
            diagnose(juju, options.report)
        return result


@contextlib.contextmanager
def client(application: deployment.Deployment, directory: pathlib.Path) -> Iterator[load.Load]:
    """Have a client of the application, in the network of its lowest unit's machine; its records go to `directory`."""
    hosts = list(application.addresses().values())
    with load.passfile(application.passwords()) as passwords:
        yield load.Load(hosts, directory, passwords, load.in_network_of(application.machine()))


@contextlib.contextmanager
def lab(shown: progress.Progress, *, keep: bool) -> Iterator[None]:
    """Have a new lab up; take it down in the end unless it is to be kept. One of its name that is up ends first.

    Raises:
        subprocess.CalledProcessError: It does not start.
    """
    shown.begin("start the lab")
    try:
        # One that was kept, or whose rehearsal was killed, has models and machines of its own.
        _lab(shown, "down")
        _lab(shown, "up")
        shown.end()
        yield
    finally:
        if not keep:
            shown.begin("end the lab")
            _lab(shown, "down")
            shown.end()


def _lab(shown: progress.Progress, *arguments: str) -> None:
    # What is not in the cache is built first, for minutes: whoever looks on is to see that.
    command = [sys.executable, "-m", "lab", *arguments]
    commands.run(command, lambda line: shown.say(f"lab: {line}"), directory=TREE, timeout=1800)


def diagnose(juju: jubilant.Juju, directory: pathlib.Path) -> None:
    """Keep what Juju can tell about a failure beside the report."""
    for name, command in {
        "status.txt": ["status", "--relations", "--storage"],
        "debug.log": ["debug-log", "--replay", "--no-tail"],
    }.items():
        with contextlib.suppress(jubilant.CLIError):
            (directory / name).write_text(juju.cli(*command))


def look_around(application: str) -> str:
    """Return how a person goes on in a lab that was kept."""
    name = os.environ.get("LAB_NAME", "lab")
    unit = f"{application}/0"
    bin_directory = shlex.quote(str(TREE / "lab" / "bin"))
    python = shlex.quote(sys.executable)
    return f"""
The lab is still up. To look around:
  export LAB_NAME={name} PATH={bin_directory}:"$PATH"
  juju status --watch 2s
  juju run {unit} get-cluster-status
  juju ssh {unit}
  juju ssh {unit} sudo charmed-postgresql.psql -U {deployment.USER} -d rehearsal -c "'select count(*) from writes'"
  juju debug-log
To end it:
  {python} -m lab down"""  # noqa: S608  # for people to read


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description=rehearse.__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    check(parser, options)
    return options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command say what is deployed, and where what is found goes."""
    parser.add_argument("--units", type=int, default=3, help="units to deploy, 1 to 9 (default: %(default)s)")
    parser.add_argument("--application", default="postgresql-machine", help="its name (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up in the end")
    parser.add_argument(
        "--report", type=pathlib.Path, default=pathlib.Path("report"), help="directory for what is found"
    )
    parser.add_argument("--patience", type=float, default=600, help="seconds that a step may take")


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the command with a word about it if an argument cannot be."""
    if not 1 <= options.units <= 9:
        parser.error(f"--units {options.units}: 1 to 9 are possible")
