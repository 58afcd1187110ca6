"""Keeps PostgreSQL's users and group memberships as a directory has them. Its settings are environment variables."""

# pyright: reportMissingImports=false
# The clients are in the snap only.

from __future__ import annotations

import json
import logging
import os
import time

from postgresql_ldap_sync import clients, matcher

INTERVAL = 30
"""Seconds between two synchronisations."""

logger = logging.getLogger(__name__)


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
    setting = os.environ
    mappings = [(group, role) for group, role in json.loads(setting["LDAP_GROUP_MAPPINGS"])]
    identity = json.loads(setting["LDAP_GROUP_IDENTITY"])
    directory = clients.GLAuthClient(
        host=setting["LDAP_HOST"],
        port=setting["LDAP_PORT"],
        base_dn=setting["LDAP_BASE_DN"],
        bind_username=setting["LDAP_BIND_USERNAME"],
        bind_password=setting["LDAP_BIND_PASSWORD"],
    )
    database = clients.DefaultPostgresClient(
        host=setting["POSTGRES_HOST"],
        port=setting["POSTGRES_PORT"],
        database=setting["POSTGRES_DATABASE"],
        username=setting["POSTGRES_USERNAME"],
        password=setting["POSTGRES_PASSWORD"],
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
