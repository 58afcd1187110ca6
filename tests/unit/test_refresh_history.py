"""The history of refreshes: what begins an entry, what ends it, and how."""

from __future__ import annotations

import json

import pytest

import refresh_facts
import refresh_history

OLD = refresh_facts.Build("16/1.0.0", "16.14", "366", "ch:amd64/postgresql-machine-1")
NEW = refresh_facts.Build("16/1.1.0", "16.15", "416", "ch:amd64/postgresql-machine-2")
THIRD = refresh_facts.Build("16/1.2.0", "16.16", "420", "ch:amd64/postgresql-machine-3")
COMPLETED, ROLLED_BACK = refresh_history.Outcome.COMPLETED, refresh_history.Outcome.ROLLED_BACK


def after(
    history: tuple[refresh_history.Entry, ...],
    build: refresh_facts.Build,
    in_progress: bool,
    original: refresh_facts.Build | None = OLD,
    now: float = 100.0,
) -> tuple[refresh_history.Entry, ...]:
    """The history after the leader's next hook, which must change nothing when it is repeated."""

    def updated(
        before: tuple[refresh_history.Entry, ...], now: float, original: refresh_facts.Build | None
    ) -> tuple[refresh_history.Entry, ...]:
        return refresh_history.updated(
            before, original=original, build=build, in_progress=in_progress, started=90.0, now=now, units=3
        )

    found = updated(history, now, original)
    assert updated(found, now + 1, original if in_progress else build) == found
    return found


def outcomes(history: tuple[refresh_history.Entry, ...]) -> list[tuple[str, str, str | None]]:
    return [(each.old.charm, each.new.charm, each.outcome and each.outcome.value) for each in history]


def test_a_refresh_that_ends() -> None:
    begun = after((), NEW, True)
    assert begun == (refresh_history.Entry(OLD, NEW, "1970-01-01T00:01:30+00:00", 3),)
    ended = after(begun, NEW, False, now=200.0)
    assert ended[0].ended == "1970-01-01T00:03:20+00:00"
    assert outcomes(ended) == [("16/1.0.0", "16/1.1.0", "completed")]


def test_a_rollback() -> None:
    begun = after((), NEW, True)
    assert after(begun, OLD, True) == begun
    assert outcomes(after(begun, OLD, False)) == [("16/1.0.0", "16/1.1.0", "rolled back")]


def test_a_third_revision_on_the_way() -> None:
    third = after(after((), NEW, True), THIRD, True)
    assert outcomes(third) == [("16/1.0.0", "16/1.1.0", "replaced"), ("16/1.0.0", "16/1.2.0", None)]
    assert outcomes(after(third, THIRD, False))[1] == ("16/1.0.0", "16/1.2.0", "completed")
    assert outcomes(after(third, OLD, False))[1] == ("16/1.0.0", "16/1.2.0", "rolled back")


def test_the_same_version_from_another_file_is_another_refresh() -> None:
    again = refresh_facts.Build("16/1.1.0", "16.15", "417", "ch:amd64/postgresql-machine-4")
    assert outcomes(after(after((), NEW, True), again, True)) == [
        ("16/1.0.0", "16/1.1.0", "replaced"),
        ("16/1.0.0", "16/1.1.0", None),
    ]


def test_charm_code_alone_whose_refresh_the_leader_sees_last() -> None:
    ended = after((), NEW, False)
    assert outcomes(ended) == [("16/1.0.0", "16/1.1.0", "completed")]
    assert ended[0].ended is not None


@pytest.mark.parametrize("in_progress", [True, False])
def test_nothing_begins_without_another_version(in_progress: bool) -> None:
    assert after((), OLD, in_progress) == ()
    # As while the application is being deployed.
    assert after((), OLD, in_progress, original=None) == ()


def test_only_the_newest_are_kept() -> None:
    history: tuple[refresh_history.Entry, ...] = ()
    for number in range(15):
        old, new = (
            refresh_facts.Build(f"16/1.{each}.0", "16.14", str(each), f"ch:amd64/x-{each}")
            for each in (number, number + 1)
        )
        history = after(after(history, new, True, old), new, False, old)
    assert [entry.new.charm for entry in history] == [f"16/1.{number}.0" for number in range(6, 16)]


def test_it_is_read_back() -> None:
    history = (*after(after((), NEW, True), NEW, False), *after((), THIRD, True, original=NEW))
    text = refresh_history.dump(history)
    assert refresh_history.parse(text) == history
    assert len(refresh_history.dump(history[:1] * 10)) < 4096
    later = json.dumps([{**each, "later": 1, "old": {**each["old"], "later": 1}} for each in json.loads(text)])
    assert refresh_history.parse(later) == history


@pytest.mark.parametrize(
    "text", [None, "", "{", "{}", "[1]", "[{}]", '[{"old": 1, "new": 2, "started": "", "units": 1}]']
)
def test_what_cannot_be_read_is_left_out(text: str | None) -> None:
    assert refresh_history.parse(text) == ()
