"""What a rehearsal concludes from a writer's records."""

from __future__ import annotations

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal import history, records

ACKNOWLEDGED = records.Outcome.ACKNOWLEDGED
FAILED = records.Outcome.FAILED
INDETERMINATE = records.Outcome.INDETERMINATE


def write(
    sequence: int, ended: float, outcome: records.Outcome = ACKNOWLEDGED, *, sent: float | None = None
) -> records.Write:
    return records.Write(sequence, ended if sent is None else sent, ended, outcome)


def at(*times: float) -> history.History:
    return history.History(write(number, time) for number, time in enumerate(times, start=1))


@given(
    st.builds(
        records.Write,
        st.integers(1),
        st.floats(allow_nan=False),
        st.floats(allow_nan=False),
        st.sampled_from(records.Outcome),
        st.text(),
    )
    | st.builds(records.Connection, st.floats(allow_nan=False), st.text(), st.integers(1))
    | st.builds(
        records.Read,
        st.text(),
        st.floats(allow_nan=False),
        st.floats(allow_nan=False),
        st.none() | st.booleans(),
        st.text(),
        st.text(),
    )
)
def test_a_record_is_one_line_and_comes_back_as_it_was(record: records.Record) -> None:
    line = records.encode(record)
    assert "\n" not in line
    assert records.decode(line) == record


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        '{"kind": "read"}',
        '{"kind": "write", "sequence": 1}',
        '{"kind": "connection", "time": 1, "host": "a", "timeline": 1, "more": 1}',
        '{"kind": "write", "sequence": 1, "sent": 1, "ended": 1, "outcome": "perhaps", "reason": ""}',
    ],
)
def test_what_is_no_record_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        records.decode(line)


def test_only_acknowledged_writes_end_a_gap() -> None:
    recorded = history.History(
        [write(1, 1.0), write(2, 2.0, FAILED), write(3, 3.0, INDETERMINATE), write(4, 4.0), write(5, 4.5)]
    )
    assert recorded.longest_gap(0, 5) == 3.0


def test_a_gap_over_the_edge_of_an_interval_counts_in_full() -> None:
    recorded = at(1.0, 2.0, 8.0, 9.0)
    assert recorded.longest_gap(3.0, 5.0) == 6.0
    assert recorded.longest_gap(0.5, 1.5) == 1.0
    assert recorded.longest_gap(8.5, 9.0) == 1.0


def test_a_gap_that_has_not_ended_lasts_until_now() -> None:
    assert at(1.0, 2.0).longest_gap(0.0, 60.0) == 58.0


def test_there_is_no_gap_before_the_first_acknowledgement() -> None:
    assert at(5.0, 5.5).longest_gap(0.0, 5.2) == 0.5
    assert at(5.0).longest_gap(0.0, 4.0) is None
    assert at().longest_gap(0.0, 4.0) is None


def test_acknowledgements_belong_to_the_interval_in_which_they_came() -> None:
    recorded = history.History([write(1, 2.0, sent=0.5), write(2, 3.0), write(3, 3.5, FAILED), write(4, 4.0)])
    assert [one.sequence for one in recorded.acknowledged(1.0, 3.0)] == [1]
    assert [one.sequence for one in recorded.acknowledged(3.0, 4.0)] == [2]
    assert recorded.counts() == {ACKNOWLEDGED: 3, FAILED: 1}


def test_lost_is_what_was_acknowledged_and_is_missing() -> None:
    recorded = history.History([write(1, 1.0), write(2, 2.0, INDETERMINATE), write(3, 3.0, FAILED), write(4, 4.0)])
    assert [one.sequence for one in recorded.lost({1})] == [4]
    assert recorded.lost({1, 2, 4}) == []


def test_a_failed_write_must_not_be_there() -> None:
    recorded = history.History([write(1, 1.0, FAILED), write(2, 2.0, INDETERMINATE), write(3, 3.0, FAILED)])
    assert [one.sequence for one in recorded.resurrected({2, 3})] == [3]


def test_switchovers_are_the_timelines_begun() -> None:
    recorded = history.History(
        [
            records.Connection(1.0, "a", 3),
            records.Connection(5.0, "b", 4),
            records.Connection(6.0, "b", 4),
            records.Connection(9.0, "a", 6),
        ]
    )
    assert recorded.switchovers(0.0, 2.0) == 0
    assert recorded.switchovers(2.0, 7.0) == 1
    assert recorded.switchovers(7.0, 9.0) == 2
    assert recorded.switchovers(0.0, 10.0) == 3
    assert history.History().switchovers(0.0, 1.0) == 0


def test_a_follower_reads_whole_lines_only_and_each_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "writes.jsonl"
    follower = history.Follower(path)
    assert follower.poll().writes == []
    first, second = (records.encode(write(number, float(number))) for number in (1, 2))
    path.write_text(f"{first}\n{second[:10]}")
    assert [one.sequence for one in follower.poll().writes] == [1]
    path.write_text(f"{first}\n{second}\n")
    assert [one.sequence for one in follower.poll().writes] == [1, 2]
    assert [one.sequence for one in follower.poll().writes] == [1, 2]


def read(
    ended: float, primary: bool | None = False, *, sent: float | None = None, version: str = "16.14"
) -> records.Read:
    return records.Read("a", ended if sent is None else sent, ended, primary, version if primary is not None else "")


def test_an_endpoint_is_the_same_until_a_read_finds_it_changed() -> None:
    recorded = history.History(
        [
            *(read(1.0, True), read(2.0, True)),
            *(read(2.1, None), read(3.0, None)),
            *(read(3.5, sent=3.2), read(4.0), read(4.5, version="16.15")),
        ]
    )
    endpoint = recorded.endpoints["a"]
    state = history.State
    assert endpoint.spans() == [
        history.Span(1.0, 2.0, state.PRIMARY, "16.14"),
        history.Span(2.0, 3.0, state.DOWN),
        history.Span(3.0, 4.0, state.STANDBY, "16.14"),
        history.Span(4.0, 4.5, state.STANDBY, "16.15"),
    ]
    assert endpoint.state is state.STANDBY
    assert [span.state for span in endpoint.spans(2.5, 3.5)] == [state.DOWN, state.STANDBY]


def test_a_gap_in_reading_ends_with_an_answer() -> None:
    endpoint = history.History([read(1.0), read(1.1), read(2.0, None), read(4.1), read(4.2)]).endpoints["a"]
    assert endpoint.longest_gap(0.0, 5.0) == pytest.approx(3.0)
    assert endpoint.longest_gap(4.15, 4.2) == pytest.approx(0.1)
    assert history.Endpoint().longest_gap(0.0, 1.0) is None


def test_gaps_of_some_length_and_the_last_acknowledgement() -> None:
    recorded = at(1.0, 1.1, 3.0, 3.5, 9.0)
    assert recorded.gaps(0.0, 10.0, 0.5) == [(1.1, 3.0), (3.0, 3.5), (3.5, 9.0)]
    assert recorded.gaps(3.2, 4.0, 1.0) == [(3.5, 9.0)]
    assert recorded.gaps(0.0, 2.0, 1.0) == [(1.1, 3.0)]
    assert recorded.last_acknowledged == 9.0
    assert history.History().last_acknowledged is None


def test_a_follower_reads_several_files(tmp_path: pathlib.Path) -> None:
    writes, reads = tmp_path / "writes", tmp_path / "reads"
    writes.write_text(records.encode(write(1, 1.0)) + "\n")
    follower = history.Follower(writes, reads)
    assert follower.poll().endpoints == {}
    reads.write_text(records.encode(read(1.0)) + "\n")
    assert list(follower.poll().endpoints) == ["a"]
    assert len(follower.poll().writes) == 1
