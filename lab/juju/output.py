"""JSON, YAML and plain output as Juju's command package writes them."""

from __future__ import annotations

import json
import typing

_GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def as_json(value: typing.Any) -> str:
    """One line of JSON, escaped as Go's encoding/json does it."""
    line = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return line.translate(str.maketrans(_GO_ESCAPES)) + "\n"


def as_yaml(value: typing.Any) -> str:
    """YAML in the order of the value's keys; nothing at all for no value."""
    if value is None:
        return ""
    import yaml  # late: most runs ask for JSON or a table, and this import costs more than all of theirs

    class Dumper(yaml.SafeDumper):
        """Quotes as Go's yaml package does."""

        def ignore_aliases(self, data: typing.Any) -> bool:
            return True

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        if "\n" in text:
            return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
        ambiguous = dumper.resolve(yaml.ScalarNode, text, (True, False)) != "tag:yaml.org,2002:str"
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if ambiguous or not text else None)

    Dumper.add_representer(str, represent)
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=2**20)
    return text.removesuffix("...\n").rstrip("\n") + "\n"  # the dots end a document that is a bare scalar


def as_smart(value: typing.Any) -> str:
    """A bare value: texts raw, booleans True and False, lists a line an item, nothing for no value, else YAML."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"{value}\n"
    if isinstance(value, str):
        return f"{value}\n"
    if isinstance(value, list):
        return "".join(f"{item}\n" for item in value)
    return as_yaml(value)


def ordered(value: typing.Any) -> typing.Any:
    """Copy a structure with the keys of its mappings sorted, as Go writes maps."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(item) for item in value]
    return value
