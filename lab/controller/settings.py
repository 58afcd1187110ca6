"""An application's settings: what the charm's options allow, and how text becomes a value."""

from __future__ import annotations

import typing

import yaml

from lab.controller import secrets_content

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "float": (float, int),
    "boolean": (bool,),
    "secret": (str,),
}


class SettingError(ValueError):
    """A setting is not one of the charm, or not of its type."""


def convert(name: str, option: dict[str, typing.Any], value: typing.Any) -> typing.Any:
    """A value, or a text that stands for one, as the option's type wants it.

    Raises:
        SettingError: it is not of that type.
    """
    kind = option.get("type", "string")
    if isinstance(value, str) and kind not in ("string", "secret"):
        value = _parsed(name, kind, value)
    wrong_bool = isinstance(value, bool) and kind != "boolean"
    if wrong_bool or not isinstance(value, _TYPES[kind]):
        raise SettingError(f'option "{name}" expected {kind}, got {value!r}')
    if kind == "secret" and value:
        _check_secret(name, str(value))
    return float(value) if kind == "float" else value


def _parsed(name: str, kind: str, text: str) -> typing.Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise SettingError(f'option "{name}" expected {kind}, got "{text}"') from None


def _check_secret(name: str, value: str) -> None:
    try:
        secrets_content.identifier(value)
    except ValueError as error:
        raise SettingError(f'option "{name}" expected secret, got "{value}"') from error
    if not value.startswith("secret:"):
        raise SettingError(f'option "{name}" expected secret, got "{value}"')


def validate(
    options: dict[str, dict[str, typing.Any]], values: dict[str, typing.Any]
) -> tuple[dict[str, typing.Any], list[str]]:
    """Values by option, and the options that are to have their default again (those set to nothing).

    Raises:
        SettingError: an option is unknown, or a value not of its type.
    """
    known: dict[str, typing.Any] = {}
    reset: list[str] = []
    for name, value in values.items():
        if name not in options:
            raise SettingError(f'unknown option "{name}"')
        if value is None:
            reset.append(name)
        else:
            known[name] = convert(name, options[name], value)
    return known, reset


def of_application(text: str, application: str) -> dict[str, typing.Any]:
    """The settings of one application in a YAML text: below its name, or in the form that `juju config` prints.

    Raises:
        SettingError: it is no YAML, or holds something else.
    """
    if not text:
        return {}
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingError(f"cannot parse settings data: {error}") from error
    if not isinstance(content, dict):
        raise SettingError("cannot parse settings data: expected a mapping")
    if isinstance(content.get("settings"), dict) and content.get("application") == application:
        return {
            name: entry.get("value")
            for name, entry in content["settings"].items()
            if isinstance(entry, dict) and entry.get("source") == "user"
        }
    found = content.get(application)
    if not isinstance(found, dict):
        raise SettingError(f'no settings found for "{application}"')
    return found


def for_new_charm(old: dict[str, typing.Any], options: dict[str, dict[str, typing.Any]]) -> dict[str, typing.Any]:
    """What remains of settings when the application goes over to a charm with these options."""
    result: dict[str, typing.Any] = {}
    for name, value in old.items():
        if name in options:
            try:
                result[name] = convert(name, options[name], value)
            except SettingError:
                continue
    return result
