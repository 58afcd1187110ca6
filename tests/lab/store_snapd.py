"""A stand-in of snapd for tests of the store proxy: side-loads, local revisions, changes, over a real Unix socket."""

from __future__ import annotations

import email.parser
import http.server
import json
import pathlib
import re
import socket
import socketserver
import struct
import threading
import typing


class Daemon:
    """snapd's state: what is installed, and what was asked of it."""

    def __init__(self, directory: pathlib.Path):
        self.socket = directory / "snapd.socket"
        self.snaps_directory = directory / "snaps"
        self.snaps_directory.mkdir()
        self.current: dict[str, str] = {}
        self.channel: dict[str, str] = {}
        self.holds: dict[str, str] = {}
        self.devmode: set[str] = set()
        self.disabled: set[str] = set()
        self.changes: dict[str, dict[str, typing.Any]] = {}
        self.requests: list[tuple[str, str, typing.Any]] = []  # method, path, body or form
        self.callers: list[tuple[int, int]] = []
        self.outcome = "Done"  # what becomes of the next change
        self.refuses = False  # every request that changes something, without reading it
        handler = type("Handler", (_Handler,), {"daemon": self})
        self._server = _Server(typing.cast("tuple[str, int]", str(self.socket)), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def revisions(self, name: str) -> list[str]:
        return sorted(path.stem.split("_")[1] for path in self.snaps_directory.glob(f"{name}_*.snap"))

    def describe(self, name: str, revision: str) -> dict[str, typing.Any]:
        hold = {"hold": self.holds[name]} if name in self.holds else {}
        active = self.current[name] == revision and name not in self.disabled
        return hold | {
            "name": name,
            "revision": revision,
            "channel": self.channel.get(name, ""),
            "tracking-channel": self.channel.get(name, ""),
            "status": "active" if active else "installed",
            "devmode": name in self.devmode,
            "confinement": "strict",
            "mounted-from": f"/var/lib/snapd/snaps/{name}_{revision}.snap",
        }

    def side_load(self, *snaps: bytes) -> str:
        """Install snaps, whose content begins with their name, as one change."""
        summaries = []
        for content in snaps:
            name = content.split(b" ")[0].decode()
            numbers = [int(revision[1:]) for revision in self.revisions(name)]
            revision = f"x{max(numbers, default=0) + 1}"
            summaries.append((name, revision))
            if self.outcome == "Done":
                (self.snaps_directory / f"{name}_{revision}.snap").write_bytes(content)
                self.current[name] = revision
        if len(snaps) > 1:
            names = ", ".join(f'"{name}"' for name, _ in summaries)
            change = self.change("install-snap", f'Install snaps {names} from files "a", "b"', *summaries[0])
            self.changes[change]["tasks"] = [_mount(*each) for each in summaries]
            return change
        [(name, revision)] = summaries
        return self.change("install-snap", f'Install "{name}" snap from file "{name}_9.snap"', name, revision)

    def change(self, kind: str, summary: str, name: str, revision: str = "") -> str:
        number = str(len(self.changes) + 1)
        self.changes[number] = {
            "id": number,
            "kind": kind,
            "summary": summary,
            "status": self.outcome,
            "ready": self.outcome in ("Done", "Error"),
            "tasks": [_mount(name, revision)],
        }
        return number

    def act(self, name: str, body: dict[str, typing.Any]) -> str | None:
        """Carry out a request for an installed snap; None where it cannot be."""
        action, revision = body["action"], str(body.get("revision") or "")
        if action == "switch":
            self.channel[name] = body["channel"]
        elif action == "refresh":
            if revision not in self.revisions(name):
                return None
            self.current[name] = revision
            self.channel[name] = body.get("channel", self.channel.get(name, ""))
        elif action == "remove" and revision:
            (self.snaps_directory / f"{name}_{revision}.snap").unlink()
        elif action == "remove":
            for path in self.snaps_directory.glob(f"{name}_*.snap"):
                path.unlink()
            del self.current[name]
        return self.change(f"{action}-snap", f'{action.title()} "{name}" snap', name, revision)


def _mount(name: str, revision: str) -> dict[str, typing.Any]:
    return {"kind": "mount-snap", "summary": f'Mount snap "{name}" ({revision})', "log": []}


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        return self.socket.accept()[0], ("unix", 0)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon: Daemon

    def log_message(self, format: str, *args: object) -> None:
        pass

    def setup(self) -> None:
        credentials = self.request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.daemon.callers.append(struct.unpack("3i", credentials)[1:])
        super().setup()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.daemon.requests.append(("GET", self.path, None))
        if path == "/v2/snaps":
            only = re.search(r"snaps=([a-z0-9-]+)", self.path)
            everything = "select=all" in self.path
            found = [
                self.daemon.describe(name, revision)
                for name, current in self.daemon.current.items()
                if only is None or only[1] == name
                for revision in (self.daemon.revisions(name) if everything else [current])
            ]
            self._answer(found)
        elif match := re.fullmatch(r"/v2/snaps/([^/]+)", path):
            name = match[1]
            if name in self.daemon.current:
                self._answer(self.daemon.describe(name, self.daemon.current[name]))
            else:
                self._error(404, "snap-not-found", "snap not installed")
        elif path == "/v2/changes":
            self._answer(list(self.daemon.changes.values()))
        elif match := re.fullmatch(r"/v2/changes/(\d+)", path):
            self._answer(self.daemon.changes[match[1]])
        elif path == "/v2/logs":
            self._stream([b"one\n", b"two\n", b"three\n"])
        else:
            self._answer({"path": self.path})

    def do_POST(self) -> None:
        if self.daemon.refuses:
            self._error(403, "login-required", "access denied")
            self.close_connection = True
            return
        raw = self._body()
        content_type = self.headers["Content-Type"] or ""
        if content_type.startswith("multipart/form-data"):
            fields, snaps = _fields(content_type, raw)
            self.daemon.requests.append(("POST", self.path, fields | {"snap": b", ".join(snaps)}))
            self._accepted(self.daemon.side_load(*snaps))
            return
        body = json.loads(raw)
        self.daemon.requests.append(("POST", self.path, body))
        name = self.path.rpartition("/")[2] if self.path != "/v2/snaps" else (body.get("snaps") or [""])[0]
        if body["action"] in ("hold", "revert"):
            self._accepted(self.daemon.change(body["action"], "", name))
        elif name not in self.daemon.current:
            self._error(404, "snap-not-installed", f'snap "{name}" is not installed')
        elif (change := self.daemon.act(name, body)) is None:
            self._error(400, "", "store access is disabled")
        else:
            self._accepted(change)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            blocks = []
            while size := int(self.rfile.readline(), 16):
                blocks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(blocks)
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def _accepted(self, change: str) -> None:
        self._send(202, {"type": "async", "status-code": 202, "status": "Accepted", "change": change, "result": None})

    def _answer(self, result: object) -> None:
        self._send(200, {"type": "sync", "status-code": 200, "status": "OK", "result": result})

    def _error(self, status: int, kind: str, message: str) -> None:
        self._send(status, {"type": "error", "status-code": status, "result": {"message": message, "kind": kind}})

    def _send(self, status: int, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, blocks: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json-seq")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for block in [*blocks, b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))


def _fields(content_type: str, raw: bytes) -> tuple[dict[str, bytes], list[bytes]]:
    """The form's fields, and the files of its snaps."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + raw)
    parts = [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
        for part in typing.cast("list[typing.Any]", message.get_payload())
    ]
    return {name: value for name, value in parts if name != "snap"}, [value for name, value in parts if name == "snap"]
