"""Puts a charm's files onto a machine, as Juju's agents do.

An upgrade removes what the old archive held and the new one does not, overwrites the rest, and leaves every other file
alone. `.juju-deploying` marks a deployment under way; it becomes `.juju-charm`, whose content is the charm's URL, and
which is thus a new file after each deployment.
"""

from __future__ import annotations

import collections.abc
import contextlib
import json
import os
import pathlib
import shutil
import stat
import urllib.parse
import zipfile

_DEPLOYING = ".juju-deploying"
_DEPLOYED = ".juju-charm"


class CharmFiles:
    """The charm of one unit: its directory, and the agent's directory of manifests beside it."""

    def __init__(self, charm: pathlib.Path, manifests: pathlib.Path) -> None:
        self._charm = charm
        self._manifests = manifests

    @property
    def identity(self) -> pathlib.Path:
        """The file that names the charm that is in place. Its time is that of the deployment."""
        return self._charm / _DEPLOYED

    @property
    def deployed(self) -> str | None:
        """The URL of the charm that is in place, None if none was ever."""
        return _read(self._charm / _DEPLOYED)

    def deploy(
        self, archive: pathlib.Path, url: str, progress: collections.abc.Callable[[], None] = lambda: None
    ) -> None:
        """Puts an archive's files in place. If it is cut off, doing it again completes it.

        Args:
            archive: The charm as a zip file.
            url: The charm's URL.
            progress: Called after each file.

        Raises:
            OSError, zipfile.BadZipFile: the archive cannot be read or the files not be written.
        """
        self._charm.mkdir(parents=True, exist_ok=True)
        self._manifests.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as source:
            members = _members(source)
            _write(self._manifest(url), json.dumps(sorted(members)))
            # A deployment that was cut off has left files of its own behind.
            previous = [found for found in (self.deployed, _read(self._charm / _DEPLOYING)) if found]
            _write(self._charm / _DEPLOYING, url)
            for old in previous:
                self._remove(self._files(old) - members)
            for member in source.infolist():
                self._extract(source, member)
                progress()
        (self._charm / _DEPLOYING).replace(self._charm / _DEPLOYED)

    def _manifest(self, url: str) -> pathlib.Path:
        return self._manifests / urllib.parse.quote(url, safe="")

    def _files(self, url: str) -> set[str]:
        return set(json.loads(_read(self._manifest(url)) or "[]"))

    def _remove(self, names: set[str]) -> None:
        for name in sorted(names, reverse=True):
            path = self._charm / name
            if path.is_dir() and not path.is_symlink():
                # Only what the archive brought goes; a directory with anything else in it stays.
                with contextlib.suppress(OSError):
                    path.rmdir()
            else:
                path.unlink(missing_ok=True)

    def _extract(self, source: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        path = self._charm / member.filename
        mode = member.external_attr >> 16
        if member.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if stat.S_ISLNK(mode):
            path.symlink_to(source.read(member).decode())
            return
        with source.open(member) as content, path.open("wb") as target:
            shutil.copyfileobj(content, target)
        path.chmod(stat.S_IMODE(mode) or 0o644)


def _members(source: zipfile.ZipFile) -> set[str]:
    members: set[str] = set()
    for member in source.infolist():
        path = pathlib.PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts:
            raise zipfile.BadZipFile(f"path {member.filename!r} leads out of the charm")
        members.add(str(path))
        members.update(str(parent) for parent in path.parents if str(parent) != ".")
    return members


def _read(path: pathlib.Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None


def _write(path: pathlib.Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(f"{text}\n")
    os.replace(temporary, path)  # noqa: PTH105
