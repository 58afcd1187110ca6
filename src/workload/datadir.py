"""What is in a PostgreSQL data directory, read without PostgreSQL's programs: so before anything is started."""

import dataclasses
import enum
import os
import pathlib
import struct

from workload import write_ahead_log


class Content(enum.Enum):
    """What a data directory holds."""

    EMPTY = "empty"
    CLUSTER = "cluster"
    OTHER = "other"
    """Files that are not a complete database cluster."""


@dataclasses.dataclass(frozen=True)
class DataDirectory:
    """What was found in a data directory."""

    content: Content
    system_identifier: str | None = None
    """Of the database cluster; the same on the primary and all its standbys, different for every initdb."""
    major_version: str | None = None
    has_write_ahead_log: bool = True
    """Whether there is any of it: without, a database cluster cannot be started, and must not be."""


def inspect(path: pathlib.Path) -> DataDirectory:
    """Look into the data directory `path`.

    The system identifier is the first field of global/pg_control, a 64-bit integer in the machine's byte order
    (src/include/catalog/pg_control.h: ControlFileData); the major version is the content of PG_VERSION.
    """
    if not path.is_dir() or not any(path.iterdir()):
        return DataDirectory(Content.EMPTY)
    try:
        major_version = (path / "PG_VERSION").read_text().strip()
        with (path / "global/pg_control").open("rb") as control:
            (identifier,) = struct.unpack("=Q", control.read(8))
    except (FileNotFoundError, struct.error):
        return DataDirectory(Content.OTHER)
    return DataDirectory(Content.CLUSTER, str(identifier), major_version, _has_segment(path / "pg_wal"))


def _has_segment(directory: pathlib.Path) -> bool:
    """Whether a file of the write-ahead log is there (src/include/access/xlog_internal.h: IsXLogFileName)."""
    try:
        with os.scandir(directory) as entries:
            return any(write_ahead_log.SEGMENT.fullmatch(entry.name) for entry in entries)
    except FileNotFoundError:
        return False


def tablespace_version_directory(path: pathlib.Path, location: pathlib.Path) -> pathlib.Path | None:
    """Where the cluster in `path` keeps its files in the tablespace at `location`; None if it has no tablespace there.

    PostgreSQL finds a tablespace by a link in pg_tblspc, and creates `PG_<major version>_<catalog version>` in it once,
    with the tablespace (documentation, "Tablespaces"). The catalog version is the third field of global/pg_control.
    """
    found = inspect(path)
    spaces = (path / "pg_tblspc").iterdir() if (path / "pg_tblspc").is_dir() else ()
    links = {str(each.readlink()) for each in spaces if each.is_symlink()}
    if found.content is not Content.CLUSTER or str(location) not in links:
        return None
    with (path / "global/pg_control").open("rb") as control:
        _, _, catalog_version = struct.unpack("=QII", control.read(16))
    return location / f"PG_{found.major_version}_{catalog_version}"


def other_major_version(storage: pathlib.Path, major_version: str) -> str | None:
    """The major version of a data directory beside the expected one on the same storage (such as 14/main), if any."""
    for directory in sorted(storage.glob("*/main/PG_VERSION")) if storage.is_dir() else ():
        found = directory.read_text().strip()
        if found != major_version:
            return found
    return None
