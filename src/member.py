"""What this unit's member of the cluster is configured with. Pure."""

import config
import facts
from workload import configuration, machine, raft


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

    Members that the cluster shows, and those that were configured before and still are units. As long as nobody shows
    any they stay as they are: a member that forgets its partners would found a cluster of its own at its next start. A
    unit that is to join takes all peers. Who founds, or has founded and is still alone, has none: it would need votes
    of partners that are no members yet.
    """
    own = known.machine.address
    if known.agreement.founder == known.number or _moves_alone(known):
        return frozenset()
    is_member = known.machine.has_raft_state and configured.address is not None
    if is_member and (known.cluster is None or known.cluster.primary is None):
        return configured.partners - {own}
    members = {member.address for member in known.cluster.members if member.address} if known.cluster else set()
    found = (members & known.peer_addresses) | (configured.partners & known.peer_addresses)
    if not found and known.cluster_id is not None and not is_member:
        found = set(known.peer_addresses)
    return frozenset(found - {own})


def _moves_alone(known: facts.Facts) -> bool:
    """Whether the only member of the Raft cluster follows its new address: it founds it anew."""
    old = known.machine.configured_address
    return known.has_moved and known.raft is not None and known.raft.members == {raft.node_address(old or "")}
