"""What a hook imports is what docs/reference/performance.md allows."""

from __future__ import annotations

import ast
import collections.abc
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


_LATER = """
import importlib, json, sys
import ops
import charm
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(program: str = _PROGRAM, *arguments: str) -> set[str]:
    """The modules that a hook of the charm loads and one of a bare charm does not."""
    environment = {"PYTHONPATH": f"{SOURCE}:{ROOT / 'lib'}"}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return set(json.loads(done.stdout))


def section() -> str:
    text = (ROOT / "docs/reference/performance.md").read_text()
    return text.partition("## What a hook imports\n")[2].partition("\n## ")[0]


def tables() -> list[set[str]]:
    """The packages that each table allows: those of all hooks, and those that are loaded when they are needed."""
    found: list[set[str]] = []
    for table in re.findall(r"^(?:\|.*\n)+", section(), re.MULTILINE):
        cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        found.append({name for cell in cells for name in re.findall(r"`(\w+)`", cell)})
    return found


def packages(names: collections.abc.Iterable[str]) -> set[str]:
    """The packages of other people among modules."""
    # A compiled package has modules of its own for what its modules share, named by a hash or the compiler's version.
    first = {name.partition(".")[0] for name in names if not name.endswith("__mypyc")}
    others = {name for name in first if not name.startswith(("_cython_", "_sysconfigdata_"))}
    return others - {name.partition(".")[0] for name in own()} - sys.stdlib_module_names


def imported_later() -> set[str]:
    """The modules of other people that a function of the charm imports."""
    found: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                found |= {name for statement in ast.walk(function) for name in _imports(statement)}
    return {name for name in found if packages([name])}


def _imports(statement: ast.AST) -> list[str]:
    match statement:
        case ast.Import():
            return [alias.name for alias in statement.names]
        case ast.ImportFrom(module=str(module)):
            # What is imported from a package may be a module of it.
            return [f"{module}.{alias.name}" for alias in statement.names]
        case _:
            return []


def own() -> set[str]:
    files = (file.relative_to(SOURCE).with_suffix("") for file in SOURCE.rglob("*.py"))
    return {".".join(file.parts).removesuffix(".__init__") for file in files}


def test_a_hook_imports_the_packages_of_the_table_and_no_others() -> None:
    always, _ = tables()
    assert packages(loaded()) == always


def test_what_functions_import_later_is_the_other_table() -> None:
    always, later = tables()
    names = imported_later() - {"charm_refresh._main"}
    assert {name.partition(".")[0] for name in names} == {"psycopg", "pysyncobj"}
    assert packages(loaded(_LATER, *sorted(names))) - always == later


def test_what_only_an_action_needs_is_not_imported_by_a_hook() -> None:
    lazy = set(re.findall(r"`([\w.]+)`", section().rpartition("loaded by that action:")[2]))
    assert own() - loaded() - {"observer"} == lazy  # the observer is a program of its own
