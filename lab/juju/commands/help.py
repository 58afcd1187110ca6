"""help."""

from __future__ import annotations

import textwrap
import typing

from lab.juju import command, flags, registry

_INTRODUCTION = """\
Juju 3.6's command line for the lab: the same commands, arguments, exit statuses and formats, against a controller
stand-in on this host. It is for tests and rehearsals; production is Juju.

Usage: juju help <command>
       juju help commands

Some commands to start with:

    add-model           {add-model}
    deploy              {deploy}
    refresh             {refresh}
    status              {status}
    run                 {run}
    ssh                 {ssh}
    debug-log           {debug-log}
    destroy-model       {destroy-model}
"""


@command.define("help", "Show help on a command or other topic.", usage="[topic]", scope=None)
def help_command(invocation: command.Invocation) -> None:
    """Without a topic, an introduction; `commands` lists all commands; a command's name shows its options."""
    if not invocation.arguments:
        listed = ("add-model", "deploy", "refresh", "status", "run", "ssh", "debug-log", "destroy-model")
        invocation.write(_INTRODUCTION.format_map({name: _find(name).purpose for name in listed}))
        return
    topic = invocation.arguments[0]
    if topic == "commands":
        width = max(len(name) for name in [*registry.names(), *registry.ALIASES]) + 2
        lines = {name: _find(name).purpose for name in registry.names()}
        lines |= {alias: f"Alias for '{name}'." for alias, name in registry.ALIASES.items()}
        invocation.write("".join(f"{name:<{width}}{lines[name]}\n" for name in sorted(lines)))
        return
    found = registry.find(topic)
    if found is None:
        invocation.write(f'ERROR juju: "{topic}" is not a juju command. See "juju --help".\n')
        return
    invocation.write(text(found))


def _find(name: str) -> command.Command:
    found = registry.find(name)
    assert found is not None
    return found


def text(found: command.Command) -> str:
    """The help of one command."""
    parts = [f"Usage: juju {found.name} [options] {found.usage}".rstrip(), "", "Summary:", found.purpose, ""]
    parts += ["Global Options:", *_options(command.GLOBAL_FLAGS), "-h, --help  (= false)"]
    parts += ["    Show help on a command or other topic.", "", "Command Options:", *_options(found.own_flags)]
    detail = textwrap.dedent("    " + found.detail.replace("`", "")).strip()
    parts += ["", "Details:", detail] if detail else []
    if found.aliases:
        parts += ["", f"Aliases: {', '.join(found.aliases)}"]
    return "\n".join(parts) + "\n"


def _options(options: typing.Iterable[flags.Flag]) -> list[str]:
    lines: list[str] = []
    for flag in sorted(options, key=lambda one: one.names[-1]):
        shown = ", ".join(flags.dashed(name) for name in flag.names)
        lines += [f"{shown}  (= {_default(flag)})", f"    {flag.usage}"]
    return lines


def _default(flag: flags.Flag) -> str:
    initial = flag.initial
    if flag.kind == "boolean":
        return str(initial).lower()
    if flag.kind in ("repeated", "words"):
        return ""
    return f'"{initial}"' if flag.kind == "text" else f"{initial:g}s" if flag.kind == "duration" else str(initial)
