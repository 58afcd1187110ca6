"""Entry point: find the command, read its options, run it, and turn errors into Juju's messages and exit statuses."""

from __future__ import annotations

import collections.abc
import os
import sys

from lab.juju import client, command, flags, registry


def main(arguments: collections.abc.Sequence[str]) -> int:
    """Run one command line, without the program's name; return the exit status."""
    try:
        return _dispatch(list(arguments))
    except flags.FlagError as error:
        return _error(str(error), 2)
    except command.UsageError as error:
        return _error(str(error), 2)
    except command.CommandError as error:
        return _error(str(error), 1)
    except client.RemoteError as error:
        return _error(error.message, 1)
    except client.NotRunning as error:
        return _error(f'{error}\n\nIs the lab up? "python3 -m lab up" starts it.', 1)
    except command.Exit as error:
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has seen enough; keep the interpreter from writing once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _error(message: str, status: int) -> int:
    if message:
        sys.stdout.flush()
        print(f"ERROR {message}", file=sys.stderr)
    return status


def _dispatch(arguments: list[str]) -> int:
    try:
        leading, rest = flags.Parser((*command.GLOBAL_FLAGS, flags.boolean("version")), interspersed=False).parse(
            arguments
        )
    except flags.HelpRequested:
        return _dispatch(["help", *(word for word in arguments if not word.startswith("-"))])
    if leading.on("version"):
        rest = ["version"]
    if not rest:
        return _dispatch(["help"])
    found = registry.find(rest[0])
    if found is None:
        raise command.CommandError(_unknown(rest[0]))
    try:
        options, positional = flags.Parser((*command.GLOBAL_FLAGS, *found.own_flags), found.interspersed).parse(
            rest[1:]
        )
    except flags.HelpRequested:
        return _dispatch(["help", found.name])
    for flag in command.GLOBAL_FLAGS:
        if leading.given(flag.names[0]) and not options.given(flag.names[0]):
            options.assign(flag.names[0], leading.on(flag.names[0]) if flag.kind == "boolean" else "")
    invocation = command.Invocation(found, options, positional)
    if found.formats:
        assert invocation.format
    found.run(invocation)
    return 0


def _unknown(name: str) -> str:
    if name in registry.UNSUPPORTED:
        return f'juju: "{name}" is a juju command that the lab does not have. See "juju --help".'
    return f'juju: "{name}" is not a juju command. See "juju --help".\n\nDid you mean:\n\t{registry.nearest(name)}'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
