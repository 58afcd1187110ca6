"""The part of `lab.image.chroot` that runs as the first process of new mount and PID namespaces.

Reads its task as JSON from standard input: see `chroot.run`.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import sys
import typing

from lab import commands


def main() -> int:
    """Mount, run, unmount; return the command's exit status."""
    task = json.load(sys.stdin)
    root = pathlib.Path(task["root"])
    if task["lower"]:
        options = f"lowerdir={':'.join(task['lower'])},upperdir={task['upper']},workdir={task['work']}"
        _mount("-t", "overlay", "overlay", "-o", options, root)
    else:
        _mount("--bind", task["upper"], root)
    with contextlib.ExitStack() as stack:
        _mount("-t", "proc", "proc", root / "proc")
        for directory in ("sys", "dev"):
            _mount("--rbind", f"/{directory}", root / directory)
        for source, target, writable in task["binds"]:
            _bind(stack, root, pathlib.Path(source), target, writable)
        return subprocess.run(
            [commands.find("chroot"), root, "/usr/bin/env", f"--chdir={task['cwd']}", *task["argv"]],
            env=task["env"],
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode


def _bind(stack: contextlib.ExitStack, root: pathlib.Path, source: pathlib.Path, target: str, writable: bool) -> None:
    """Bind `source`, and have the mount point removed in the end if it was not there: it is not part of the layer."""
    place = root / target.lstrip("/")
    missing = [path for path in (place, *place.parents) if not path.exists() and not path.is_symlink()]
    if source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    elif missing:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    for path in reversed(missing):
        stack.callback(_remove_mount_point, path)
    _mount("--bind", *(() if writable else ("-o", "ro")), source, place)
    stack.callback(commands.run, "umount", "--lazy", str(place))


def _remove_mount_point(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # something was put beside it, so it stays
        path.rmdir() if path.is_dir() else path.unlink()


def _mount(*arguments: typing.Any) -> None:
    commands.run("mount", *map(str, arguments))


if __name__ == "__main__":
    sys.exit(main())
