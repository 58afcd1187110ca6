"""Has Patroni look at the cluster at once, where something waits for what it does in its next loop.

Patroni looks every few seconds (`loop_wait`): who streams again becomes a synchronous standby then, and who is about to
stop is none any more. A refresh waits for both of each unit.
"""

import collections.abc
import logging

from workload import cluster, machine, patroni

logger = logging.getLogger(__name__)


def wake(workload: machine.Workload, members: collections.abc.Iterable[cluster.Member], password: str) -> None:
    """Have these members' Patroni look. Only a hint: without it they look in their next loop.

    The primary comes last: it goes by what the standbys have told of themselves.
    """
    for member in sorted(members, key=lambda each: each.is_primary):
        try:
            workload.patroni(member.address, password).wake_up()
        except patroni.PatroniError as error:
            logger.debug("Patroni of %s cannot be woken: %s", member.name, error)
