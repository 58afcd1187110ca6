"""What a charm assumes of its controller (`assumes` in its metadata)."""

from __future__ import annotations

import operator
import re
import typing

from lab.controller import core

_FEATURE = re.compile(r"(?P<name>[a-z][a-z0-9-]*)(?:\s*(?P<comparison>>=|<)\s*(?P<version>[0-9][0-9.]*))?")
_COMPARISONS = {">=": operator.ge, "<": operator.lt}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def problems(expressions: typing.Any) -> list[str]:
    """Why the controller is not what a charm assumes; empty if it is."""
    found: list[str] = []
    for expression in expressions or []:
        found += _problems(expression)
    return found


def _problems(expression: typing.Any) -> list[str]:
    if isinstance(expression, dict):
        (kind, inner), *_ = expression.items()
        results = [_problems(one) for one in inner]
        if kind == "any-of":
            results = [] if any(not result for result in results) else results
        return [problem for result in results for problem in result]
    return _feature(str(expression))


def _feature(text: str) -> list[str]:
    match = _FEATURE.fullmatch(text.strip())
    if match is None:
        return [f"charm has an invalid assumption {text!r}"]
    if match["name"] != "juju":
        return [f'charm requires feature "{match["name"]}" but model does not support it']
    comparison = match["comparison"]
    if comparison and not _COMPARISONS[comparison](_version(core.JUJU_VERSION), _version(match["version"])):
        return [f"charm requires Juju version {comparison} {match['version']}, model has version {core.JUJU_VERSION}"]
    return []
