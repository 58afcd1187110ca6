"""Each command of the documentation is typed by a test on real machines."""

from __future__ import annotations

import pathlib
import re

TREE = pathlib.Path(__file__).parents[2]
PLAYED = re.compile(r"\.play\(\s*\"([^\"]+)\",\s*\"([^\"]*)\"")
"""A page and a heading that a test plays (tests/cluster/pages.py)."""


def sections_with_commands(page: pathlib.Path) -> set[str]:
    """The headings under which a page has commands."""
    parts = re.split(r"^## (.+)$", "\n" + page.read_text(), flags=re.MULTILINE)
    texts = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    return {heading for heading, text in texts.items() if "```shell" in text}


def test_every_section_with_commands_is_played() -> None:
    tests = (TREE / "tests/cluster/test_documentation.py").read_text()
    tests = tests.replace("play(page, ", 'play("tutorial/first-refresh.md", ')
    played = set(PLAYED.findall(tests))
    pages = [*(TREE / "docs/tutorial").glob("*.md"), *(TREE / "docs/how-to").glob("*.md")]
    shown = {
        (str(page.relative_to(TREE / "docs")), heading) for page in pages for heading in sections_with_commands(page)
    }
    assert pages
    assert shown == played


def test_links_lead_somewhere() -> None:
    pages = [*TREE.glob("*.md"), *(TREE / "docs").rglob("*.md")]
    lost = [
        f"{page.relative_to(TREE)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not lost
