"""Juju's hook tools: what a charm calls to read and change the model from inside a hook or an action.

In a machine, every tool is the same tiny client (`install` puts it there); it sends its command line over the unit's
``agent.socket``, and the agent gives each request to `respond`. `call` is the same for callers inside this process.

Names, arguments, formats, messages and exit statuses are those of Juju 3.6.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.controller.tools import (
    actions,
    errors,
    flags,
    network,
    registry,
    relations,
    resources,
    secret,
    state,
    status,
    storage,
    unavailable,
    unit,
)

if typing.TYPE_CHECKING:
    from lab.controller import context as hook_context

CLIENT = pathlib.Path(__file__).with_name("hook-tool")
"""The executable that stands behind the name of every tool in a machine."""

NAMES: tuple[str, ...] = tuple(sorted(registry.TOOLS))
"""The names of all tools."""

_MODULES = (actions, network, relations, resources, secret, state, status, storage, unavailable, unit)


@dataclass(frozen=True)
class Answer:
    """What a call of a tool came to.

    Attributes:
        out: For standard output, or for the file ``path``.
        err: For standard error.
        code: Exit status: 0, 1 at run time, 2 for wrong usage.
        path: Absolute path of the caller's file that ``out`` goes to; empty for standard output.
        reads: Files of the caller (``-`` is its standard input) that the tool has to see first; if there are any,
            nothing has been done yet and the call is to be made again with their contents.
    """

    out: str = ""
    err: str = ""
    code: int = 0
    path: str = ""
    reads: tuple[str, ...] = ()


def install(directory: pathlib.Path) -> None:
    """Put the executable and a link for each tool into a directory, as seen from outside the machine."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(CLIENT, directory / CLIENT.name)
    for name in NAMES:
        link = directory / name
        link.unlink(missing_ok=True)
        link.symlink_to(CLIENT.name)


def call(
    context: hook_context.HookContext,
    tool: str,
    arguments: Sequence[str],
    directory: str = "/",
    input: str | None = None,
    files: Mapping[str, str | None] | None = None,
) -> Answer:
    """Call a hook tool.

    Args:
        context: What the running hook or action sees and stages.
        tool: The tool's name.
        arguments: Its command line.
        directory: The caller's working directory, for relative paths.
        input: The caller's standard input, if it was read.
        files: Contents of files of the caller by absolute path, None for one that cannot be read.

    Returns:
        The answer. No error of the caller's raises.
    """
    known = registry.TOOLS.get(tool)
    if known is None:
        return Answer(err=f"ERROR bad request: unknown hook command: {tool}\n", code=1)
    given = dict(files or {})
    if input is not None:
        given.setdefault("-", input)
    try:
        parsed = flags.parse(known.all_options, arguments, context)
        invocation = registry.Invocation(context, parsed.options, parsed.arguments, directory, given)
        out = registry.formatted(known, invocation, known.run(invocation))
    except flags.HelpWanted:
        return Answer(out=known.help())
    except errors.FilesNeededError as needed:
        return Answer(reads=needed.paths)
    except errors.ToolError as error:
        return Answer(err=f"ERROR {error}\n", code=error.code)
    path = parsed.options.get("output", "")
    return Answer(out=out, path=invocation.absolute(str(path)) if path else "")


def respond(request: bytes, find: Callable[[str], hook_context.HookContext | None]) -> bytes:
    """Answer one request of the client; the connection ends after it.

    Args:
        request: The line that the client sent.
        find: Finds the context of that identifier, if it is the one that runs.

    Returns:
        What to send back.
    """
    asked = json.loads(request.decode(errors="surrogateescape"))
    context = find(asked["context"])
    if context is None:
        answer = Answer(err=f"ERROR bad request: unknown context {json.dumps(asked['context'])}\n", code=1)
    else:
        answer = call(context, asked["tool"], asked["arguments"], asked["directory"], files=asked["files"])
    return encode(answer)


def encode(answer: Answer) -> bytes:
    """An answer in the form that the client reads (described there)."""
    if answer.reads:
        paths = "".join(f"{path}\0" for path in answer.reads).encode(errors="surrogateescape")
        return b"read %d\n%b" % (len(paths), paths)
    out = answer.out.encode(errors="surrogateescape")
    err = answer.err.encode(errors="surrogateescape")
    path = answer.path.encode(errors="surrogateescape")
    return b"exit %d %d %d %b\n%b%b" % (answer.code, len(out), len(err), path, out, err)
