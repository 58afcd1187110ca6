"""Times as Juju's command line writes them, from the RFC 3339 texts that the controller sends."""

from __future__ import annotations

import datetime
import typing


def parse(value: str) -> datetime.datetime:
    """Read an RFC 3339 time; without an offset it is UTC."""
    moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _offset(moment: datetime.datetime) -> str:
    if not moment.utcoffset():
        return "Z"
    zone = moment.strftime("%z")
    return f"{zone[:3]}:{zone[3:]}"


def since(value: str, utc: bool = False) -> str:
    """The form of `since` in status: `21 Nov 2025 10:00:00Z`, or ISO 8601 where UTC is asked for."""
    moment = parse(value)
    if utc:
        return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    moment = moment.astimezone()
    return moment.strftime("%d %b %Y %H:%M:%S") + _offset(moment)


def timestamp(value: str, utc: bool = False) -> str:
    """The time of day in the head of status: `10:00:00Z`."""
    moment = parse(value).astimezone(datetime.UTC) if utc else parse(value).astimezone()
    return moment.strftime("%H:%M:%S") + _offset(moment)


def result(value: str, utc: bool = False) -> str:
    """The form of times in a task's result: `2025-11-21 10:00:00 +0000 UTC`."""
    moment = parse(value).astimezone(datetime.UTC) if utc else parse(value).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S %z ") + ("UTC" if utc else moment.strftime("%Z"))


def plain(value: str, utc: bool = False) -> str:
    """The form of times in the table of operations: `2025-11-21T10:00:00`; nothing for no time."""
    if not value:
        return ""
    moment = parse(value).astimezone(datetime.UTC) if utc else parse(value).astimezone()
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def age(value: str, now: datetime.datetime) -> str:
    """How long ago, in the words of Juju's tables."""
    moment = parse(value)
    seconds = int((now - moment).total_seconds())
    if seconds < 1:
        return "just now"
    if seconds < 60:
        return f"{seconds} second{'s' if seconds > 1 else ''} ago"
    if seconds < 3600:
        return f"{seconds // 60} minute{'s' if seconds >= 120 else ''} ago"
    if seconds < 86400:
        return f"{seconds // 3600} hour{'s' if seconds >= 7200 else ''} ago"
    return moment.strftime("%Y-%m-%d")


def localize(value: typing.Any, utc: bool = False) -> typing.Any:
    """Copy a structure with each `since` in the form of status."""
    if isinstance(value, dict):
        return {
            key: since(item, utc) if key == "since" and isinstance(item, str) and item else localize(item, utc)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [localize(item, utc) for item in value]
    return value
