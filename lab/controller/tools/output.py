"""The formats in which tools answer: smart, yaml and json, as Juju's tools print them."""

from __future__ import annotations

import json
import typing

import yaml


class _Dumper(yaml.SafeDumper):
    """YAML as Go's library writes it: what looks like another type is quoted with double quotes."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = dumper.resolve(yaml.ScalarNode, value, (True, False)) == "tag:yaml.org,2002:str"
    style = None if plain else '"'
    if not value.isprintable():
        # Odd line breaks and control characters survive only in double quotes.
        style = "|" if value.replace("\n", "").isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(value: object) -> str:
    """YAML with sorted keys and one closing newline; nothing for None."""
    if value is None:
        return ""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=2**30)
    return text.removesuffix("...\n").rstrip("\n") + "\n"


def as_json(value: object) -> str:
    """One line of JSON with sorted keys; None is ``null``."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def smart(value: object) -> str:
    """What is easiest to use in a shell.

    Text as it is, lists of text a line each, booleans ``True`` and ``False``, nothing for None or for empty text; all
    else is YAML.
    """
    match value:
        case str():
            text = value
        case bool():
            text = str(value)
        case list() if value and all(isinstance(item, str) for item in value):
            text = "\n".join(typing.cast("list[str]", value))
        case []:
            text = ""
        case _:
            return as_yaml(value)
    return f"{text}\n" if text else ""


FORMATTERS = {"smart": smart, "yaml": as_yaml, "json": as_json}
