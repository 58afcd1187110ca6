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
