"""ssh, scp."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys

from lab.juju import command, flags, names, transfer

_CONNECTION_FLAGS = (
    flags.boolean("proxy", usage="Accepted and ignored: machines are entered directly"),
    flags.boolean("no-host-key-checks", usage="Accepted and ignored: no keys are needed"),
    flags.text("container", usage="Refused: machines have no containers"),
    flags.boolean("remote", usage="Refused: machines have no containers"),
)
_WITH_VALUE = frozenset("BbcDEeFIiJLlmOopQRSWw")
"""Options of OpenSSH's client that take a value, after ssh(1)."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a command runs: a machine of the lab and a user of it."""

    machine: str
    user: str


def _resolve(invocation: command.Invocation, text: str, user: str = "ubuntu") -> Target:
    """The machine behind `[user@]unit`, `[user@]app/leader` or `[user@]number`.

    Raises:
        CommandError: It is none of these.
    """
    named, at, name = text.rpartition("@")
    user = named if at else user
    if names.is_unit_or_leader(name):
        (unit,) = invocation.call("show_unit", units=[name]).values()
        if "machine" not in unit:
            raise command.CommandError(f"no preferred public address for {name}: it has no machine yet")
        name = unit["machine"]
    elif not names.is_machine(name):
        raise command.CommandError(
            f'target "{name}" is not a valid target: a unit, APPLICATION/leader or a machine number'
        )
    (machine,) = invocation.call("show_machine", machines=[name]).values()
    return Target(machine["hostname"], user)


def _refuse_containers(invocation: command.Invocation) -> None:
    if invocation.options.text("container") or invocation.options.on("remote"):
        raise command.UsageError("--container and --remote are only supported for k8s models")


def _entering(invocation: command.Invocation, target: Target, line: str | None, *, terminal: bool) -> list[str]:
    from lab import namespaces  # late: most commands do not enter machines
    from lab.juju import entry

    try:
        return entry.enter(invocation.store.directory.parent, target.machine, target.user, line, terminal=terminal)
    except namespaces.NamespacesError as error:
        raise command.CommandError(str(error)) from error


@command.define(
    "ssh",
    "Initiates an SSH session or executes a command on a Juju machine or container.",
    usage="<[<user>@]target> [openssh options] [command]",
    interspersed=False,
    options=(*_CONNECTION_FLAGS, flags.text("pty", usage="Enable pseudo-tty allocation (auto, true or false)")),
)
def ssh(invocation: command.Invocation) -> None:
    """Open a shell on a unit's machine, or run a command there; the exit status is the command's.

    No ssh is involved: the machine is entered directly. Of OpenSSH's options, which are accepted, `-t`, `-T` and `-l`
    have an effect.
    """
    _refuse_containers(invocation)
    invocation.require(1, "no target name specified")
    target, *rest = invocation.arguments
    given, words = split_openssh(rest)
    line = " ".join(words) or None
    where = _resolve(invocation, target, given.get("l", "ubuntu"))
    argv = _entering(invocation, where, line, terminal=_terminal(invocation, given, interactive=line is None))
    raise command.Exit(subprocess.run(argv, check=False).returncode)  # a session ends when its user ends it


def _terminal(invocation: command.Invocation, given: dict[str, str], *, interactive: bool) -> bool:
    wanted = invocation.options.text("pty")
    if wanted and wanted != "auto":
        return flags.parse_boolean(wanted)
    if "T" in given or not sys.stdin.isatty():
        return False
    return interactive or "t" in given


def split_openssh(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """OpenSSH's options at the head of a command line, by letter, and the rest."""
    given: dict[str, str] = {}
    rest = list(words)
    while rest and len(rest[0]) > 1 and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _WITH_VALUE:
                given[letter], letters = letters or (rest.pop(0) if rest else ""), ""
            else:
                given[letter] = ""
    return given, rest


@command.define(
    "scp", "Securely transfer files within a model.", usage="<source> <destination>", options=_CONNECTION_FLAGS
)
def scp(invocation: command.Invocation) -> None:
    """Copy files to, from and between machines: `[user@]target:path` or a local path.

    Options of scp go after `--`: `juju scp -- -r pg/0:/var/log logs`.
    """
    _refuse_containers(invocation)
    invocation.require(2, "at least two arguments required")
    recursive = False
    paths: list[str] = []
    words = list(invocation.arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            paths.append(word)
            continue
        recursive = recursive or "r" in word
        if word[-1] in "cDFiJloPSX":
            words[:1] = []
    if len(paths) < 2:
        raise command.UsageError("at least two arguments required")
    *sources, destination = paths
    failed = [source for source in sources if _copy(invocation, source, destination, recursive, len(sources) > 1)]
    if failed:
        raise command.Exit(1)


def _split(path: str) -> tuple[str, str]:
    """The target and the path in it; no target for a local path."""
    match = re.fullmatch(r"((?:[^@:/]+@)?[a-z0-9][a-z0-9-]*(?:/(?:\d+|leader))?):(.*)", path, re.DOTALL)
    return (match[1], match[2]) if match else ("", path)


def _copy(invocation: command.Invocation, source: str, destination: str, recursive: bool, several: bool) -> int:
    """Copy one source, which may be a pattern if it is remote; return the status."""
    source_target, source_path = _split(source)
    destination_target, destination_path = _split(destination)
    send = transfer.send_script([source_path], recursive=recursive, expand=bool(source_target))
    receive = transfer.receive_script(destination_path, several=several)
    return transfer.run(_side(invocation, source_target, send), _side(invocation, destination_target, receive))


def _side(invocation: command.Invocation, target: str, script: str) -> list[str]:
    if not target:
        return [shutil.which("sh") or "/bin/sh", "-c", script]
    return _entering(invocation, _resolve(invocation, target), script, terminal=False)
