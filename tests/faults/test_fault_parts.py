"""The parts of the matrix that need no machines: what is declared, what is concluded from samples, the page."""

from __future__ import annotations

import dataclasses

import cells
import itineraries
import matrix
import pytest
import sampling
import strikes

from rehearsal import records

pytestmark = pytest.mark.quick


def _reads(*answers: bool | None, start: float = 0.0) -> list[records.Read]:
    return [
        records.Read("host", start + number * 0.1, start + number * 0.1 + 0.01, answer)
        for number, answer in enumerate(answers)
    ]


def test_each_cell_can_be_played_and_is_named_once():
    names = [cell.name for cell in cells.CELLS]
    assert len(set(names)) == len(names)
    assert {cell.fault for cell in cells.CELLS} == set(strikes.STRIKES)
    assert set(cells.QUICK) <= set(names)
    assert set(cells.LIMITS) <= set(names)
    for life, steps in cells.LIVES.items():
        for step in steps.values():
            for fault in cells.EVERYWHERE:
                nothing_runs = isinstance(step.seen, cells.Asked) and fault in ("kill", "exception")
                assert (f"{life}/{step.name}/{fault}" in names) is not nothing_runs


def test_cells_are_chosen_by_patterns_in_their_order():
    found = [cell.name for cell in cells.chosen("rollback/snap/kill refresh/snap/kill */snap/kill")]
    assert found == ["rollback/snap/kill", "refresh/snap/kill"]
    with pytest.raises(ValueError, match="no cell matches 'nothing/\\*'"):
        cells.chosen("nothing/*")


def test_a_server_is_a_primary_for_certain_between_two_answers_that_say_so():
    [(start, end)] = sampling.primary_spans(_reads(False, True, True, True, None))
    assert (start, end) == (pytest.approx(0.11), pytest.approx(0.3))
    # One answer alone, or with others between, tells of no span.
    assert sampling.primary_spans(_reads(True, False, True, None, True)) == []


def test_two_primaries_are_noticed_only_where_they_overlap():
    old = sampling.primary_spans(_reads(True, True, True, True))
    after = sampling.primary_spans(_reads(True, True, start=0.35))
    beside = sampling.primary_spans(_reads(True, True, True, start=0.1))
    assert sampling.shared(old, after) == 0
    assert sampling.shared(old, beside) == pytest.approx(0.19)


def test_of_two_primaries_it_is_told_whether_both_acknowledge_writes():
    well = _reads(True, True, True, True)
    alone = [dataclasses.replace(read, acknowledges=True) for read in well]
    assert sampling.two_primaries({"pg/0": alone, "pg/1": well, "pg/2": _reads(False, False)}) == [
        "pg/0 and pg/1 were primaries at once for 0.3 s"
    ]
    assert sampling.two_primaries({"pg/0": alone, "pg/1": alone}) == [
        "pg/0 and pg/1 acknowledged writes at once for 0.3 s"
    ]
    assert sampling.two_primaries({"pg/0": alone, "pg/1": _reads(False, False)}) == []


def test_when_a_server_answers_again():
    reads = _reads(True, None, None, True, True)
    assert sampling.answers_again(reads, 0.05, 10.0) == pytest.approx(0.31)
    assert sampling.answers_again(_reads(True, True), 0.05, 10.0) == 0.05
    assert sampling.answers_again(_reads(True, None, None), 0.05, 10.0) is None
    # It stopped too late for that to be the reason.
    late = [*_reads(True, True), *_reads(None, None, start=20.0)]
    assert sampling.answers_again(late, 0.05, 10.0) == 0.05


def test_a_cell_that_is_played_again_replaces_its_row(tmp_path):
    kept, page = tmp_path / "kept.json", tmp_path / "page.md"
    matrix.keep("refresh/snap/kill", matrix.Row("failed", problems=("two primaries",)), kept, page)
    assert "- **refresh/snap/kill** (failed): two primaries." in page.read_text()
    matrix.keep("refresh/snap/reboot", matrix.Row("passed", recovery=9.04, gap=1.26), kept, page)
    matrix.keep("refresh/snap/kill", matrix.Row("passed", 2.0, 30.0, 1.5, 1, ("`juju resolve`",)), kept, page)
    text = page.read_text()
    assert "two primaries" not in text
    assert f"Of {len(cells.CELLS)} cells 2 passed, {len(cells.CELLS) - 2} not run yet." in text
    row = next(line for line in text.splitlines() if line.startswith("| snap |"))
    told = "2.0 s; gap 1.5 s; `juju resolve`"
    assert row == f"| snap | {told} | not run yet | not run yet | 9.0 s; gap 1.3 s | not run yet |"
    assert matrix.load(kept)["refresh/snap/kill"].commands == ("`juju resolve`",)


def test_rows_of_cells_that_are_no_more_are_dropped(tmp_path):
    kept, page = tmp_path / "kept.json", tmp_path / "page.md"
    kept.write_text('{"gone/step/fault": {"result": "passed", "commands": [], "problems": []}}')
    matrix.keep("refresh/snap/kill", matrix.Row("passed"), kept, page)
    assert set(matrix.load(kept)) == {"refresh/snap/kill"}


def test_a_known_limit_is_told_with_its_reason(tmp_path):
    name = next(cell.name for cell in cells.CELLS if cell.limit)
    kept, page = tmp_path / "kept.json", tmp_path / "page.md"
    matrix.keep(name, matrix.Row("limit", problems=("two were primaries at once",)), kept, page)
    assert f"- **{name}** (limit): two were primaries at once. {cells.LIMITS[name].reason}." in page.read_text()


def test_each_cell_is_in_one_life_and_each_life_has_an_order():
    lives = itineraries.plan(cells.CELLS)
    names = [cell.name for life in lives for cell in life.cells]
    assert sorted(names) == sorted(cell.name for cell in cells.CELLS)
    assert len(lives) < len(names) * 0.7
    steps = [step for stage in itineraries.STAGES for step in stage]
    for life in lives:
        assert life.primaries, life.name
        lasting = [cell for cell in life.cells if cell.fault in cells.ELSEWHERE]
        assert not lasting or len(life.cells) == 1
        refresh = [steps.index(cell.step.name) for cell in life.cells if cell.life == "refresh"]
        assert refresh == sorted(refresh)
        assert [cell.life for cell in life.cells if cell.life == "rollback"] in ([], ["rollback"])
        if life.life == "rollback":
            assert life.cells[-1].life == "rollback"
            assert all(step <= steps.index("paused") for step in refresh)
        # What needs the primary in its place comes after nothing that may move it.
        for number, cell in enumerate(life.cells):
            if cell.life == "rollback" and cell.step.primaries != cells.ANYWHERE:
                assert not {each.fault for each in life.cells[:number]} & cells.MOVES_PRIMARY, life.name


def test_the_quick_ones_are_few_lives():
    lives = [life for life in itineraries.plan(cells.CELLS) if life.quick]
    assert {cell.name for life in lives for cell in life.cells} == cells.QUICK
    assert len(lives) <= 3
