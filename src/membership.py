"""Which change of the Raft cluster's membership is due. Pure.

Invariants: at most one change at a time; only a node that is cut off and that no unit claims is removed; nothing is
changed without a quorum. Source: Raft's rule of one membership change at a time, which pysyncobj 0.3.17 does not keep
by itself.
"""

import dataclasses

import facts
from workload import raft


@dataclasses.dataclass(frozen=True)
class Add:
    """Make this node a member."""

    node: str


@dataclasses.dataclass(frozen=True)
class Remove:
    """Take this node out: no unit has its address any more, and it does not answer."""

    node: str


Change = Add | Remove


def due(known: facts.Facts) -> Change | None:
    """The next change that this unit should bring about; None if there is none, or if it is not this unit's to do."""
    view = known.raft
    if view is None or not view.has_quorum or known.machine.address is None:
        return None
    own = raft.node_address(known.machine.address)
    runs = known.machine.patroni_running and known.machine.has_raft_state and not known.has_moved
    if runs and own not in view.members:
        # Patroni asks to be added once, when it starts; here it was refused or not heard.
        return Add(own)
    if not known.leader or not _sees_everyone(known):
        return None
    # A unit that has moved still runs under its old address, and leaves it by itself.
    old = raft.node_address(known.machine.configured_address or "")
    dead = sorted(view.members - claimed(known) - view.connected - {view.node, old})
    return Remove(dead[0]) if dead else None


def is_exact(known: facts.Facts) -> bool:
    """Whether the members are the units, as far as it is this unit's to look after.

    Where they are not, a change may become due without any event: a dead node may seem connected for a while.
    """
    return not known.leader or known.raft is None or known.raft.members == claimed(known)


def claimed(known: facts.Facts) -> frozenset[str]:
    """The nodes of all units that this one sees."""
    return frozenset(raft.node_address(each) for each in (known.machine.address, *known.peer_addresses) if each)


def _sees_everyone(known: facts.Facts) -> bool:
    """Whether each wanted unit is in sight with its address.

    Else a member that this unit has not met yet would look dead.
    """
    return (
        known.planned is not None
        and known.planned <= known.numbers
        and all(peer.address is not None for peer in known.peers)
    )
