"""The parameters of an action, held against the JSON schema in the charm's `actions.yaml`."""

from __future__ import annotations

import typing

import jsonschema


class ParameterError(ValueError):
    """A parameter is missing, unknown or of the wrong type."""


def check(described: dict[str, typing.Any], parameters: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """The parameters with the defaults of those that were not given.

    Raises:
        ParameterError: they do not fit.
    """
    schema = {
        "type": "object",
        "properties": described.get("params") or {},
        "required": described.get("required") or [],
        # Juju's default since 3.0.
        "additionalProperties": described.get("additionalProperties", False),
    }
    filled = _with_defaults(schema["properties"], parameters)
    found = jsonschema.Draft7Validator(schema).iter_errors(filled)
    errors = sorted(found, key=lambda error: [str(part) for part in error.path])
    if errors:
        where = ".".join(["(root)", *(str(part) for part in errors[0].path)])
        raise ParameterError(f"validation failed: {where} : {errors[0].message}, given {errors[0].instance!r}")
    return filled


def _with_defaults(properties: dict[str, typing.Any], given: dict[str, typing.Any]) -> dict[str, typing.Any]:
    filled = dict(given)
    for name, property_ in properties.items():
        if not isinstance(property_, dict):
            continue
        if name not in filled and "default" in property_:
            filled[name] = property_["default"]
        elif isinstance(filled.get(name), dict):
            filled[name] = _with_defaults(property_.get("properties") or {}, filled[name])
    return filled
