"""The table of Juju's semantics names what is there."""

from __future__ import annotations

import ast

import pytest

from tests.lab import semantics


@pytest.mark.parametrize("semantic", semantics.SEMANTICS, ids=lambda semantic: semantic.rule)
def test_a_rule_names_its_code_and_its_tests(semantic: semantics.Semantic) -> None:
    source = (semantics.TREE / semantics.CONTROLLER / semantic.file).read_text()
    assert source.count(semantic.code) == 1
    compile(source.replace(semantic.code, semantic.broken), semantic.file, "exec")
    for test in semantic.tests:
        file, _, name = test.partition("::")
        defined = ast.parse((semantics.TREE / "tests/lab" / file).read_text()).body
        assert name in {node.name for node in defined if isinstance(node, ast.FunctionDef)}


def test_the_documentation_shows_the_table() -> None:
    page = (semantics.TREE / "docs/reference/juju-semantics.md").read_text()
    assert semantics.table() in page, "run `python -m tests.lab.semantics --table`"
