"""Where a rehearsal took place: source, versions, host."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import shutil
import subprocess

SHOWN = ("ops", "charm-refresh")
"""Libraries of the charm whose versions a report names."""


def source(tree: pathlib.Path) -> str:
    """Return which state of the source this is, in git's words."""
    git = shutil.which("git")
    if git is None:
        return "unknown: git is not on PATH"
    described = _git(git, tree, "describe", "--tags", "--always", "--dirty=, with changes that are not committed")
    return described or "unknown: not a git checkout"


def _git(git: str, tree: pathlib.Path, *arguments: str) -> str:
    completed = subprocess.run(
        [git, "-C", str(tree), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return completed.stdout.strip() if completed.returncode == 0 else ""


def libraries(tree: pathlib.Path) -> str:
    """Return the versions of the charm's main libraries, from what it is packed with."""
    pinned = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s\\]+)", (tree / "requirements.txt").read_text(), re.MULTILINE))
    return ", ".join(f"{name} {pinned[name]}" for name in SHOWN if name in pinned)


def host() -> str:
    """Return the operating system and the kernel."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        name = platform.system()
    return f"{name}, kernel {platform.release()}, {platform.machine()}"


def hardware() -> str:
    """Return what the host computes with."""
    model = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processors = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{processors} processors{f' ({model[1]})' if model else ''}, {memory:.0f} GiB"


def describe(tree: pathlib.Path) -> dict[str, str]:
    """Return all of this for a report: what it is, and its value."""
    return {
        "Source": source(tree),
        "Libraries of the charm": libraries(tree),
        "Host": host(),
        "Hardware": hardware(),
        "Python": platform.python_version(),
    }
