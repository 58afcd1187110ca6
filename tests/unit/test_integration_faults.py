"""The faults that the integration tests are to notice fit the charm as it is: those tests run too seldom to tell."""

from __future__ import annotations

import ast
import importlib
import pathlib
import re
import types
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
INTEGRATION = ROOT / "tests" / "integration"


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The command that breaks the charm; pytest has its directory on the path only where it runs these tests."""
    monkeypatch.syspath_prepend(str(INTEGRATION))
    return importlib.import_module("faults")


def test_each_fault_has_its_place_in_the_charm(faults: types.ModuleType, tmp_path: pathlib.Path) -> None:
    """What is replaced is there exactly once, and what comes of it is Python."""
    charm = tmp_path / "a.charm"
    with zipfile.ZipFile(charm, "w") as archive:
        for file in sorted((ROOT / "src").rglob("*.py")):
            archive.write(file, file.relative_to(ROOT))
    written = tmp_path / "broken"
    written.mkdir()
    for fault in faults.FAULTS:
        with zipfile.ZipFile(faults.broken(charm, fault, written)) as archive:
            for edit in fault.edits:
                ast.parse(archive.read(edit.file), edit.file)


def test_each_fault_names_tests_that_are_there(faults: types.ModuleType) -> None:
    """A test that was renamed would fail to be found, which is not what the fault is to be told by."""
    for fault in faults.FAULTS:
        for file, _, test in (each.partition("::") for each in fault.tests):
            assert re.search(rf"^async def {test}\(", (INTEGRATION / file).read_text(), re.MULTILINE), test


def test_the_page_tells_of_each_fault(faults: types.ModuleType) -> None:
    """The table has the faults in the command's order, and no other."""
    page = (ROOT / "docs" / "development" / "integration.md").read_text()
    _, _, table = page.partition("| fault | test | has to be told by |\n|---|---|---|\n")
    rows = [line.strip("| ").partition(" | ")[0] for line in table.partition("\n\n")[0].splitlines()]
    assert rows == [fault.name for fault in faults.FAULTS]
