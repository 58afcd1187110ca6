"""Tables as Go's text/tabwriter sets them, with which Juju prints.

A cell is padded only where something follows it on its line, and a column ends where a line has no such cell. rich and
tabulate pad by whole tables, so scripts that cut Juju's output by column would see other text.
"""

from __future__ import annotations

import collections.abc
import dataclasses

_PADDING = 2
_RESET = "\x1b[0m"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A text with the ANSI attributes it is shown in, such as "32" for green; they take no width."""

    text: str
    attributes: str = ""

    def render(self, color: bool) -> str:
        """The text, coloured if wanted."""
        return f"\x1b[{self.attributes}m{self.text}{_RESET}" if color and self.attributes and self.text else self.text


Line = collections.abc.Sequence[str | Cell]


@dataclasses.dataclass
class Table:
    """Lines of cells. The last cell of each line is not padded; end a line with "" to pad the one before.

    Attributes:
        right: Numbers of the columns that are aligned to the right.
        color: Whether attributes of cells are written.
    """

    right: collections.abc.Set[int] = frozenset()
    color: bool = False
    lines: list[list[Cell]] = dataclasses.field(default_factory=list)

    def add(self, *cells: str | Cell) -> None:
        """Append a line."""
        self.lines.append([cell if isinstance(cell, Cell) else Cell(str(cell)) for cell in cells])

    def heading(self, *titles: str) -> None:
        """Append the line of titles, bold where colours are on."""
        self.add(*(Cell(title, "1") for title in titles))

    def render(self) -> str:
        """The table as text, each line ended by a newline."""
        widths: list[dict[int, int]] = [{} for _ in self.lines]
        self._measure(0, len(self.lines), 0, widths)
        return "".join(self._line(line, width) + "\n" for line, width in zip(self.lines, widths, strict=True))

    def _measure(self, start: int, end: int, column: int, widths: list[dict[int, int]]) -> None:
        position = start
        while position < end:
            if len(self.lines[position]) - 1 <= column:
                position += 1
                continue
            block = position
            while position < end and len(self.lines[position]) - 1 > column:
                position += 1
            width = max(len(line[column].text) for line in self.lines[block:position]) + _PADDING
            for measured in widths[block:position]:
                measured[column] = width
            self._measure(block, position, column + 1, widths)

    def _line(self, line: list[Cell], widths: dict[int, int]) -> str:
        rendered: list[str] = []
        for column, cell in enumerate(line):
            text = cell.render(self.color)
            if column not in widths:
                rendered.append(text)
            elif column in self.right:
                rendered.append(" " * (widths[column] - _PADDING - len(cell.text)) + text + " " * _PADDING)
            else:
                rendered.append(text + " " * (widths[column] - len(cell.text)))
        return "".join(rendered)


_GOOD = frozenset({"active", "idle", "started", "executing", "attaching", "attached", "available", "running"})
_BAD = frozenset({"blocked", "down", "error", "failed", "terminated"})
_WARNING = frozenset(
    {
        "allocating",
        "lost",
        "maintenance",
        "pending",
        "rebooting",
        "stopped",
        "unknown",
        "waiting",
        "detached",
        "detaching",
    }
)


def status_cell(status: str) -> Cell:
    """A status in the colour Juju gives it."""
    for members, attributes in ((_GOOD, "32"), (_BAD, "31"), (_WARNING, "33")):
        if status in members:
            return Cell(status, attributes)
    return Cell(status)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which `pg/10` comes after `pg/9`."""
    parts: list[tuple[int, int, str]] = []
    digits = ""
    for character in name + "\0":
        if character.isdigit():
            digits += character
            continue
        if digits:
            parts.append((0, int(digits), ""))
            digits = ""
        parts.append((1, 0, character))
    return parts
