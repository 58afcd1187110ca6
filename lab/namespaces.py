"""A lab's process tree: one process in namespaces of its own, whose end is the end of everything.

`up` starts `lab.init` as PID 1 of new mount, PID, network and cgroup namespaces. Outside of these a lab has two things
only, both named after its subnet: a control group below the host's unified hierarchy, and an `unreachable` route, which
keeps stray connections to the lab's addresses on the host. Should a lab be killed, the kernel removes what is inside,
and the next `up` or `down` of any lab removes these two.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator, Sequence

from lab import cache, commands, settings

GROUP_PREFIX = "charm-lab-"
ROUTE_PROTOCOL = "207"
"""Marks the lab's routes (`ip route show proto 207`); the number is in the range that is free for administrators."""

NETWORK = ipaddress.IPv4Network("198.18.0.0/15")
"""Where subnets are taken from: set aside for tests of networks by RFC 2544, so no real network uses it."""

_STATE = ("machines", "storage", "store", "charmhub", "charms", "resources", "juju", "log")
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0
# Linux: struct ucred, the sender's process, user and group identifiers as the receiver sees them.
_CREDENTIALS = struct.Struct("3i")
_EXITING = 0x4  # linux/sched.h: PF_EXITING, among the flags in /proc/PID/stat
_JOIN_GROUP = 'echo $$ >"$0" && exec "$@"'


class NamespacesError(RuntimeError):
    """The lab could not be started, found or ended."""


@dataclasses.dataclass(frozen=True)
class Lab:
    """A running lab, as its `lab.json` describes it."""

    pid: int  # of its PID 1, in the host's numbers
    started: int  # that process's start, in clock ticks since the host's boot
    host_boot_id: str
    namespace: str  # its PID namespace, as /proc/PID/ns/pid names it
    subnet: str
    group: str  # its control group on the host
    layers: tuple[str, ...]  # what its machines' root file systems lie on, uppermost first

    @property
    def inside(self) -> bool:
        """Whether this process runs in the lab's namespaces."""
        return os.readlink("/proc/self/ns/pid") == self.namespace  # noqa: PTH115 - not the path of a file


def find(lab_settings: settings.Settings) -> Lab | None:
    """Return the lab if it runs. Works outside and inside of its namespaces."""
    described = _described(lab_settings)
    if described is None:
        return None
    if described.inside:
        return described
    alive = described.host_boot_id == _host_boot_id() and _started(described.pid) == described.started
    return described if alive else None


def up(lab_settings: settings.Settings, *, layers: Sequence[pathlib.Path] = ()) -> Lab:
    """Start the lab unless it runs already; return when its controller has been started.

    Args:
        lab_settings: the lab's settings; `controller_command` is what its init starts and keeps running.
        layers: what the machines' root file systems lie on, uppermost first.

    Raises:
        NamespacesError: it could not be started. Nothing of it is left.
    """
    with _host_lock():
        return find(lab_settings) or _start(lab_settings, layers)


def down(lab_settings: settings.Settings, *, keep: bool = False) -> bool:
    """End the lab, and whatever a crash has left of any lab; return whether this one was running.

    Args:
        lab_settings: the lab's settings.
        keep: leave its state on disk, so that `up` goes on from there. The machines are ended as by a power cut in
            either case: stop them before if that matters.

    Raises:
        NamespacesError: this process runs in the lab, or something of the lab does not end.
    """
    with _host_lock():
        lab = find(lab_settings)
        if lab and lab.inside:
            raise NamespacesError("a lab cannot be ended from inside")
        if lab:
            _end(lab, signal.SIGTERM, signal.SIGKILL)
        _clear_orphans()
        lab_settings.description.unlink(missing_ok=True)
        if not keep:
            _remove_state(lab_settings)
    return lab is not None


def run(lab_settings: settings.Settings, argv: Sequence[str], *, layers: Sequence[pathlib.Path], timeout: float) -> int:
    """Run one command in a lab that lives as long as the command, and no longer than this process.

    Returns the command's exit status.

    Raises:
        NamespacesError: the lab could not be started, runs already, or the command took longer than `timeout` seconds.
    """
    with _host_lock():
        if find(lab_settings):
            raise NamespacesError(f"the lab {lab_settings.name} runs already")
        channel, process = _spawn(lab_settings, layers, tied=True)
    try:
        with channel:
            _begin(channel, {"command": list(argv), "once": True})
            return int(_receive(channel, timeout))
    finally:
        with _host_lock():
            if lab := find(lab_settings):
                _end(lab, signal.SIGKILL)
            process.wait(_STOP_TIMEOUT)
            _clear_orphans()
            lab_settings.description.unlink(missing_ok=True)


def enter(lab_settings: settings.Settings, argv: Sequence[str]) -> list[str]:
    """Return the command line that runs `argv` in the lab's namespaces, in the current directory.

    A process that is inside already gets `argv` back.

    Raises:
        NamespacesError: the lab does not run.
    """
    lab = find(lab_settings)
    if lab is None:
        raise NamespacesError(f"the lab {lab_settings.name} does not run: `python -m lab up` starts it")
    if lab.inside:
        return list(argv)
    # The group has to be joined from the host's cgroup namespace: see "nsdelegate" in cgroups(7).
    return [
        *(commands.find("sh"), "-c", _JOIN_GROUP, f"{lab.group}/init/cgroup.procs"),
        *(commands.find("nsenter"), "--target", str(lab.pid), "--mount", "--net", "--pid", "--cgroup", "--"),
        *(commands.find("env"), f"--chdir={pathlib.Path.cwd()}", *argv),
    ]


def _start(lab_settings: settings.Settings, layers: Sequence[pathlib.Path]) -> Lab:
    channel, process = _spawn(lab_settings, layers, tied=False)
    with channel:
        process.wait(_START_TIMEOUT)  # it has put the lab in the background
        try:
            _begin(channel, {"command": list(lab_settings.controller_command), "once": False})
        except NamespacesError:
            _clear_orphans()
            raise
    lab = find(lab_settings)
    if lab is None:
        _clear_orphans()
        raise NamespacesError(f"the lab ended as soon as it had started: see {lab_settings.log}")
    return lab


def _spawn(
    lab_settings: settings.Settings, layers: Sequence[pathlib.Path], *, tied: bool
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the init and describe it on disk. It waits for `_begin`, and ends if that never comes.

    Args:
        lab_settings: the lab's settings.
        layers: see `up`.
        tied: whether it must not outlive this process.
    """
    _clear_orphans()
    for name in _STATE:
        (lab_settings.state / name).mkdir(parents=True, exist_ok=True)
    lab_settings.state.chmod(0o700)
    subnet, group = _claim(lab_settings.name)
    ours, its = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    lasting = ("setpriv", "--pdeathsig", "KILL") if tied else ("setsid", "--fork")
    with its, (lab_settings.log / "init.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(commands.find(lasting[0]), *lasting[1:], commands.find("sh"), "-c", _JOIN_GROUP),
                f"{group}/cgroup.procs",
                *(commands.find("unshare"), "--mount", "--propagation", "slave", "--pid", "--net", "--cgroup"),
                *("--mount-proc", "--fork", "--kill-child", *commands.module("lab.init", str(its.fileno()))),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=commands.module_environment() | lab_settings.environment(),
            pass_fds=[its.fileno()],
        )
    try:
        pid = _greeted(ours)
        # Controllers can be handed on only where no process is in the group itself.
        for process_id in (pid, _parent(pid)):
            (group / "init" / "cgroup.procs").write_text(str(process_id))
        namespace = os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - not the path of a file
        lab = Lab(pid, _started(pid), _host_boot_id(), namespace, str(subnet), str(group), tuple(map(str, layers)))
        _write(lab_settings.description, json.dumps(dataclasses.asdict(lab), indent=1))
    except BaseException:
        ours.close()
        process.wait()
        _clear_orphans()
        raise
    return ours, process


def _greeted(channel: socket.socket) -> int:
    """Return the process identifier of the init, which the kernel adds to its first message in our numbers."""
    channel.settimeout(_START_TIMEOUT)
    try:
        message, ancillary, _, _ = channel.recvmsg(16, socket.CMSG_SPACE(_CREDENTIALS.size))
    except TimeoutError:
        message, ancillary = b"", []
    if not message:
        raise NamespacesError("the lab's namespaces could not be made: `python -m lab doctor` looks for the cause")
    return next(_CREDENTIALS.unpack(data)[0] for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS)


def _begin(channel: socket.socket, task: dict[str, object]) -> None:
    channel.sendall(json.dumps(task).encode() + b"\n")
    answer = _receive(channel, _START_TIMEOUT)
    if answer != "ready":
        raise NamespacesError(f"the lab could not be started: {answer or 'its first process ended'}")


def _receive(channel: socket.socket, timeout: float) -> str:
    channel.settimeout(timeout)
    try:
        return channel.recv(65536).decode()
    except TimeoutError as error:
        raise NamespacesError(f"the lab did not answer within {timeout} s") from error


def _end(lab: Lab, *signals: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(lab.pid)
        try:
            for number in signals:
                signal.pidfd_send_signal(process, number)
                # Readable once PID 1 has ended, which the kernel lets it do after all others of its namespace.
                if select.select([process], [], [], _STOP_TIMEOUT)[0]:
                    return
        finally:
            os.close(process)
        raise NamespacesError(f"the lab's first process {lab.pid} does not end")


def _claim(name: str) -> tuple[ipaddress.IPv4Network, pathlib.Path]:
    """Take a subnet that neither a lab nor the host uses, and make the group and the route named after it."""
    subnets = list(NETWORK.subnets(new_prefix=24))
    first = zlib.crc32(name.encode()) % len(subnets)
    used = _routes("table", "all")
    for subnet in subnets[first:] + subnets[:first]:
        # Wide routes are those of tunnels for everything; the lab's is narrower and goes first.
        if any(route.prefixlen >= 8 and route.overlaps(subnet) for route in used):
            continue
        group = unified_hierarchy() / f"{GROUP_PREFIX}{subnet.network_address}"
        (group / "init").mkdir(parents=True)
        commands.run("ip", "route", "add", "unreachable", str(subnet), "proto", ROUTE_PROTOCOL)
        return subnet, group
    raise NamespacesError(f"no subnet of {NETWORK} is free")


def _clear_orphans() -> None:
    """Remove the groups and routes of labs that run no more. The host's lock must be held."""
    alive = set()
    for group in unified_hierarchy().glob(f"{GROUP_PREFIX}*"):
        if "populated 1" in (group / "cgroup.events").read_text() and not _dying(group):
            alive.add(ipaddress.IPv4Network(group.name.removeprefix(GROUP_PREFIX) + "/24"))
        else:
            _remove_group(group)
    for subnet in set(_routes("type", "unreachable", "proto", ROUTE_PROTOCOL)) - alive:
        commands.run("ip", "route", "del", "unreachable", str(subnet), "proto", ROUTE_PROTOCOL)


def _dying(group: pathlib.Path) -> bool:
    """Whether a group has no first process of a PID namespace next to its machines': what is left of it is ending."""
    for pid in (group / "init" / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):
            if _namespace_pids(pid)[-1:] == ["1"] and _started(int(pid)):
                return False
    return True


def _remove_group(group: pathlib.Path) -> None:
    deadline = time.monotonic() + _STOP_TIMEOUT
    (group / "cgroup.kill").write_text("1")
    while group.exists():
        for directory, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):  # busy while its last processes end
                os.rmdir(directory)  # noqa: PTH106 - the files in it are not files
        if time.monotonic() > deadline:
            raise NamespacesError(f"{group} cannot be removed: a process in it does not end")
        time.sleep(0.01)


def _remove_state(lab_settings: settings.Settings) -> None:
    """Remove what a lab keeps below its state directory, and nothing that somebody else put there."""
    for directory in _STATE:
        cache.remove_tree(lab_settings.state / directory)
    for file in lab_settings.state.glob("controller.*"):
        file.unlink()
    with contextlib.suppress(OSError):
        lab_settings.state.rmdir()


def unified_hierarchy() -> pathlib.Path:
    """Return where the host has mounted the unified control group hierarchy (cgroups version 2).

    Raises:
        NamespacesError: nowhere.
    """
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return pathlib.Path(before.split()[4])
    raise NamespacesError("the host has no unified control group hierarchy (cgroup2)")


@contextlib.contextmanager
def _host_lock() -> Iterator[None]:
    # A directory can be locked like a file, and nothing has to be left behind for it.
    descriptor = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _routes(*selection: str) -> list[ipaddress.IPv4Network]:
    shown = json.loads(commands.run("ip", "-4", "-json", "route", "show", *selection).stdout or "[]")
    return [ipaddress.IPv4Network(route["dst"]) for route in shown if route.get("dst", "default") != "default"]


def _described(lab_settings: settings.Settings) -> Lab | None:
    try:
        fields = json.loads(lab_settings.description.read_text())
    except FileNotFoundError:
        return None
    return Lab(**fields | {"layers": tuple(fields["layers"])})


def _write(path: pathlib.Path, text: str) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.replace(path)


def _host_boot_id() -> str:
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _status(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on, whatever the process has made its name."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _started(pid: int) -> int:
    """Return a process's start in clock ticks since boot, 0 if it has ended or is about to."""
    try:
        fields = _status(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if int(fields[6]) & _EXITING else int(fields[19])


def _parent(pid: int) -> int:
    return int(_status(pid)[1])


def _namespace_pids(pid: str) -> list[str]:
    """Return a process's identifiers from our PID namespace down to its own."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return line.split()[1:]
    return []
