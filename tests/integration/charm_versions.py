"""The charms that are refreshed from and to: one packed charm, made into versions of itself.

charm-refresh compares what `refresh_versions.toml` says, and the charm installs what `snap_revisions.json` pins. A
version is a copy of the packed charm in which these two differ, so that one packing serves all.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import platform
import re
import tomllib
import zipfile
from collections.abc import Mapping

PINS = "snap_revisions.json"
VERSIONS = "refresh_versions.toml"


@dataclasses.dataclass(frozen=True)
class Version:
    """What tells one version of the charm from another."""

    charm: str
    """Track and version, as charm-refresh compares them: "16/1.0.0"."""
    workload: str
    """PostgreSQL's version: "16.14"."""
    revisions: Mapping[str, str]
    """The workload snap's revision by architecture, as `platform.machine()` names it."""

    @property
    def revision(self) -> str:
        """The snap's revision on this architecture; the units' machines are of the same."""
        return self.revisions[platform.machine()]


EARLIER = Version("16/1.0.0", "16.14", {"x86_64": "366", "aarch64": "365"})
"""The workload that came before the one that the charm pins, in the same layout of the snap."""


def pinned(packed: pathlib.Path, charm: str) -> Version:
    """Return what a packed charm pins, under the charm's version `charm`."""
    with zipfile.ZipFile(packed) as archive:
        pins = json.loads(archive.read(PINS))
    return Version(charm, pins["workload"], pins["revisions"])


def write(packed: pathlib.Path, version: Version, directory: pathlib.Path) -> pathlib.Path:
    """Write the packed charm as that version into `directory`; return its file."""
    target = directory / f"{packed.stem.partition('_')[0]}_{version.charm.replace('/', '-')}.charm"
    with zipfile.ZipFile(packed) as source:
        pins = json.loads(source.read(PINS)) | {"workload": version.workload, "revisions": dict(version.revisions)}
        changed = {
            PINS: json.dumps(pins, indent=2) + "\n",
            VERSIONS: rewritten(source.read(VERSIONS).decode(), version),
        }
        replace(source, changed, target)
    return target


def rewritten(text: str, version: Version) -> str:
    """Return the text of a packed charm's refresh_versions.toml with that version's values.

    Raises:
        ValueError: The text has not each of the values exactly once.
    """
    values = {"charm": version.charm, "workload": version.workload, **version.revisions}
    for key, value in values.items():
        text, count = re.subn(rf'^{key} = "[^"]*".*$', f'{key} = "{value}"', text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"{VERSIONS} has {count} lines of {key!r}, not one; was the charm packed by charmcraft?")
    tomllib.loads(text)
    return text


def replace(source: zipfile.ZipFile, changed: Mapping[str, str], target: pathlib.Path) -> None:
    """Write a copy of a packed charm in which the files named in `changed` have those contents.

    Raises:
        KeyError: The charm has no such file.
    """
    for name in changed:
        source.getinfo(name)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
        for member in source.infolist():
            copy.writestr(member, changed.get(member.filename) or source.read(member))
