"""`juju secrets` and `show-secret`."""

from __future__ import annotations

import base64
import binascii
import collections.abc
import hashlib
import json
import typing

from lab.controller import operations_common, tags, views_lookup
from lab.controller.entities import relations, secrets


def secrets_view(scope: views_lookup.Scope, owner: str = "") -> dict[str, typing.Any]:
    """The metadata of all secrets, or of one owner's (a tag), by bare identifier."""
    found = scope.store.find(secrets.Secret, model=scope.uuid)
    return {one.id: secret_view(scope, one) for one in found if not owner or one.owner == owner}


def show_secret(
    scope: views_lookup.Scope, identifier: str, *, reveal: bool, revision: int, with_revisions: bool
) -> dict[str, typing.Any]:
    """One secret by URI, bare identifier, or a user secret's name; with grants, and content if wanted.

    Raises:
        OperationError: There is no such secret, or no such revision of it.
    """
    secret = find(scope, identifier)
    shown = secret_view(scope, secret)
    if reveal:
        chosen = scope.store.get(secrets.SecretRevision, scope.uuid, secret.id, revision or secret.latest_revision)
        if chosen is None:
            raise operations_common.OperationError("not found", f"secret revision {secret.id}/{revision} not found")
        shown["content"] = {"Data": {key: decode(value) for key, value in sorted(chosen.content.items())}}
        shown["checksum"] = checksum(chosen.content)
    if with_revisions:
        shown["revisions"] = [
            {
                "revision": one.revision,
                "backend": "internal",
                "created": views_lookup.time(one.created),
                "updated": views_lookup.time(one.created),
                **views_lookup.compact({"expires": views_lookup.time(one.expires)}),
            }
            for one in scope.store.find(secrets.SecretRevision, model=scope.uuid, secret=secret.id)
        ]
    access = [_access(scope, grant) for grant in _grants(scope, secret)]
    return {secret.id: shown | views_lookup.compact({"access": access})}


def find(scope: views_lookup.Scope, identifier: str) -> secrets.Secret:
    """The secret of a URI, bare identifier, or user secret's name.

    Raises:
        OperationError: There is none.
    """
    bare = identifier.removeprefix("secret:").rpartition("/")[2]
    found = scope.store.get(secrets.Secret, scope.uuid, bare)
    if found is None:
        named = scope.store.find(secrets.Secret, model=scope.uuid, owner=tags.model(scope.uuid), name=identifier)
        found = next(iter(named), None)
    if found is None:
        raise operations_common.OperationError("not found", f'secret "{bare}" not found')
    return found


def secret_view(scope: views_lookup.Scope, secret: secrets.Secret) -> dict[str, typing.Any]:
    """One secret's metadata."""
    latest = scope.store.get(secrets.SecretRevision, scope.uuid, secret.id, secret.latest_revision)
    user_owned = tags.kind(secret.owner) == "model"
    return {
        "revision": secret.latest_revision,
        **views_lookup.compact(
            {
                "expires": views_lookup.time(latest.expires if latest else None),
                "rotation": "" if secret.rotate == "never" else secret.rotate,
                "rotates": views_lookup.time(secret.next_rotate),
                "owner": views_lookup.owner_name(secret.owner),
                "description": secret.description,
                "name": secret.name if user_owned else "",
                "label": "" if user_owned else secret.label,
            }
        ),
        "created": views_lookup.time(secret.created),
        "updated": views_lookup.time(secret.updated),
    }


def decode(value: str) -> str:
    """A stored value in plain text; binary ones stay encoded, as there is no other way to show them."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


def checksum(content: collections.abc.Mapping[str, str]) -> str:
    """SHA-256 over the content; the same for the same keys and values."""
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _grants(scope: views_lookup.Scope, secret: secrets.Secret) -> list[secrets.SecretGrant]:
    return scope.store.find(secrets.SecretGrant, model=scope.uuid, secret=secret.id)


def _access(scope: views_lookup.Scope, grant: secrets.SecretGrant) -> dict[str, str]:
    relation = scope.store.get(relations.Relation, scope.uuid, grant.scope) if grant.scope is not None else None
    shown = f"relation-{relation.key.replace(':', '.').replace(' ', '#')}" if relation else tags.model(scope.uuid)
    return {"target": grant.subject, "scope": shown, "role": grant.role}
