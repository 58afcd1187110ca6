"""What goes on in members' PostgreSQL, asked read-only: this machine's over its socket, another's as its operator."""

import logging

import facts
from workload import cluster, machine, sql

logger = logging.getLogger(__name__)


def of_member(workload: machine.Workload, known: facts.Facts, member: cluster.Member | None) -> sql.Activity | None:
    """What goes on there; None where that cannot be told."""
    if member is None or not member.is_running or known.passwords is None:
        return None
    local = member.name == known.member_name
    database = workload.sql(None if local else member.address, None if local else known.passwords.operator)
    try:
        return database.activity()
    except sql.SqlError as error:
        logger.warning("%s cannot be asked what goes on: %s", member.name, error)
        return None


def has_backup(workload: machine.Workload, known: facts.Facts, member: cluster.Member | None) -> bool:
    """Whether a backup is being taken from it, as far as that can be told."""
    found = of_member(workload, known, member)
    return found is not None and found.backup_running
