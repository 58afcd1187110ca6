"""Files and directories of the workload.

Written only when they differ, whole or not at all, never readable by others.
"""

import dataclasses
import os
import pathlib
import pwd
import shutil


@dataclasses.dataclass(frozen=True)
class Owner:
    """User and group, by number."""

    user: int
    group: int

    @classmethod
    def named(cls, name: str) -> "Owner":
        """The user of that name and its own group. Raises KeyError if there is none."""
        entry = pwd.getpwnam(name)
        return cls(entry.pw_uid, entry.pw_gid)


ROOT = Owner(0, 0)


def ensure_directory(path: pathlib.Path, owner: Owner, mode: int) -> bool:
    """Make `path` a directory of that owner and mode (missing parents: root's, 0755); whether anything changed.

    Raises OSError for a symbolic link in a directory that is not root's: by it anybody else's directory could be given
    away.
    """
    changed = not path.is_dir()
    if changed:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=mode)
    follow = 0 if path.parent.stat().st_uid == ROOT.user else os.O_NOFOLLOW
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | follow)
    try:
        found = os.fstat(directory)
        if (found.st_uid, found.st_gid) != (owner.user, owner.group):
            os.fchown(directory, owner.user, owner.group)
            changed = True
        if found.st_mode & 0o7777 != mode:
            os.fchmod(directory, mode)
            changed = True
    finally:
        os.close(directory)
    return changed


def ensure_file(path: pathlib.Path, content: str, owner: Owner, mode: int) -> bool:
    """Make `path` a file of that content, owner and mode, in one atomic step; whether anything changed.

    Its directory (root's, 0755) is made where it is missing, no directory above it. Raises OSError.
    """
    try:
        found = path.stat()
        if (
            path.read_text() == content
            and (found.st_uid, found.st_gid) == (owner.user, owner.group)
            and found.st_mode & 0o7777 == mode
        ):
            return False
    except FileNotFoundError:
        path.parent.mkdir(mode=0o755, exist_ok=True)
    # One name, so that what a hook that was killed has left is gone with the next write: it may hold a password. Hooks
    # of a unit never run beside each other, and no two threads write the same file.
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    # Created with mode 0600: a password in it is never readable, not even for a moment.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchown(file.fileno(), owner.user, owner.group)
            os.fchmod(file.fileno(), mode)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return True


def remove(path: pathlib.Path) -> None:
    """Remove a file, or a directory with all in it; it may be absent."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def mount_points(table: pathlib.Path) -> frozenset[str]:
    """Where a file system table (see fstab(5)) has file systems mounted; nowhere if there is none."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return frozenset()
    entries = (line.split() for line in lines if not line.lstrip().startswith("#"))
    return frozenset(fields[1] for fields in entries if len(fields) > 1)


def free_bytes(path: pathlib.Path) -> int | None:
    """Bytes that can still be written where `path` (or its nearest existing parent) is; None if that cannot be told."""
    for candidate in (path, *path.parents):
        try:
            return shutil.disk_usage(candidate).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
