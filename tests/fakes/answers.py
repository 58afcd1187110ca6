"""What Patroni and pysyncobj would answer."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from tests.fakes.cluster import Process, RaftCluster
    from tests.fakes.world import World

Json = dict[str, typing.Any]


def public(world: World, endpoint: str, path: str) -> Json | None:
    """GET of what Patroni tells everybody; None where nothing answers at that address, or not yet."""
    machine = world.at(endpoint.removeprefix("http://").rpartition(":")[0])
    process = machine.patroni if machine else None
    if process is None or process.raft is None or process.raft.configuration is None:
        return None
    return condition(process) if path == "/patroni" else cluster(process.raft)


def cluster(shared: RaftCluster) -> Json:
    """GET /cluster."""
    if shared.told is not None and not shared.has_quorum():
        # Raft's last word, for ever.
        return shared.told
    shown = [(each, each.state) for each in shared.alive() if not shared.is_late(each)]
    shown += [(process, "stopped") for process, _ in shared.stopped.values() if shared.member(process.name) is None]
    members = [_member(shared, process, state) for process, state in shown]
    members += [each | _role(shared, each["name"]) for each in shared.ghosts()]
    answer: Json = {"members": members, "scope": shared.scope}
    if shared.paused:
        answer["pause"] = True
    shared.told = answer
    return answer


def condition(process: Process) -> Json:
    """GET /patroni."""
    if process.is_leader:
        return {"state": process.state, "role": "primary"}
    # A primary that has lost the majority steps down, and goes on as a standby of nobody.
    state = "running" if process.state == "streaming" else process.state
    streams = process.streams and process.raft is not None and process.raft.primary is not None
    return {"state": state, "role": "replica", **({"replication_state": "streaming"} if streams else {})}


def _member(shared: RaftCluster, process: Process, state: str) -> Json:
    leader = process.is_leader and process.name not in shared.stopped
    answer: Json = {
        "name": process.name,
        **_role(shared, process.name),
        "state": state,
        "host": process.host,
        "port": 5432,
        "api_url": f"http://{process.host}:8008/patroni",
    }
    if process.data is not None and state in ("running", "streaming"):
        answer["timeline"] = process.data.timeline
    if not leader:
        answer["lag"] = "unknown" if process.lag is None or process.data is None else process.lag
    if process.replay_lag is not None and not leader:
        answer["replay_lag"] = process.replay_lag
    if process.pending_restart:
        answer["pending_restart"] = True
    if process.renounces_synchronous:
        answer["tags"] = {"nosync": True}
    return answer


def _role(shared: RaftCluster, name: str) -> Json:
    """By the leader key, which a primary that has died keeps until it expires."""
    leads = name == shared.leader and name not in shared.stopped
    return {"role": "leader" if leads else "sync_standby" if name in shared.synchronous else "replica"}


def status(shared: RaftCluster, at: str) -> Json:
    """Of pysyncobj, as the node `at` tells it."""
    partners, members = connected(shared, at), shared.members | {at}
    has_quorum = (len(partners) + 1) * 2 > len(members)
    return {
        "version": "0.3.17",
        "self": at,
        "leader": shared.raft_leader if has_quorum else None,
        "has_quorum": has_quorum,
        "state": 2 if at == shared.raft_leader else 0,
        "partner_nodes_count": len(members) - 1,
        **{f"partner_node_status_server_{node}": 2 if node in partners else 0 for node in sorted(members - {at})},
    }


def connected(shared: RaftCluster, at: str) -> set[str]:
    """Of two nodes the one with the greater address connects: one that has moved goes on so under the old address."""
    moved = {each.node for each in shared.world.processes() if each.raft is shared and not each.reachable}
    return {node for node in shared.running() - {at} if min(node, at) not in moved}
