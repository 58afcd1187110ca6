"""Whether a unit may be stopped for its refresh now.

charm-refresh takes a refreshed unit's word that the next one may go on, and keeps it: it does not notice who has died
since. So the charm looks again before it asks the store and drains this unit, and once more right before it stops. It
asks each Raft node itself, too: Patroni shows a member that has died for up to half a minute.

Invariants, unless the operator goes on regardless (`override`):
- Nobody is stopped while the cluster is not healthy or another unit does not answer. Exempt is a unit whose own
  PostgreSQL does not run, as its refresh may be the cure, and a rollback, which mends what the refresh has broken.
- Nobody is stopped whose snap is disabled: snapd would not refresh it.
- Nobody is stopped while Patroni is paused, in a rollback neither: it would not start PostgreSQL again.
- Nobody is stopped who does not know of a unit with a higher number, which comes first.
- No backup that is taken from a unit is cut off; a rollback does not wait for it.
- Nobody is stopped whose vote Raft's majority needs: writes would stop, and in a rollback that is worse than to wait.
  Exempt is the first unit of a rollback after two minutes, since a way back is always open, but who does not answer may
  be about to come back from its own refresh; and of two members, each is needed anyway.
"""

import activities
import facts
import problems
from workload import machine, raft

# What a unit's status has room for, beside what it says before and after it.
STATUS_LENGTH = 81

# Patroni's words for a PostgreSQL that runs. After a failover a standby that is well is "running" for a while: it has
# nobody to stream from, and may be the one to take over.
UP = ("running", "streaming", "in archive recovery")


PATIENCE_SECONDS = 120.0
"""How long the first unit of a rollback waits for others whose votes are needed."""


class HeldError(Exception):
    """The unit was not stopped; the text says why."""


def override(unit: str) -> str:
    """The command that refreshes the unit whatever state the others are in."""
    return f"`juju run {unit} resume-refresh check-health-of-refreshed-units=false`"


def shortened(text: str) -> str:
    """A reason as a unit's status can show it."""
    return text if len(text) <= STATUS_LENGTH else f"{text[: STATUS_LENGTH - 1]}…"


def reason(
    workload: machine.Workload,
    known: facts.Facts,
    number: int,
    *,
    rollback_seconds: float | None,
    drained: bool = False,
) -> str | None:
    """Why that unit must not be stopped now; None if it may. What the facts do not tell is asked for, read-only.

    rollback_seconds: how long ago the charm came to which it goes back; None where it does not go back.
    drained: whether nobody waits for the unit any more, so that there may be no synchronous standby now.
    """
    if number == known.number and (disabled := problems.snap_disabled(known)):
        return disabled
    if known.cluster is not None and known.cluster.paused:
        return problems.PAUSED
    if number == known.number and not known.machine.patroni_running:
        return None
    if rollback_seconds is not None and number == max(known.numbers) and not _is_early(rollback_seconds):
        return None
    strict = rollback_seconds is None and not _is_down(known, number)
    against = None
    if strict:
        ill = problems.unhealthy(known, drained=drained)
        against = ill or _unmet(known) or _backup(workload, known, number)
    return against or _votes(workload, known, number, strict=strict)


def _is_early(rollback_seconds: float) -> bool:
    """Whether a unit that does not answer may be in the midst of its own refresh. The clock may have been put back."""
    return abs(rollback_seconds) < PATIENCE_SECONDS


def _unmet(known: facts.Facts) -> str | None:
    """A member whose unit this one has not met, as after a hook that failed: it may be its turn before this one's."""
    members = {known.number_of(member) for member in known.cluster.members} if known.cluster else set()
    unmet = sorted(number for number in members if number is not None and number > max(known.numbers))
    return f"Unit {unmet[0]} is a member, but not yet met here; wait some seconds" if unmet else None


def _backup(workload: machine.Workload, known: facts.Facts, number: int) -> str | None:
    """A backup that the stop would cut off."""
    name = facts.member_name(known.application, number)
    member = known.cluster.member(name) if known.cluster else None
    running = activities.has_backup(workload, known, member)
    return f"A backup of {name} is running; wait for its end" if running else None


def _is_down(known: facts.Facts, number: int) -> bool:
    """Whether Patroni tells that the unit's PostgreSQL does not run."""
    member = known.cluster.member(facts.member_name(known.application, number)) if known.cluster else None
    return member is not None and member.state not in UP


def _votes(workload: machine.Workload, known: facts.Facts, number: int, *, strict: bool) -> str | None:
    """What Raft's nodes say against it. strict: whether each unit's has to answer."""
    addresses = {known.number: known.machine.address, **{peer.number: peer.address for peer in known.peers}}
    units = {raft.node_address(address): each for each, address in addresses.items() if address}
    address = addresses.get(number)
    if known.passwords is None or address is None:
        return None
    asked, own = workload.raft(known.passwords.raft), raft.node_address(address)
    view = asked.view(own)
    others = frozenset() if view is None else view.members - {own}
    answering = {node for node in others if asked.view(node) is not None}
    unheard = others - answering if view is not None else {own}
    silent = sorted(units[node] for node in unheard if node in units)
    if strict and silent:
        return f"No answer from {', '.join(facts.member_name(known.application, each) for each in silent)}"
    # Where there is no majority now, it has none to lose.
    if view is None or len(others) <= 1 or view.are_majority(answering) or not (strict or view.has_quorum):
        return None
    count = f"{len(answering)} of {len(view.members)}"
    return f"No majority without unit {number}: {count} members reachable; start the others"
