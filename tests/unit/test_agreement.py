"""When a new majority is formed, and by whom: what the units have told decides, in whatever order they tell it."""

from __future__ import annotations

import json
import typing

import hypothesis
import pytest
from hypothesis import strategies

import forced_majority
import planner
import steps
from tests.fakes import known
from workload import write_ahead_log


def position(byte: int, timeline: int = 1) -> write_ahead_log.Position:
    return write_ahead_log.Position(timeline, byte)


def consent(number: int, **changes: typing.Any) -> forced_majority.Consent:
    members = frozenset(f"node-{each}" for each in range(3))
    given: dict[str, typing.Any] = {"generation": 1, "nodes": frozenset({f"node-{number}"}), "members": members}
    return forced_majority.Consent(**({**given, "position": position(number)} | changes))


LOST = frozenset({"node-2"})


@pytest.mark.parametrize(
    ("consents", "expected"),
    [
        pytest.param({}, None, id="nobody"),
        pytest.param({0: None, 1: None}, None, id="nobody has asked for it"),
        pytest.param({0: consent(0), 1: consent(1), 2: None}, None, id="one has not given up"),
        pytest.param({0: consent(0), 1: consent(1, generation=2), 2: consent(2)}, None, id="two only before"),
        pytest.param({0: consent(0), 1: consent(1), 2: consent(2)}, 2, id="the latest"),
        pytest.param({n: consent(n, position=position(7)) for n in range(3)}, 0, id="of equal ones the lowest"),
        pytest.param({0: consent(0, position=position(1, 2)), 1: consent(1), 2: consent(2)}, 0, id="a later timeline"),
        pytest.param({0: consent(0), 1: consent(1)}, None, id="a member is lost"),
        pytest.param(
            {0: consent(0), 1: consent(1, nodes=frozenset({"node-1", "node-2"}))},
            1,
            id="a member that was another one before",
        ),
        pytest.param({0: consent(0), 1: consent(1, accepted=LOST)}, 1, id="its data are lost"),
        pytest.param({0: consent(0, accepted=LOST)}, None, id="another one is lost than was accepted"),
        pytest.param({n: consent(n, members=None) for n in range(3)}, None, id="nobody knows who is lost"),
        pytest.param(
            {n: consent(n, members=None, accepted=frozenset({forced_majority.UNKNOWN})) for n in range(2)},
            1,
            id="whoever is lost",
        ),
        pytest.param({0: consent(0, formed=True), 1: consent(1), 2: consent(2)}, None, id="it has been formed"),
        pytest.param({n: consent(n, position=None) for n in range(3)}, None, id="nobody has data"),
        pytest.param({0: consent(0), 1: consent(1), 2: consent(2, position=None)}, 1, id="one without data"),
        pytest.param(
            {0: consent(0), 1: consent(1), 2: consent(2), 3: consent(3, nodes=frozenset(), members=None)},
            2,
            id="one that was no member, whatever it has",
        ),
    ],
)
def test_founder(consents: dict[int, forced_majority.Consent | None], expected: int | None) -> None:
    assert forced_majority.Agreement(consents).founder == expected


_consents = strategies.builds(
    forced_majority.Consent,
    strategies.integers(1, 3),
    strategies.frozensets(strategies.sampled_from(["node-0", "node-1", "node-2"])),
    strategies.none() | strategies.frozensets(strategies.sampled_from(["node-0", "node-1", "node-2"])),
    strategies.none() | strategies.builds(position, strategies.integers(0, 2**64 - 1), strategies.integers(1, 2**31)),
    strategies.frozensets(strategies.sampled_from(["node-0", "node-1", "node-2", forced_majority.UNKNOWN])),
    strategies.booleans(),
)


@hypothesis.given(_consents)
def test_a_consent_survives_the_databag(given: forced_majority.Consent) -> None:
    text = given.dump()
    assert forced_majority.Consent.parse(text) == given
    assert forced_majority.Consent.parse(json.dumps({**json.loads(text), "later": 1})) == given


@hypothesis.given(
    strategies.dictionaries(strategies.integers(0, 4), strategies.none() | _consents), strategies.integers(0, 3)
)
def test_only_with_all_and_only_once(consents: dict[int, forced_majority.Consent | None], recorded: int) -> None:
    agreement = forced_majority.Agreement(consents, recorded)
    assert agreement.generation >= recorded
    if agreement.founder is not None:
        found = [each for each in consents.values() if each is not None]
        assert len(found) == len(consents)
        assert {each.generation for each in found} == {agreement.generation}
        assert agreement.generation > recorded
        assert not any(each.formed for each in found)
        best = consents[agreement.founder]
        assert best is not None
        assert best.nodes
        assert best.position == max(each.position for each in found if each.position is not None and each.nodes)
        assert agreement.lost <= {node for each in found for node in each.accepted}


GARBAGE = [
    consent(0).dump().replace('"generation": 1', f'"generation": {generation}')
    for generation in ("0", "-1", "true", "1e400", "1.5", "Infinity", '"x"', "null", "1000001")
]


@pytest.mark.parametrize("text", [None, "", "null", "[]", "{", "7", '{"generation": 1}', "[" * 100_000, *GARBAGE])
def test_what_cannot_be_read_is_no_consent(text: str | None) -> None:
    assert forced_majority.Consent.parse(text) is None


# What a unit does


@pytest.mark.parametrize("leader", [False, True])
def test_whoever_sees_that_it_was_formed_remembers_it(leader: bool) -> None:
    peers = (known.peer(0, consent=consent(0, formed=True)), known.peer(2, consent=consent(2)))
    plan = planner.plan(known.settled(1, peers=peers, consent=consent(1), leader=leader))
    assert steps.Publish(forced_majority.KEY, consent(1, formed=True).dump()) in plan
    assert (steps.Record(forced_majority.KEY, "1") in plan) is leader


ASKED = (known.peer(0, consent=forced_majority.Consent(1)), known.peer(2))


@pytest.mark.parametrize(
    ("changes", "gives_up"),
    [
        pytest.param({"raft": known.raft_view(3, 1, set())}, True, id="Raft has no majority"),
        pytest.param({}, False, id="Raft has one"),
        pytest.param({"raft": None}, False, id="Raft does not answer, there is a primary"),
        pytest.param({"raft": None, "cluster": known.view(3, None)}, True, id="nobody knows of a primary"),
        pytest.param({"raft": None, "cluster": None, "machine_patroni_running": False}, True, id="nobody answers"),
        pytest.param({"raft": None, "cluster": None, "passwords": None}, False, id="Raft could not be asked"),
        pytest.param({"raft": known.raft_view(3, 1, set()), "formed_generation": 1}, False, id="it was formed before"),
    ],
)
def test_what_makes_a_unit_give_up(changes: dict[str, typing.Any], gives_up: bool) -> None:
    plan = planner.plan(known.settled(1, peers=ASKED, **changes))
    assert (steps.Step.GIVE_UP_MAJORITY in plan) is gives_up
