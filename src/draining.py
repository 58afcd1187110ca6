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
from workload import machine, patroni, sql

logger = logging.getLogger(__name__)

# Two of Patroni's loops, and its pause between two changes of the synchronous standbys.
PATIENCE_SECONDS = 12.0
POLL_SECONDS = 0.25


def drain(workload: machine.Workload, known: facts.Facts) -> facts.Facts:
    """Wait until the primary no longer waits for this standby, for a bounded time; the facts as they are then.

    It takes seconds, in which a failover may have made this unit the primary. Only a hint: it never raises.
    """
    _renounce(workload, known)
    view = workload.patroni(known.machine.address).cluster() if known.machine.address else None
    return dataclasses.replace(known, cluster=view or known.cluster)


def _renounce(workload: machine.Workload, known: facts.Facts) -> None:
    primary = known.cluster.primary if known.cluster else None
    if known.member is None or not known.member.is_synchronous or primary is None or known.passwords is None:
        return
    database = workload.sql(primary.address, known.passwords.operator)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        workload.renounce_synchronous()
        workload.patroni(known.member.address, known.passwords.patroni).reload()
        while known.member_name in database.synchronous_standbys():
            if time.monotonic() > deadline:
                logger.warning("The primary still waits for %s", known.member_name)
                return
            time.sleep(POLL_SECONDS)
    except (patroni.PatroniError, sql.SqlError, OSError) as error:
        logger.warning("The primary cannot be told that %s stops: %s", known.member_name, error)
