"""What the operator does next in a refresh, in one line that names the command. Pure."""

import facts
import handover
import refresh_facts
import refresh_gate
import refresh_standing
from refresh_standing import Seen, State
from workload import cluster

PAUSES = ("all", "first", "none")
"""What the option pause-after-unit-refresh may be."""


def step(known: facts.Facts, seen: Seen) -> str:
    """What is to do now."""
    found = refresh_standing.state(known, seen)
    if seen.failed and found is not State.IDLE:
        return _failing(known, seen, max(seen.failed))
    match found:
        case State.REFUSED:
            return str(known.refused)
        case State.UNKNOWN:
            return _unknown(known)
        case State.DETERMINING:
            return _determining(known, seen)
        case State.IDLE:
            return _begin(known, seen)
        case State.INCOMPATIBLE:
            return _incompatible(known, seen)
        case _:
            return _under_way(known, seen, found)


def _back(known: facts.Facts, seen: Seen) -> str:
    """The way back; empty where there is none."""
    if seen.original is None or seen.is_rollback:
        return ""
    return f"to go back, `{refresh_facts.refresh_command(seen.original.url, known.application)}`"


def _or_back(known: facts.Facts, seen: Seen) -> str:
    """The way back, as the end of a text."""
    back = _back(known, seen)
    return f"; {back}" if back else ""


def _failing(known: facts.Facts, seen: Seen, number: int) -> str:
    unit = facts.unit_name(known.application, number)
    mend = f"see `juju debug-log --include {unit}`; when it is mended, `juju resolved {unit}`"
    lost = f". {_removal(unit)}" if _is_away(known, seen, number) else ""
    back = _back(known, seen)
    if back:
        # Without it Juju gives a unit no other charm while its hook fails.
        back = f"; {back.removesuffix('`')} --force-units`"
    elif number in seen.unaware:
        back = f"; to go back without what fails, `juju resolved --no-retry {unit}`, again if another hook fails"
    return f"The hook of {unit} fails: {mend}{lost}{back}"


def _unknown(known: facts.Facts) -> str:
    if known.leaving:
        return "This unit leaves; run get-refresh-status on another one"
    if known.machine.snap_error is not None:
        return (
            f"{known.machine.snap_error}; see `systemctl status snapd` on the machine of {known.unit_name}, or run"
            " get-refresh-status on another unit"
        )
    return "Wait until every unit has told what it runs; see `juju status`"


def _determining(known: facts.Facts, seen: Seen) -> str:
    if not seen.unaware:
        return "Wait until every unit has told what it runs; see `juju status`"
    number = max(seen.unaware)
    unit = facts.unit_name(known.application, number)
    told = f"Wait until {unit} has told what it runs; see `juju status`"
    return f"{told}. {_removal(unit)}" if _is_away(known, seen, number) else told


def _begin(known: facts.Facts, seen: Seen) -> str:
    if seen.blockers:
        return f"Not ready for a refresh: {seen.blockers[0].text}"
    return f"Ready: `juju run {known.application}/leader pre-refresh-check`, then `juju refresh {known.application}`"


def _incompatible(known: facts.Facts, seen: Seen) -> str:
    unit = facts.unit_name(known.application, seen.order[0])
    return (
        f"The new versions must not follow the old ones{_or_back(known, seen)}; to go on at your own risk,"
        f" `juju run {unit} force-refresh-start check-compatibility=false`"
    )


def _under_way(known: facts.Facts, seen: Seen, found: State) -> str:
    following = seen.following
    if following is None:
        return "Wait"
    if _is_away(known, seen, following):
        return _find(known, seen, following, found)
    untold = [number for number in seen.order if number >= following and number in seen.unaware]
    if untold:
        return _tell(known, seen, untold[0])
    if found is State.CHECKS_FAILED:
        unit = facts.unit_name(known.application, seen.order[0])
        return f"{seen.blockers[0].text}. Then {unit} goes on by itself{_or_back(known, seen)}"
    return _resume(known, seen, following) if found is State.PAUSED else _go_on(known, seen, following)


def _is_away(known: facts.Facts, seen: Seen, number: int) -> bool:
    """Whether that unit has been installed and is no member any more. Nothing else is known of another machine."""
    told = seen.units.get(number)
    if number == known.number or known.cluster is None or told is None or told.snap_revision is None:
        return False
    return refresh_standing.member(known, number) is None


def _find(known: facts.Facts, seen: Seen, following: int, found: State) -> str:
    """The unit whose turn it is does not answer: nobody else may take its turn."""
    unit = facts.unit_name(known.application, following)
    goes_on = f"then `juju run {unit} resume-refresh`" if found is State.PAUSED else "and it goes on by itself"
    told = f"Unit {following} is no member of the cluster. If it stays so, start its machine, {goes_on}"
    others = [number for number in seen.order if number < following and not seen.is_refreshed(number)]
    if others and seen.is_rollback:
        told += f"; to go on without it, {refresh_gate.override(facts.unit_name(known.application, others[0]))}"
    return f"{told}. {_removal(unit)}{_or_back(known, seen)}"


def _removal(unit: str) -> str:
    return f"If it is lost for good, `juju remove-unit {unit} --force`"


def _tell(known: facts.Facts, seen: Seen, number: int) -> str:
    """Juju has given a unit its new charm, or is about to, and the unit has not heard of it."""
    unit = facts.unit_name(known.application, number)
    command = f"juju config {known.application} pause-after-unit-refresh"
    # Any change tells it. A wrong value never lets a unit go on that should wait.
    change = f"`{command}=invalid` and, when {unit} says that it is not allowed, `{command}={seen.pause}`"
    if seen.pause not in PAUSES:
        change = f"`{command}=all`"
    return f"Wait until Juju has told {unit} of its charm. If it stays so, {change}{_or_back(known, seen)}"


def _resume(known: facts.Facts, seen: Seen, following: int) -> str:
    resume = f"`juju run {facts.unit_name(known.application, following)} resume-refresh`"
    if seen.held is not None:
        return "; ".join([f"{seen.held}. When it is mended, {resume}", *_ways(known, seen, following)])
    before = seen.order[: seen.order.index(following)]
    check = f"Check units >={min(before)}" if before else "Check the units"
    return f"{check}, then {resume}{_or_back(known, seen)}"


def _go_on(known: facts.Facts, seen: Seen, following: int) -> str:
    ways = _ways(known, seen, following)
    for number in refresh_standing.unready(known, seen, following):
        reason = refresh_standing.waits_for(known, seen, number)
        if reason is not None:
            return "; ".join([f"Unit {number} waits: {reason}. When it is mended, unit {following} follows", *ways])
        health = refresh_standing.health(known, seen, number)
        lasting = f". If it stays so: {'; '.join(ways)}" if ways else ""
        return f"Wait: unit {number} is {health}; unit {following} follows{lasting}"
    if seen.held is not None:
        unit = facts.unit_name(known.application, following)
        return "; ".join([f"{seen.held}. When it is mended, {unit} goes on by itself", *ways])
    return f"Wait: unit {following} is about to refresh"


def _ways(known: facts.Facts, seen: Seen, following: int) -> list[str]:
    """What the operator may do instead of waiting: go on all the same, go back."""
    return [way for way in (anyway(known, following), _back(known, seen)) if way]


def anyway(known: facts.Facts, number: int) -> str:
    """The command that refreshes that unit whatever state the others are in; empty where it would not help."""
    if not _may_be_stopped(known, number):
        return ""
    return f"to go on anyway, {refresh_gate.override(facts.unit_name(known.application, number))}"


def _may_be_stopped(known: facts.Facts, following: int) -> bool:
    """Whether that unit could refresh now if the operator insisted."""
    view = known.cluster
    if view is None:
        return True
    if view.paused:
        # It would stop, and not start again.
        return False
    if view.primary is None or view.primary != refresh_standing.member(known, following) or len(view.members) == 1:
        return True
    # It has to hand over first.
    return isinstance(handover.choose(view, synchronous=known.is_synchronous), cluster.Member)
