"""Opened ports as the tables show them: `80,443/tcp 8000-8002/udp`."""

from __future__ import annotations

import collections.abc


def summary(ports: collections.abc.Iterable[str]) -> str:
    """Ports by protocol, neighbours joined to ranges; ranges and protocols without ports as they are."""
    by_protocol: dict[str, list[str]] = {}
    for port in sorted(ports):
        number, slash, protocol = port.partition("/")
        by_protocol.setdefault(slash + protocol if slash else port, []).extend([number] if slash else [])
    parts: list[str] = []
    for protocol in sorted(by_protocol):
        numbers = by_protocol[protocol]
        ranges = [number for number in numbers if not number.isdigit()]
        joined = _joined(sorted(int(number) for number in numbers if number.isdigit()))
        parts.append(",".join(sorted([*joined, *ranges], key=_order)) + protocol)
    return " ".join(parts)


def _joined(numbers: list[int]) -> list[str]:
    result: list[list[int]] = []
    for number in numbers:
        if result and result[-1][-1] == number - 1:
            result[-1].append(number)
        else:
            result.append([number])
    return [str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}" for group in result]


def _order(text: str) -> int:
    return int(text.partition("-")[0])
