"""What Juju's log and snapd tell, as they word it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from rehearsal import events

OPERATION = "juju.worker.uniter.operation"


def moment(second: float) -> str:
    return datetime.datetime.fromtimestamp(1_700_000_000 + second, datetime.UTC).isoformat()


def line(second: float, message: str, module: str = OPERATION, entity: str = "unit-post-gres-0") -> dict[str, str]:
    return {"timestamp": moment(second), "entity": entity, "module": module, "message": message, "level": "DEBUG"}


def tool(second: float, context: str) -> dict[str, str]:
    return line(second, f'running hook tool "config-get" for {context}', "jujuc", "machine-0")


def test_a_hook_lasts_from_its_execution_until_it_ran_and_counts_its_tools() -> None:
    log = [
        line(1, 'preparing operation "run relation-changed (1; unit: post-gres/1) hook" for post-gres/0'),
        line(2, 'executing operation "run relation-changed (1; unit: post-gres/1) hook" for post-gres/0'),
        tool(3, "post-gres/0-peers-relation-changed-8237423"),
        tool(4, "post-gres/0-peers-relation-changed-8237423"),
        tool(4, "post-gres/1-update-status-112"),
        line(5.5, 'ran "peers-relation-changed" hook (via hook dispatching script: dispatch)'),
        line(6, 'committing operation "run relation-changed (1; unit: post-gres/1) hook" for post-gres/0'),
    ]
    [run] = events.runs(log)
    assert (run.unit, run.name, run.kind, run.failed, run.tools) == (
        "post-gres/0",
        "peers-relation-changed",
        "hook",
        False,
        2,
    )
    assert run.end - run.start == pytest.approx(3.5)


def test_units_run_side_by_side() -> None:
    log = [
        line(1, 'executing operation "run install hook" for post-gres/0'),
        line(2, 'executing operation "run install hook" for post-gres/1', entity="unit-post-gres-1"),
        line(3, 'ran "install" hook (via hook dispatching script: dispatch)'),
        line(5, 'ran "install" hook (via hook dispatching script: dispatch)', entity="unit-post-gres-1"),
    ]
    assert [(run.unit, run.end - run.start) for run in events.runs(log)] == [("post-gres/0", 2.0), ("post-gres/1", 3.0)]


def test_actions_and_commands() -> None:
    log = [
        line(1, 'executing operation "run action 12" for post-gres/0'),
        line(2, 'ran "resume-refresh" action (via hook dispatching script: dispatch)'),
        line(2, 'committing operation "run action 12" for post-gres/0'),
        line(3, 'executing operation "run commands" for post-gres/0'),
        line(5, 'committing operation "run commands" for post-gres/0'),
    ]
    assert [(run.name, run.kind, run.end - run.start) for run in events.runs(log)] == [
        ("resume-refresh", "action", 1.0),
        ("commands", "commands", 2.0),
    ]


def test_what_failed_and_what_was_cut_off() -> None:
    log = [
        line(1, 'executing operation "run config-changed hook" for post-gres/0'),
        line(2, 'hook "config-changed" (via hook dispatching script: dispatch) failed: exit status 1'),
        line(3, 'executing operation "run config-changed hook" for post-gres/0'),
        line(7, 'executing operation "run config-changed hook" for post-gres/0'),
        line(8, 'ran "config-changed" hook (via hook dispatching script: dispatch)'),
        line(9, 'executing operation "run update-status hook" for post-gres/0'),
    ]
    assert [(run.name, run.failed, run.end - run.start) for run in events.runs(log)] == [
        ("config-changed", True, 1.0),
        ("cut off", True, 4.0),
        ("config-changed", False, 1.0),
    ]


def test_a_log_without_beginnings_gives_runs_without_length() -> None:
    log = [tool(1, "post-gres/0-start-1"), line(2, 'ran "start" hook (via hook dispatching script: dispatch)')]
    [run] = events.runs(log)
    assert (run.start, run.tools) == (run.end, 0)


def test_what_a_charm_says_is_not_taken_for_the_agents_words() -> None:
    assert events.runs([line(1, 'ran "start" hook (via x)', "unit.post-gres/0.juju-log")]) == []


def change(spawned: str, ready: str | None, **fields: str) -> dict[str, Any]:
    ended = {"ready-time": ready} if ready else {}
    return {"kind": "refresh-snap", "summary": "Refresh", "status": "Done", "spawn-time": spawned, **ended, **fields}


def test_changes_of_snapd() -> None:
    told = [
        change("2026-01-01T01:00:10.123456789+01:00", "2026-01-01T00:00:13.5Z"),
        change("2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", status="Error", kind="service-control"),
        change("2026-01-01T00:00:20Z", None, status="Doing"),
    ]
    first, second = events.changes("a/0", told)
    assert (first.kind, first.failed, first.end - first.start) == ("service-control", True, 1.0)
    assert (second.kind, second.failed) == ("refresh-snap", False)
    assert second.end - second.start == pytest.approx(3.376544, abs=1e-5)
