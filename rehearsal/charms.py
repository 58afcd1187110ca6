"""The two charms of a rehearsal: this tree with an earlier workload, and this tree as it is.

A charm's version is the git tag that it is packed at (charm-refresh-build-version reads it), so each is packed from a
copy of the tree that is a git repository of its own with that tag.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence

from tools import refresh_versions

PINS = "snap_revisions.json"


@dataclasses.dataclass(frozen=True)
class Version:
    """What is packed: the charm's version, and the workload that it pins."""

    charm: str
    """Track and version, as charm-refresh compares them: "16/1.0.0"."""
    workload: str
    revisions: Mapping[str, str]
    """The snap's revision by architecture, as `platform.machine()` names it."""

    @property
    def revision(self) -> str:
        """The snap's revision on this host's architecture."""
        return self.revisions[platform.machine()]

    def __str__(self) -> str:
        """Return it for people to read."""
        return f"{self.charm} (PostgreSQL {self.workload}, snap revision {self.revision})"


EARLIER = Version("16/1.0.0", "16.14", {"x86_64": "366", "aarch64": "365"})
"""The workload that came before the one that the tree pins, in the same layout of the snap."""


def pinned(tree: pathlib.Path) -> Version:
    """Return the version of the tree as it is."""
    pins = json.loads((tree / PINS).read_text())
    return Version(f"{pins['track']}/1.1.0", pins["workload"], pins["revisions"])


def pack(tree: pathlib.Path, version: Version, output: pathlib.Path) -> pathlib.Path:
    """Pack the tree's charm as that version, and return the `.charm` file in the directory `output`.

    Raises:
        subprocess.CalledProcessError: A command failed; `stderr` is what it said.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsal-pack-") as temporary:
        copy = pathlib.Path(temporary) / "charm"
        _copy(tree, copy)
        pins = json.loads((copy / PINS).read_text())
        pins |= {"workload": version.workload, "revisions": dict(version.revisions)}
        (copy / PINS).write_text(json.dumps(pins, indent=2) + "\n")
        _run([sys.executable, "-m", "tools.refresh_versions", str(copy)], tree)
        _commit(copy, f"v{version.charm}")
        packed = pathlib.Path(temporary) / "packed"
        packed.mkdir()
        charmcraft = shutil.which("charmcraft")
        if charmcraft is None:
            raise FileNotFoundError("charmcraft is not on PATH")
        _run([charmcraft, "pack", "--project-dir", str(copy), "--output", str(packed)], copy)
        [charm] = packed.glob("*.charm")
        target = output / f"{charm.stem.split('_')[0]}_{version.charm.replace('/', '-')}.charm"
        output.mkdir(parents=True, exist_ok=True)
        shutil.move(charm, target)
        return target


def variant(packed: pathlib.Path, version: Version, output: pathlib.Path) -> pathlib.Path:
    """Make another version of a packed charm, which differs in what it pins and in its own version only.

    Packing takes longer; where many versions are wanted, the files that tell them apart are replaced in one.
    """
    target = output / f"{packed.stem.split('_')[0]}_{version.charm.replace('/', '-')}.charm"
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
        pins = json.loads(source.read(PINS)) | {"workload": version.workload, "revisions": dict(version.revisions)}
        changed = {
            PINS: json.dumps(pins, indent=2) + "\n",
            # As charm-refresh-build-version writes it when a charm is packed at a tag.
            "refresh_versions.toml": f'charm = "{version.charm}"\n{refresh_versions.render(pins)}',
        }
        for member in source.infolist():
            copy.writestr(member, changed.get(member.filename) or source.read(member))
    return target


def _copy(tree: pathlib.Path, copy: pathlib.Path) -> None:
    """Copy what git tracks or would track: no build's leftovers."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], tree)
    for name in filter(None, listed.split("\0")):
        source = tree / name
        if not source.is_file():  # deleted, and not yet in the index
            continue
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy / name)


def _commit(copy: pathlib.Path, tag: str) -> None:
    # Always the same author and time: what is packed depends on the tree's content alone.
    identity = ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false"]
    for arguments in [
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        [*identity, "commit", "--quiet", "--message", f"The tree as {tag}"],
        ["tag", tag],
    ]:
        _run(["git", *arguments], copy, GIT_AUTHOR_DATE="2000-01-01T00:00Z", GIT_COMMITTER_DATE="2000-01-01T00:00Z")


def _run(command: list[str], directory: pathlib.Path, **environment: str) -> str:
    completed = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    return completed.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal.charms", description="Pack the two charms of a rehearsal."
    )
    parser.add_argument("output", type=pathlib.Path, help="the directory to put them in")
    output = parser.parse_args(arguments).output
    tree = pathlib.Path(__file__).parents[1]
    os.environ["PATH"] = f"{tree / 'lab/bin'}:{os.environ['PATH']}"
    for version in (EARLIER, pinned(tree)):
        print(f"{pack(tree, version, output)}: {version}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
