"""How secrets are written: their identifiers and their content."""

from __future__ import annotations

import base64
import binascii
import re

IDENTIFIER = re.compile(r"[0-9a-z]{20}")
KEY = re.compile(r"[a-z](?:-?[a-z0-9]){2,}")


def uri(identifier: str) -> str:
    """How charms and people write a secret's identifier."""
    return f"secret:{identifier}"


def identifier(text: str) -> str:
    """The bare identifier in ``secret:ID``, ``secret://MODEL/ID`` or ``ID``.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(rf"(?:secret:(?://(?:[0-9a-f-]{{36}}/)?)?)?({IDENTIFIER.pattern})", text)
    if not found:
        raise ValueError(f'secret URI "{text}" not valid')
    return found[1]


def encode(content: dict[str, str]) -> dict[str, str]:
    """Content as it is stored: values base64-encoded, but for those of keys that end in ``#base64`` (they are already).

    Raises:
        ValueError: a key has not the form that Juju wants, or a value is no base64.
    """
    encoded: dict[str, str] = {}
    for key, value in content.items():
        name, _, suffix = key.partition("#")
        if not KEY.fullmatch(name) or suffix not in ("", "base64"):
            raise ValueError(f'key "{name}" not valid')
        if suffix:
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise ValueError(f'base64 value of key "{name}" not valid') from None
            encoded[name] = value
        else:
            encoded[name] = base64.b64encode(value.encode(errors="surrogateescape")).decode()
    return encoded


def decode(content: dict[str, str]) -> dict[str, str]:
    """Stored content with its values as text."""
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in content.items()}
