"""What this unit's member of the cluster is configured with. Pure."""

import config
import facts
from workload import configuration, machine


def settings(
    known: facts.Facts, configured: machine.Configured, *, keep_parameters: bool
) -> configuration.MemberSettings | None:
    """What Patroni's configuration is made from; None while not all of it is known.

    configured: what it is made from now. keep_parameters: PostgreSQL's stay as they are configured, if they are.
    """
    if known.passwords is None or known.config is None or known.machine.address is None:
        return None
    parameters = configuration.parameters(known.config.profile is config.Profile.TESTING, known.machine.memory_bytes)
    if keep_parameters:
        parameters = configured.parameters or parameters
    return configuration.MemberSettings(
        scope=known.application,
        name=known.member_name,
        address=known.machine.address,
        admitted_addresses=known.admitted_addresses,
        partners=partners(known, configured),
        passwords=known.passwords,
        parameters=parameters,
        synchronous_node_count=known.config.synchronous_standbys(len(known.numbers)),
    )


def partners(known: facts.Facts, configured: machine.Configured) -> frozenset[str]:
    """Addresses of the members that Patroni's configuration must name as Raft partners.

    Members that the cluster shows, and those that were configured before and still are units; a unit that is to join
    without knowing any member takes all peers: with none at all it would found a cluster of its own. Only who founds,
    or has founded and is still alone, has none: it would need a majority of partners that are no members yet.
    """
    if known.agreement.founder == known.number:
        return frozenset()
    own = known.machine.address
    members = {member.address for member in known.cluster.members if member.address} if known.cluster else set()
    found = (members & known.peer_addresses) | (configured.partners & known.peer_addresses)
    alone = known.machine.has_raft_state and configured.address is not None and not configured.partners
    if not found and known.cluster_id is not None and known.member is None and not alone:
        found = set(known.peer_addresses)
    return frozenset(found - {own})
