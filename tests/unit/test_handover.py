"""Who takes over: every cluster of up to four members in every condition, and the texts of refusals."""

from __future__ import annotations

import itertools

import pytest

import handover
from tests.fakes import known
from workload import cluster

CONDITIONS: dict[str, dict[str, object]] = {
    "synchronous": {},
    "asynchronous": {"role": cluster.Role.STANDBY},
    "starting": {"state": "starting"},
    "running without streaming": {"state": "running"},
    "lag unknown": {"lag": None},
    "lag": {"lag": handover.MAXIMUM_LAG_BYTES + 1, "role": cluster.Role.STANDBY},
    "other timeline": {"timeline": 2},
    "timeline unknown": {"timeline": None},
    "much to replay": {"replay_lag": 64 * 2**20 + 1},
    "little to replay": {"replay_lag": 64 * 2**20},
}


def is_safe(member: cluster.Member, view: cluster.ClusterView, synchronous: bool) -> bool:
    """The invariant, in other words than the code's."""
    assert view.primary is not None
    streams = member.state == "streaming" and not member.is_primary
    behind = member.lag is None or (not synchronous and member.lag > 1024 * 1024)
    confirmed = member.role is cluster.Role.SYNCHRONOUS_STANDBY or not synchronous
    late = member.replay_lag is not None and member.replay_lag > 64 * 1024 * 1024
    return streams and not behind and not late and confirmed and member.timeline in (None, view.primary.timeline)


@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_candidate_is_safe_and_the_highest_of_those_that_are(count: int, synchronous: bool) -> None:
    for conditions in itertools.product(CONDITIONS.values(), repeat=count - 1):
        view = known.view(count, changes=dict(enumerate(conditions, start=1)))
        safe = [member for member in view.members if is_safe(member, view, synchronous)]
        chosen = handover.choose(view, synchronous=synchronous)
        if safe:
            assert chosen == safe[-1]
        else:
            assert isinstance(chosen, handover.Refused)


def test_numbers_are_compared_as_numbers() -> None:
    chosen = handover.choose(known.view(12), synchronous=True)
    assert isinstance(chosen, cluster.Member)
    assert chosen.name == known.name(11)


def test_only_a_required_member_is_chosen() -> None:
    view = known.view(4, changes={3: {"state": "starting"}})
    assert handover.choose(view, synchronous=True, required={known.name(1)}) == view.members[1]
    refused = handover.choose(view, synchronous=True, required={known.name(3)})
    assert refused == handover.Refused("postgresql-machine-3 is starting, not streaming")
    assert handover.choose(view, synchronous=True, required={known.name(9)}) == handover.Refused(
        "there is no other member"
    )


def test_a_preferred_member_comes_first_only_if_it_is_fit() -> None:
    view = known.view(3)
    assert handover.choose(view, synchronous=True, preferred={known.name(1)}) == view.members[1]
    view = known.view(3, changes={1: {"state": "stopped"}})
    assert handover.choose(view, synchronous=True, preferred={known.name(1)}) == view.members[2]


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (None, "the cluster does not answer"),
        (known.view(3, paused=True), "run `sudo charmed-postgresql.patronictl resume`"),
        (known.view(3, primary=None), "there is no primary"),
        (known.view(3, changes={0: {"state": "stopped"}}), "there is no primary"),
        (known.view(1), "there is no other member"),
        (known.view(2, synchronous=()), "postgresql-machine-1 is not a synchronous standby"),
        (known.view(2, changes={1: {"lag": None}}), "postgresql-machine-1 lags by an unknown amount"),
        (known.view(2, changes={1: {"timeline": 4}}), "postgresql-machine-1 is on timeline 4, the primary on 1"),
        (
            known.view(3, changes={1: {"state": "starting"}, 2: {"state": "stopped"}}),
            "postgresql-machine-1 is starting, not streaming; postgresql-machine-2 is stopped, not streaming",
        ),
    ],
)
def test_a_refusal_says_why(view: cluster.ClusterView | None, reason: str) -> None:
    refused = handover.choose(view, synchronous=True)
    assert isinstance(refused, handover.Refused)
    assert reason in refused.reason


def test_without_synchronous_mode_a_refusal_names_the_lag() -> None:
    refused = handover.choose(known.view(2, synchronous=(), changes={1: {"lag": 2**21}}), synchronous=False)
    assert refused == handover.Refused("postgresql-machine-1 lags by 2097152 bytes")


def test_a_member_that_is_no_unit_may_take_over_but_comes_last() -> None:
    stranger = cluster.Member("other", cluster.Role.SYNCHRONOUS_STANDBY, "streaming", "10.9.9.9", 1, 0)
    view = known.view(2)
    both = cluster.ClusterView((*view.members, stranger))
    assert handover.choose(both, synchronous=True) == view.members[1]
