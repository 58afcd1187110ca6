"""What a writer and a reader record, and how it is stored: one JSON object a line.

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


@dataclasses.dataclass(frozen=True)
class Read:
    """One attempt to read a row from one server."""

    host: str
    sent: float
    ended: float
    primary: bool | None
    """Whether the server is a primary; None if it did not answer."""
    version: str = ""
    """The server's version, such as "16.15"; empty if it did not answer."""
    reason: str = ""
    """Why it did not answer; empty if it did."""
    acknowledges: bool = False
    """Whether a write could be acknowledged: it is a primary, and has a synchronous standby where it needs one."""


Record = Write | Connection | Read

_KINDS: dict[str, type[Record]] = {"write": Write, "connection": Connection, "read": Read}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode(record: Record) -> str:
    """Return the record as one line of JSON, without the line's end."""
    return json.dumps({"kind": _NAMES[type(record)], **dataclasses.asdict(record)})


def decode(line: str) -> Record:
    """Return the record that `encode` made the line from.

    Raises:
        ValueError: The line is no such record.
    """
    fields = json.loads(line)
    try:
        kind = fields.pop("kind")
        if kind == "write":
            fields["outcome"] = Outcome(fields["outcome"])
        if kind in _KINDS:
            return _KINDS[kind](**fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a client's record: {line!r}") from error
    raise ValueError(f"unknown kind of record: {kind!r}")
