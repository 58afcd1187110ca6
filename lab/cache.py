"""Things that are built once, by the hash of all that went into them.

An entry is a directory `<cache>/<kind>/<hash>`. It is built aside and renamed into place under a lock, so nobody ever
sees a half-built one; what an interrupted build left behind is removed by the next. Using an entry touches it, so
`prune` knows which ones are old.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import pathlib
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping

Input = str | bytes | pathlib.Path

logger = logging.getLogger(__name__)

_LENGTH = 20
_SCRATCH = "scratch"
_DAY = 24 * 60 * 60


def digest(inputs: Mapping[str, Input]) -> str:
    """Return the hash of named inputs: text, bytes, or the content of files and directories.

    A file counts with its content and its permission bits, a directory with all that is below it, a symbolic link with
    its target. Where a path lies does not count, nor what Python compiles beside its sources.
    """
    total = hashlib.sha256()
    for name in sorted(inputs):
        value = inputs[name]
        if isinstance(value, pathlib.Path):
            below = sorted(value.rglob("*")) if value.is_dir() else []
            parts = [value, *(part for part in below if "__pycache__" not in part.parts)]
            for part in parts:
                _add(total, f"{name}:{part.relative_to(value)}".encode(), _content(part))
        else:
            _add(total, name.encode(), value.encode() if isinstance(value, str) else value)
    return total.hexdigest()[:_LENGTH]


def ensure(
    cache: pathlib.Path, kind: str, inputs: Mapping[str, Input], build: Callable[[pathlib.Path], object]
) -> pathlib.Path:
    """Return the entry of `kind` for `inputs`; build it first if it is not there.

    Args:
        cache: the cache's directory, `settings.cache`.
        kind: a directory name, such as `image`.
        inputs: everything that the result depends on.
        build: fills an empty directory, whose path it is given. That directory is renamed afterwards: it must not
            be written into what is built. An exception of `build` goes to the caller and leaves no entry.

    Only one process builds an entry; others that want the same one wait for it.
    """
    key = digest(inputs)
    entry = cache / kind / key
    entry.parent.mkdir(parents=True, exist_ok=True)
    # First together with those that hold the entry: a lab that is up must not keep others from using it.
    with _locked(_lock_file(entry), fcntl.LOCK_SH):
        if entry.is_dir():
            os.utime(entry)
            return entry
    with _locked(_lock_file(entry)):
        if not entry.is_dir():
            _build(entry, build)
        os.utime(entry)
    return entry


def entries(cache: pathlib.Path) -> list[pathlib.Path]:
    """Return every finished entry, the most recently used first."""
    found = [path for path in cache.glob("*/*") if path.is_dir() and len(path.name) == _LENGTH and "." not in path.name]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def prune(
    cache: pathlib.Path,
    *,
    in_use: Collection[pathlib.Path] = (),
    newest: int = 2,
    seconds: float = _DAY,
) -> list[pathlib.Path]:
    """Remove old entries and what interrupted builds left; return what was removed.

    Kept are, of each kind, the `newest` ones, those that were used in the last `seconds`, those in `in_use`, and those
    that a process is holding (see `hold`).
    """
    removed: list[pathlib.Path] = []
    kept: dict[str, int] = {}
    for entry in entries(cache):
        kept[entry.parent.name] = kept.get(entry.parent.name, 0) + 1
        recent = time.time() - entry.stat().st_mtime < seconds
        if kept[entry.parent.name] > newest and not recent and entry not in in_use and _remove_free(entry):
            removed.append(entry)
    removed += [partial for partial in cache.glob("*/*.partial") if _remove_partial(partial)]
    removed += [directory for directory in cache.glob(f"{_SCRATCH}/*") if _remove_scratch(directory)]
    return removed


def hold(entry: pathlib.Path) -> int:
    """Keep `entry` from being pruned while this process, or a child that inherits the descriptor, lives.

    Returns the descriptor, which may be closed to let go.
    """
    descriptor = os.open(_lock_file(entry), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextlib.contextmanager
def scratch(cache: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a directory on the cache's file system for as long as it is needed.

    What a killed process leaves of it is removed by `prune`.
    """
    (cache / _SCRATCH).mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(dir=cache / _SCRATCH))
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield directory
    finally:
        os.close(descriptor)
        remove_tree(directory)


def remove_tree(path: pathlib.Path) -> None:
    """Remove a tree that may hold a whole root file system; nothing happens if it is not there.

    Raises:
        OSError: something below is mounted. A tree is not entered where another file system starts, lest what is
            bound into it be removed too.
    """
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    below = [mount for mount in mounts if mount == str(path) or mount.startswith(f"{path}/")]
    if below:
        raise OSError(f"{path} cannot be removed while {', '.join(below)} is mounted")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def _build(entry: pathlib.Path, build: Callable[[pathlib.Path], object]) -> None:
    partial = entry.with_suffix(".partial")
    remove_tree(partial)
    partial.mkdir()
    started = time.monotonic()
    logger.info("building %s %s", entry.parent.name, entry.name)
    try:
        build(partial)
        partial.rename(entry)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(partial)
        raise
    logger.info("built %s %s in %.1f s", entry.parent.name, entry.name, time.monotonic() - started)


def _remove_free(entry: pathlib.Path) -> bool:
    """Remove an entry unless a process holds it."""
    with contextlib.suppress(BlockingIOError), _locked(_lock_file(entry), fcntl.LOCK_EX | fcntl.LOCK_NB):
        partial = entry.with_suffix(".partial")
        remove_tree(partial)
        # Whoever comes in the middle of the removal must not see half an entry.
        entry.rename(partial)
        remove_tree(partial)
        return True
    return False


def _remove_partial(partial: pathlib.Path) -> bool:
    """Remove what an interrupted build left, unless it is being built again."""
    with contextlib.suppress(BlockingIOError), _locked(_lock_file(partial), fcntl.LOCK_EX | fcntl.LOCK_NB):
        remove_tree(partial)
        return True
    return False


def _remove_scratch(directory: pathlib.Path) -> bool:
    """Remove a scratch directory whose process has ended."""
    with contextlib.suppress(BlockingIOError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(directory)
            return True
        finally:
            os.close(descriptor)
    return False


def _lock_file(entry: pathlib.Path) -> pathlib.Path:
    return entry.with_suffix(".lock")


@contextlib.contextmanager
def _locked(path: pathlib.Path, lock: int = fcntl.LOCK_EX) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, lock)
        yield
    finally:
        os.close(descriptor)


def _content(path: pathlib.Path) -> bytes:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return b"link " + os.fsencode(path.readlink())
    if stat.S_ISDIR(status.st_mode):
        return b"directory"
    with path.open("rb") as file:
        return f"file {stat.S_IMODE(status.st_mode):o} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode()


def _add(total: hashlib._Hash, name: bytes, content: bytes) -> None:
    for part in (name, content):
        total.update(len(part).to_bytes(8, "big") + part)
