"""What Patroni and pysyncobj would answer."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from tests.fakes.cluster import Process, RaftCluster

Json = dict[str, typing.Any]


def cluster(shared: RaftCluster) -> Json:
    """GET /cluster."""
    shown = [(each, each.state) for each in shared.alive()]
    shown += [(process, "stopped") for process, _ in shared.stopped.values() if shared.member(process.name) is None]
    members = [_member(shared, process, state) for process, state in shown]
    answer: Json = {"members": members, "scope": shared.scope}
    if shared.paused:
        answer["pause"] = True
    return answer


def _member(shared: RaftCluster, process: Process, state: str) -> Json:
    leader = process.is_leader and process.name not in shared.stopped
    role = "leader" if leader else "sync_standby" if process.name in shared.synchronous else "replica"
    answer: Json = {
        "name": process.name,
        "role": role,
        "state": state,
        "host": process.host,
        "port": 5432,
        "api_url": f"http://{process.host}:8008/patroni",
    }
    if process.data is not None and state in ("running", "streaming"):
        answer["timeline"] = process.data.timeline
    if not leader:
        answer["lag"] = "unknown" if process.lag is None or process.data is None else process.lag
    if process.pending_restart:
        answer["pending_restart"] = True
    return answer


def status(shared: RaftCluster, at: str) -> Json:
    """Of pysyncobj, as the node `at` tells it."""
    alive = {each.node for each in shared.alive()}
    partners = {
        f"partner_node_status_server_{node}": 2 if node in alive else 0 for node in sorted(shared.members - {at})
    }
    return {
        "version": "0.3.17",
        "self": at,
        "leader": shared.raft_leader if shared.has_quorum() else None,
        "has_quorum": shared.has_quorum(),
        "state": 2 if at == shared.raft_leader else 0,
        "partner_nodes_count": len(partners),
        **partners,
    }
