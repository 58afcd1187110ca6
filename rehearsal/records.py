"""What a writer records, and how it is stored: one JSON object a line.

Times are seconds of `time.monotonic()`. The clock is the kernel's, so that records made in a machine's network
namespace and steps timed outside it lie on one axis.
"""

from __future__ import annotations

import dataclasses
import enum
import json


class Outcome(enum.StrEnum):
    """What a client knows of a write that it has sent."""

    ACKNOWLEDGED = "acknowledged"
    """The server said that it is committed: from now on it must be there."""
    FAILED = "failed"
    """It was refused, or never sent: it must not be there."""
    INDETERMINATE = "indeterminate"
    """It was sent and no answer, or no full promise, came back: it may be there or not."""


@dataclasses.dataclass(frozen=True)
class Write:
    """One attempt to commit one row."""

    sequence: int
    sent: float
    ended: float
    outcome: Outcome
    reason: str = ""
    """Why it was not acknowledged; empty if it was."""


@dataclasses.dataclass(frozen=True)
class Connection:
    """A session with a server that takes writes."""

    time: float
    host: str
    timeline: int
    """The server's timeline. Every promotion starts a new one, so a difference counts the promotions between."""


Record = Write | Connection


def encode(record: Record) -> str:
    """Return the record as one line of JSON, without the line's end."""
    kind = "write" if isinstance(record, Write) else "connection"
    return json.dumps({"kind": kind, **dataclasses.asdict(record)})


def decode(line: str) -> Record:
    """Return the record that `encode` made the line from.

    Raises:
        ValueError: The line is no such record.
    """
    fields = json.loads(line)
    try:
        kind = fields.pop("kind")
        if kind == "connection":
            return Connection(**fields)
        if kind == "write":
            return Write(**{**fields, "outcome": Outcome(fields["outcome"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a writer's record: {line!r}") from error
    raise ValueError(f"unknown kind of record: {kind!r}")
