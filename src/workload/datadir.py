"""What is in a PostgreSQL data directory, read without PostgreSQL's programs: so before anything is started."""

import dataclasses
import enum
import pathlib
import struct


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
    return DataDirectory(Content.CLUSTER, str(identifier), major_version)


def other_major_version(storage: pathlib.Path, major_version: str) -> str | None:
    """The major version of a data directory beside the expected one on the same storage (such as 14/main), if any."""
    for directory in sorted(storage.glob("*/main/PG_VERSION")) if storage.is_dir() else ():
        found = directory.read_text().strip()
        if found != major_version:
            return found
    return None
