"""What the statuses say of the snaps below the workload. Pure."""

import datetime

import facts
from snap_refresh import decision, model


def under_way(known: facts.Facts) -> str | None:
    """What this unit's snaps are doing now."""
    decided = decision.decide(known)
    if decided is None or decided.verdict not in (decision.Verdict.PROCEED, decision.Verdict.HAND_OVER):
        return None
    names = ", ".join(decided.updates)
    if decided.verdict is decision.Verdict.HAND_OVER:
        return f"Handing the primary over before snaps refresh: {names}"
    return f"Refreshing snaps: {names}"


def notes(known: facts.Facts) -> list[str]:
    """What a unit that is otherwise well has to say of its snaps."""
    decided, seen = decision.decide(known), known.snap_refresh
    if decided is None or seen is None:
        return []
    restored = [name for name, at in seen.remembered.restored.items() if seen.now - at < decision.REPORT_RESTORED]
    said = [f"holds were removed, put back: {', '.join(sorted(restored))}"] if restored else []
    if decided.updates:
        said.append(_waiting(decided, seen.now))
    return said


def _waiting(decided: decision.Decision, now: datetime.datetime) -> str:
    names = ", ".join(decided.updates)
    if decided.limit is None or decided.verdict is decision.Verdict.RELEASED:
        return f"{names} refresh when snapd likes: {decided.reason}"
    if decided.limit - now <= decision.WARNING:
        limit = decided.limit.astimezone(datetime.UTC)
        return f"{names} refresh at {limit:%d %b %H:%M} UTC at the latest; held now: {decided.reason}"
    return f"updates of {names} held: {decided.reason}"


def application_note(known: facts.Facts) -> str | None:
    """Whether a refresh of the charm is wanted, for the sake of the workload's own snap."""
    update = decision.superseded(known)
    if update is not None:
        return f"{model.WORKLOAD} {update.version} (revision {update.revision}) is out: charm refresh wanted"
    if decision.held_for_too_long(known):
        return f"{model.WORKLOAD} held for 90 days: charm refresh wanted (`juju refresh {known.application}`)"
    return None
