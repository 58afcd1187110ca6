"""What the fake PostgreSQL keeps in a data directory: the files that the charm looks at, and a position."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import struct

MARKER = "replayed.json"
SEGMENT = "000000010000000000000001"


@dataclasses.dataclass
class Data:
    """A database cluster in a data directory."""

    path: pathlib.Path
    system_identifier: str
    timeline: int = 1
    position: int = 0
    """How many transactions it holds."""

    @classmethod
    def load(cls, path: pathlib.Path) -> Data | None:
        """What is in `path`; None where there is no database cluster."""
        control = path / "global/pg_control"
        if not control.is_file():
            return None
        (identifier,) = struct.unpack("=Q", control.read_bytes()[:8])
        marker = path / MARKER
        kept = json.loads(marker.read_text()) if marker.exists() else {}
        return cls(path, str(identifier), kept.get("timeline", 1), kept.get("position", 0))

    def save(self) -> None:
        """Write it down; the data directory may be new."""
        for directory in ("global", "pg_wal"):
            (self.path / directory).mkdir(parents=True, exist_ok=True)
        (self.path / "pg_wal" / SEGMENT).touch()
        (self.path / "PG_VERSION").write_text(f"{self.path.parent.name}\n")
        (self.path / "global/pg_control").write_bytes(struct.pack("=Q", int(self.system_identifier)) + bytes(288))
        (self.path / MARKER).write_text(json.dumps({"timeline": self.timeline, "position": self.position}))
