"""Command-line parsing with the rules of Juju's own tools (Go's ``gnuflag``).

Options and arguments may be mixed; ``--`` ends the options; a lone ``-`` is an argument. A long option takes its value
from ``--name=value`` or from the next argument, a short one also from the same word (``-r4``). A switch takes a value
only as ``--name=value``, with the words that Go accepts for a boolean.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab.controller.tools import errors

if typing.TYPE_CHECKING:
    from lab.controller import context as hook_context

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


@dataclass(frozen=True)
class Option:
    """One option of a tool.

    Attributes:
        names: All its names without dashes; the first one is the key of its value.
        help: What ``--help`` says of it.
        switch: True if it takes no value.
        convert: Turns the text into the value; a ``ValueError`` or ``ToolError`` makes it a usage error.
    """

    names: tuple[str, ...]
    help: str = ""
    switch: bool = False
    convert: Callable[[hook_context.HookContext, str], object] | None = None


class HelpWanted(Exception):
    """``--help`` or ``-h`` was given."""


@dataclass
class Parsed:
    """What was given: option values by the option's first name, and the other arguments in order."""

    options: dict[str, object]
    arguments: list[str]


def dashed(name: str) -> str:
    """The option as people write it: ``-r``, ``--relation``."""
    return f"-{name}" if len(name) == 1 else f"--{name}"


def quoted(words: Iterable[str]) -> str:
    """Words as Go prints a list of quoted strings: ``["a" "b"]``."""
    return "[" + " ".join(json.dumps(word, ensure_ascii=False) for word in words) + "]"


def parse(options: Sequence[Option], words: Sequence[str], context: hook_context.HookContext) -> Parsed:
    """Split a command line into options and arguments.

    Args:
        options: What the tool knows.
        words: The command line without the tool's name.
        context: Handed to the options' converters.

    Raises:
        UsageError: an unknown option, a missing or bad value.
        HelpWanted: help was asked for.
    """
    known = {name: option for option in options for name in option.names}
    parsed = Parsed({}, [])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.arguments += rest
            break
        if word == "-" or not word.startswith("-"):
            parsed.arguments.append(word)
        elif word.startswith("--"):
            name, has_value, value = word[2:].partition("=")
            _take(known, parsed, name, value if has_value else None, rest, context)
        else:
            _take_short(known, parsed, word[1:], rest, context)
    return parsed


def _take_short(
    known: dict[str, Option], parsed: Parsed, letters: str, rest: list[str], context: hook_context.HookContext
) -> None:
    """Take a word of one-letter options: ``-ab`` or ``-r4``."""
    while letters:
        name, letters = letters[0], letters[1:]
        option = known.get(name)
        if option is not None and not option.switch and letters:
            _take(known, parsed, name, letters.removeprefix("="), rest, context)
            return
        _take(known, parsed, name, None, rest, context)


def _take(
    known: dict[str, Option],
    parsed: Parsed,
    name: str,
    value: str | None,
    rest: list[str],
    context: hook_context.HookContext,
) -> None:
    option = known.get(name)
    if option is None:
        if name in ("help", "h"):
            raise HelpWanted
        raise errors.UsageError(f"option provided but not defined: {dashed(name)}")
    if option.switch:
        parsed.options[option.names[0]] = _boolean(name, value)
        return
    if value is None:
        if not rest:
            raise errors.UsageError(f"option needs an argument: {dashed(name)}")
        value = rest.pop(0)
    try:
        parsed.options[option.names[0]] = option.convert(context, value) if option.convert else value
    except (ValueError, errors.ToolError) as error:
        raise errors.UsageError(f"invalid value {json.dumps(value)} for option {dashed(name)}: {error}") from None


def _boolean(name: str, value: str | None) -> bool:
    if value is None or value in TRUE:
        return True
    if value in FALSE:
        return False
    reason = f"strconv.ParseBool: parsing {json.dumps(value)}: invalid syntax"
    raise errors.UsageError(f"invalid value {json.dumps(value)} for option {dashed(name)}: {reason}")


def no_more(arguments: Sequence[str]) -> None:
    """Refuse arguments that the tool does not take.

    Raises:
        UsageError: there are some.
    """
    if arguments:
        raise errors.UsageError(f"unrecognized args: {quoted(arguments)}")


def key_values(arguments: Iterable[str]) -> dict[str, str]:
    """Read ``key=value`` arguments; an empty value is kept (it means: delete).

    Raises:
        UsageError: an argument has no ``=`` or no key, or a key comes twice.
    """
    pairs: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key:
            raise errors.UsageError(f'expected "key=value", got {json.dumps(argument, ensure_ascii=False)}')
        if key in pairs:
            raise errors.UsageError(f"key {json.dumps(key)} specified more than once")
        pairs[key] = value
    return pairs
