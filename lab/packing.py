"""Packs charms with the real charmcraft, on a host that has neither it nor LXD.

charmcraft runs in destructive mode in a root file system with build tools, under the name of the release that the charm
is made for. It works on a copy of the sources, so that the checkout stays as it is. What is packed once is kept: the
same sources are not packed twice, and requirements that a charm locks with hashes are fetched once.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence

import yaml

from lab import cache, commands, settings
from lab.image import build, chroot, mirror

logger = logging.getLogger(__name__)

DESCRIPTION = "charmcraft.yaml"
DEFAULT_RELEASE = "24.04"

_HERE = pathlib.Path(__file__).parent
_REQUIREMENTS = _HERE / "charmcraft.txt"
# What pip builds a requirement with that is published as source only.
_BUILD_BACKENDS = _HERE / "build-backends.txt"
_CHARMCRAFT = "/opt/charmcraft"  # a virtual environment does not move
_INSTALL = f"""set -eu
python3 -m venv --system-site-packages {_CHARMCRAFT}
{_CHARMCRAFT}/bin/pip install --require-hashes --no-deps --only-binary :all: --requirement /requirements.txt
"""
_FETCH = ["python3", "-m", "pip", "--quiet", "download", "--require-hashes", "--no-deps", "--prefer-binary"]
_PACK = [f"{_CHARMCRAFT}/bin/charmcraft", "pack", "--destructive-mode", "--verbosity=brief"]
# Parts' scripts call craftctl, which stands beside charmcraft.
_ENVIRONMENT = {"PATH": f"{_CHARMCRAFT}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PIP_EXTRA_INDEX_URL": ""}
_TIMEOUT = 1800  # seconds; the first pack of a charm may compile


class PackingError(RuntimeError):
    """The charm cannot be packed. The message says why."""


def pack(lab_settings: settings.Settings, source: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """Pack a charm and return its file.

    Args:
        lab_settings: the lab's settings.
        source: the charm's directory, with its charmcraft.yaml. In a git repository the tracked files count and those
            that are neither tracked nor ignored; commits and tags come along. Elsewhere all files count.
        output: the file to write, or a directory to put it into under the name that charmcraft gives it.

    Raises:
        PackingError: there is no charm in `source`, it is for several platforms of this architecture at once, or
            charmcraft failed; then the message has the end of its output.
        commands.CommandError: a command of the host is missing or failed.
        mirror.MirrorError: no package archive offers the build tools' release.
        chroot.ChrootError: the build tools could not be installed.
    """
    lab_settings.cache.mkdir(parents=True, exist_ok=True)
    if not (source / DESCRIPTION).is_file():
        raise PackingError(f"{source} has no {DESCRIPTION}")
    layers = build.layers(lab_settings)
    charmcraft = _charmcraft(lab_settings, layers)
    with tempfile.TemporaryDirectory(prefix="pack-", dir=lab_settings.cache) as directory:
        copy = pathlib.Path(directory) / "source"
        version = _copy(source.absolute(), copy)
        inputs = _files_of(copy) | {
            "version": version,
            "charmcraft": charmcraft.name,
            "layers": " ".join(layer.name for layer in layers),
            "recipe": pathlib.Path(__file__),
        }

        def run(entry: pathlib.Path) -> None:
            _run(lab_settings, layers, charmcraft, copy, entry)

        (packed,) = cache.ensure(lab_settings.cache, "charm", inputs, run).glob("*.charm")
    target = output / packed.name if output.is_dir() else output
    shutil.copyfile(packed, target)
    return target


def _charmcraft(lab_settings: settings.Settings, layers: list[pathlib.Path]) -> pathlib.Path:
    """The virtual environment that charmcraft is installed in, made for the layers' Python."""

    def install(entry: pathlib.Path) -> None:
        binds = [chroot.Bind(entry, _CHARMCRAFT), chroot.Bind(_REQUIREMENTS, "/requirements.txt", writable=False)]
        chroot.run(lab_settings, layers, ["/bin/sh", "-c", _INSTALL], timeout=900, binds=binds)

    inputs: dict[str, cache.Input] = {
        "requirements": _REQUIREMENTS,
        "install": _INSTALL,
        "layers": " ".join(layer.name for layer in layers),
    }
    return cache.ensure(lab_settings.cache, "charmcraft", inputs, install)


def _copy(source: pathlib.Path, copy: pathlib.Path) -> str:
    """Copy a charm's sources and return what git calls their version: commit, nearest tag, and whether they differ."""
    prefix = _git(source, "rev-parse", "--show-prefix")
    if prefix is None:
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("*.charm"))
        return ""
    if prefix == "":
        _git(source, "clone", "--quiet", "--no-checkout", str(source), str(copy), required=True)
    listed = _git(source, "ls-files", "-z", "--cached", "--others", "--exclude-standard", required=True)
    for name in (listed or "").split("\0"):
        original, target = source / name, copy / name
        if name and (original.is_symlink() or original.is_file()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(original, target, follow_symlinks=False)
    if prefix != "":  # charmcraft sees a charm that is a part of a repository without it, as in its own containers
        return ""
    _git(copy, "reset", "--quiet", required=True)
    commit = _git(copy, "rev-parse", "HEAD", required=True)
    return f"{commit} {_git(copy, 'describe', '--tags', '--long', '--always', '--dirty')}"


def _git(directory: pathlib.Path, *arguments: str, required: bool = False) -> str | None:
    """What a git command prints; None where it fails and need not succeed."""
    command = [commands.find("git"), "-c", "safe.directory=*", "-C", str(directory), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if result.returncode and required:
        raise PackingError(f"git {arguments[0]} in {directory} failed: {result.stderr.strip()}")
    return None if result.returncode else result.stdout.strip("\n")


def _files_of(copy: pathlib.Path) -> dict[str, cache.Input]:
    return {
        f"file {path.relative_to(copy)}": path
        for path in sorted(copy.rglob("*"))
        if ".git" not in path.relative_to(copy).parts[:1] and (path.is_symlink() or path.is_file())
    }


def _run(
    lab_settings: settings.Settings,
    layers: list[pathlib.Path],
    charmcraft: pathlib.Path,
    copy: pathlib.Path,
    output: pathlib.Path,
) -> None:
    """Pack the copy into a directory: without network where all wheels are there, else with it."""
    text = (copy / DESCRIPTION).read_text()
    with tempfile.TemporaryDirectory(prefix="release-", dir=lab_settings.cache) as directory:
        release = pathlib.Path(directory) / "os-release"
        release.write_text(_os_release(text))
        wheels = [_wheels(lab_settings, layers, path) for path in _locked_requirements(copy, text)]
        links = pathlib.Path(directory) / "wheels"
        links.mkdir()
        for wheel in (wheel for entry in wheels for wheel in entry.iterdir()):
            if not (links / wheel.name).exists():
                (links / wheel.name).hardlink_to(wheel)
        binds = [
            chroot.Bind(charmcraft, _CHARMCRAFT, writable=False),
            chroot.Bind(copy, "/source"),
            chroot.Bind(links, "/wheels", writable=False),
            chroot.Bind(release, "/usr/lib/os-release", writable=False),
        ]
        if not (wheels and _offline(lab_settings, layers, binds)):
            try:
                chroot.run(lab_settings, layers, _PACK, timeout=_TIMEOUT, binds=binds, env=_ENVIRONMENT, cwd="/source")
            except chroot.ChrootError as error:
                raise PackingError(f"charmcraft failed: {error}") from error
    for packed in copy.glob("*.charm"):
        shutil.move(packed, output)
    found = [path.name for path in output.glob("*.charm")]
    if len(found) != 1:
        raise PackingError(f"charmcraft made {len(found)} charms for this architecture: {', '.join(found)}")


def _offline(lab_settings: settings.Settings, layers: list[pathlib.Path], binds: list[chroot.Bind]) -> bool:
    """Try to pack with the wheels alone, and tell whether they were enough: a charm may want packages to build with."""
    env = _ENVIRONMENT | _OFFLINE
    try:
        chroot.run(lab_settings, layers, _PACK, timeout=_TIMEOUT, binds=binds, env=env, cwd="/source", host=False)
    except chroot.ChrootError as error:
        logger.info("packing without network failed, so it is used: %s", str(error).strip().splitlines()[-1])
        return False
    return True


def _os_release(description: str) -> str:
    """The identity of the release that a charm is made for: charmcraft packs for no other than the one it runs on."""
    base = yaml.safe_load(description).get("base")
    release = base.partition("@")[2] if isinstance(base, str) and base.startswith("ubuntu@") else DEFAULT_RELEASE
    codename = {"22.04": "jammy", "24.04": "noble"}.get(release, "unknown")
    return (
        f'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu {release}"\nVERSION_ID="{release}"\n'
        f"VERSION_CODENAME={codename}\nUBUNTU_CODENAME={codename}\n"
    )


def _locked_requirements(copy: pathlib.Path, description: str) -> Iterable[pathlib.Path]:
    """The requirements files that charmcraft.yaml names, if each of their requirements has a hash."""
    for name in sorted(set(re.findall(r"[\w./-]+\.txt", description))):
        path = copy / name
        if path.is_file() and _is_locked(path.read_text()):
            yield path


def _is_locked(requirements: str) -> bool:
    lines = requirements.replace("\\\n", " ").splitlines()
    wanted = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))]
    return bool(wanted) and all("--hash=" in line for line in wanted)


def _wheels(lab_settings: settings.Settings, layers: list[pathlib.Path], requirements: pathlib.Path) -> pathlib.Path:
    """A folder with the wheels of a locked requirements file."""

    def fetch(entry: pathlib.Path) -> None:
        _fetch(lab_settings, layers, requirements, entry)
        if any(path.suffix != ".whl" for path in entry.iterdir()):
            _fetch(lab_settings, layers, _BUILD_BACKENDS, entry)

    inputs: dict[str, cache.Input] = {
        "requirements": requirements.read_bytes(),
        "build backends": _BUILD_BACKENDS,
        "fetch": " ".join(_FETCH),
        "layers": " ".join(layer.name for layer in layers),
    }
    return cache.ensure(lab_settings.cache, "wheels", inputs, fetch)


def _fetch(
    lab_settings: settings.Settings, layers: list[pathlib.Path], requirements: pathlib.Path, to: pathlib.Path
) -> None:
    binds = [chroot.Bind(to, "/wheels"), chroot.Bind(requirements, "/requirements.txt", writable=False)]
    command = [*_FETCH, "--dest", "/wheels", "--requirement", "/requirements.txt"]
    chroot.run(lab_settings, layers, command, timeout=900, binds=binds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as `charmcraft`: `pack` with the options that mean something here, and `version`. Others are refused."""
    options = _parser().parse_args(arguments)
    if options.command == "version":
        print(f"charmcraft {_version()}")
        return 0
    logging.basicConfig(level=_level(options), format="%(message)s")
    if not options.output.is_dir():
        options.output.mkdir(parents=True)
    try:
        packed = pack(settings.load(), options.project_dir, options.output)
    except (PackingError, commands.CommandError, chroot.ChrootError, mirror.MirrorError) as error:
        print(f"charmcraft: {error}", file=sys.stderr)
        return 1
    print(f"Packed {packed.name}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument("-p", "--project-dir", type=pathlib.Path, default=argparse.SUPPRESS, help="default: here")
    everywhere.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS)
    everywhere.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS)
    levels = ("quiet", "brief", "verbose", "debug", "trace")
    everywhere.add_argument("--verbosity", choices=levels, default=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(
        prog="charmcraft",
        description="charmcraft of the lab: packs charms, and nothing else.",
        parents=[everywhere],
        allow_abbrev=False,
    )
    parser.set_defaults(project_dir=pathlib.Path(), verbose=False, quiet=False, verbosity="brief")
    subcommands = parser.add_subparsers(dest="command", required=True)
    packing = subcommands.add_parser("pack", parents=[everywhere], allow_abbrev=False, help="pack the charm")
    packing.add_argument("--destructive-mode", action="store_true", help="accepted: the lab never packs on the host")
    packing.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path(), help="directory; default: here")
    subcommands.add_parser("version", help="the version that packs")
    return parser


def _level(options: argparse.Namespace) -> int:
    if options.quiet or options.verbosity == "quiet":
        return logging.WARNING
    return logging.INFO


def _version() -> str:
    match = re.search(r"^charmcraft==(\S+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    return match[1] if match else "unknown"


if __name__ == "__main__":
    sys.exit(main())
