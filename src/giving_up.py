"""How a unit gives up a majority that is lost, so that a new one can be formed (forced_majority.py)."""

import logging

import facts
import forced_majority
from workload import machine, raft

logger = logging.getLogger(__name__)


def give_up(
    workload: machine.Workload, known: facts.Facts, generation: int, *, accepts_loss: bool = False
) -> forced_majority.Consent:
    """Stop PostgreSQL and delete Raft's state; what is to be told to the others afterwards. Can be repeated.

    The service stays disabled until the new majority is formed: a machine that reboots meanwhile would else begin with
    an empty Raft cluster and the old partners.

    Raises SnapOperationError where Patroni cannot be stopped, WriteAheadLogError where it cannot be told what this unit
    has. Nothing is deleted then.
    """
    configured = workload.configured()
    known_members = known.raft.members if known.raft is not None else frozenset[str]()
    addresses = {configured.address, *configured.partners} - {None}
    members = known_members | {raft.node_address(address) for address in addresses if address}
    own = configured.address
    logger.info("Giving up the lost majority of %s", ", ".join(sorted(members)) or "nobody")
    if workload.snap.state().revision is not None:
        workload.snap.stop(disable=True)
    position = workload.last_record()
    workload.forget_membership()
    return forced_majority.Consent(
        generation,
        node=raft.node_address(own) if own else None,
        members=members,
        position=position,
        accepts_loss=accepts_loss,
    )
