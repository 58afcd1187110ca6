"""When secrets are rotated: the policies and what they mean for the next time."""

from __future__ import annotations

import datetime

POLICIES = ("never", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly")
"""Rotation policies; but for never, the longer after the shorter."""

_DAYS = {"daily": 1, "weekly": 7}
_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}

RETRY = datetime.timedelta(minutes=5)
"""How soon a charm hears again of a rotation that made no new revision, or of an expired revision that is still there.

Source: Juju's ``RotateRetryDelay`` and ``ExpireRetryDelay``.
"""


def next_time(policy: str, last: datetime.datetime) -> datetime.datetime | None:
    """When a secret that was last rotated at some time is to be rotated again; None for never.

    Months are calendar months.
    """
    if policy == "hourly":
        return last + datetime.timedelta(hours=1)
    if policy in _DAYS:
        return last + datetime.timedelta(days=_DAYS[policy])
    if policy in _MONTHS:
        return _add_months(last, _MONTHS[policy])
    return None


def _add_months(time: datetime.datetime, months: int) -> datetime.datetime:
    """The same day some months later; days that the month does not have run over into the next, as Go counts."""
    years, month = divmod(time.month - 1 + months, 12)
    first = time.replace(year=time.year + years, month=month + 1, day=1)
    return first + datetime.timedelta(days=time.day - 1)


def rescheduled(
    old_policy: str, planned: datetime.datetime | None, policy: str, now: datetime.datetime
) -> datetime.datetime | None:
    """When to rotate once the policy may have changed.

    A first or shorter policy counts from now, a longer one from the rotation that is already planned.
    """
    if policy == "never":
        return None
    if planned is None or POLICIES.index(policy) < POLICIES.index(old_policy):
        return next_time(policy, now)
    return planned
