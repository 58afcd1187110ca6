"""Takes a standby out of the synchronous ones before it stops, so that no commit waits for it.

Patroni does so itself when it is stopped. But where systemd signals all processes of a service at once (its KillMode
"control-group"), PostgreSQL is gone before the primary has noticed, and every commit waits for up to two of Patroni's
loops. The tag `nosync` (Patroni documentation, "Tags") tells the primary beforehand. It is gone when Patroni's
configuration is written the next time, before PostgreSQL is started again.
"""

import dataclasses
import logging
import time

import facts
import wakeup
from workload import cluster, machine, patroni, sql

logger = logging.getLogger(__name__)

# Two of Patroni's loops, and its pause between two changes of the synchronous standbys.
PATIENCE_SECONDS = 12.0
POLL_SECONDS = 0.25
UNDISTURBED_LOOKS = 3
"""How often one that was no synchronous standby is seen to be none.

A loop of Patroni that began before the primary knew of the tag may still make it one, as just after it has come back.
"""


def drain(workload: machine.Workload, known: facts.Facts) -> facts.Facts:
    """Wait until the primary no longer waits for this standby, for a bounded time; the facts as they are then.

    It takes seconds, in which a failover may have made this unit the primary. Only a hint: it never raises.
    """
    _renounce(workload, known)
    view = workload.patroni(known.machine.address).cluster() if known.machine.address else None
    return dataclasses.replace(known, cluster=view or known.cluster)


def _renounce(workload: machine.Workload, known: facts.Facts) -> None:
    primary = known.cluster.primary if known.cluster else None
    if known.member is None or known.member.is_primary or primary is None or known.passwords is None:
        return
    if not known.is_synchronous:
        return
    database = workload.sql(primary.address, known.passwords.operator)
    try:
        workload.renounce_synchronous()
        workload.patroni(known.member.address, known.passwords.patroni).reload()
        if not _await_out(workload, database, known.member, primary, known.passwords.patroni):
            logger.warning("The primary still waits for %s", known.member_name)
    except (patroni.PatroniError, sql.SqlError, OSError) as error:
        logger.warning("The primary cannot be told that %s stops: %s", known.member_name, error)


def _await_out(
    workload: machine.Workload, database: sql.Sql, member: cluster.Member, primary: cluster.Member, password: str
) -> bool:
    """Wait until it is certain that the primary waits for this member no more; whether it is.

    Raises PatroniError or SqlError where the primary does not answer.
    """
    wanted = 1 if member.is_synchronous else UNDISTURBED_LOOKS
    deadline, looks = time.monotonic() + PATIENCE_SECONDS, 0
    while looks < wanted and time.monotonic() <= deadline:
        looks = looks + 1 if _is_out(workload.patroni(primary.address), database, member.name) else 0
        if looks == 0:
            wakeup.wake(workload, (member, primary), password)
        if looks < wanted:
            time.sleep(POLL_SECONDS)
    return looks == wanted


def _is_out(primary: patroni.Client, database: sql.Sql, name: str) -> bool:
    """Whether the primary knows that this member renounces, and waits for it no more; raises as `_await_out` does."""
    view = primary.cluster()
    if view is None:
        raise patroni.PatroniError("the primary's Patroni does not answer")
    member = view.member(name)
    return member is not None and member.renounces_synchronous and name not in database.synchronous_standbys()
