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

# charmcraft knows libraries by these. The patch is higher than any published one, so that `charmcraft fetch-libs` keeps
# this file.
LIBID = "05394e5893f94f2d90feb7cbe6b633cd"
LIBAPI = 2
LIBPATCH = 99

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
