"""Running a command of the host's architecture in a stack of layers, with the host's network.

    chroot.run(settings, build.layers(settings), ["pip", "download", ...], binds=[chroot.Bind(wheels, "/wheels")])

The command has namespaces of its own for mounts and processes: when it ends, or this process does, nothing stays.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import typing
from collections.abc import Mapping, Sequence

from lab import cache, commands, settings
from lab.image import carry

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class ChrootError(RuntimeError):
    """The command failed. The message has the end of its output."""


@dataclasses.dataclass(frozen=True)
class Bind:
    """A path of the host that the command sees."""

    source: pathlib.Path
    target: str
    writable: bool = True


def run(
    lab_settings: settings.Settings,
    layers: Sequence[pathlib.Path],
    argv: Sequence[str],
    *,
    timeout: float,
    upper: pathlib.Path | None = None,
    binds: Sequence[Bind] = (),
    env: Mapping[str, str] | None = None,
    cwd: str = "/",
    host: bool = True,
) -> str:
    """Run a command and return its output, standard error included.

    Args:
        lab_settings: the lab's settings.
        layers: directories of which the root file system is made, the uppermost first. They are not changed.
        argv: the command.
        timeout: in seconds.
        upper: directory that takes what the command changes in the root file system, and so becomes a layer itself.
            Without it the changes are dropped. Without layers it is itself the root file system.
        binds: paths of the host to show.
        env: variables on top of the host's package settings (see `lab.image.carry`) and a plain `PATH`.
        cwd: directory inside.
        host: whether the host's package settings, resolver and certificates are there.

    Raises:
        ChrootError: the command failed or took too long.
        mirror.MirrorError: no package archive was found.
    """
    carried = carry.collect(lab_settings) if host else carry.Carried({}, {}, {})
    # Not in /tmp, which may be a file system that overlayfs cannot write to, and small.
    with cache.scratch(lab_settings.cache) as directory:
        for name in ("upper", "work", "root", "files"):
            (directory / name).mkdir()
        shown = _files(directory / "files", carried.contents)
        shown += [Bind(pathlib.Path(outside), inside, writable=False) for inside, outside in carried.paths.items()]
        task = {
            "lower": [str(layer) for layer in layers],
            "upper": str(upper or directory / "upper"),
            "work": str(directory / "work"),
            "root": str(directory / "root"),
            "binds": [(str(bind.source), bind.target, bind.writable) for bind in (*shown, *binds)],
            "cwd": cwd,
            "argv": list(argv),
            "env": {**_ENVIRONMENT, **carried.environment, **(env or {})},
        }
        return _run(json.dumps(task), argv, timeout)


def _run(task: str, argv: Sequence[str], timeout: float) -> str:
    # --kill-child and --pdeathsig: when this process ends, however it does, so does everything inside.
    command = [
        *(commands.find("setpriv"), "--pdeathsig", "KILL"),
        *(commands.find("unshare"), "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
        *commands.module("lab.image.inside"),
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=commands.module_environment(),
    )
    with process:
        try:
            output, _ = process.communicate(task, timeout)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise ChrootError(f"`{' '.join(argv)}` took longer than {timeout} s: {_end(error.output)}") from error
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise ChrootError(f"`{' '.join(argv)}` failed with {process.returncode}: {_end(output)}")
    return output


def _files(directory: pathlib.Path, contents: Mapping[str, str]) -> list[Bind]:
    binds = []
    for number, (target, content) in enumerate(contents.items()):
        file = directory / str(number)
        file.write_text(content)
        binds.append(Bind(file, target, writable=False))
    return binds


def _end(output: typing.Any) -> str:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    return text.strip()[-4000:]
