"""Patroni's configuration: the file of each member, and the dynamic part that all members share. Pure functions.

Sources: Patroni documentation, "YAML Configuration Settings" and "Dynamic Configuration Settings".
"""

import collections.abc
import dataclasses
import typing

from workload import paths, sql

REPLICATION_USER = "replication"
REWIND_USER = "rewind"
USER_MAP = "operator"

# With these a lost primary is replaced in less than 20 s; ttl must be at least loop_wait + 2 * retry_timeout.
TTL_SECONDS = 20
LOOP_WAIT_SECONDS = 5
RETRY_TIMEOUT_SECONDS = 5

MEBIBYTE = 1024 * 1024
LOG_FILE_BYTES = 10 * MEBIBYTE
LOG_FILES = 5


@dataclasses.dataclass(frozen=True)
class Passwords:
    """Passwords of the system's users. Never printed."""

    operator: str = dataclasses.field(repr=False)
    replication: str = dataclasses.field(repr=False)
    rewind: str = dataclasses.field(repr=False)
    patroni: str = dataclasses.field(repr=False)
    raft: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class MemberSettings:
    """What one member's configuration file is made from."""

    scope: str
    """The cluster's name: the application's."""
    name: str
    """The member's name, such as postgresql-machine-0. It stays when the address changes."""
    address: str
    admitted_addresses: frozenset[str]
    """Addresses of the other units and members: they may replicate, rewind and administer."""
    partners: frozenset[str]
    """Addresses of the other members of the Raft cluster. Empty founds a cluster of its own."""
    passwords: Passwords
    parameters: collections.abc.Mapping[str, str]
    """PostgreSQL parameters of this machine."""
    synchronous_node_count: int
    """What a new cluster starts with; afterwards the dynamic configuration holds it."""


def member(settings: MemberSettings, where: paths.Paths) -> dict[str, typing.Any]:
    """The content of one member's patroni.yaml."""
    return {
        "scope": settings.scope,
        "namespace": "/db/",
        "name": settings.name,
        "log": {
            "dir": str(where.patroni_log),
            "level": "INFO",
            "file_size": LOG_FILE_BYTES,
            "file_num": LOG_FILES,
            "mode": 0o600,
        },
        "restapi": {
            "listen": f"0.0.0.0:{paths.PATRONI_PORT}",
            "connect_address": f"{settings.address}:{paths.PATRONI_PORT}",
            "authentication": {"username": "patroni", "password": settings.passwords.patroni},
            # Only units of this application may change anything, and only with the password.
            "allowlist": ["127.0.0.1", settings.address, *sorted(settings.admitted_addresses)],
        },
        "ctl": {"authentication": {"username": "patroni", "password": settings.passwords.patroni}},
        "raft": {
            "data_dir": str(where.raft_directory),
            "self_addr": f"{settings.address}:{paths.RAFT_PORT}",
            "partner_addrs": [f"{address}:{paths.RAFT_PORT}" for address in sorted(settings.partners)],
            "password": settings.passwords.raft,
        },
        "bootstrap": {
            "dcs": dynamic(settings.synchronous_node_count),
            "initdb": [
                {"encoding": "UTF8"},
                {"locale": "C.UTF-8"},
                "data-checksums",
                {"waldir": str(where.wal_directory)},
                {"auth-host": "scram-sha-256"},
                {"auth-local": "peer"},
            ],
        },
        "postgresql": _postgresql(settings, where),
    }


def _postgresql(settings: MemberSettings, where: paths.Paths) -> dict[str, typing.Any]:
    return {
        "listen": f"0.0.0.0:{paths.POSTGRESQL_PORT}",
        "connect_address": f"{settings.address}:{paths.POSTGRESQL_PORT}",
        "data_dir": str(where.data_directory),
        "bin_dir": str(where.binaries),
        "pgpass": str(where.patroni_configuration.parent / "pgpass"),
        "use_unix_socket": True,
        "use_unix_socket_repl": True,
        "authentication": {
            "superuser": {"username": sql.SUPERUSER, "password": settings.passwords.operator},
            "replication": {"username": REPLICATION_USER, "password": settings.passwords.replication},
            "rewind": {"username": REWIND_USER, "password": settings.passwords.rewind},
        },
        "basebackup": [{"checkpoint": "fast"}, {"waldir": str(where.wal_directory)}],
        "parameters": {
            "unix_socket_directories": "/tmp",  # noqa: S108  the snap's own
            "log_directory": str(where.postgresql_log),
            "temp_tablespaces": sql.TEMPORARY_TABLESPACE,
            **settings.parameters,
        },
        "pg_hba": host_based_authentication(settings.address, settings.admitted_addresses),
        "pg_ident": [
            f"{USER_MAP} root {sql.SUPERUSER}",
            f"{USER_MAP} {paths.OPERATING_SYSTEM_USER} {sql.SUPERUSER}",
            f"{USER_MAP} {paths.OPERATING_SYSTEM_USER} {REPLICATION_USER}",
        ],
    }


def host_based_authentication(address: str, admitted_addresses: collections.abc.Collection[str]) -> list[str]:
    """Rules of pg_hba.conf: by user and by the address of each unit; never a whole network.

    The socket is for the machine's root, and for Patroni itself.
    """
    rules = [
        f"local all {sql.SUPERUSER} peer map={USER_MAP}",
        # Patroni asks its own PostgreSQL for its timeline so; data of an earlier deployment know another password.
        f"local replication {REPLICATION_USER} peer map={USER_MAP}",
        f"host all {sql.SUPERUSER} 127.0.0.1/32 scram-sha-256",
    ]
    for host in sorted({address, *admitted_addresses}):
        rules += [
            f"host all {sql.SUPERUSER} {host}/32 scram-sha-256",
            f"host replication {REPLICATION_USER} {host}/32 scram-sha-256",
            f"host postgres {REWIND_USER} {host}/32 scram-sha-256",
        ]
    return rules


def dynamic(synchronous_node_count: int) -> dict[str, typing.Any]:
    """The dynamic configuration, as the charm wants it.

    synchronous_node_count: standbys that must confirm; 0 turns synchronous mode off.
    """
    return {
        "ttl": TTL_SECONDS,
        "loop_wait": LOOP_WAIT_SECONDS,
        "retry_timeout": RETRY_TIMEOUT_SECONDS,
        # A primary that has crashed gives way to a standby that can take over. One that may start again instead, as by
        # default, crashes again and again where its storage is full, and nobody serves.
        "primary_start_timeout": 0,
        # A standby in synchronous mode takes over only if it has every acknowledged transaction.
        "maximum_lag_on_failover": MEBIBYTE,
        "check_timeline": True,
        "synchronous_mode": synchronous_node_count > 0,
        "synchronous_node_count": max(synchronous_node_count, 1),
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "remove_data_directory_on_rewind_failure": False,
            "remove_data_directory_on_diverged_timelines": False,
            "parameters": {
                "archive_mode": "on",
                "archive_command": "/bin/true",
                "hot_standby": "on",
                "log_checkpoints": "on",
                "log_destination": "stderr",
                "log_file_mode": "0600",
                "log_filename": "postgresql-%a.log",
                "log_line_prefix": "%m [%p] %q%u@%d ",
                "log_rotation_age": "1d",
                "log_rotation_size": "0",
                "log_truncate_on_rotation": "on",
                "logging_collector": "on",
                "max_connections": "200",
                "max_prepared_transactions": "0",
                "max_replication_slots": "20",
                "max_wal_senders": "20",
                "max_worker_processes": "16",
                "password_encryption": "scram-sha-256",
                "wal_keep_size": "256MB",
                "wal_level": "replica",
                "wal_log_hints": "on",
                # A synchronous standby that vanishes without a word, as one that is cut off, keeps writes waiting until
                # then. As long as Patroni gives a primary; the server's default is a minute.
                "wal_sender_timeout": f"{TTL_SECONDS}s",
            },
        },
    }


def difference(
    wanted: collections.abc.Mapping[str, typing.Any], found: collections.abc.Mapping[str, typing.Any]
) -> dict[str, typing.Any]:
    """The smallest patch that makes `found` hold `wanted`; keys that only `found` has are left alone."""
    patch: dict[str, typing.Any] = {}
    for key, value in wanted.items():
        if isinstance(value, collections.abc.Mapping):
            below = found.get(key)
            nested = difference(value, below if isinstance(below, collections.abc.Mapping) else {})
            if nested:
                patch[key] = nested
        elif found.get(key) != value:
            patch[key] = value
    return patch


def parameters(profile_is_testing: bool, memory_bytes: int) -> dict[str, str]:
    """PostgreSQL parameters by the machine's memory.

    A quarter for shared buffers and three quarters assumed for caching, as PostgreSQL's documentation suggests
    ("Resource Consumption").
    """
    if profile_is_testing:
        return {"shared_buffers": "128MB", "effective_cache_size": "512MB", "maintenance_work_mem": "64MB"}
    mebibytes = max(memory_bytes // MEBIBYTE, 512)
    return {
        "shared_buffers": f"{mebibytes // 4}MB",
        "effective_cache_size": f"{mebibytes * 3 // 4}MB",
        "maintenance_work_mem": f"{min(mebibytes // 16, 2048)}MB",
    }
