"""Port ranges, and what a hook asks to be opened and closed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.controller.tools import errors


@dataclass(frozen=True)
class PortRange:
    """Ports of one protocol; ``icmp`` has none (both numbers are 0)."""

    first: int
    last: int
    protocol: str

    def __str__(self) -> str:
        """``5432/tcp``, ``8000-8010/udp``, ``icmp``."""
        if self.protocol == "icmp":
            return "icmp"
        if self.first == self.last:
            return f"{self.first}/{self.protocol}"
        return f"{self.first}-{self.last}/{self.protocol}"

    def conflicts_with(self, other: PortRange) -> bool:
        """Whether the two have ports in common."""
        return self.protocol == other.protocol and self.first <= other.last and other.first <= self.last


def sort_key(port_range: PortRange) -> tuple[str, int, int]:
    """Order in which ranges are listed: by protocol, then by number."""
    return port_range.protocol, port_range.first, port_range.last


def parse(text: str) -> PortRange:
    """Read ``5432``, ``5432/tcp``, ``8000-8010/udp`` or ``icmp``; the protocol is tcp where none is given.

    Raises:
        ValueError: it is none of these, or a number is no port.
    """
    if text == "icmp":
        return PortRange(0, 0, "icmp")
    numbers, _, protocol = text.partition("/")
    if protocol not in ("", "tcp", "udp"):
        raise ValueError(f'invalid protocol "{protocol}", expected "tcp", "udp", or "icmp"')
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", numbers)
    if not found:
        raise ValueError(f'invalid port "{numbers}": strconv.Atoi: parsing "{numbers}": invalid syntax')
    first = int(found[1])
    last = int(found[2]) if found[2] else first
    if first > last:
        raise ValueError(f"invalid port range {first}-{last}/{protocol or 'tcp'}")
    for port in (first, last):
        if not 1 <= port <= 65535:
            raise ValueError(f"port range bounds must be between 1 and 65535, got {first}-{last}")
    return PortRange(first, last, protocol or "tcp")


class StagedPorts:
    """The ports of a unit as they are, and what the hook asks for.

    Args:
        unit: The unit that runs the hook.
        machine: What every unit of its machine has opened, by endpoint (the empty name means all).
    """

    def __init__(self, unit: str, machine: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self._unit = unit
        self._machine = {
            name: {endpoint: [parse(text) for text in texts] for endpoint, texts in ranges.items()}
            for name, ranges in machine.items()
        }
        self._opening: dict[str, list[PortRange]] = {}
        self._closing: dict[str, list[PortRange]] = {}

    @property
    def opened(self) -> dict[str, list[PortRange]]:
        """What the unit has opened in hooks that have ended."""
        return self._machine.get(self._unit, {})

    @property
    def changed(self) -> bool:
        """Whether the hook has asked for anything."""
        return any(self._opening.values()) or any(self._closing.values())

    def open(self, endpoint: str, port_range: PortRange) -> None:
        """Stage the opening of a range for an endpoint (empty: all).

        Raises:
            ToolError: another range of this machine overlaps it.
        """
        closing = self._closing.get(endpoint, [])
        if port_range in closing:
            closing.remove(port_range)
        if port_range in self._opening.get(endpoint, []) or port_range in self.opened.get(endpoint, []):
            return
        self._check_conflicts("open", port_range)
        self._opening.setdefault(endpoint, []).append(port_range)

    def close(self, endpoint: str, port_range: PortRange) -> None:
        """Stage the closing of a range; one that is not open is no error.

        Raises:
            ToolError: another range of this machine overlaps it.
        """
        opening = self._opening.get(endpoint, [])
        if port_range in opening:
            opening.remove(port_range)
        self._check_conflicts("close", port_range)
        self._closing.setdefault(endpoint, []).append(port_range)

    def _check_conflicts(self, verb: str, port_range: PortRange) -> None:
        groups = [(unit, ranges, "") for unit, ranges in self._machine.items()]
        groups.append((self._unit, self._opening, " requested earlier"))
        for unit, by_endpoint, when in groups:
            for ranges in by_endpoint.values():
                for other in ranges:
                    same = unit == self._unit and other == port_range
                    if not same and port_range.conflicts_with(other):
                        raise errors.ToolError(
                            f'cannot {verb} {port_range} (unit "{self._unit}"): '
                            f'port range conflicts with {other} (unit "{unit}"){when}'
                        )

    def result(self) -> dict[str, list[str]]:
        """What the unit will have opened once the hook has succeeded.

        Closing a range for all endpoints closes it for each of them.
        """
        ranges = {endpoint: list(opened) for endpoint, opened in self.opened.items()}
        for endpoint, opening in self._opening.items():
            ranges.setdefault(endpoint, []).extend(opening)
        for endpoint, closing in self._closing.items():
            for name in ranges if endpoint == "" else (endpoint,):
                ranges[name] = [one for one in ranges.get(name, []) if one not in closing]
        return {
            endpoint: [str(one) for one in sorted(opened, key=sort_key)]
            for endpoint, opened in sorted(ranges.items())
            if opened
        }
