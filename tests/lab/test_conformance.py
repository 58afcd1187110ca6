"""The table of what the lab answers is made from the code, holds every call, and every line has its test."""

from __future__ import annotations

import pathlib
import textwrap

import pytest

from lab.api import registry
from lab.juju import registry as command_registry
from tools import conformance


def test_the_page_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(["--check"]) == 0, capsys.readouterr().err


def test_every_call_of_every_facade_is_in_it() -> None:
    text = conformance.DOCUMENT.read_text()
    registry.load()
    rows = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| ")]
    for name, facade in registry.FACADES.items():
        for call in facade.calls:
            assert [f"| {name} ({facade.version})", call] in rows
    assert all(f"| `{name}` |" in text for name in command_registry.names())


def test_a_change_of_the_code_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(conformance.document() + "x")
    monkeypatch.setattr(conformance, "DOCUMENT", page)
    assert conformance.main(["--check"]) == 1
    assert "page.md is out of date" in capsys.readouterr().err
    pinger = registry.FACADES["Pinger"]
    monkeypatch.setitem(pinger.calls, "Pong", pinger.calls["Ping"])
    assert conformance.main(["--check"]) == 1
    assert "no test is marked with Pinger.Pong" in capsys.readouterr().err
    monkeypatch.delitem(pinger.calls, "Pong")
    monkeypatch.delitem(pinger.calls, "Ping")
    assert conformance.main([]) == 1
    assert "tests are marked with what is not there: Pinger.Ping" in capsys.readouterr().err


def test_what_counts_as_covered(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_x.py").write_text(
        textwrap.dedent("""
            @pytest.mark.api("A.B", "C.D")
            def test_marked(): ...

            @pytest.mark.parametrize(("line", "other"), [("deploy x", "remove-unit"), ("refresh y", "")])
            def test_lines(line, other): run(line)

            def test_refresh(api): api.juju("refresh", "x")

            def test_calls(hook):
                assert hook.json("state-get") == hook.out("state-get", "status-get")
                hook.error("status-set")

            def test_words(): assert "status-set" in "the tool status-set-not"

            def helper(): run("scp x")
        """)
    )
    (tmp_path / "test_juju_refused.py").write_text("def test_refused(): run('scp x')")
    found = conformance.Coverage(tmp_path)
    assert found.marked() == {"A.B": ["test_x.py::test_marked"], "C.D": ["test_x.py::test_marked"]}

    def command(name: str) -> list[str]:
        return found.naming(["test_*.py"], conformance._command_lines, name, rf"^{name}(\s|$)")

    assert command("deploy") == ["test_x.py::test_lines"]
    assert command("refresh") == ["test_x.py::test_refresh", "test_x.py::test_lines"]
    assert command("remove-unit") == command("scp") == []

    def tool(name: str) -> list[str]:
        return found.naming(["test_*.py"], conformance._tool_calls, name, rf"^{name}$")

    assert tool("state-get") == ["test_x.py::test_calls"]
    assert tool("status-get") == tool("status-set") == []


def test_the_page_stays_as_it_is_while_its_tests_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(conformance, "DOCUMENT", page)
    row = "| AllWatcher (3) | Next | test_api_{}.py::{} |"
    first, other = row.format("models", "test_annotations"), row.format("watcher", "test_a_watcher_waits_and_stops")
    text = conformance.document()
    assert first in text
    page.write_text(text.replace(first, other))
    assert other in conformance.document()
    page.write_text(text.replace(first, row.format("models", "test_that_is_no_more")))
    assert first in conformance.document()
