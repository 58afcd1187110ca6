"""The report as a page, from stored examples of what a rehearsal keeps."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import pathlib
import re
import xml.etree.ElementTree as ElementTree

import pytest

from rehearsal import page, readback, report

EXAMPLE = pathlib.Path(__file__).parent / "data" / "rehearsal-1.json"


@pytest.fixture
def result() -> report.Result:
    return report.load(EXAMPLE)


class Elements(html.parser.HTMLParser):
    """Collects a page's elements and text, and whether all that opens closes."""

    VOID = frozenset({"meta", "rect", "line", "circle", "path", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"] and data.strip():
            self.said.append(" ".join(data.split()))


def test_it_needs_nothing_from_elsewhere(result: report.Result) -> None:
    text = page.render(result)
    assert "://" not in text
    assert "@import" not in text
    tags = {tag for tag, _ in Elements(text).elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed"}
    references = re.findall(r"url\(([^)]*)\)", text)
    defined = {attributes["id"] for _, attributes in Elements(text).elements if "id" in attributes}
    assert references
    assert {reference.removeprefix("#") for reference in references} == defined


def test_what_a_rehearsal_keeps_says_the_same_when_it_is_read_again(
    result: report.Result, tmp_path: pathlib.Path
) -> None:
    result.save(tmp_path / "rehearsal.json")
    assert json.loads((tmp_path / "rehearsal.json").read_text()) == json.loads(EXAMPLE.read_text())
    assert report.load(tmp_path / "rehearsal.json") == result


def test_it_tells_figures_steps_units_and_environment(result: report.Result) -> None:
    said = Elements(page.render(result)).said
    gap = max(row.longest_gap for row in result.rows if row.longest_gap is not None)
    for expected in (
        "passed",
        f"of {result.outcomes['acknowledged']} acknowledged writes lost",
        f"{gap:.2f}",
        *(row.step for row in result.rows),
        *(lane.unit for lane in result.timeline.lanes),
        *result.environment.values(),
    ):
        assert expected in said


def pictures(result: report.Result) -> list[ElementTree.Element]:
    """All pictures of timelines; that they can be read says that they are well-formed."""
    found = re.findall(r'<svg class="plot".*?</svg>(?=\s*</div>)', page.render(result), re.DOTALL)
    return [ElementTree.fromstring(picture) for picture in found]  # noqa: S314  # made here


def test_each_write_gap_and_switchover_is_in_the_picture(result: report.Result) -> None:
    whole, *closer = pictures(result)
    kinds = [group.get("class") for group in whole.iter("g")]
    assert kinds.count("gap") == len(result.timeline.gaps) > 0
    assert kinds.count("switchover") == len(result.timeline.switchovers) > 0
    assert len(closer) == min(len(result.timeline.gaps), page.MOST_GAPS)
    assert all(picture.get("aria-label") for picture in [whole, *closer])


def test_bars_lie_inside_the_picture(result: report.Result) -> None:
    for _, attributes in Elements(page.render(result)).elements:
        x, width = attributes.get("x") or "", attributes.get("width") or ""
        if x.endswith("%") and width.endswith("%"):
            assert 0 <= float(x[:-1]) <= 100
            assert float(x[:-1]) + float(width[:-1]) <= 100.2


def test_what_was_told_is_text_and_not_markup(result: report.Result) -> None:
    nasty = "<script>alert('&')</script>"
    result.problems.append(nasty)
    result.environment["Host"] = nasty
    result.copies[0] = dataclasses.replace(result.copies[0], problem=nasty)
    elements = Elements(page.render(result))
    assert elements.said.count(nasty) == 3
    assert "script" not in {tag for tag, _ in elements.elements}


def test_a_failure_says_why(result: report.Result) -> None:
    result.problems.append("10.0.0.2 lacks 1 acknowledged writes: 7")
    said = Elements(page.render(result)).said
    assert "failed" in said
    assert "passed" not in said
    assert "10.0.0.2 lacks 1 acknowledged writes: 7" in said


def test_a_lost_write_is_marked(result: report.Result) -> None:
    result.rows[2] = dataclasses.replace(result.rows[2], lost=3)
    lost, *_ = page.tiles(result)
    assert (lost.value, lost.kind) == ("3", "bad")
    assert '<td class="bad">3</td>' in page.render(result)


def test_without_copies_nothing_is_known_of_losses(result: report.Result) -> None:
    result.copies.clear()
    lost, *_ = page.tiles(result)
    assert (lost.value, lost.kind) == ("?", "bad")


def test_a_rehearsal_that_ended_before_a_write_has_a_page_too() -> None:
    step = report.Step("deploy 16/1.0.0", 0.0, 60.0)
    result = report.conclude([step], page.history.History(), [], ["deploy 16/1.0.0: a/0 is in error"])
    elements = Elements(page.render(result))
    assert "deploy 16/1.0.0: a/0 is in error" in elements.said
    assert "Timeline" not in elements.said


def test_figures_of_a_unit(result: report.Result) -> None:
    unit = page.unit(result.timeline.lanes[1])
    lane = result.timeline.lanes[1]
    down = [bar for bar in lane.serves if bar.kind == "down"]
    assert unit.down == pytest.approx(sum(bar.end - bar.start for bar in down))
    assert unit.read_gap == pytest.approx(max(bar.end - bar.start for bar in down))
    assert unit.tools == sum(bar.tools for bar in lane.runs) > 0
    assert unit.snaps == 3


def test_rows_of_a_copy() -> None:
    assert page.rows(readback.Copy("a", True, 1, [(1, 3), (5, 5)], 1)) == 4


def test_another_format_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rehearsal.json"
    path.write_text(json.dumps({"format": 2}))
    with pytest.raises(ValueError, match="format 2 instead of 1"):
        report.load(path)


def test_the_command_makes_the_page_anew(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rehearsal.json").write_text(EXAMPLE.read_text())
    page.main([str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "rehearsal.html")
    assert (tmp_path / "rehearsal.html").read_text() == page.render(report.load(EXAMPLE))
