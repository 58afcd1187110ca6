"""How a unit gives up a majority that is lost, so that a new one can be formed (forced_majority.py)."""

import logging

import facts
import forced_majority
from workload import machine, raft

logger = logging.getLogger(__name__)


def give_up(workload: machine.Workload, known: facts.Facts, generation: int) -> forced_majority.Consent:
    """Stop PostgreSQL and delete Raft's state; what is to be told to the others afterwards. Can be repeated.

    The service stays disabled until the new majority is formed: a machine that reboots meanwhile would else begin with
    an empty Raft cluster and the old partners. A pause of Patroni ends: it would not start PostgreSQL again.

    Raises SnapOperationError where Patroni cannot be stopped, WriteAheadLogError where it cannot be told what this unit
    has. Nothing is deleted then.
    """
    configured, installed = workload.configured(), workload.snap.state().revision is not None
    members = _members(known, configured)
    logger.info("Giving up the lost majority of %s", ", ".join(sorted(members or ())) or "members that nobody knows")
    position = None
    if installed:
        workload.snap.stop(disable=True)
        position = workload.last_record()
        workload.forget_pause()
    addresses = {*known.former_addresses, configured.address} - {None}
    was_member = known.machine.has_raft_state or position is not None
    workload.forget_membership()
    return forced_majority.Consent(
        generation,
        nodes=frozenset(raft.node_address(each) for each in addresses) if was_member else frozenset(),
        members=members,
        position=position,
    )


def _members(known: facts.Facts, configured: machine.Configured) -> frozenset[str] | None:
    """The old cluster's members: as Raft tells, or those that Patroni was configured with while it had a primary."""
    if known.raft is not None:
        return known.raft.members
    if configured.address is None or not known.machine.has_raft_state:
        return None
    return frozenset(raft.node_address(address) for address in (configured.address, *configured.partners))
