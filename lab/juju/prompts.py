"""Words that several commands share when they tell what is about to go."""

from __future__ import annotations

import typing

from lab.juju import command

ACTIONS = "This command will perform the following actions:"


def removal(kind: str, name: str, info: dict[str, typing.Any]) -> str:
    """The lines on one entity that will be removed, and on what goes with it."""
    lines = [f"will remove {kind} {name}"]
    lines += [f"- will remove unit {unit}" for unit in info.get("units", [])]
    lines += [f"- will remove storage {storage}" for storage in info.get("destroyed-storage", [])]
    lines += [f"- will detach storage {storage}" for storage in info.get("detached-storage", [])]
    return "".join(f"{line}\n" for line in lines)


def check_no_wait(invocation: command.Invocation) -> None:
    """Refuse `--no-wait` without `--force`.

    Raises:
        UsageError: It is.
    """
    if invocation.options.on("no-wait") and not invocation.options.on("force"):
        raise command.UsageError("--no-wait without --force not valid")
