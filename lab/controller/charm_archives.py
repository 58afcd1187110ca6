"""Reads charms: `.charm` archives and unpacked directories."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import stat
import tempfile
import typing
import zipfile

import yaml

_EPOCH = (1980, 1, 1, 0, 0, 0)
# libyaml's, where it was built in, takes a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CharmError(ValueError):
    """It is not a charm that can be deployed."""


@dataclasses.dataclass(frozen=True)
class CharmArchive:
    """A charm's archive and what its files say."""

    path: pathlib.Path
    sha256: str
    metadata: dict[str, typing.Any]
    options: dict[str, dict[str, typing.Any]]
    actions: dict[str, dict[str, typing.Any]]
    manifest: dict[str, typing.Any]
    version: str

    @property
    def name(self) -> str:
        """The charm's name."""
        return self.metadata["name"]


def take(source: pathlib.Path, directory: pathlib.Path) -> CharmArchive:
    """Copies a charm, packed or not, into a directory under the name of its content's hash, and reads it.

    Raises:
        CharmError: it is not a charm.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".part", delete=False) as temporary:
        path = pathlib.Path(temporary.name)
    try:
        if source.is_dir():
            _pack(source, path)
        else:
            path.write_bytes(source.read_bytes())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        archive = read(path, digest)
        target = directory / f"{digest}.charm"
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)
    return dataclasses.replace(archive, path=target)


def _pack(source: pathlib.Path, target: pathlib.Path) -> None:
    if not (source / "metadata.yaml").is_file():
        raise CharmError(f"no charm was found at {str(source)!r}: it has no metadata.yaml")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for directory, names, files in os.walk(source):
            names[:] = sorted(name for name in names if name not in (".git", "__pycache__", ".venv", ".tox"))
            for name in sorted(files):
                path = pathlib.Path(directory) / name
                member = zipfile.ZipInfo(str(path.relative_to(source)), _EPOCH)
                mode = path.lstat().st_mode
                member.external_attr = mode << 16
                member.compress_type = zipfile.ZIP_DEFLATED
                content = str(path.readlink()).encode() if stat.S_ISLNK(mode) else path.read_bytes()
                archive.writestr(member, content)


def read(path: pathlib.Path, sha256: str) -> CharmArchive:
    """Reads an archive where it is.

    Raises:
        CharmError: it is not a charm.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = _mapping(archive, "metadata.yaml")
            config = _mapping(archive, "config.yaml")
            actions = _mapping(archive, "actions.yaml")
            manifest = _mapping(archive, "manifest.yaml")
            version = _text(archive, "version") or ""
    except (zipfile.BadZipFile, OSError) as error:
        raise CharmError(f"cannot read charm archive: {error}") from error
    _check(metadata)
    options = config.get("options") or {}
    described = {name: value or {} for name, value in actions.items()}
    return CharmArchive(path, sha256, metadata, options, described, manifest, version.strip())


def _text(archive: zipfile.ZipFile, name: str) -> str | None:
    try:
        return archive.read(name).decode()
    except KeyError:
        return None


def _mapping(archive: zipfile.ZipFile, name: str) -> dict[str, typing.Any]:
    try:
        content = yaml.load(_text(archive, name) or "{}", _LOADER)  # noqa: S506  a safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CharmError(f"{name}: {error}") from error
    if not isinstance(content, dict):
        raise CharmError(f"{name}: expected a mapping")
    return content


def _check(metadata: dict[str, typing.Any]) -> None:
    if not isinstance(metadata.get("name"), str):
        raise CharmError("metadata.yaml: name: expected string, got nothing")
    if metadata.get("subordinate"):
        raise CharmError(f"charm {metadata['name']!r} is a subordinate, which the lab does not run")
    if metadata.get("containers"):
        raise CharmError(f"charm {metadata['name']!r} is for Kubernetes, the lab has machines")
    for name, described in (metadata.get("storage") or {}).items():
        if described.get("type") != "filesystem":
            raise CharmError(f"storage {name!r} is of type {described.get('type')!r}, the lab offers filesystem")
