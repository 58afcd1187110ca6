"""Keeps PostgreSQL's users and group memberships as a directory has them.

The settings are the snap's below `ldap-sync`, as a JSON document in the environment variable LDAP_SYNC.
"""

# pyright: reportMissingImports=false
# The clients are in the snap only.

from __future__ import annotations

import json
import logging
import os
import sys
import time

from postgresql_ldap_sync import clients, matcher

INTERVAL = 30
"""Seconds between two synchronisations."""

SETTINGS = (
    *("ldap_host", "ldap_port", "ldap_base_dn", "ldap_bind_username", "ldap_bind_password"),
    *("ldap_group_identity", "ldap_group_mappings"),
    *("postgres_host", "postgres_port", "postgres_database", "postgres_username", "postgres_password"),
)

logger = logging.getLogger(__name__)


def read_settings(document: str) -> dict[str, str]:
    """Read the settings. Numbers are text too: snapd stores what looks like a number as one.

    Raises:
        SystemExit: one is not set; the message names it.
    """
    found = json.loads(document or "{}").get("ldap-sync", {})
    for name in SETTINGS:
        if not found.get(name):
            sys.exit(f"ldap-sync.{name} is not set")
    return {name: found[name] if isinstance(found[name], str) else json.dumps(found[name]) for name in SETTINGS}


def synchronise_users(
    directory: clients.BaseLDAPClient,
    database: clients.BasePostgreClient,
    mappings: list[tuple[str, str]],
    identity: str,
) -> None:
    """Create the users that the mapped groups of the directory have, and delete those that they no longer have.

    Only members of the group `identity` were created by this service, so only these are deleted.
    """
    wanted = directory.search_users(from_groups=[group for group, _ in mappings])
    present = database.search_users(from_group=identity)
    for user in matcher.DefaultMatcher().match_users(wanted, present):
        if user.should_create:
            logger.info("creating user %s", user.name)
            database.create_user(user.name)
            database.grant_group_memberships([identity], [user.name])
        elif user.should_delete:
            logger.info("deleting user %s", user.name)
            database.revoke_group_memberships([identity], [user.name])
            database.delete_user(user.name)


def synchronise_memberships(
    directory: clients.BaseLDAPClient,
    database: clients.BasePostgreClient,
    mappings: list[tuple[str, str]],
    identity: str,
) -> None:
    """Give the users of each mapped group of the directory the database group that it is mapped to, and no other."""
    others = [group for group in database.search_groups() if group != identity]
    for directory_group, database_group in mappings:
        users = list(directory.search_users(from_groups=[directory_group]))
        database.revoke_group_memberships(others, users)
        database.grant_group_memberships([database_group], users)


def main() -> None:
    """Synchronise for ever; an error ends the process, which systemd starts again."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    setting = read_settings(os.environ["LDAP_SYNC"])
    mappings = [(group, role) for group, role in json.loads(setting["ldap_group_mappings"])]
    identity = json.loads(setting["ldap_group_identity"])
    directory = clients.GLAuthClient(
        host=setting["ldap_host"],
        port=setting["ldap_port"],
        base_dn=setting["ldap_base_dn"],
        bind_username=setting["ldap_bind_username"],
        bind_password=setting["ldap_bind_password"],
    )
    database = clients.DefaultPostgresClient(
        host=setting["postgres_host"],
        port=setting["postgres_port"],
        database=setting["postgres_database"],
        username=setting["postgres_username"],
        password=setting["postgres_password"],
    )
    try:
        while True:
            synchronise_users(directory, database, mappings, identity)
            synchronise_memberships(directory, database, mappings, identity)
            time.sleep(INTERVAL)
    finally:
        database.close()


if __name__ == "__main__":
    main()
