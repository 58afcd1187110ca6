"""The systemd library under the import path that charm authors know.

Re-exports charmlibs.systemd, its official successor.
"""

from charmlibs.systemd import (
    SystemdError,
    daemon_reload,
    service_disable,
    service_enable,
    service_failed,
    service_reload,
    service_restart,
    service_running,
    service_start,
    service_stop,
)

# charmcraft knows libraries by these. The patch is higher than any published one, so that `charmcraft fetch-libs` keeps
# this file.
LIBID = "045b0d179f6b4514a8bb9b48aee9ebaf"
LIBAPI = 1
LIBPATCH = 99

__all__ = [
    "SystemdError",
    "daemon_reload",
    "service_disable",
    "service_enable",
    "service_failed",
    "service_reload",
    "service_restart",
    "service_running",
    "service_start",
    "service_stop",
]
