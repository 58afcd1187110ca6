"""docs/reference/statuses.md has every status, with its cause and what to do: compared with the code's own texts."""

from __future__ import annotations

import ast
import collections.abc
import inspect
import pathlib
import re
import types

import charm_refresh._main as library
import pytest

import charm
import problems
import refresh
import refusal
import statuses
from snap_refresh import statuses as snap_statuses
from tests.fakes import builds

PAGE = builds.REPOSITORY / "docs/reference/statuses.md"
# Separators, and marks of what was left out, are no texts.
PARTS = {"", ", ", "; ", "…", "{}…"}


def template(node: ast.expr) -> str | None:
    """A text of the code, with {} for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def texts(node: ast.AST) -> collections.abc.Iterator[str]:
    """Every text below the node, docstrings and parts of texts apart."""
    found = template(node) if isinstance(node, ast.expr) else None
    if found is not None:
        yield found
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "get"):
        of_dictionary = [node.func.value] if node.func.attr == "get" else []
        yield from (text for argument in (*of_dictionary, *node.args) for text in texts(argument))
        return
    body = node.body[1:] if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) else None
    for child in ast.iter_child_nodes(node) if body is None else body:
        yield from texts(child)


def functions(module: types.ModuleType) -> collections.abc.Iterator[ast.FunctionDef]:
    tree = ast.parse(pathlib.Path(str(module.__file__)).read_text())
    return (node for node in tree.body if isinstance(node, ast.FunctionDef))


def own_texts() -> set[str]:
    """What the charm may say."""
    modules = (statuses, problems, refusal, snap_statuses)
    found = {text for module in modules for each in functions(module) for text in texts(each)}
    for node in ast.walk(ast.parse(inspect.getsource(charm))):
        if isinstance(node, ast.Assign) and "_note" in ast.unparse(node.targets[0]):
            found |= set(texts(node.value))
    for node in ast.walk(ast.parse(inspect.getsource(refresh))):
        if isinstance(node, ast.Assign) and "unit_status" in ast.unparse(node.targets[0]):
            found |= set(texts(node.value))
    # What a failed step ends with, after any text at all.
    return (found | {"{}" + statuses.AGAIN}) - PARTS


def library_texts() -> set[str]:
    """What charm-refresh may say on machines."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(library.Machines))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Status") and node.args:
            text = template(node.args[0])
            found |= {text} if text else set()
    return found


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of one of the page's tables, by text."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            text, *cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            # Code in which there are backticks stands between two of them.
            code = text[3:-3] if text.startswith("`` ") else text[1:-1]
            found[re.sub(r"⟨[^⟩]*⟩", "{}", code)] = cells
    return found


@pytest.mark.parametrize(
    ("headings", "expected"),
    [
        (("Units", "Application", "Problems", "Snaps"), own_texts),
        (("charm-refresh",), library_texts),
    ],
)
def test_the_page_has_each_text_and_no_other(
    headings: tuple[str, ...], expected: collections.abc.Callable[[], set[str]]
) -> None:
    page = {text for heading in headings for text in rows(heading)}
    assert expected() - page == set()
    assert page - expected() == set()


def test_each_has_its_level_its_cause_and_what_to_do() -> None:
    for heading in ("Units", "Application", "Problems", "Snaps", "charm-refresh"):
        assert rows(heading)
        for text, cells in rows(heading).items():
            assert len(cells) == 3, text
            assert all(cells), text
