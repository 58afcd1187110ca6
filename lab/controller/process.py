"""Runs one process of a hook in a machine, and meanwhile answers its hook tools.

One loop, no threads: it reads what the process prints, line by line, serves the unit's `agent.socket`, and notices
the end of the process.
"""

from __future__ import annotations

import codecs
import collections.abc
import contextlib
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import tempfile
import time
import typing

from lab.machines import machine as machine_module

DRAIN_SECONDS = 0.1
"""How long output is still read after the end of the process, if what it left behind keeps its output open."""

_CHUNK = 65536


class AgentSocket:
    """The Unix socket through which processes on a machine reach a unit's agent.

    A request is a line in, answered by whatever the handler says back. Who asks may go on with the next request over
    the same connection, and ends it.
    """

    def __init__(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        # A socket's address holds 107 bytes; the way through the directory's descriptor is always short enough.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self._listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        self._listener.listen(64)
        self._buffers: dict[socket.socket, bytearray] = {}

    def close(self) -> None:
        """Ends listening, and all connections."""
        for connection in [self._listener, *self._buffers]:
            connection.close()
        self._buffers.clear()

    def register(self, selector: selectors.BaseSelector) -> None:
        """Lets a selector wait for requests; the events' data is this object."""
        for connection in [self._listener, *self._buffers]:
            selector.register(connection, selectors.EVENT_READ, self)

    def receive(self, ready: typing.Any, selector: selectors.BaseSelector) -> tuple[socket.socket, bytes] | None:
        """Takes one step with what a selector found ready; a request, once it is complete, with its connection."""
        if ready is self._listener:
            with contextlib.suppress(BlockingIOError):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._buffers[connection] = bytearray()
                selector.register(connection, selectors.EVENT_READ, self)
            return None
        try:
            data = ready.recv(_CHUNK)
        except BlockingIOError:
            return None
        except ConnectionError:
            data = b""
        buffer = self._buffers[ready]
        buffer += data
        if data and not data.endswith(b"\n"):
            return None
        if not data:
            selector.unregister(ready)
            del self._buffers[ready]
            ready.close()
            return None
        self._buffers[ready] = bytearray()
        return ready, bytes(buffer)


def reply(connection: socket.socket, answer: bytes) -> None:
    """Sends an answer; who asked may be gone, or not listen: then the connection ends."""
    try:
        connection.settimeout(10)
        connection.sendall(answer)
        connection.setblocking(False)
    except OSError:
        refuse(connection)


def refuse(connection: socket.socket) -> None:
    """Lets who asked see the connection end. The socket notices that too, and closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _start_time(pid: int) -> str:
    """When a process started, in clock ticks since boot: together with its number unique until the next boot."""
    # The second field, the program's name in parentheses, may hold anything.
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def write_record(path: pathlib.Path, pid: int) -> None:
    """Writes down which process runs."""
    with contextlib.suppress(FileNotFoundError):
        path.write_text(f"{pid} {_start_time(pid)}")


def kill_recorded(path: pathlib.Path) -> None:
    """Kills the process that was written down, with its group, if it still runs."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid, started = path.read_text().split()
        if _start_time(int(pid)) == started:
            os.killpg(int(pid), signal.SIGKILL)
    path.unlink(missing_ok=True)


class _Lines:
    """Cuts a stream of bytes into lines of text."""

    def __init__(self, line: collections.abc.Callable[[str], None]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = line
        self._rest = ""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + self._decoder.decode(data, final=not data)).split("\n")
        for line in lines:
            self._line(line)
        if not data and self._rest:
            self._line(self._rest)
            self._rest = ""


Request = collections.abc.Callable[[socket.socket, bytes], None]
Output = collections.abc.Callable[[bool, str], None]


class HookProcess:
    """One process and all that it started."""

    def __init__(
        self,
        machine: machine_module.Machine,
        argv: list[str],
        environment: dict[str, str],
        directory: str,
        script: str | None = None,
    ) -> None:
        """Starts it. `script` becomes its standard input.

        Raises:
            MachineError: the machine does not run.
            OSError: there is no such program.
        """
        with tempfile.TemporaryFile() as stdin:
            stdin.write((script or "").encode())
            stdin.seek(0)
            self._process = machine.popen(
                argv, env=environment, cwd=directory, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )

    @property
    def pid(self) -> int:
        """The process's number, which is also its group's."""
        return self._process.pid

    def kill(self) -> None:
        """Kills the whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def run(
        self,
        agent_socket: AgentSocket | None,
        on_request: Request,
        on_output: Output,
        deadline: float | None = None,
    ) -> int:
        """Serves the process until it ends; its exit status, negative if a signal ended it.

        Args:
            agent_socket: Where its hook tools call.
            on_request: Called with each request, to answer with `reply`.
            on_output: Called with each line: whether it is of standard error, and the line.
            deadline: When to kill it (`time.monotonic()`).

        An exception of a callback kills the process and leaves.
        """
        try:
            with selectors.DefaultSelector() as selector:
                return self._serve(selector, agent_socket, on_request, on_output, deadline)
        except BaseException:
            self.kill()
            self._process.wait()
            raise
        finally:
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def _serve(
        self,
        selector: selectors.BaseSelector,
        agent_socket: AgentSocket | None,
        on_request: Request,
        on_output: Output,
        deadline: float | None,
    ) -> int:
        streams: dict[typing.Any, _Lines] = {
            self._process.stdout: _Lines(lambda line: on_output(False, line)),
            self._process.stderr: _Lines(lambda line: on_output(True, line)),
        }
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        if agent_socket is not None:
            agent_socket.register(selector)
        end = os.pidfd_open(self._process.pid)
        selector.register(end, selectors.EVENT_READ)
        try:
            ended = False
            while not ended or (streams and _remaining(deadline)):
                ready = selector.select(_remaining(deadline))
                if not ended and _remaining(deadline) == 0:
                    self.kill()
                    deadline = None
                for key, _ in ready:
                    if key.fileobj == end:
                        selector.unregister(end)
                        ended = True
                        deadline = time.monotonic() + DRAIN_SECONDS
                    elif key.data is not None:
                        if (request := key.data.receive(key.fileobj, selector)) is not None:
                            on_request(*request)
                    else:
                        _read(key.fileobj, streams, selector)
        finally:
            os.close(end)
        return self._process.wait()


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _read(stream: typing.Any, streams: dict[typing.Any, _Lines], selector: selectors.BaseSelector) -> None:
    data = os.read(stream.fileno(), _CHUNK)
    streams[stream].feed(data)
    if not data:
        selector.unregister(stream)
        del streams[stream]
