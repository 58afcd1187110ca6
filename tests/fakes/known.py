"""Facts of units for tests of the pure parts: a healthy unit of a settled cluster, to be changed."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing

import config
import facts
from workload import cluster, configuration, datadir, raft, snap

APPLICATION = "postgresql-machine"
IDENTIFIER = "7300000000000000001"
PINNED = "416"
PASSWORDS = configuration.Passwords("operator-pw", "replication-pw", "rewind-pw", "patroni-pw", "raft-pw")
DATA = datadir.DataDirectory(datadir.Content.CLUSTER, IDENTIFIER, "16")


def address(number: int) -> str:
    """The address of a unit."""
    return f"10.0.0.{10 + number}"


def node(number: int) -> str:
    """The Raft node of a unit."""
    return raft.node_address(address(number))


def name(number: int) -> str:
    """The member of a unit."""
    return facts.member_name(APPLICATION, number)


def member(number: int, role: cluster.Role = cluster.Role.SYNCHRONOUS_STANDBY) -> cluster.Member:
    """A member that runs as it should."""
    primary = role is cluster.Role.PRIMARY
    return cluster.Member(
        name(number),
        role,
        "running" if primary else "streaming",
        address(number),
        timeline=1,
        lag=None if primary else 0,
    )


def view(
    count: int = 3,
    primary: int | None = 0,
    synchronous: collections.abc.Container[int] | None = None,
    changes: collections.abc.Mapping[int, collections.abc.Mapping[str, typing.Any]] | None = None,
    **of_view: typing.Any,
) -> cluster.ClusterView:
    """A cluster that runs as it should. changes: attributes of members, by number."""
    members = []
    for number in range(count):
        role = cluster.Role.STANDBY
        if number == primary:
            role = cluster.Role.PRIMARY
        elif synchronous is None or number in synchronous:
            role = cluster.Role.SYNCHRONOUS_STANDBY
        members.append(dataclasses.replace(member(number, role), **(changes or {}).get(number, {})))
    return cluster.ClusterView(tuple(members), **of_view)


def raft_view(count: int = 3, own: int = 0, connected: collections.abc.Collection[int] | None = None) -> raft.RaftView:
    """A Raft cluster of that many members, as `own` sees it."""
    others = set(range(count)) - {own}
    seen = others if connected is None else set(connected)
    return raft.RaftView(
        node(own),
        node(0),
        (len(seen) + 1) * 2 > count,
        frozenset(node(each) for each in seen),
        frozenset(node(each) for each in range(count)),
    )


def peer(number: int, **changes: typing.Any) -> facts.Peer:
    """Another unit that is installed."""
    return dataclasses.replace(facts.Peer(number, address(number)), **changes)


DISABLED = snap.SnapState(PINNED, held=True, enabled=False)


def settled(number: int = 0, count: int = 3, primary: int | None = 0, **changes: typing.Any) -> facts.Facts:
    """A unit of a cluster in which all is well. changes: of Facts, or with `machine_` before it, of its Machine."""
    of_machine = {key.removeprefix("machine_"): changes.pop(key) for key in list(changes) if key.startswith("machine_")}
    machine = facts.Machine(
        address=address(number),
        snap=snap.SnapState(PINNED, held=True),
        data=DATA,
        patroni_running=True,
        has_raft_state=True,
        configured_address=address(number),
        memory_bytes=8 * 1024**3,
    )
    parsed = changes.get("config", config.Config())
    made = facts.Facts(
        application=APPLICATION,
        number=number,
        leader=number == 0,
        ready=True,
        peers=tuple(peer(each) for each in range(count) if each != number),
        planned=frozenset(range(count)),
        published_address=address(number),
        cluster_id=IDENTIFIER,
        bootstrap_unit=0,
        passwords=PASSWORDS,
        config=parsed,
        machine=dataclasses.replace(machine, **of_machine),
        refresh=facts.RefreshFacts(pinned_revision=PINNED),
        cluster=view(count, primary),
        raft=raft_view(count, number),
        dynamic_configuration=configuration.dynamic(parsed.synchronous_standbys(count)) if parsed else None,
    )
    return dataclasses.replace(made, **changes)


def new(number: int = 0, count: int = 3, **changes: typing.Any) -> facts.Facts:
    """A unit that has not been installed yet; all units have met."""
    fresh: dict[str, typing.Any] = {
        "machine_snap": facts.NOT_INSTALLED,
        "machine_data": facts.NO_DATA,
        "machine_patroni_running": False,
        "machine_has_raft_state": False,
        "machine_configured_address": None,
        "published_address": None,
        "cluster_id": None,
        "cluster": None,
        "raft": None,
        "dynamic_configuration": None,
        "peers": tuple(facts.Peer(each) for each in range(count) if each != number),
    }
    return settled(number, count, **(fresh | changes))
