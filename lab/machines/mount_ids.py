"""On which CPU a machine's mount namespace has to be made, so that snaps work in it.

Linux gives each mount namespace a number, and refuses to keep one (by a bind mount, as snap-confine does) in another
whose number is not smaller. Since 6.18 processors draw numbers from batches of their own. A machine whose mount
namespace got its number on a processor with a late batch then sees younger namespaces with smaller numbers, and
snap-confine fails with "cannot preserve mount namespace ...: Invalid argument". On the processor whose next number is
the smallest of all, this does not happen, unless others on that processor use up its batch in the meantime: so the
number is looked at once the machine has it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable, Iterable

# linux/nsfs.h: NS_GET_MNTNS_ID, _IOR(0xb7, 5, __u64); in the kernel since 6.11
_GET_MOUNT_NAMESPACE_ID = 0x8008B705
_NEW_MOUNT_NAMESPACE = 0x00020000  # linux/sched.h: CLONE_NEWNS
_NUMBER = struct.Struct("=Q")
_BATCH = 4096  # linux/cookie.h: COOKIE_LOCAL_BATCH
_MARGIN = 64
"""Namespaces that may be made between the choice and the machine's own."""


def choose(processors: Iterable[int], next_id: Callable[[int], int | None] | None = None) -> int | None:
    """Return the processor with the smallest next number; None if it does not matter on this kernel.

    Args:
        processors: to choose from.
        next_id: makes a mount namespace on a processor and returns its number, or None where kernels do not tell.
    """
    next_id = next_id or made_on
    processors = list(processors)
    chosen = None
    for _ in range(2 * _MARGIN):
        numbers = {processor: next_id(processor) for processor in processors}
        known = {processor: number for processor, number in numbers.items() if number is not None}
        if not known:
            return None
        chosen = min(known, key=lambda processor: known[processor])
        # Near its end, a batch may run out before the machine's namespace is made. Asking again uses it up.
        if known[chosen] % _BATCH < _BATCH - _MARGIN:
            return chosen
    return chosen


def precedes_all(process: int, processors: Iterable[int]) -> bool:
    """Return whether every mount namespace that is made from now on has a greater number than the process's own.

    True also where the kernel does not tell, and where the process has ended.
    """
    try:
        own = of(process)
    except OSError:
        return True
    # Numbers of one processor only grow, and a new batch comes after all others.
    return all(number is None or number > own for number in map(made_on, processors))


def made_on(processor: int) -> int | None:
    """Make a mount namespace on a processor, for a moment, and return its number."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.sched_setaffinity(0, {processor})
            if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNT_NAMESPACE) == 0:
                os.write(writer, _NUMBER.pack(of("self")))
                status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return _NUMBER.unpack(data)[0] if len(data) == _NUMBER.size else None


def of(process: int | str) -> int:
    """Return the number of a process's mount namespace.

    Raises:
        OSError: the kernel does not tell, or there is no such process.
    """
    descriptor = os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY)
    try:
        return _NUMBER.unpack(fcntl.ioctl(descriptor, _GET_MOUNT_NAMESPACE_ID, bytes(_NUMBER.size)))[0]
    finally:
        os.close(descriptor)
