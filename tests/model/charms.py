"""The charm's versions in model tests, laid out as charmcraft does it and published in the lab's Charmhub."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import zipfile

import yaml

from lab.controller import charmhub

REPOSITORY = pathlib.Path(__file__).parents[2]
DESCRIPTION = yaml.safe_load((REPOSITORY / "charmcraft.yaml").read_text())
APPLICATION: str = DESCRIPTION["name"]
DISPATCH = '#!/bin/sh\nPYTHONPATH=lib:venv exec "$(command -v python3)" ./src/charm.py\n'


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of the charm, and what it pins."""

    revision: int
    """In Charmhub."""
    charm: str
    workload: str
    snap: str


ORIGINAL = Version(1, "16/1.0.0", "16.14", "366")
NEWER = Version(2, "16/1.1.0", "16.15", "416")
CODE_ONLY = Version(3, "16/1.1.1", "16.15", "416")
THIRD = Version(4, "16/1.2.0", "16.15", "420")
UNRELEASED = Version(5, "16/1.3.0.post1.dev0+71201f4", "16.16", "430")
INCOMPATIBLE = Version(6, "16/2.0.0", "16.16", "500")
VERSIONS = {each.revision: each for each in (ORIGINAL, NEWER, CODE_ONLY, THIRD, UNRELEASED, INCOMPATIBLE)}


def is_supported(old: Version, new: Version) -> bool:
    """Whether a refresh may go on without force.

    By charm-refresh's documentation ("Versioning"): both released, same major number, not downwards; and PostgreSQL
    not downwards either.
    """
    released = "+" not in old.charm + new.charm
    same_major = old.charm.split(".")[0] == new.charm.split(".")[0]
    return released and same_major and old.revision <= new.revision


def write_descriptions(directory: pathlib.Path) -> None:
    """Write the charm's metadata.yaml, config.yaml and actions.yaml as charmcraft makes them."""
    directory.mkdir(parents=True, exist_ok=True)
    keys = ("name", "summary", "description", "peers", "storage", "assumes")
    for name, content in (
        ("metadata", {key: DESCRIPTION[key] for key in keys}),
        ("config", DESCRIPTION["config"]),
        ("actions", DESCRIPTION["actions"]),
    ):
        (directory / f"{name}.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper))


def lay_out(directory: pathlib.Path) -> None:
    """Write the charm without its version: the sources, the descriptions and the dispatch."""
    for name in ("src", "lib"):
        shutil.copytree(REPOSITORY / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    write_descriptions(directory)
    (directory / "dispatch").write_text(DISPATCH)
    (directory / "dispatch").chmod(0o755)


def publish(charm: pathlib.Path, state: pathlib.Path) -> None:
    """Publish all versions of a charm that was laid out in the Charmhub of a controller's state."""
    for version in VERSIONS.values():
        pinned = f'x86_64 = "{version.snap}"\naarch64 = "{version.snap}"\n'
        (charm / "refresh_versions.toml").write_text(
            f'charm_major = {version.charm.split("/")[1][0]}\nworkload = "{version.workload}"\n'
            f'charm = "{version.charm}"\n\n[snap]\nname = "charmed-postgresql"\n\n[snap.revisions]\n{pinned}'
        )
        archive = state / f"{version.revision}.charm"
        with zipfile.ZipFile(archive, "w") as packed:
            for file in sorted(charm.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    packed.write(file, file.relative_to(charm))
        assert charmhub.publish(state / "charmhub", APPLICATION, archive, ["16/stable"]) == version.revision
        archive.unlink()
