"""docs/explanation/snap-refresh-control.md maps each rule to the test that holds it: the tests are there."""

from __future__ import annotations

import collections
import re

from tests.fakes import builds

PAGE = builds.REPOSITORY / "docs/explanation/snap-refresh-control.md"
_TEST = re.compile(r"^ *def (test_\w+)\(", re.MULTILINE)
TESTS = builds.REPOSITORY / "tests"


def rows() -> list[tuple[str, list[str]]]:
    """Each rule of the page's tables, and what stands beside it in code marks."""
    cells = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [(rule.strip(), re.findall(r"`([^`]+)`", tests)) for rule, tests in cells if "---" not in rule]


def functions(*patterns: str) -> collections.Counter[str]:
    """The names of the test functions in these files."""
    paths = [path for pattern in patterns for path in TESTS.glob(pattern)]
    return collections.Counter(name for path in paths for name in _TEST.findall(path.read_text()))


def test_each_rule_names_tests_that_are_there() -> None:
    there = functions("unit/*.py", "lab/*.py", "cluster/*.py")
    named = [(rule, tests) for rule, tests in rows() if rule != "rule"]
    assert len(named) > 30
    for rule, tests in named:
        assert tests, f"no test holds: {rule}"
        for test in tests:
            if test.endswith(".py"):
                assert (builds.REPOSITORY / test).is_file(), test
            else:
                assert there[test] == 1, f"{test} is there {there[test]} times"


def test_each_test_of_a_rule_is_named() -> None:
    named = {test for _, tests in rows() for test in tests}
    parts = [f"unit/test_snap_refresh_{part}.py" for part in ("actions", "decision", "life", "trouble", "turns")]
    there = functions("cluster/test_snap_refresh.py", "unit/test_gating*.py", *parts)
    assert sorted(there.keys() - named) == []
