"""How systemd stops Patroni and its PostgreSQL: by SIGINT, which PostgreSQL takes as a fast shutdown.

systemd signals all processes of a service at once; by snapd's unit with SIGTERM. To the postmaster that is a smart
shutdown. A standby whose background writer ends by its own SIGTERM before the startup process does starts another one,
and waits for that for ever: after 30 s all are killed. SIGINT is for the postmaster alone (PostgreSQL documentation,
"Starting the Database Server", has it for systemd), and Patroni ends by it as by SIGTERM.
"""

import pathlib

from charms.operator_libs_linux.v1 import systemd

from workload import files, paths

DROP_IN = "50-charm.conf"
CONTENT = "# Written by the charm: PostgreSQL is stopped fast, and cleanly.\n[Service]\nKillSignal=SIGINT\n"


class ServiceError(Exception):
    """systemd does not take what it was told."""


def ensure_stop_signal(systemd_units: pathlib.Path) -> None:
    """Have systemd stop Patroni's service so. systemd_units: where an administrator's systemd units are.

    Raises ServiceError.
    """
    drop_in = _drop_in(systemd_units)
    if not files.ensure_file(drop_in, CONTENT, files.ROOT, 0o644):
        return
    try:
        systemd.daemon_reload()
    except systemd.SystemdError as error:
        # Without the file the next event tries again.
        drop_in.unlink()
        raise ServiceError(f"systemd has not read {drop_in}: {error}") from error


def forget_stop_signal(systemd_units: pathlib.Path) -> None:
    """Remove it, after the service has stopped for good. systemd notices when it reads its units the next time."""
    drop_in = _drop_in(systemd_units)
    files.remove(drop_in)
    # An administrator may have put others beside it.
    if drop_in.parent.is_dir() and not any(drop_in.parent.iterdir()):
        drop_in.parent.rmdir()


def _drop_in(systemd_units: pathlib.Path) -> pathlib.Path:
    return systemd_units / f"snap.{paths.SNAP}.{paths.PATRONI_SERVICE}.service.d" / DROP_IN
