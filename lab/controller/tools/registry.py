"""What a hook tool is, and the table that all of them are in."""

from __future__ import annotations

import json
import posixpath
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.controller.tools import errors, flags, output

if typing.TYPE_CHECKING:
    from lab.controller import context as hook_context


@dataclass
class Invocation:
    """One call of a tool.

    Attributes:
        context: What the running hook or action sees and stages.
        options: Values of the given options, by first name.
        arguments: The other arguments.
        directory: The caller's working directory.
        files: Contents of the caller's files that were asked for, by absolute path (``-`` is its standard input); None
            for a file that cannot be read.
    """

    context: hook_context.HookContext
    options: dict[str, typing.Any]
    arguments: list[str]
    directory: str
    files: Mapping[str, str | None]

    def absolute(self, path: str) -> str:
        """A path of the caller, made absolute."""
        return path if path == "-" else posixpath.normpath(posixpath.join(self.directory, path))

    def read(self, *paths: str) -> list[str]:
        """Contents of files of the caller.

        Raises:
            FilesNeededError: they were not sent yet; nothing may have been done before.
            ToolError: one cannot be read.
        """
        names = [self.absolute(path) for path in paths]
        missing = [name for name in names if name not in self.files]
        if missing:
            raise errors.FilesNeededError(*names)
        contents = [self.files[name] for name in names]
        for name, content in zip(names, contents, strict=True):
            if content is None:
                raise errors.ToolError(f"open {name}: no such file or directory")
        return typing.cast("list[str]", contents)

    def only(self, most: int, *, least: int = 0, missing: str = "") -> list[str]:
        """The arguments, checked for their number.

        Raises:
            UsageError: there are fewer than ``least`` (says ``missing``) or more than ``most``.
        """
        if len(self.arguments) < least:
            raise errors.UsageError(missing)
        flags.no_more(self.arguments[most:])
        return self.arguments


Run = Callable[[Invocation], object]


@dataclass(frozen=True)
class Tool:
    """A hook tool.

    Attributes:
        name: What it is called by.
        run: Does the work; what it returns is printed in the wanted format (without formats: text, as it is).
        purpose: One line for ``--help``.
        usage: Its arguments, for ``--help``.
        options: What it takes besides the options of its format.
        formats: The formats that it knows, the default first; none if it prints no value.
    """

    name: str
    run: Run
    purpose: str
    usage: str = ""
    options: tuple[flags.Option, ...] = ()
    formats: tuple[str, ...] = ()

    @property
    def all_options(self) -> tuple[flags.Option, ...]:
        """Its options, with those of its format."""
        return self.options + (_format_options(self.formats) if self.formats else ())

    def help(self) -> str:
        """The text of ``--help``."""
        options = sorted(self.all_options, key=lambda option: option.names)
        lines = [" ".join(filter(None, [f"Usage: {self.name}", "[options]" if options else "", self.usage]))]
        lines += ["", "Summary:", self.purpose]
        if options:
            lines += ["", "Options:"]
        for option in options:
            names = ", ".join(flags.dashed(name) for name in sorted(option.names, key=len))
            lines += [names if option.switch else f'{names} (= "")', f"    {option.help}"]
        return "\n".join(lines) + "\n"


SMART = ("smart", "yaml", "json")
YAML = ("yaml", "json")

TOOLS: dict[str, Tool] = {}


def tool(
    name: str, purpose: str, usage: str = "", *options: flags.Option, formats: tuple[str, ...] = ()
) -> Callable[[Run], Run]:
    """Put the decorated function into the table of tools."""

    def register(run: Run) -> Run:
        TOOLS[name] = Tool(name, run, purpose, usage, options, formats)
        return run

    return register


def _format_options(formats: tuple[str, ...]) -> tuple[flags.Option, ...]:
    def known(_: hook_context.HookContext, value: str) -> str:
        if value not in formats:
            raise ValueError(f"unknown format {json.dumps(value)}")
        return value

    choice = "|".join(sorted(formats))
    return (
        flags.Option(("format",), f"Specify output format ({choice})", convert=known),
        flags.Option(("output", "o"), "Specify an output file"),
    )


def formatted(tool: Tool, invocation: Invocation, value: object) -> str:
    """The value as the caller wants to see it."""
    if not tool.formats:
        return value if isinstance(value, str) else ""
    return output.FORMATTERS[invocation.options.get("format", tool.formats[0])](value)
