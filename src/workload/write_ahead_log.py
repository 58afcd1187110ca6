"""Where the write-ahead log on a storage ends, asked while PostgreSQL does not run."""

import collections.abc
import dataclasses
import pathlib
import re
import struct
import subprocess

TIMEOUT_SECONDS = 60.0
# A segment's name is its timeline and its place, in hexadecimal (PostgreSQL documentation, "WAL Internals").
SEGMENT = re.compile("([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
# XLogLongPageHeaderData (src/include/access/xlog_internal.h): what is looked at is the address of the segment's first
# page and the segment's size.
_HEADER = struct.Struct("=HHIQI4xQII")
_LAST = re.compile(r"error in WAL record at ([0-9A-F]+)/([0-9A-F]+)")
_NONE = "could not find a valid record"


class WriteAheadLogError(Exception):
    """The log cannot be read."""


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """A place in the write-ahead log. The higher timeline is the later one; on the same, the higher byte has more."""

    timeline: int
    byte: int

    def __str__(self) -> str:
        return f"{self.timeline}/{self.byte >> 32:X}/{self.byte & 0xFFFFFFFF:X}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """From what `str` gives: the timeline, and the byte as PostgreSQL writes it. Raises ValueError."""
        timeline, high, low = text.split("/")
        return cls(int(timeline), (int(high, 16) << 32) + int(low, 16))


@dataclasses.dataclass(frozen=True)
class Program:
    """PostgreSQL's pg_waldump, and whom it runs as."""

    path: pathlib.Path
    library_path: str
    user: int
    group: int


def last_record(directory: pathlib.Path, program: Program) -> Position | None:
    """Where the last complete record of the newest timeline begins; None where there is no log.

    Whoever has the later one has everything that the other one has. Raises WriteAheadLogError.
    """
    found = _last_written(directory)
    if found is None:
        return None
    segment, begin, size = found
    try:
        told = subprocess.run(
            [str(program.path), "--quiet", str(segment)],
            env={"LC_ALL": "C", "LD_LIBRARY_PATH": program.library_path},
            user=program.user,
            group=program.group,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise WriteAheadLogError(f"the end of the write-ahead log cannot be read: {error}") from error
    last = _LAST.search(told.stderr)
    if last is not None:
        byte = (int(last[1], 16) << 32) + int(last[2], 16)
    elif told.returncode == 0:
        # The segment is full.
        byte = begin.byte + size
    elif _NONE in told.stderr:
        # A record from the segment before goes on in it.
        byte = begin.byte
    else:
        raise WriteAheadLogError(f"the end of the write-ahead log cannot be read: {told.stderr.strip()[-200:]}")
    return dataclasses.replace(begin, byte=byte)


def _last_written(directory: pathlib.Path) -> tuple[pathlib.Path, Position, int] | None:
    """The last segment that has been written to, where it begins, and its size in bytes.

    PostgreSQL renames segments that it no longer needs, for later use: they still have their old content.
    """
    for segment in _segments(directory):
        with segment.open("rb") as file:
            header = file.read(_HEADER.size)
        name = SEGMENT.fullmatch(segment.name)
        if len(header) < _HEADER.size or name is None:
            continue
        magic, _, _, address, _, _, size, _ = _HEADER.unpack(header)
        timeline, high, low = (int(part, 16) for part in name.groups())
        # One that was made in advance is empty.
        if magic and size and address == (high << 32) + low * size:
            return segment, Position(timeline, address), size
    return None


def _segments(directory: pathlib.Path) -> collections.abc.Iterator[pathlib.Path]:
    if directory.is_dir():
        yield from sorted((each for each in directory.iterdir() if SEGMENT.fullmatch(each.name)), reverse=True)
