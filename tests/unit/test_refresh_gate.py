"""Whether a unit may be stopped for its refresh now: the rule for unit 1 of three, after unit 2."""

from __future__ import annotations

import collections.abc
import typing

import pytest

import facts
import problems
import refresh_gate
from tests.fakes import known
from workload import raft, sql

IDLE = sql.Activity(0.0, 0, 0, backup_running=False, archiver_failing=False)


class Raft:
    """Nodes that answer, each with what it sees."""

    def __init__(self, answering: collections.abc.Collection[int], view: raft.RaftView):
        self._answers = {known.node(number): view for number in answering}

    def raft(self, _: str) -> Raft:
        return self

    def sql(self, *_: object) -> Raft:
        return self

    def activity(self) -> sql.Activity:
        return IDLE

    def view(self, node: str) -> raft.RaftView | None:
        return self._answers.get(node)


def against(
    given: facts.Facts,
    *,
    number: int = 1,
    count: int = 3,
    silent: collections.abc.Collection[int] = (),
    **of: typing.Any,
) -> str | None:
    connected = of.pop("connected", True)
    view = known.raft_view(count, number, None if connected else ())
    workload: typing.Any = Raft(set(range(count)) - set(silent), view)
    options: dict[str, typing.Any] = {"rollback_seconds": None} | of
    return refresh_gate.reason(workload, given, number, **options)


STOPPED = known.view(3, changes={1: {"state": "stopped"}})
ILL = known.view(3, changes={2: {"state": "stopped"}})
ELECTING = known.view(3, None, changes={number: {"state": "running"} for number in range(3)})
NO_MEMBER = known.settled(1, cluster=known.view(1))
UNIT_1 = known.settled(1)
DISABLED = known.settled(1, machine_snap=known.DISABLED, machine_patroni_running=False)
NOT_ENABLED = "Snap charmed-postgresql is disabled; as root: `snap enable charmed-postgresql`"
ASYNCHRONOUS = known.view(3, changes={number: {"role": "replica"} for number in (1, 2)})
NO_MAJORITY_2 = "No majority without unit 2: 1 of 3 members reachable; start the others"
NO_MAJORITY = "No majority without unit 1: 1 of 3 members reachable; start the others"


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        (UNIT_1, {}, None),
        (DISABLED, {}, NOT_ENABLED),
        (DISABLED, {"rollback_seconds": 120.0}, NOT_ENABLED),
        # Of another unit's snap its status tells.
        (DISABLED, {"number": 2}, "Patroni is not running"),
        (known.settled(1, cluster=ILL), {}, "postgresql-machine-2 is stopped"),
        (known.settled(1, cluster=None), {}, "Patroni does not answer"),
        # Patroni still shows the dead one, and so does the unit's own Raft node.
        (UNIT_1, {"silent": {2}}, "No answer from postgresql-machine-2"),
        (UNIT_1, {"silent": {0, 2}}, "No answer from postgresql-machine-0, postgresql-machine-2"),
        (UNIT_1, {"silent": {1}}, "No answer from postgresql-machine-1"),
        # Nodes of units that there were.
        (UNIT_1, {"count": 4, "silent": {3}}, "No majority without unit 1: 2 of 4 members reachable; start the others"),
        (UNIT_1, {"count": 5}, None),
        # A member of a unit that has not been met comes first.
        (
            known.settled(2, cluster=known.view(4)),
            {"number": 2, "count": 4},
            "Unit 3 is a member, but not yet met here; wait some seconds",
        ),
        (known.settled(2, cluster=known.view(4)), {"number": 2, "count": 4, "rollback_seconds": 120.0}, None),
        # Of two units each is needed.
        (known.settled(0, 2, 1), {"number": 0, "count": 2}, None),
        (known.settled(0, 2, 1), {"number": 0, "count": 2, "silent": {1}}, "No answer from postgresql-machine-1"),
        (known.settled(0, 1), {"number": 0, "count": 1}, None),
        # Its own PostgreSQL does not run; but its vote counts.
        (known.settled(1, cluster=STOPPED), {}, None),
        (NO_MEMBER, {}, problems.unhealthy(NO_MEMBER)),
        # It runs, and has nobody to stream from.
        (known.settled(1, cluster=ELECTING), {}, "The cluster has no primary; see the action get-cluster-status"),
        (known.settled(1, cluster=STOPPED), {"silent": {2}}, NO_MAJORITY),
        (known.settled(1, cluster=STOPPED), {"silent": {0, 2}, "connected": False}, None),
        (known.settled(1, cluster=STOPPED), {"silent": {1}}, None),
        (known.settled(1, cluster=ILL, machine_patroni_running=False), {"silent": {0, 2}}, None),
        # A rollback: ill units do not hold it. Its first unit may always go back.
        (known.settled(1, cluster=ILL), {"rollback_seconds": 120.0}, None),
        (known.settled(1, cluster=ILL), {"rollback_seconds": 120.0, "silent": {2}}, NO_MAJORITY),
        (known.settled(2, cluster=ILL), {"rollback_seconds": 120.0, "number": 2, "silent": {0, 1}}, None),
        # At first it waits for one that may be about to come back from its own refresh.
        (known.settled(2), {"rollback_seconds": 119.0, "number": 2, "silent": {1}}, NO_MAJORITY_2),
        (known.settled(2), {"rollback_seconds": 0.0, "number": 2}, None),
        (known.settled(2), {"rollback_seconds": -120.0, "number": 2, "silent": {1}}, None),
        # Nobody waits for it any more: it was the only synchronous standby.
        (known.settled(1, cluster=ASYNCHRONOUS), {}, "No synchronous standby"),
        (known.settled(1, cluster=ASYNCHRONOUS), {"drained": True}, None),
        (known.settled(1, cluster=ILL), {"drained": True}, "postgresql-machine-2 is stopped"),
        # As another unit sees it.
        (known.settled(0), {}, None),
        (known.settled(0), {"silent": {2}}, "No answer from postgresql-machine-2"),
        (known.settled(0, cluster=STOPPED), {}, None),
        # What cannot be asked.
        (known.settled(1, passwords=None), {"silent": {0, 1, 2}}, None),
    ],
)
def test_what_stands_against_it(given: facts.Facts, options: dict[str, typing.Any], expected: str | None) -> None:
    assert against(given, **options) == expected


@pytest.mark.parametrize("length", [10, 81, 82, 300])
def test_the_status_has_room_for_the_reason_and_for_where_to_look(length: int) -> None:
    status = f"Refresh waits: {refresh_gate.shortened('x' * length)}; see get-refresh-status"
    assert len(status) <= 120
