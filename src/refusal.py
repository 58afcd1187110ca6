"""When a charm must not take over from the one before it, though charm-refresh would let it. Pure.

charm-refresh looks at versions only where the snap changes too. A refresh of charm code alone is over before it has
begun: nothing is checked, also where the new code is older than what has written the databags. Here such a charm does
nothing but keep PostgreSQL running, until the operator goes back or accepts it.

That it is refused is seen, not remembered: as long as no unit gives charm-refresh the event, the versions from before
the refresh stay in its databag.
"""

import collections.abc

import compatibility
import refresh_facts

ACCEPTED_KEY = "accepted-charm"


def reason(
    build: refresh_facts.Build,
    original: refresh_facts.Build | None,
    others: collections.abc.Mapping[int, refresh_facts.UnitState],
    *,
    number: int,
    accepted: collections.abc.Container[str],
) -> str | None:
    """Why this charm's code must not act, with the commands that mend it; None where it may.

    build: this charm's. original: what ran before. others: what the other units tell. number: this unit's. accepted:
    URLs of charms that the operator has accepted. Only asked for a unit whose snap is the one that this charm pins.
    """
    if original is None or original.charm == build.charm or original.snap_revision != build.snap_revision:
        return None
    if any(state.snap_revision not in (None, build.snap_revision) for state in others.values()):
        # A refresh is in progress, and charm-refresh will check.
        return None
    if build.url in accepted or compatibility.charm_may_follow(original.charm, build.charm):
        return None
    return (
        f"Charm {compatibility.short(build.charm)} cannot follow {compatibility.short(original.charm)}. Go back:"
        f" `{refresh_facts.refresh_command(original.url)}`, or force-refresh-start on unit {max({number, *others})}"
    )
