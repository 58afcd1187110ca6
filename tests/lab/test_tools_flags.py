from __future__ import annotations

import typing

import pytest

from lab.controller.tools import errors, flags

OPTIONS = (
    flags.Option(("relation", "r"), convert=lambda _, value: int(value.rpartition(":")[2])),
    flags.Option(("app",), switch=True),
    flags.Option(("all", "a"), switch=True),
    flags.Option(("file",)),
)


def parse(*words: str) -> tuple[dict[str, object], list[str]]:
    parsed = flags.parse(OPTIONS, words, typing.cast("typing.Any", None))
    return parsed.options, parsed.arguments


@pytest.mark.parametrize(
    ("words", "options", "arguments"),
    [
        ((), {}, []),
        (("a", "b"), {}, ["a", "b"]),
        (("--app", "a"), {"app": True}, ["a"]),
        (("a", "--app"), {"app": True}, ["a"]),
        (("--app=true",), {"app": True}, []),
        (("--app=True",), {"app": True}, []),
        (("--app=False",), {"app": False}, []),
        (("--app", "false"), {"app": True}, ["false"]),
        (("-r", "4"), {"relation": 4}, []),
        (("-r4",), {"relation": 4}, []),
        (("-r", "db:4"), {"relation": 4}, []),
        (("--relation=db:4",), {"relation": 4}, []),
        (("--relation", "4", "key"), {"relation": 4}, ["key"]),
        (("-ar4",), {"all": True, "relation": 4}, []),
        (("-",), {}, ["-"]),
        (("--", "--app", "-"), {}, ["--app", "-"]),
        (("--file", "-"), {"file": "-"}, []),
        (("--file", "--app"), {"file": "--app"}, []),
        (("--file=a=b",), {"file": "a=b"}, []),
        (("--file=",), {"file": ""}, []),
        (("",), {}, [""]),
    ],
)
def test_words_become_options_and_arguments(
    words: tuple[str, ...], options: dict[str, object], arguments: list[str]
) -> None:
    assert parse(*words) == (options, arguments)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nope",), "option provided but not defined: --nope"),
        (("-n",), "option provided but not defined: -n"),
        (("-an",), "option provided but not defined: -n"),
        (("--file",), "option needs an argument: --file"),
        (("-r",), "option needs an argument: -r"),
        (("--relation", "x"), 'invalid value "x" for option --relation: invalid literal'),
        (("--app=maybe",), 'invalid value "maybe" for option --app: strconv.ParseBool: parsing "maybe"'),
    ],
)
def test_bad_words_are_usage_errors(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(errors.UsageError) as raised:
        parse(*words)
    assert str(raised.value).startswith(message)
    assert raised.value.code == 2


@pytest.mark.parametrize("word", ["--help", "-h", "-ah"])
def test_help_is_found_anywhere(word: str) -> None:
    with pytest.raises(flags.HelpWanted):
        parse("a", word)


def test_key_values() -> None:
    assert flags.key_values(["a=1", "b=", "c=x=y"]) == {"a": "1", "b": "", "c": "x=y"}


@pytest.mark.parametrize("arguments", [["a"], ["=1"], ["a=1", "a=2"]])
def test_bad_key_values_are_refused(arguments: list[str]) -> None:
    with pytest.raises(errors.UsageError):
        flags.key_values(arguments)
