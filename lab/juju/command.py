"""What every command shares: its declaration, and the invocation that its function gets.

A command is a function of one `Invocation`, declared with `define`. Exit statuses are Juju's: 2 where the command line
is wrong, 1 where the command fails, 0 otherwise.
"""

from __future__ import annotations

import collections.abc
import functools
import os
import pathlib
import sys
import typing

from lab.juju import client, flags, output, store

GLOBAL_FLAGS = (
    flags.boolean("debug", usage="Show debugging output"),
    flags.text("logging-config", usage="Accepted and ignored: this command keeps no log"),
    flags.boolean("quiet", usage="Show no informational output"),
    flags.boolean("show-log", usage="Accepted and ignored: this command keeps no log"),
    flags.boolean("verbose", usage="Show more verbose output"),
)
LOGIN_FLAG = flags.boolean("B", "no-browser-login", usage="Accepted and ignored: nobody logs in to the lab")
MODEL_FLAG = flags.text(
    "m", "model", usage="Model to operate in. Accepts [<controller name>:]<model name>|<model UUID>"
)
CONTROLLER_FLAG = flags.text("c", "controller", usage="Controller to operate in")
NO_PROMPT_FLAG = flags.boolean("no-prompt", usage="Do not ask for confirmation")
UTC_FLAG = flags.boolean("utc", usage="Show times in UTC")
COLOR_FLAGS = (
    flags.boolean("color", usage="Use ANSI color codes in output"),
    flags.boolean("no-color", usage="Disable ANSI color codes in output"),
)


class UsageError(Exception):
    """The command line is not what the command takes: exit status 2."""


class CommandError(Exception):
    """The command failed: exit status 1. Without a message everything has been said already."""


class Exit(Exception):
    """The command ends with a status of its own, that of a process it ran for instance."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Command(typing.NamedTuple):
    """One command.

    Attributes:
        scope: "model" gives it `-m`, "controller" gives it `-c`, None neither.
        formats: Values of `--format`, the default first; none for a command that has no such option.
        refused_formats: Those of Juju that the lab does not have.
        interspersed: False passes all that follows the first argument through, options too.
    """

    name: str
    run: collections.abc.Callable[[Invocation], None]
    purpose: str
    usage: str = ""
    options: tuple[flags.Flag, ...] = ()
    aliases: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    scope: typing.Literal["model", "controller"] | None = "model"
    interspersed: bool = True
    detail: str = ""
    refused_formats: tuple[str, ...] = ()

    @property
    def own_flags(self) -> tuple[flags.Flag, ...]:
        """The command's options, those of its scope and output included, the global ones not."""
        scope = {"model": (LOGIN_FLAG, MODEL_FLAG), "controller": (LOGIN_FLAG, CONTROLLER_FLAG), None: ()}[self.scope]
        formats: tuple[flags.Flag, ...] = ()
        if self.formats:
            formats = (
                flags.text(
                    "format", default=self.formats[0], usage=f"Specify output format ({'|'.join(self.formats)})"
                ),
                flags.text("o", "output", usage="Specify an output file"),
            )
        return (*self.options, *scope, *formats)


COMMANDS: dict[str, Command] = {}
"""The commands of the modules imported so far, by name."""


def define(
    name: str,
    purpose: str,
    *,
    usage: str = "",
    options: collections.abc.Sequence[flags.Flag] = (),
    aliases: tuple[str, ...] = (),
    formats: tuple[str, ...] = (),
    scope: typing.Literal["model", "controller"] | None = "model",
    interspersed: bool = True,
    refused_formats: tuple[str, ...] = (),
) -> collections.abc.Callable[
    [collections.abc.Callable[[Invocation], None]], collections.abc.Callable[[Invocation], None]
]:
    """Declare the decorated function as the command `name`; its docstring is the help's detail."""

    def register(
        function: collections.abc.Callable[[Invocation], None],
    ) -> collections.abc.Callable[[Invocation], None]:
        COMMANDS[name] = Command(
            name=name,
            run=function,
            purpose=purpose,
            usage=usage,
            options=tuple(options),
            aliases=aliases,
            formats=formats,
            scope=scope,
            interspersed=interspersed,
            detail=(function.__doc__ or "").strip(),
            refused_formats=refused_formats,
        )
        return function

    return register


class Invocation:
    """One run of one command: its options and arguments, the controller, and the terminal."""

    def __init__(self, command: Command, options: flags.Values, arguments: list[str]) -> None:
        self.command = command
        self.options = options
        self.arguments = arguments
        self.store = store.ClientStore.find(os.environ)
        self.client = client.Client(self.store.socket_path)

    # The command line

    def at_most(self, count: int) -> None:
        """Refuse further arguments.

        Raises:
            UsageError: There are more than `count`.
        """
        if len(self.arguments) > count:
            surplus = " ".join(f'"{argument}"' for argument in self.arguments[count:])
            raise UsageError(f"unrecognized args: [{surplus}]")

    def require(self, count: int, message: str) -> None:
        """Refuse fewer arguments.

        Raises:
            UsageError: There are fewer than `count`; the message is Juju's for this command.
        """
        if len(self.arguments) < count:
            raise UsageError(message)

    @property
    def format(self) -> str:
        """The output format asked for.

        Raises:
            UsageError: It is not one of the command's.
            CommandError: It is one that only Juju has.
        """
        name = self.options.text("format")
        if name in self.command.refused_formats:
            raise CommandError(f"the lab does not have --format {name}: take one of {', '.join(self.command.formats)}")
        if name not in self.command.formats:
            raise UsageError(f'invalid value "{name}" for option --format: unknown format "{name}"')
        return name

    @property
    def color(self) -> bool:
        """Whether to colour output: as asked, else on a terminal unless NO_COLOR is set or TERM is dumb."""
        names = {flag.names[0] for flag in self.command.own_flags}
        if "no-color" in names and self.options.on("no-color"):
            return False
        if "color" in names and self.options.on("color"):
            return True
        return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def path(self, name: str) -> pathlib.Path:
        """A path of the command line, `~` included, made absolute."""
        return pathlib.Path(os.path.abspath(pathlib.Path(name).expanduser()))  # noqa: PTH100 - resolve() follows links

    def read(self, name: str) -> str:
        """The content of a file, or of standard input for `-`.

        Raises:
            CommandError: It cannot be read or is no UTF-8.
        """
        try:
            return sys.stdin.read() if name == "-" else self.path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise CommandError(f"open {name}: {(error.strerror or str(error)).lower()}") from error
        except UnicodeDecodeError as error:
            raise CommandError(f'"{name}" contains non-UTF-8 sequences') from error

    # The controller

    @functools.cached_property
    def model(self) -> str:
        """The name or UUID of the model to operate in, from `-m`, JUJU_MODEL or the last `juju switch`.

        Raises:
            CommandError: No model is selected, or another controller's.
        """
        named = self.options.text("m") or os.environ.get("JUJU_MODEL", "")
        return self.model_of(named) if named else self._current_model()

    def _current_model(self) -> str:
        current = self.store.current_model
        if not current:
            raise CommandError(
                'No selected model.\n\nSelect one with "juju switch", or create one with "juju add-model".'
            )
        return current

    def model_of(self, name: str) -> str:
        """The plain name of `[controller:][user/]model`.

        Raises:
            CommandError: The controller is not this lab.
        """
        controller, colon, model = name.rpartition(":")
        if colon and controller != self.controller["name"]:
            raise CommandError(f"controller {controller} not found")
        return (model or self._current_model()).rpartition("/")[2]

    @functools.cached_property
    def controller(self) -> dict[str, typing.Any]:
        """The controller's name, uuid and so on."""
        return self.client.call("show_controller")

    def call(self, method: str, **params: typing.Any) -> typing.Any:
        """Ask the controller for something in the model.

        Raises:
            client.RemoteError: The controller refused.
            CommandError: There is no such model.
        """
        return self.call_in(self.model, method, **params)

    def call_in(self, model: str, method: str, **params: typing.Any) -> typing.Any:
        """Ask the controller for something in a model of this name or UUID; raises as `call` does."""
        try:
            return self.client.call(method, model=model, **params)
        except client.RemoteError as error:
            if error.code != "model not found":
                raise
            raise CommandError(f"model {self.controller['name']}:admin/{model} not found") from error

    # The terminal

    def inform(self, message: str) -> None:
        """Tell people something that no script should read; `--quiet` drops it."""
        if not self.options.on("quiet"):
            print(message, file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        """Warn people."""
        print(f"WARNING {message}", file=sys.stderr, flush=True)

    def fail(self, message: str) -> None:
        """Say what went wrong while the command goes on; end it with `raise CommandError` later."""
        print(f"ERROR {message}", file=sys.stderr, flush=True)

    def write(self, text: str) -> None:
        """Write a result to standard output, or to the file that `--output` names."""
        target = self.options.text("o") if self.command.formats else ""
        if target:
            self.path(target).write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
            sys.stdout.flush()

    def show(self, value: typing.Any, **formatters: collections.abc.Callable[[typing.Any], str]) -> None:
        """Write a value in the format asked for; `formatters` are those besides json and yaml."""
        known = {"json": output.as_json, "yaml": output.as_yaml, **formatters}
        self.write(known[self.format](value))

    def confirm(self, subject: str) -> None:
        """Ask whether to go on.

        Raises:
            CommandError: The answer is not yes.
        """
        print("\nContinue [y/N]? ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError(f"{subject}: aborted")

    def confirm_name(self, kind: str, name: str) -> None:
        """Ask for the name of what is about to be destroyed.

        Raises:
            CommandError: The answer is another.
        """
        print(f"\nTo continue, enter the name of the {kind} to be destroyed: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != name:
            raise CommandError(f"{kind} destruction: aborted")

    @property
    def prompts(self) -> bool:
        """Whether a destructive command asks first: not with --no-prompt, nor with JUJU_SKIP_CONFIRMATION.

        Raises:
            UsageError: The environment variable is no boolean.
        """
        if self.options.on("no-prompt"):
            return False
        skip = os.environ.get("JUJU_SKIP_CONFIRMATION")
        if skip is None:
            return True
        try:
            return not flags.parse_boolean(skip)
        except ValueError as error:
            message = f'value "{skip}" of env var "JUJU_SKIP_CONFIRMATION" is not a valid bool: {error}'
            raise UsageError(message) from error
