"""The store proxy's process: `python3 -m store_proxy` inside a machine, started by its socket."""

from __future__ import annotations

import argparse
import http.server
import logging
import os
import pathlib
import platform
import socket
import socketserver

from . import faults, index, memory, snapd, storefront

FIRST_PASSED_DESCRIPTOR = 3  # sd_listen_fds(3)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """An HTTP server on a Unix socket, one thread a connection."""

    address_family = socket.AF_UNIX
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listening: socket.socket, handler: type[storefront.Storefront]):
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; the address is a placeholder, since a Unix socket's client has none."""
        connection, _ = self.socket.accept()
        return connection, ("unix", 0)


def listening_socket(path: pathlib.Path | None) -> socket.socket:
    """The socket to serve: a new one at `path`, or the one that systemd passed."""
    if path is None:
        if os.environ.get("LISTEN_FDS") != "1":
            raise SystemExit("no socket was passed by systemd; --listen names one")
        passed = socket.socket(fileno=FIRST_PASSED_DESCRIPTOR)
        passed.setblocking(True)
        return passed
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    path.chmod(0o666)  # as snapd's own; it looks at who connects
    listening.listen(Server.request_queue_size)
    return listening


def server(arguments: argparse.Namespace) -> Server:
    """The server with all its parts."""
    architecture = ARCHITECTURES[platform.machine()]
    offered = index.IndexFile(arguments.store, architecture)
    daemon = snapd.Snapd(arguments.snapd)
    store = storefront.Store(
        architecture=architecture,
        index=offered,
        memory=memory.Memory(arguments.state, offered, daemon, arguments.snaps),
        faults=faults.Faults(arguments.store, platform.node()),
        daemon=daemon,
    )
    handler = type("Handler", (storefront.Storefront,), {"store": store, "snapd_socket": arguments.snapd})
    return Server(listening_socket(arguments.listen), handler)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="store_proxy", description="A snap store in front of snapd's socket.")
    parser.add_argument("--store", type=pathlib.Path, required=True, help="directory of the index and the snaps")
    parser.add_argument("--snapd", type=pathlib.Path, required=True, help="snapd's own socket")
    parser.add_argument("--state", type=pathlib.Path, required=True, help="file of what is remembered")
    parser.add_argument("--snaps", type=pathlib.Path, default=memory.SNAPS, help="where snapd keeps snaps' files")
    parser.add_argument("--listen", type=pathlib.Path, help="socket to serve, instead of the one passed by systemd")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    server(parser.parse_args()).serve_forever()


if __name__ == "__main__":
    main()
