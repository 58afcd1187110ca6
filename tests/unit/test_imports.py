"""What a hook imports is what docs/reference/performance.md allows."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / "src"

_PROGRAM = """
import json, sys
import ops
bare = set(sys.modules)
import charm
print(json.dumps(sorted(set(sys.modules) - bare)))
"""


def loaded() -> set[str]:
    """The modules that a hook of the charm loads and one of a bare charm does not."""
    environment = {"PYTHONPATH": f"{SOURCE}:{ROOT / 'lib'}"}
    command = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return set(json.loads(done.stdout))


def section() -> str:
    text = (ROOT / "docs/reference/performance.md").read_text()
    return text.partition("## What a hook imports\n")[2].partition("\n## ")[0]


def own() -> set[str]:
    files = (file.relative_to(SOURCE).with_suffix("") for file in SOURCE.rglob("*.py"))
    return {".".join(file.parts).removesuffix(".__init__") for file in files}


def test_a_hook_imports_the_packages_of_the_table_and_no_others() -> None:
    cells = re.findall(r"^\| (`.*?) \|", section(), re.MULTILINE)
    allowed = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    # A compiled package has a module of its own, named by a hash, for what its modules share.
    names = {name.partition(".")[0] for name in loaded() if not name.endswith("__mypyc")}
    assert names - {name.partition(".")[0] for name in own()} - sys.stdlib_module_names == allowed


def test_what_only_an_action_needs_is_not_imported_by_a_hook() -> None:
    lazy = set(re.findall(r"`([\w.]+)`", section().rpartition("loaded by that action:")[2]))
    assert own() - loaded() - {"observer"} == lazy  # the observer is a program of its own
