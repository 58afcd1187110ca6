"""The action force-majority: begins the forming of a new majority, or goes on with it (forced_majority.py).

Result, a format: {generation, awaited, lost, next}: the count of forced majorities; the units that have still to give
up the old one, and the members that are no unit any more, with commas; what happens next, in words.
"""

import dataclasses
import time

import ops

import facts
import forced_majority
import giving_up
import membership
import peers as peer_relation
import problems
from workload import machine, raft, snap, write_ahead_log

LOOKS = 3
"""How often it is looked for a majority before there is believed to be none."""
LOOK_SECONDS = 2.0


def force_majority(
    event: ops.ActionEvent, known: facts.Facts, workload: machine.Workload, peers: peer_relation.Peers
) -> bool:
    """Let this unit give up the old majority, and so all others that are left; refuses while there is one.

    Whether anything was done, which has to be committed.
    """
    agreement, consent = known.agreement, known.consent
    generation = agreement.generation if agreement.under_way else agreement.generation + 1
    if consent is None or consent.generation < generation:
        reason = _stands_against(known, workload)
        if reason is not None:
            event.fail(f"No new majority: {reason}")
            return False
        try:
            consent = giving_up.give_up(workload, known, generation)
        except (snap.SnapOperationError, write_ahead_log.WriteAheadLogError, OSError) as error:
            event.fail(f"No new majority: {error}; nothing was deleted")
            return False
    known = dataclasses.replace(known, consent=consent)
    if event.params.get("accept-data-loss"):
        consent = dataclasses.replace(consent, accepted=consent.accepted | _lost(known, consent))
        known = dataclasses.replace(known, consent=consent)
    peers.publish(forced_majority.KEY, consent.dump())
    event.set_results(_told(known))
    return True


def _stands_against(known: facts.Facts, workload: machine.Workload) -> str | None:
    """Why no new majority may be formed."""
    if known.refused is not None or known.leaving or not known.ready:
        return "this unit cannot act now; see its status"
    if known.passwords is None or known.machine.address is None or known.cluster_id is None:
        return "the cluster has not been founded yet"
    if problems.prevent_move(known) is not None:
        # Raft may still be connected under the old address, and nobody could let this unit in under the new one.
        return None
    nodes = workload.raft(known.passwords.raft)
    own = known.machine.address
    answers = not known.machine.patroni_running or known.has_moved
    for look in range(LOOKS):
        if look:
            time.sleep(LOOK_SECONDS)
        for address in (own, *sorted(known.peer_addresses - {own})):
            view = nodes.view(raft.node_address(address))
            if view is not None and view.has_quorum:
                return _there_is_one(known, address)
            answers = answers or (view is not None and address == own)
    return None if answers else "Raft on this unit does not answer, so nobody knows its members; try again"


def _there_is_one(known: facts.Facts, address: str) -> str:
    if address == known.machine.address:
        return "there is one; see the action get-cluster-status"
    unit = next(facts.unit_name(known.application, peer.number) for peer in known.peers if peer.address == address)
    return f"{unit} has one; if this unit has no part in it, mend the network between them"


def _lost(known: facts.Facts, consent: forced_majority.Consent) -> frozenset[str]:
    """The members that are lost as far as it can be told now: those that no unit claims which is to stay.

    A unit that was removed a moment ago, with its machine lost, may still be in sight.
    """
    if not known.agreement.awaited:
        return known.agreement.lost
    if consent.members is None:
        return frozenset({forced_majority.UNKNOWN})
    staying = tuple(peer for peer in known.peers if known.planned is None or peer.number in known.planned)
    told = frozenset(node for peer in staying if peer.consent is not None for node in peer.consent.nodes)
    return consent.members - membership.claimed(dataclasses.replace(known, peers=staying)) - told - consent.nodes


def _told(known: facts.Facts) -> dict[str, str]:
    agreement = known.agreement
    awaited = ", ".join(facts.unit_name(known.application, number) for number in sorted(agreement.awaited))
    lost = ", ".join(sorted(agreement.lost))
    following = "The unit with the latest transaction forms a new majority, the others join; see `juju status`"
    if agreement.needs_acceptance:
        following = "What only the lost members have is lost: run the action again with accept-data-loss=true"
    if awaited:
        following = "Each awaited unit gives up the old majority; remove lost ones with `juju remove-unit --force`"
    return {"generation": str(agreement.generation), "awaited": awaited, "lost": lost, "next": following}
