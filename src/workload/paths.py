"""Where things are on a unit's machine. The layout is the workload snap's; it is a format that outlives releases."""

import dataclasses
import pathlib

SNAP = "charmed-postgresql"
PATRONI_SERVICE = "patroni"
OPERATING_SYSTEM_USER = "_daemon_"
MAJOR_VERSION = "16"

POSTGRESQL_PORT = 5432
PATRONI_PORT = 8008
RAFT_PORT = 2222


@dataclasses.dataclass(frozen=True)
class Paths:
    """Paths on one machine, below `root` (the tests give another one than "/")."""

    root: pathlib.Path = pathlib.Path("/")

    @property
    def common(self) -> pathlib.Path:
        """The snap's data that all its revisions share."""
        return self.root / "var/snap" / SNAP / "common"

    @property
    def revision_data(self) -> pathlib.Path:
        """The data of the snap's current revision: snapd's link, absent while there is no current one."""
        return self.root / "var/snap" / SNAP / "current"

    @property
    def patroni_configuration(self) -> pathlib.Path:
        """Belongs to the snap's revision: snapd copies it when the snap is refreshed."""
        return self.revision_data / "etc/patroni/patroni.yaml"

    def patroni_configurations(self) -> list[pathlib.Path]:
        """The directories of Patroni's configuration that there are: snapd keeps those of earlier revisions."""
        return sorted((self.root / "var/snap" / SNAP).glob("*/etc/patroni"))

    @property
    def data_storage(self) -> pathlib.Path:
        """Where the storage "data" is mounted."""
        return self.common / "var/lib/postgresql"

    def locations(self) -> dict[str, pathlib.Path]:
        """Each storage's name and where it is mounted, as charmcraft.yaml has it."""
        return {"data": self.data_storage} | {name: self.common / "data" / name for name in ("logs", "archive", "temp")}

    @property
    def file_system_table(self) -> pathlib.Path:
        """What the machine mounts at each boot; see fstab(5)."""
        return self.root / "etc/fstab"

    @property
    def data_directory(self) -> pathlib.Path:
        """PostgreSQL's data directory."""
        return self.data_storage / MAJOR_VERSION / "main"

    @property
    def wal_directory(self) -> pathlib.Path:
        """Write-ahead log, on the storage "logs"."""
        return self.common / "data/logs" / MAJOR_VERSION / "main"

    @property
    def archive_directory(self) -> pathlib.Path:
        """The storage "archive"."""
        return self.common / "data/archive"

    @property
    def temporary_tablespace(self) -> pathlib.Path:
        """Temporary files of queries, on the storage "temp"."""
        return self.common / "data/temp" / MAJOR_VERSION / "main"

    @property
    def raft_directory(self) -> pathlib.Path:
        """Raft's log. On the machine, not on a storage: membership must not travel with data to another cluster."""
        return self.common / "var/lib/patroni/raft"

    @property
    def postgresql_log(self) -> pathlib.Path:
        """PostgreSQL's log files."""
        return self.common / "var/log/postgresql"

    @property
    def patroni_log(self) -> pathlib.Path:
        """Patroni's log files."""
        return self.common / "var/log/patroni"

    @property
    def socket_directory(self) -> pathlib.Path:
        """PostgreSQL's socket, as seen from outside of the snap's own /tmp."""
        return self.root / "tmp/snap-private-tmp" / f"snap.{SNAP}" / "tmp"

    @property
    def gate_answer(self) -> pathlib.Path:
        """What the snap's gate-auto-refresh hook answers to snapd."""
        return self.common / "gate-auto-refresh"

    @property
    def snap(self) -> pathlib.Path:
        """The snap's files."""
        return self.root / "snap" / SNAP / "current"

    @property
    def binaries(self) -> pathlib.Path:
        """PostgreSQL's programs."""
        return self.snap / "usr/lib/postgresql" / MAJOR_VERSION / "bin"

    @property
    def systemd_units(self) -> pathlib.Path:
        """Where an administrator's systemd units are."""
        return self.root / "etc/systemd/system"

    def storages(self) -> dict[str, pathlib.Path]:
        """Each storage's name and the directory that must exist on it, owned by the workload."""
        return {
            "data": self.data_storage / MAJOR_VERSION,
            "logs": self.wal_directory.parent,
            "archive": self.archive_directory,
            "temp": self.temporary_tablespace,
        }
