from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

from lab import commands, packing, settings

CHARM = {
    "name": "tiny",
    "type": "charm",
    "summary": "A charm for a test.",
    "description": "A charm for a test.",
    "base": "ubuntu@24.04",
    "platforms": {"amd64": None, "arm64": None},
    "parts": {
        "charm": {
            "plugin": "python",
            "source": ".",
            "python-requirements": ["requirements.txt"],
            "build-environment": [{"PIP_NO_BINARY": ""}, {"PIP_ONLY_BINARY": ":all:"}, {"PIP_REQUIRE_HASHES": "1"}],
        },
        "files": {"plugin": "dump", "source": ".", "stage": ["LICENSE", "git-version"], "override-build": ""},
    },
}
VERSION = "git describe --tags >git-version\ncraftctl default\n"
REQUIREMENTS = """iniconfig==2.1.0 \\
    --hash=sha256:3abbd2e30b36733fee78f9c7f7308f2d0050e88f0087fd25c2645f63c773e1c7 \\
    --hash=sha256:9deba5723312380e77435581c6bf4935c94cbfab9b1ed33ef8d238ea168eb760
"""


def git(directory: pathlib.Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def charm(tmp_path: pathlib.Path) -> pathlib.Path:
    """A charm's repository: one commit with a tag, an ignored file, a changed one and a new one."""
    source = tmp_path / "tiny"
    (source / "src").mkdir(parents=True)
    described = {**CHARM, "parts": {**CHARM["parts"], "files": {**CHARM["parts"]["files"], "override-build": VERSION}}}
    (source / "charmcraft.yaml").write_text(yaml.safe_dump(described))
    (source / "requirements.txt").write_text(REQUIREMENTS)
    (source / "src" / "charm.py").write_text("#!/usr/bin/env python3\nimport iniconfig\n")
    (source / "src" / "charm.py").chmod(0o755)
    (source / "LICENSE").write_text("none\n")
    (source / ".gitignore").write_text("*.charm\nlocal/\n")
    git(tmp_path, "init", "--quiet", str(source))
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "A charm")
    git(source, "tag", "v1/1.0.0")
    (source / "local").mkdir()
    (source / "local" / "secret").write_text("not for the charm")
    (source / "src" / "new.py").write_text("")
    (source / "src" / "charm.py").write_text("#!/usr/bin/env python3\nimport iniconfig  # changed\n")
    return source


def test_the_copy_has_what_git_tracks_or_would_track(charm: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (charm / "LICENSE").unlink()
    copy = tmp_path / "copy"
    version = packing._copy(charm, copy)

    assert (copy / "src" / "charm.py").read_text().endswith("# changed\n")
    assert (copy / "src" / "charm.py").stat().st_mode & 0o111
    assert (copy / "src" / "new.py").exists()
    assert not (copy / "local").exists()
    assert not (copy / "LICENSE").exists(), "what was deleted in the work tree is not there"
    assert git(copy, "status", "--short").splitlines() == [" D LICENSE", " M src/charm.py", "?? src/new.py"]
    assert git(copy, "describe", "--tags").strip() == "v1/1.0.0"
    commit, short = git(charm, "rev-parse", "HEAD").strip(), git(charm, "rev-parse", "--short", "HEAD").strip()
    assert version == f"{commit} v1/1.0.0-0-g{short}-dirty"


def test_the_version_changes_with_commit_and_tag(charm: pathlib.Path, tmp_path: pathlib.Path) -> None:
    versions = [packing._copy(charm, tmp_path / "first")]
    git(charm, "tag", "--force", "v1/1.1.0")
    git(charm, "tag", "--delete", "v1/1.0.0")
    versions.append(packing._copy(charm, tmp_path / "second"))
    git(charm, "commit", "--quiet", "--all", "--message", "Changed")
    versions.append(packing._copy(charm, tmp_path / "third"))
    assert len(set(versions)) == 3


def test_a_charm_inside_a_repository_is_copied_alone(charm: pathlib.Path, tmp_path: pathlib.Path) -> None:
    outer = tmp_path / "outer"
    shutil.copytree(charm, outer / "tests" / "tiny", ignore=shutil.ignore_patterns(".git"))
    git(tmp_path, "init", "--quiet", str(outer))
    assert packing._copy(outer / "tests" / "tiny", tmp_path / "copy") == ""
    assert (tmp_path / "copy" / "charmcraft.yaml").exists()
    assert not (tmp_path / "copy" / "local").exists()
    assert not (tmp_path / "copy" / ".git").exists()


def test_a_directory_without_a_repository(charm: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.rmtree(charm / ".git")
    (charm / "old.charm").write_text("")
    assert packing._copy(charm, tmp_path / "copy") == ""
    assert (tmp_path / "copy" / "src" / "new.py").exists()
    assert not (tmp_path / "copy" / "old.charm").exists()


def test_only_requirements_with_hashes_are_fetched_beforehand(tmp_path: pathlib.Path) -> None:
    for name, text in (
        ("locked.txt", f"# a comment\n{REQUIREMENTS}"),
        ("loose.txt", f"{REQUIREMENTS}other>=1\n"),
        ("unnamed.txt", REQUIREMENTS),
        ("empty.txt", ""),
    ):
        (tmp_path / name).write_text(text)
    description = "python-requirements: [locked.txt, loose.txt, empty.txt, missing.txt]"
    assert list(packing._locked_requirements(tmp_path, description)) == [tmp_path / "locked.txt"]


@pytest.mark.parametrize(
    ("description", "version"),
    [("base: ubuntu@22.04", "22.04"), ("base: ubuntu@24.04", "24.04"), ("bases: [{name: ubuntu}]", "24.04")],
)
def test_charmcraft_runs_under_the_charms_release(description: str, version: str) -> None:
    assert f'VERSION_ID="{version}"\n' in packing._os_release(description)


def test_no_charm_is_said_before_anything_is_built(tmp_path: pathlib.Path) -> None:
    lab_settings = settings.Settings(name="test", state=tmp_path / "state", cache=tmp_path / "cache")
    with pytest.raises(packing.PackingError, match=r"has no charmcraft\.yaml"):
        packing.pack(lab_settings, tmp_path, tmp_path)


def charmcraft(*arguments: str, cwd: pathlib.Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(commands.ROOT / "lab" / "bin" / "charmcraft"), *arguments]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, timeout=900
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["build"], "build"),
        (["pack", "--use-lxd"], "--use-lxd"),
        (["pack", "--format=json"], "--format"),
        (["publish", "x"], "publish"),
        ([], "command"),
    ],
)
def test_what_it_does_not_know_is_refused_by_name(arguments: list[str], named: str, tmp_path: pathlib.Path) -> None:
    result = charmcraft(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert named in result.stderr


def test_it_names_the_version_that_packs(tmp_path: pathlib.Path) -> None:
    assert charmcraft("version", cwd=tmp_path).stdout == "charmcraft 4.5.0\n"


@pytest.mark.machines
def test_packing_again_needs_no_network_and_leaves_the_sources_alone(
    charm: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    before = git(charm, "status", "--short", "--ignored")
    first = charmcraft("pack", "--destructive-mode", "--verbosity=verbose", cwd=charm)
    assert first.returncode == 0, first.stderr
    (packed,) = charm.glob("tiny_*.charm")
    assert f"Packed {packed.name}" in first.stderr
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
        assert {"dispatch", "src/charm.py", "src/new.py", "LICENSE", "metadata.yaml"} <= names
        assert "local/secret" not in names
        assert any("iniconfig" in name for name in names)
        assert archive.read("git-version").decode().startswith("v1/1.0.0")
    packed.unlink()
    assert git(charm, "status", "--short", "--ignored") == before

    (charm / "src" / "new.py").write_text("# changed, so that it is packed anew\n")
    output = tmp_path / "output" / "below"
    offline = ["unshare", "--net", sys.executable, "-m", "lab.packing", "pack", "-p", str(charm), "-o", str(output)]
    second = subprocess.run(
        offline, env=commands.module_environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert second.returncode == 0, second.stderr
    (again,) = output.glob("tiny_*.charm")
    with zipfile.ZipFile(again) as archive:
        assert archive.read("src/new.py").decode().startswith("# changed")


@pytest.mark.machines
def test_a_charm_that_charmcraft_refuses(charm: pathlib.Path) -> None:
    (charm / "charmcraft.yaml").write_text(yaml.safe_dump({**CHARM, "parts": {"charm": {"plugin": "no-such-plugin"}}}))
    result = charmcraft("pack", cwd=charm)
    assert result.returncode == 1
    assert "no-such-plugin" in result.stderr
    assert not list(charm.glob("*.charm"))
