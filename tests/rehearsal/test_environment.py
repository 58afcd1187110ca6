"""What a report says of where it was made."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from rehearsal import environment


def git(directory: pathlib.Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "requirements.txt").write_text(
        "charm-refresh==3.1.1.9 \\\n    --hash=sha256:0\nhttpx==1.0\nops==3.9.0 \\\n    --hash=sha256:1\n"
    )
    return tmp_path


def test_the_source_is_named_as_git_does(tree: pathlib.Path) -> None:
    assert environment.source(tree) == "unknown: not a git checkout"
    git(tree, "init", "--quiet")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "first")
    git(tree, "tag", "v16/1.2.3")
    assert environment.source(tree) == "v16/1.2.3"
    (tree / "requirements.txt").write_text("")
    assert environment.source(tree) == "v16/1.2.3, with changes that are not committed"


def test_without_git_the_source_is_unknown(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))
    assert environment.source(tree) == "unknown: git is not on PATH"


def test_libraries_are_those_that_the_charm_is_packed_with(tree: pathlib.Path) -> None:
    assert environment.libraries(tree) == "ops 3.9.0, charm-refresh 3.1.1.9"


def test_everything_has_a_value(tree: pathlib.Path) -> None:
    described = environment.describe(tree)
    assert list(described) == ["Source", "Libraries of the charm", "Host", "Hardware", "Python"]
    assert all(described.values())
    assert "processors" in described["Hardware"]
