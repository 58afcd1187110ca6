"""`juju debug-log`: what is asked for, and which lines are shown."""

from __future__ import annotations

import typing

import juju_support
import pytest

Params = dict[str, typing.Any]
Run = juju_support.Run

LINE = {"sequence": 1, "time": "2025-11-21T10:00:00.123456+00:00", "entity": "unit-pg-0", "level": "WARNING",
        "module": "unit.pg/0.install", "message": "careful", "location": "x.go:5"}  # fmt: skip


def test_debug_log(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["debug_log"] = [LINE]
    assert run("debug-log --limit 5 --utc").out == "unit-pg-0: 10:00:00 WARNING unit.pg/0.install careful\n"
    assert run("debug-log --no-tail --replay --utc --date --ms --location").out == (
        "unit-pg-0: 2025-11-21 10:00:00.123 WARNING unit.pg/0.install x.go:5 careful\n"
    )
    assert [params["limit"] for _, params in canned.calls] == [5, None]


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("debug-log", 10),
        ("debug-log --no-tail", 10),
        ("debug-log --limit 3", 3),
        ("debug-log --limit 0", None),
        ("debug-log --replay", None),
        ("debug-log --replay --limit 3", None),
    ],
)
def test_debug_log_shows_the_last_lines_or_all(
    canned: juju_support.CannedController, run: Run, line: str, limit: int | None
) -> None:
    canned.answers["debug_log"] = [LINE | {"sequence": number, "message": str(number)} for number in range(5)]
    shown = run(line).out.splitlines()
    assert canned.params("debug_log")["limit"] == limit
    # The controller chooses the last ones; of a replay the first are wanted.
    assert [text.split()[-1] for text in shown] == list("01234")[: 3 if "--replay --limit" in line else 5]


def test_debug_log_follows_where_lines_are_asked_for(canned: juju_support.CannedController, run: Run) -> None:
    def answer(after: int, **_: typing.Any) -> list[Params]:
        if after:
            raise juju_support.Refusal("stopped", "enough")
        return [LINE]

    canned.answers["debug_log"] = answer
    assert run("debug-log -n 3 --utc") == (
        1,
        "unit-pg-0: 10:00:00 WARNING unit.pg/0.install careful\n",
        "ERROR enough\n",
    )
    assert [(params["limit"], params["after"]) for _, params in canned.calls] == [(3, 0), (None, 1)]


def test_debug_log_filters(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["debug_log"] = []
    assert run("debug-log -i pg/0 --include machine-1 -x 2 --include-module unit --level error") == (0, "", "")
    assert canned.params("debug_log") == {
        "model": "prod",
        "limit": 10,
        "after": 0,
        "include": ["unit-pg-0", "machine-1"],
        "exclude": ["machine-2"],
        "include_module": ["unit"],
        "exclude_module": [],
        "level": "ERROR",
    }


@pytest.mark.parametrize(
    ("word", "entity"),
    [
        ("pg", "unit-pg-*"),
        ("postgresql-machine", "unit-postgresql-machine-*"),
        ("postgresql-machine/2", "unit-postgresql-machine-2"),
        ("unit-postgresql-machine-2", "unit-postgresql-machine-2"),
        ("unit-postgresql", "unit-unit-postgresql-*"),
        ("machine-learning", "unit-machine-learning-*"),
        ("machine-3", "machine-3"),
        ("3", "machine-3"),
        ("application-pg", "application-pg"),
        ("unit-*-0", "unit-*-0"),
    ],
)
def test_debug_log_knows_what_is_meant(canned: juju_support.CannedController, run: Run, word: str, entity: str) -> None:
    canned.answers["debug_log"] = []
    assert run(f"debug-log --include {word} --exclude {word}").err == ""
    assert (canned.params("debug_log")["include"], canned.params("debug_log")["exclude"]) == ([entity], [entity])


def test_debug_log_warns_of_what_is_nothing(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["debug_log"] = []
    warning = 'WARNING "Pg" was not recognised as a valid application, machine or unit name\n'
    assert run("debug-log --include Pg") == (0, "", warning)
    assert canned.params("debug_log")["include"] == ["Pg"]
