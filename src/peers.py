"""The peer relation `database-peers`: its databags and the secret with the system users' passwords.

Formats, kept for all later versions; unknown keys are ignored:

unit databag: `address` (IPv4 of this unit, once it is installed), `cluster-id` (system identifier of the cluster that
it has founded), `short-of-room` (room.py), `refresh-order` (confirmation.py), `accepted-charm` (refusal.py),
`forced-majority` (forced_majority.py), `former-addresses` (JSON list: those under which it was a member before);
application databag: `bootstrap-unit` (number of the unit that founds the cluster), `cluster-id` (system identifier of
the application's cluster), `system-users-secret` (URI of the secret), `refresh-history` (refresh_history.py),
`forced-majority` (the last generation that was formed, forced_majority.py); secret labelled `system-users`, owned by
the application: `operator-password`, `replication-password`, `rewind-password`, `patroni-password`, `raft-password`.
"""

import functools
import json
import logging
import secrets
import string

import ops

import facts
import forced_majority
import room
from workload import configuration

logger = logging.getLogger(__name__)

RELATION = "database-peers"
FORMER_KEY = "former-addresses"
FORMER_MAXIMUM = 10
SECRET_LABEL = "system-users"  # noqa: S105  a label
PASSWORD_LENGTH = 32
# Letters and digits only: passwords go through URLs, YAML and shells of other people's tools.
_ALPHABET = string.ascii_letters + string.digits


class Peers:
    """Typed access to the peer relation, for one hook."""

    def __init__(self, model: ops.Model, new_secrets: bool = False):
        self._model = model
        self._new_secrets = new_secrets
        """Whether Juju has told that a secret has changed: else what this unit tracks is what there is."""

    @property
    def relation(self) -> ops.Relation | None:
        """The relation; None before Juju has created it and after it has gone."""
        return self._model.get_relation(RELATION)

    def others(self, refreshed: frozenset[int] = frozenset()) -> tuple[facts.Peer, ...]:
        """The other units, by number. refreshed: numbers of those whose snap is at the pinned revision."""
        relation = self.relation
        if relation is None:
            return ()
        peers = (
            facts.Peer(
                number=unit_number(unit.name),
                address=relation.data[unit].get("address"),
                cluster_id=relation.data[unit].get("cluster-id"),
                refreshed=unit_number(unit.name) in refreshed,
                consent=forced_majority.Consent.parse(relation.data[unit].get(forced_majority.KEY)),
                short_of_room=room.parse(relation.data[unit].get(room.KEY)),
            )
            for unit in relation.units
            if unit.app == self._model.app
        )
        return tuple(sorted(peers, key=lambda peer: peer.number))

    def formed_generation(self) -> int:
        """The last forced majority that was recorded to have been formed; 0: none."""
        try:
            return forced_majority.parse_generation(self.application_value(forced_majority.KEY))
        except ValueError:
            return 0

    def former_addresses(self) -> tuple[str, ...]:
        """Addresses that this unit has had as a member; none where they cannot be read."""
        try:
            return tuple(str(each) for each in json.loads(self.unit_value(FORMER_KEY) or "[]"))
        except (ValueError, TypeError, RecursionError):
            return ()

    def others_values(self, key: str) -> dict[int, str]:
        """What the other units have published under that key, by number."""
        relation = self.relation
        units = relation.units if relation else ()
        found = {unit_number(unit.name): relation.data[unit].get(key) for unit in units} if relation else {}
        return {number: value for number, value in found.items() if value}

    def unit_value(self, key: str) -> str | None:
        """A value that this unit has published."""
        relation = self.relation
        return relation.data[self._model.unit].get(key) if relation else None

    def publish(self, key: str, value: str) -> None:
        """Publish a value of this unit, unless it is published already."""
        relation = self.relation
        if relation is not None and relation.data[self._model.unit].get(key) != value:
            relation.data[self._model.unit][key] = value

    def application_value(self, key: str) -> str | None:
        """A value of the application."""
        relation = self.relation
        return relation.data[self._model.app].get(key) if relation else None

    def record(self, key: str, value: str) -> None:
        """Record a value of the application. Only for the leader."""
        relation = self.relation
        if relation is not None and relation.data[self._model.app].get(key) != value:
            relation.data[self._model.app][key] = value

    @property
    def address(self) -> str | None:
        """This unit's address for the other units, as Juju tells it now."""
        try:
            binding = self._model.get_binding(RELATION)
        except ops.RelationNotFoundError:
            return None
        address = binding.network.bind_address if binding else None
        return str(address) if address else None

    @functools.cached_property
    def _secret(self) -> ops.Secret | None:
        uri = self.application_value("system-users-secret")
        if uri is None:
            return None
        try:
            return self._model.get_secret(id=uri, label=SECRET_LABEL)
        except ops.SecretNotFoundError:
            logger.warning("The secret %s cannot be read yet", SECRET_LABEL)
            return None

    def passwords(self) -> configuration.Passwords | None:
        """The system users' passwords; None before the leader has generated them."""
        if self._secret is None:
            return None
        content = self._secret.get_content(refresh=self._new_secrets)
        return configuration.Passwords(
            operator=content["operator-password"],
            replication=content["replication-password"],
            rewind=content["rewind-password"],
            patroni=content["patroni-password"],
            raft=content["raft-password"],
        )

    def generate_passwords(self) -> None:
        """Generate the system users' passwords. Only for the leader, and only where there are none."""
        if self.relation is None:
            return
        users = ("operator", "replication", "rewind", "patroni", "raft")
        content = {
            f"{user}-password": "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH)) for user in users
        }
        secret = self._model.app.add_secret(
            content, label=SECRET_LABEL, description="Passwords of PostgreSQL's and Patroni's system users"
        )
        self.record("system-users-secret", str(secret.id))


def unit_number(name: str) -> int:
    """The number in a unit's name."""
    return int(name.rpartition("/")[2])
