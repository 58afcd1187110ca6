"""A rule of Juju's that the lab keeps to, and how to break it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Semantic:
    """One rule of Juju's."""

    rule: str
    file: str
    """Where the lab keeps to it, below lab/controller."""
    code: str
    """What stands there, once."""
    broken: str
    """What breaks the rule in its place."""
    tests: tuple[str, ...]
    """Tests below tests/lab of which each fails then."""
