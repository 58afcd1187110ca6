"""The storage pool, and how machines mount its entries at each boot without anybody's help."""

from __future__ import annotations

import pathlib

from lab import commands
from lab.machines import machine

# A machine has to come up without its storage too, but what uses it must not start before it is mounted.
_OPTIONS = "nofail,x-systemd.before=local-fs.target"


def ensure(entry: pathlib.Path, kind: machine.StorageKind, size: int | None) -> None:
    """Make an entry of the pool unless it is there.

    Args:
        entry: its path.
        kind: `directory`, or `image`: a sparse file with an ext4 file system.
        size: of the image, in bytes.

    Raises:
        ValueError: an image without a size.
    """
    if entry.exists():
        return
    entry.parent.mkdir(parents=True, exist_ok=True)
    if kind == "directory":
        entry.mkdir(mode=0o755)
        return
    if not size:
        raise ValueError("storage of the kind `image` needs a size")
    aside = entry.with_name(f".{entry.name}.new")
    with aside.open("wb") as file:
        file.truncate(size)
    commands.run("mkfs.ext4", "-q", "-F", "-m", "0", str(aside), timeout=120)
    aside.rename(entry)


def with_entry(table: str, source: str, location: str, kind: machine.StorageKind) -> str:
    """Return a file system table (see fstab(5)) with an entry of the pool added, or changed if it was there."""
    how = f"none bind,{_OPTIONS}" if kind == "directory" else f"ext4 loop,{_OPTIONS}"
    line = f"{_escape(f'{machine.POOL}/{source}')} {_escape(location)} {how} 0 0\n"
    return without_entry(table, location) + line


def without_entry(table: str, location: str) -> str:
    """Return a file system table without what it mounts at `location`."""
    lines = table.splitlines(keepends=True)
    return "".join(line for line in lines if line.split()[1:2] != [_escape(location)] or line.startswith("#"))


def _escape(text: str) -> str:
    return text.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
