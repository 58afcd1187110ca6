"""The machine and all of the workload on it: one object that the rest of the charm talks to."""

import collections.abc
import contextlib
import dataclasses
import functools
import json
import logging
import os
import socket
import time
import typing

import yaml

from workload import configuration, datadir, files, paths, patroni, raft, service, snap, snapd, sql, write_ahead_log

logger = logging.getLogger(__name__)

HTTP_DATE_TIMEOUT_SECONDS = 3.0
MEBIBYTE = 1024 * 1024

# The variants in C are ten times as fast; every hook reads the configuration.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclasses.dataclass(frozen=True)
class Configured:
    """What is configured on disk, as far as it outlives a hook."""

    address: str | None = None
    partners: frozenset[str] = frozenset()
    parameters: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of PostgreSQL, on this machine."""


class Workload:
    """PostgreSQL with Patroni on one machine. All input and output of the charm, Juju's apart, goes through here."""

    def __init__(self, where: paths.Paths | None = None):
        self.paths = where or paths.Paths()
        self.snap = snap.Snap()
        self.snapd = snapd.Snapd()

    def patroni(self, address: str, password: str | None = None) -> patroni.Client:
        """The Patroni of a member."""
        return patroni.Client(address, password)

    def raft(self, password: str) -> raft.Raft:
        """The Raft cluster."""
        return raft.Raft(password)

    def sql(self, address: str | None = None, password: str | None = None) -> sql.Sql:
        """SQL on this machine's PostgreSQL, or on another member's."""
        return sql.Sql(self.paths.socket_directory, address, password)

    @property
    def architecture(self) -> str:
        """The processor's, by the kernel's name, such as x86_64."""
        return os.uname().machine

    @property
    def memory_bytes(self) -> int:
        """Memory of the machine."""
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def data(self) -> datadir.DataDirectory:
        """What is in the data directory."""
        return datadir.inspect(self.paths.data_directory)

    def last_record(self) -> write_ahead_log.Position | None:
        """Where the last record of this machine's database is, while PostgreSQL does not run; None where it has none.

        Raises WriteAheadLogError.
        """
        if self.data().content is not datadir.Content.CLUSTER:
            return None
        owner = files.Owner.named(paths.OPERATING_SYSTEM_USER)
        libraries = self.paths.snap / "usr/lib" / f"{self.architecture}-linux-gnu"
        program = write_ahead_log.Program(self.paths.binaries / "pg_waldump", str(libraries), owner.user, owner.group)
        return write_ahead_log.last_record(self.paths.data_directory / "pg_wal", program)

    def other_major_version(self) -> str | None:
        """Another major version whose data are on the storage."""
        return datadir.other_major_version(self.paths.data_storage, paths.MAJOR_VERSION)

    def storages_unmounted(self) -> tuple[str, ...]:
        """Storages that the machine mounts at each boot, and that are not mounted now.

        Without its storage, a unit would begin anew on the machine's own disk. Juju adds what it mounts itself to the
        machine's file system table, as something that the machine boots without (Juju: storage/provider/managedfs.go,
        mountFilesystem); what is not listed, such as an LXD volume, is there before the machine boots.
        """
        listed = files.mount_points(self.paths.file_system_table)
        return tuple(
            name
            for name, location in self.paths.locations().items()
            if str(location) in listed and not os.path.ismount(location)
        )

    def free_bytes(self, storage: str) -> int | None:
        """Free bytes on a storage."""
        return files.free_bytes(self.paths.storages()[storage])

    @property
    def free_bytes_for_snaps(self) -> int | None:
        """Free bytes where snapd keeps its snaps."""
        return files.free_bytes(self.paths.root / "var/lib/snapd/snaps")

    def require_snap_revision(self, revision: str) -> None:
        """Make sure that the snap could be refreshed to that revision now, as far as that can be told without doing it.

        snapd has no call that downloads a revision and keeps it for later. But a revision that the machine has needs no
        store; of any other one the store tells its size, or why it will not serve it.

        Raises SnapOperationError.
        """
        if revision in self.snapd.revisions(paths.SNAP):
            return
        size = self.snapd.download_bytes(paths.SNAP, revision)
        free = self.free_bytes_for_snaps
        if free is not None and free < size:
            told = f"{free // MEBIBYTE} MiB free, {size // MEBIBYTE + 1} needed"
            raise snap.SnapOperationError(f"no room for revision {revision} in /var/lib/snapd/snaps: {told}")

    def has_raft_state(self) -> bool:
        """Whether this machine has been a member of a Raft cluster, and has not left it."""
        return self.paths.raft_directory.is_dir() and any(self.paths.raft_directory.iterdir())

    def ports_taken(self) -> tuple[int, ...]:
        """Ports that the workload needs and that another program listens on.

        Only meaningful while Patroni does not run.
        """
        return tuple(
            port for port in (paths.POSTGRESQL_PORT, paths.PATRONI_PORT, paths.RAFT_PORT) if not _can_listen(port)
        )

    def prepare_directories(self) -> bool:
        """Create the directories on the storages, owned by the workload's user; whether anything changed.

        Among them the temporary tablespace's own: a storage that has been replaced, or that loses its content with a
        reboot, lacks it, and no query that needs room beyond its memory would work.
        """
        owner = files.Owner.named(paths.OPERATING_SYSTEM_USER)
        directories = [*self.paths.storages().values(), self.paths.wal_directory]
        directories += [self.paths.raft_directory, self.paths.postgresql_log, self.paths.patroni_log]
        temporary = self.paths.temporary_tablespace
        version = datadir.tablespace_version_directory(self.paths.data_directory, temporary)
        directories += [] if version is None else [version]
        # A list, not a generator: each of them must be looked at.
        return any([files.ensure_directory(directory, owner, 0o700) for directory in directories])

    def prepare_service(self) -> None:
        """Have systemd stop Patroni's service so that PostgreSQL ends cleanly. Raises ServiceError."""
        service.ensure_stop_signal(self.paths.systemd_units)

    def configure(self, settings: configuration.MemberSettings) -> bool:
        """Write Patroni's configuration; whether it changed. Raises OSError."""
        wanted, text = configuration.member(settings, self.paths), self.configuration_text()
        if _parse(text) != wanted:
            text = yaml.dump(wanted, Dumper=_DUMPER, sort_keys=False)
        return self._write_configuration(text)

    def configuration_text(self) -> str:
        """Patroni's configuration as it is on disk; it holds passwords."""
        return self.paths.patroni_configuration.read_text() if self.paths.patroni_configuration.exists() else ""

    def restore_configuration(self, text: str) -> None:
        """Put an earlier configuration back; nothing if there was none. Raises OSError."""
        if text:
            self._write_configuration(text)

    def _write_configuration(self, text: str) -> bool:
        # Nothing may come to be in the place of snapd's link: snapd could not set it any more, and never finish or take
        # back a refresh that a reboot has cut off. So each directory is made only where the one above it is.
        try:
            (self.paths.revision_data / "etc").mkdir(mode=0o755, exist_ok=True)
        except FileNotFoundError as error:
            missing = f"The snap has no current revision: {self.paths.revision_data} does not exist"
            raise FileNotFoundError(missing) from error
        owner = files.Owner.named(paths.OPERATING_SYSTEM_USER)
        return files.ensure_file(self.paths.patroni_configuration, text, owner, 0o600)

    def renounce_synchronous(self) -> None:
        """Have Patroni's configuration say that this member is no synchronous standby, until it is written anew."""
        content = _parse(self.configuration_text())
        if not isinstance(content, dict):
            return
        content = {**content, "tags": {**content.get("tags", {}), "nosync": True}}
        self.restore_configuration(yaml.dump(content, Dumper=_DUMPER, sort_keys=False))

    def configured(self) -> Configured:
        """What Patroni's configuration on disk says of Raft; empty where there is none."""
        content = _parse(self.configuration_text())
        try:
            own, partners = content["raft"]["self_addr"], content["raft"]["partner_addrs"]
        except (KeyError, TypeError):
            return Configured()
        parameters = content.get("postgresql", {}).get("parameters", {})
        return Configured(_host(own), frozenset(_host(partner) for partner in partners), parameters)

    def forget_membership(self) -> None:
        """Remove Raft's state, after Patroni has stopped: with it a member that has left would add itself again."""
        files.remove(self.paths.raft_directory)

    def forget_pause(self) -> None:
        """Have Patroni, while it does not run, not begin with a pause that it remembers from before."""
        path = self.paths.data_directory / "patroni.dynamic.json"
        try:
            # What is read here is given to the workload's user: so it must be that user's own.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
                content = json.load(file)
        except (OSError, ValueError):
            return
        if isinstance(content, dict) and content.pop("pause", None) is not None:
            owner = files.Owner.named(paths.OPERATING_SYSTEM_USER)
            files.ensure_file(path, json.dumps(content), owner, 0o600)

    def forget_configuration(self) -> None:
        """Remove what holds passwords, and what systemd was told, after this unit has left for good."""
        service.forget_stop_signal(self.paths.systemd_units)
        for directory in self.paths.patroni_configurations():
            files.remove(directory / self.paths.patroni_configuration.name)
            files.remove(directory / "pgpass")

    def clock_skew_seconds(self, address: str) -> float | None:
        """How far the clock at `address` is from this machine's, by the Date of its Patroni's answer; None: no answer.

        The header counts whole seconds (RFC 9110, 5.6.7), so less than a second is no difference. Patroni leaves it out
        where it answers by the status alone, as to `/liveness`; `/config` it answers from memory.
        """
        import email.utils
        import http.client

        connection = http.client.HTTPConnection(address, paths.PATRONI_PORT, timeout=HTTP_DATE_TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/config")
                date = connection.getresponse().getheader("Date")
            except (OSError, http.client.HTTPException):
                return None
        if date is None:
            return None
        difference = abs(time.time() - email.utils.parsedate_to_datetime(date).timestamp())
        return max(difference - 1.0, 0.0)


@functools.lru_cache(1)
def _parse(text: str) -> typing.Any:
    """Patroni's configuration; None where it is none. Kept, as each hook reads it several times: not to be changed."""
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506  a safe loader
    except yaml.YAMLError:
        return None


def _host(node: str) -> str:
    return str(node).rpartition(":")[0]


def _can_listen(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", port))  # noqa: S104  the workload listens there too
        except OSError:
            return False
    return True
