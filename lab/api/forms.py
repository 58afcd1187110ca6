"""Forms that several calls use: bases, constraints, origins of charms, statuses."""

from __future__ import annotations

import platform
import re

from lab.controller import views_lookup
from lab.controller.entities import applications, charms
from lab.controller.operations_common import Json

SERIES = {"20.04": "focal", "22.04": "jammy", "24.04": "noble"}
"""The code names of Ubuntu's releases, which older parts of Juju's API call series."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NUMBERS = frozenset({"cores", "cpu-power", "mem", "root-disk"})
_SIZE = re.compile(r"(\d+)([MGTPEZY]?)")
_LISTS = frozenset({"tags", "spaces", "zones"})


def architecture() -> str:
    """This host's architecture by Debian's name."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def base(text: str) -> Json:
    """`ubuntu@24.04` as a name and a channel with its risk."""
    described = views_lookup.base(text)
    return {"name": described["name"], "channel": f"{described['channel']}/stable"}


def base_text(described: Json | None) -> str | None:
    """A name and a channel as `ubuntu@24.04`; None for none."""
    name, channel = (described or {}).get("name"), (described or {}).get("channel")
    return f"{name}@{channel.partition('/')[0]}" if name and channel else None


def series(text: str) -> str:
    """The series of a base; empty for one that has none."""
    return SERIES.get(views_lookup.base(text)["channel"], "")


def constraints(text: str) -> Json:
    """`cores=2 mem=4G tags=a,b` with numbers as numbers (sizes in MiB) and lists as lists."""
    result: Json = {}
    for part in text.split():
        name, _, value = part.partition("=")
        if name in _NUMBERS and (match := _SIZE.fullmatch(value)):
            result[name] = int(match[1]) * 1024 ** ("MGTPEZY".index(match[2]) if match[2] else 0)
        elif name in _LISTS:
            result[name] = value.split(",")
        else:
            result[name] = value
    return result


def constraints_text(described: Json | None) -> str:
    """The opposite of `constraints`."""
    parts = [
        f"{name}={','.join(value) if isinstance(value, list) else value}{'M' if name in ('mem', 'root-disk') else ''}"
        for name, value in sorted((described or {}).items())
        if value not in (None, "", [])
    ]
    return " ".join(parts)


def origin(application: applications.Application, charm: charms.Charm) -> Json:
    """Where an application's charm comes from."""
    track, _, risk = application.channel.partition("/")
    store = {} if charm.local else {"track": track, "risk": risk, "id": charm.name, "hash": charm.sha256}
    return {
        "source": "local" if charm.local else "charm-hub",
        "type": "charm",
        "revision": charm.revision,
        "architecture": architecture(),
        "base": base(application.base),
        **store,
    }


def status(shown: Json) -> Json:
    """A status of the command line's form as watchers tell it."""
    return {
        "current": shown.get("current", ""),
        "message": shown.get("message", ""),
        "since": shown.get("since", ""),
        "version": shown.get("version", ""),
        "data": {},
    }


def detailed_status(shown: Json, kind: str = "") -> Json:
    """A status of the command line's form as FullStatus tells it."""
    return {
        "status": shown.get("current", ""),
        "info": shown.get("message", ""),
        "data": {},
        "since": shown.get("since", ""),
        "kind": kind,
        "version": shown.get("version", ""),
        "life": shown.get("life", ""),
    }
