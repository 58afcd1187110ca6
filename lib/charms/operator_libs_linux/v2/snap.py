"""The snap library under the import path that charm authors know: re-exports charmlibs.snap, its official successor."""

from charmlibs.snap import (
    Snap,
    SnapAPIError,
    SnapCache,
    SnapClient,
    SnapError,
    SnapNotFoundError,
    SnapService,
    SnapState,
    add,
    ensure,
    hold_refresh,
    install_local,
    remove,
)

__all__ = [
    "Snap",
    "SnapAPIError",
    "SnapCache",
    "SnapClient",
    "SnapError",
    "SnapNotFoundError",
    "SnapService",
    "SnapState",
    "add",
    "ensure",
    "hold_refresh",
    "install_local",
    "remove",
]
