"""Options as Go's gnuflag reads them, which Juju uses.

`--name value`, `--name=value`, `-n value`, `-n3`, bundled one-letter booleans, options and arguments in any order; `--`
ends the options. A boolean never takes the next word as its value. argparse abbreviates names, bundles otherwise and
has messages of its own, so it cannot stand in.

Named tuples here and in `command`, no dataclasses: these alone would take a quarter of the command's start-up time.
"""

from __future__ import annotations

import collections.abc
import re
import typing

HELP = ("h", "help")


class FlagError(Exception):
    """The command line cannot be read; the message is Juju's."""


class HelpRequested(Exception):
    """`-h` or `--help` was given."""


Kind = typing.Literal["boolean", "text", "number", "duration", "repeated", "words"]


class Flag(typing.NamedTuple):
    """One option.

    Attributes:
        names: All its names; the first is the one by which its value is read.
        kind: `repeated` collects every occurrence, `words` splits the last one at commas.
        default: The value when it is not given; durations are seconds.
        usage: One line for the help.
    """

    names: tuple[str, ...]
    kind: Kind = "text"
    default: typing.Any = None
    usage: str = ""

    @property
    def initial(self) -> typing.Any:
        """The value before any occurrence."""
        if self.default is not None:
            return self.default
        if self.kind in ("repeated", "words"):
            return []
        return {"boolean": False, "text": "", "number": 0, "duration": 0.0}[self.kind]


def boolean(*names: str, usage: str = "", default: bool = False) -> Flag:
    """An option without a value, or with `=true` or `=false`."""
    return Flag(names, "boolean", default, usage)


def text(*names: str, usage: str = "", default: str = "") -> Flag:
    """An option with a text; the last occurrence counts."""
    return Flag(names, "text", default, usage)


def number(*names: str, usage: str = "", default: int = 0) -> Flag:
    """An option with a whole number."""
    return Flag(names, "number", default, usage)


def duration(*names: str, usage: str = "", default: float = 0.0) -> Flag:
    """An option with a Go duration such as `1m30s`, read as seconds."""
    return Flag(names, "duration", default, usage)


def repeated(*names: str, usage: str = "") -> Flag:
    """An option that may be given several times; all values count."""
    return Flag(names, "repeated", None, usage)


def words(*names: str, usage: str = "") -> Flag:
    """An option with a comma-separated list; the last occurrence counts."""
    return Flag(names, "words", None, usage)


class Values:
    """The options of one command line, each read by its first name."""

    def __init__(self, flags: collections.abc.Iterable[Flag]) -> None:
        self._values = {flag.names[0]: flag.initial for flag in flags}
        self._given: set[str] = set()

    def assign(self, name: str, value: typing.Any) -> None:
        """Set the option of this first name; it then counts as given."""
        self._values[name] = value
        self._given.add(name)

    def given(self, name: str) -> bool:
        """Whether the command line has the option."""
        return name in self._given

    def on(self, name: str) -> bool:
        """The value of a boolean option."""
        return bool(self._values[name])

    def text(self, name: str) -> str:
        """The value of a text option."""
        return str(self._values[name])

    def number(self, name: str) -> int:
        """The value of a number option."""
        return int(self._values[name])

    def seconds(self, name: str) -> float:
        """The value of a duration option."""
        return float(self._values[name])

    def texts(self, name: str) -> list[str]:
        """The values of a repeated option, or the words of a comma-separated one."""
        return list(self._values[name])


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(value: str) -> float:
    """Read a Go duration, such as `300ms`, `1.5h` or `2h45m`, as seconds.

    Raises:
        ValueError: With the message of Go's `time.ParseDuration`.
    """
    body = value[1:] if value[:1] in ("+", "-") else value
    sign = -1.0 if value.startswith("-") else 1.0
    if body == "0":
        return 0.0
    if re.fullmatch(r"\d+\.?\d*", body):
        raise ValueError(f'time: missing unit in duration "{value}"')
    if not body or not re.fullmatch(rf"(?:{_PART.pattern})+", body):
        raise ValueError(f'time: invalid duration "{value}"')
    return sign * sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(body))


def parse_boolean(value: str) -> bool:
    """Read a boolean as Go's `strconv.ParseBool` does.

    Raises:
        ValueError: With Go's message.
    """
    if value in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if value in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{value}": invalid syntax')


def _parse_number(value: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", value):
        raise ValueError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
    return int(value)


_CONVERTERS: dict[Kind, collections.abc.Callable[[str], typing.Any]] = {
    "boolean": parse_boolean,
    "number": _parse_number,
    "duration": parse_duration,
    "text": str,
    "repeated": str,
    "words": lambda value: value.split(","),
}


def dashed(name: str) -> str:
    """The name as it is typed: one dash before a letter, two before a word."""
    return f"-{name}" if len(name) == 1 else f"--{name}"


class Parser:
    """Reads one command line; `parse` is its only entry."""

    def __init__(self, flags: collections.abc.Sequence[Flag], interspersed: bool = True) -> None:
        self._by_name = {name: flag for flag in flags for name in flag.names}
        self._interspersed = interspersed
        self._words: list[str] = []
        self.values = Values(flags)
        self.arguments: list[str] = []

    def parse(self, arguments: collections.abc.Sequence[str]) -> tuple[Values, list[str]]:
        """Split a command line into options and arguments.

        Raises:
            FlagError: An option is unknown, lacks its value or has a bad one.
            HelpRequested: Help was asked for.
        """
        self._words = list(arguments)
        while self._words:
            word = self._words.pop(0)
            if word == "--":
                break
            if len(word) < 2 or not word.startswith("-"):
                self.arguments.append(word)
                if not self._interspersed:
                    break
            elif word.startswith("--"):
                self._long(word)
            else:
                self._short(word)
        self.arguments += self._words
        return self.values, self.arguments

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            raise FlagError(f"bad flag syntax: {word}")
        flag = self._find(name, f"--{name}")
        if flag.kind == "boolean":
            self._assign(flag, name, value if equals else "true")
        else:
            self._assign(flag, name, value if equals else self._next(name))

    def _short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            name, letters = letters[0], letters[1:]
            flag = self._find(name, f"-{name}")
            if flag.kind != "boolean":
                self._assign(flag, name, letters.removeprefix("=") if letters else self._next(name))
                return
            if letters.startswith("="):
                self._assign(flag, name, letters[1:])
                return
            self._assign(flag, name, "true")

    def _find(self, name: str, typed: str) -> Flag:
        flag = self._by_name.get(name)
        if flag is None:
            if name in HELP:
                raise HelpRequested
            raise FlagError(f"option provided but not defined: {typed}")
        return flag

    def _next(self, name: str) -> str:
        if not self._words:
            raise FlagError(f"option needs an argument: {dashed(name)}")
        return self._words.pop(0)

    def _assign(self, flag: Flag, name: str, value: str) -> None:
        try:
            converted = _CONVERTERS[flag.kind](value)
        except ValueError as error:
            raise FlagError(f'invalid value "{value}" for option {dashed(name)}: {error}') from error
        key = flag.names[0]
        self.values.assign(key, [*self.values.texts(key), converted] if flag.kind == "repeated" else converted)
