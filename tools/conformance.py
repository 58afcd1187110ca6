"""`python -m tools.conformance`: writes the table of what the lab answers as Juju does, from the code and its tests.

A call of the API is covered by a test that is marked with its name (and fails if the call is not made, or refused each
time); a hook tool by a test that calls it and demands that it succeeds; a command by a test that runs a command line of
it, other than to see it refused. Where several do, the page goes on naming the one that it names, so that new tests do
not change it.
"""

from __future__ import annotations

import argparse
import ast
import collections
import inspect
import pathlib
import re
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from lab.api import charmhub_info, registry, server
from lab.controller import tools
from lab.controller.tools import registry as tool_registry
from lab.juju import registry as command_registry

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "reference" / "lab-conformance.md"
TESTS = ROOT / "tests" / "lab"

_COMMAND_TESTS = ("test_juju_*.py", "test_jubilant.py", "test_api_*.py")
_REFUSAL_TESTS = ("test_juju_refused.py",)
"""Prove of a command what it does not do."""
_RUNNERS = frozenset({"run", "cli", "juju"})
"""What tests call with a command line as the first argument."""

_TOOL_TESTS = ("test_tools_*.py", "test_secrets_*.py")
_TOOL_CALLS = frozenset({"out", "json"})
"""What tests call with a tool's name as the first argument; both fail where the tool does."""

_INTRODUCTION = """\
# What of Juju the lab answers

<!-- Made by `python -m tools.conformance` from the code; a test fails where the two differ. -->

The lab says it is Juju 3.6. This page lists what its client API, its hook tools and its `juju` command know, each with
a test that covers it, and what of Juju's they refuse. What is refused is refused by name: the API answers with Juju's
error code "not implemented", hook tools and commands with a message that says so.

Known differences of what is answered:

- Machines run Debian 13 on a Debian host and Ubuntu 24.04 on an Ubuntu host, whatever base a charm asks for.
- There are one user (`admin`), one cloud (`lab`, with the region `default`, without credentials) and machines of one
  kind. Constraints, bases and series are stored and shown, and change nothing.
- The model `controller` is listed by the API, since clients look for it, but there is nothing to connect to.
- `ssh` and `scp` of python-libjuju need an SSH server in the machines, which these do not have. `juju ssh` and
  `juju scp` enter machines directly.
- The storage pools are the lab's own and fixed on purpose: a file system of a machine comes from the lab's host, and no
  provider is there to be configured. So `create-storage-pool`, `update-storage-pool`, `remove-storage-pool` and
  `import-filesystem` are refused.
- Options that are refused by name: `deploy --series`, `--device`, `--overlay` and `--map-machines`,
  `debug-log --include-label` and `--exclude-label`, `status --format summary`.
- `debug-log --format json` is Juju 4.0's; 3.6 prints text only.
- Announced and uploaded resources that no deployment has named yet are forgotten when the controller starts anew.
- Subordinates, cross-model relations, spaces, containers, Kubernetes, payloads and metrics are not there at all.
"""


class ConformanceError(Exception):
    """The table cannot be made: something has no test, or a test names what is not there."""


_Texts = Callable[[ast.FunctionDef], Iterator[str]]
_Choose = Callable[[tuple[str, ...], list[str]], tuple[str, ...]]


class Coverage:
    """Which tests name what."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._known: dict[tuple[_Texts, ast.FunctionDef], str] = {}
        self._functions = {
            path.name: list(_tests(ast.parse(path.read_text()))) for path in sorted(directory.glob("test_*.py"))
        }

    def _said(self, texts: _Texts, function: ast.FunctionDef) -> str:
        key = (texts, function)
        if key not in self._known:
            self._known[key] = "\n".join(texts(function))
        return self._known[key]

    def marked(self) -> dict[str, list[str]]:
        """Tests by the call that they are marked with."""
        found: dict[str, list[str]] = collections.defaultdict(list)
        for file, functions in self._functions.items():
            for function in functions:
                for call in _marked_calls(function):
                    found[call].append(f"{file}::{function.name}")
        return found

    def naming(self, patterns: Iterable[str], texts: _Texts, name: str, expression: str) -> list[str]:
        """The tests that have something in one of their texts, first those that are called after it."""
        wanted = re.compile(expression, re.MULTILINE)
        found = [
            f"{file}::{function.name}"
            for file, functions in self._functions.items()
            if any(pathlib.PurePath(file).match(pattern) for pattern in patterns) and file not in _REFUSAL_TESTS
            for function in functions
            if wanted.search(self._said(texts, function))
        ]
        return sorted(found, key=lambda test: name.replace("-", "_") not in test.partition("::")[2])


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def _marked_calls(function: ast.FunctionDef) -> Iterator[str]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.api":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def _called(function: ast.FunctionDef, names: Collection[str]) -> Iterator[str]:
    """The texts that a test gives to functions of these names, as their first argument."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and node.args and _name(node.func) in names:
            yield from _beginning(node.args[0])


def _tool_calls(function: ast.FunctionDef) -> Iterator[str]:
    yield from _called(function, _TOOL_CALLS)


def _command_lines(function: ast.FunctionDef) -> Iterator[str]:
    """What a test runs itself, or is parametrized with."""
    yield from _called(function, _RUNNERS)
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "parametrize":
            for node in ast.walk(decorator):
                if isinstance(node, ast.Tuple | ast.List) and node.elts:
                    yield from _beginning(node.elts[0])


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _beginning(node: ast.expr) -> Iterator[str]:
    """A text, or what a formatted one begins with."""
    first = node.values[0] if isinstance(node, ast.JoinedStr) else node
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value


def document() -> str:
    """The page.

    Raises:
        ConformanceError: something has no test, or a test is marked with what is not there.
    """
    registry.load()
    coverage = Coverage(TESTS)
    page = DOCUMENT.read_text() if DOCUMENT.is_file() else ""
    named = {tuple(cells[:-1]): cells[-1] for line in page.splitlines() if (cells := line.strip("| ").split(" | "))}

    def choose(cells: tuple[str, ...], tests: list[str]) -> tuple[str, ...]:
        if not tests:
            raise ConformanceError(f"no test covers {' '.join(filter(None, cells))}")
        before = named.get(cells, "")
        return *cells, before if before in tests else tests[0]

    return "\n".join(
        [
            _INTRODUCTION,
            *_api(coverage.marked(), choose),
            *_hook_tools(coverage, choose),
            *_commands(coverage, choose),
        ]
    )


# The client API


def _api(marked: Mapping[str, list[str]], choose: _Choose) -> Iterator[str]:
    facades = {"Admin": (3, ["Login"])} | {
        name: (facade.version, sorted(facade.calls)) for name, facade in sorted(registry.FACADES.items())
    }
    paths = [f"{method} {path}" for method, path, _ in server.PATHS] + [f"GET {charmhub_info.PATH}"]
    served = [*(f"{name}.{call}" for name, (_, calls) in facades.items() for call in calls), *paths]
    if unknown := sorted(set(marked) - set(served)):
        raise ConformanceError(f"tests are marked with what is not there: {', '.join(unknown)}")
    if untested := [call for call in served if call not in marked]:
        raise ConformanceError(f"no test is marked with {', '.join(untested)}")
    yield "## Client API\n\nFacades with the one version that is served, as python-libjuju 3.6 asks for it.\n"
    rows = [
        choose((f"{name} ({version})", call), marked[f"{name}.{call}"])
        for name, (version, calls) in facades.items()
        for call in calls
    ]
    yield _table(("facade", "call", "test"), rows)
    yield "Beside the websockets:\n"
    yield _table(("request", "test"), [choose((f"`{path}`",), marked[path]) for path in paths])
    yield "Refused, among those that python-libjuju 3.6 knows:\n"
    yield _table(("facade", "calls"), list(_refused_calls(facades)))


def _refused_calls(served: Mapping[str, tuple[int, list[str]]]) -> Iterator[tuple[str, str]]:
    from juju.client import facade_versions

    for name, versions in sorted(facade_versions.client_facade_versions.items()):
        version, calls = served.get(name, (max(versions), []))
        known = _client_calls(name, version)
        if refused := sorted(known - set(calls)):
            yield f"{name} ({version})", "all" if not calls else ", ".join(refused)


def _client_calls(facade: str, version: int) -> set[str]:
    """The requests that python-libjuju can make of a facade; none where it has no code for that version."""
    import importlib

    importlib.import_module("juju.client.client")  # it adds its own calls to some
    module: types.ModuleType = importlib.import_module(f"juju.client._client{version}")
    found = getattr(module, f"{facade}Facade", None)
    methods = inspect.getmembers(found, inspect.iscoroutinefunction) if found else []
    return {name for name, _ in methods if name[0].isupper()}


# Hook tools


def _hook_tools(coverage: Coverage, choose: _Choose) -> Iterator[str]:
    refused = {name for name, tool in tool_registry.TOOLS.items() if tool.purpose.startswith("Not available")}
    yield "## Hook tools\n"
    rows = [
        choose((f"`{name}`",), coverage.naming(_TOOL_TESTS, _tool_calls, name, rf"^{re.escape(name)}$"))
        for name in sorted(set(tools.NAMES) - refused)
    ]
    yield _table(("tool", "test"), rows)
    yield _listing("Refused", refused)


# Commands


def _commands(coverage: Coverage, choose: _Choose) -> Iterator[str]:
    yield "## The `juju` command\n"
    aliases: dict[str, list[str]] = collections.defaultdict(list)
    for alias, name in command_registry.ALIASES.items():
        aliases[name].append(f"`{alias}`")
    rows = [
        choose(
            (f"`{name}`", ", ".join(aliases[name])),
            coverage.naming(_COMMAND_TESTS, _command_lines, name, rf"^{re.escape(name)}(\s|$)"),
        )
        for name in command_registry.names()
    ]
    yield _table(("command", "also", "test"), rows)
    yield _listing("Refused", command_registry.UNSUPPORTED)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _listing(title: str, names: Iterable[str]) -> str:
    return f"{title}: {', '.join(f'`{name}`' for name in sorted(names))}.\n"


def main(arguments: list[str], write: Callable[[str], object] = DOCUMENT.write_text) -> int:
    """Writes the page, or with `--check` tells whether it is what it should be; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    check = parser.parse_args(arguments).check
    try:
        text = document()
    except ConformanceError as error:
        print(f"{DOCUMENT.name}: {error}", file=sys.stderr)
        return 1
    if not check:
        write(text)
    elif not DOCUMENT.is_file() or DOCUMENT.read_text() != text:
        print(f"{DOCUMENT.name} is out of date: run `python -m tools.conformance`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
