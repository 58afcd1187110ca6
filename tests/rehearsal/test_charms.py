"""What is packed for a rehearsal: the tree with its pins, at the tag that gives the charm its version."""

from __future__ import annotations

import json
import pathlib
import subprocess
import tomllib
import zipfile

import pytest

from rehearsal import charms

TREE = pathlib.Path(charms.__file__).parents[1]

# Stands in for charmcraft: puts what the real one would see into the charm.
CHARMCRAFT = """#!/bin/sh
set -e
cd "$3"
git describe --tags --dirty --always > described
git rev-parse HEAD > commit
python3 -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/some-charm_amd64.charm", "w") as charm:
    for name in sys.argv[2:]:
        charm.write(name)' "$5" described commit snap_revisions.json refresh_versions.toml charmcraft.yaml untracked
"""


@pytest.fixture
def tree(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "charmcraft").write_text(CHARMCRAFT)
    (commands / "charmcraft").chmod(0o755)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    # The versions' generator is run from the tree that is packed.
    tree = tmp_path / "tree"
    (tree / "tools").mkdir(parents=True)
    for name in ["tools/__init__.py", "tools/refresh_versions.py", "snap_revisions.json", "charmcraft.yaml"]:
        (tree / name).write_text((TREE / name).read_text())
    (tree / ".gitignore").write_text("ignored\n__pycache__/\n")
    subprocess.run(["git", "init", "--quiet", "."], cwd=tree, check=True)
    subprocess.run(["git", "add", "."], cwd=tree, check=True)
    (tree / "untracked").write_text("not yet committed")
    (tree / "ignored").write_text("left over")
    return tree


def read(charm: pathlib.Path) -> dict[str, str]:
    with zipfile.ZipFile(charm) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_the_earlier_charm_is_the_tree_with_the_earlier_workload(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    charm = charms.pack(tree, charms.EARLIER, tmp_path / "new" / "charms")
    assert charm == tmp_path / "new" / "charms" / "some-charm_16-1.0.0.charm"
    content = read(charm)
    assert content["described"] == "v16/1.0.0\n"
    assert json.loads(content["snap_revisions.json"])["revisions"] == {"x86_64": "366", "aarch64": "365"}
    versions = tomllib.loads(content["refresh_versions.toml"])
    assert versions["workload"] == "16.14"
    assert versions["snap"] == {"name": "charmed-postgresql", "revisions": {"x86_64": "366", "aarch64": "365"}}
    assert content["untracked"] == "not yet committed"


def test_the_present_charm_pins_what_the_tree_pins(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    version = charms.pinned(tree)
    content = read(charms.pack(tree, version, tmp_path))
    assert content["described"] == "v16/1.1.0\n"
    assert json.loads(content["snap_revisions.json"]) == json.loads((tree / "snap_revisions.json").read_text())
    assert version.workload == "16.15"


def test_the_same_tree_gives_the_same_commit(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    first, second = (read(charms.pack(tree, charms.EARLIER, tmp_path / name))["commit"] for name in ("a", "b"))
    assert first == second


def test_the_tree_itself_stays_as_it_is(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file() and ".git" not in path.parts}
    charms.pack(tree, charms.EARLIER, tmp_path / "out")
    after = {
        path: path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and ".git" not in path.parts and "__pycache__" not in path.parts
    }
    assert after == before


def test_a_variant_differs_in_what_it_pins_and_in_its_version_only(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    packed = charms.pack(tree, charms.pinned(tree), tmp_path / "packed")
    version = charms.Version("16/1.7.0", "16.15", {"x86_64": "366", "aarch64": "365"})
    made = charms.variant(packed, version, tmp_path)
    assert made.name == f"{packed.stem.split('_')[0]}_16-1.7.0.charm"
    content, before = read(made), read(packed)
    assert content.keys() == before.keys()
    changed = {name for name in content if content[name] != before[name]}
    assert changed == {"snap_revisions.json", "refresh_versions.toml"}
    versions = tomllib.loads(content["refresh_versions.toml"])
    assert (versions["charm"], versions["workload"]) == ("16/1.7.0", "16.15")
    assert versions["snap"]["revisions"] == {"x86_64": "366", "aarch64": "365"}
    assert json.loads(content["snap_revisions.json"])["track"] == "16"


def test_a_failure_to_pack_says_what_charmcraft_said(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    command = tmp_path / "bin" / "charmcraft"
    command.write_text("#!/bin/sh\necho no such base >&2\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError) as raised:
        charms.pack(tree, charms.EARLIER, tmp_path / "out")
    assert raised.value.stderr == "no such base\n"
