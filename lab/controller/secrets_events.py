"""What the agents tell charms about secrets: what has changed, is to be rotated, has expired, or is no longer needed.

Queries over the store for the resolver of one unit, and what the end of the hooks about it changes.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing

from lab.controller import secrets, secrets_rotation, tags
from lab.controller import store as store_module
from lab.controller.entities import secrets as entities

if typing.TYPE_CHECKING:
    from collections.abc import Iterator


@store_module.table("secret_expiry_retries", key=("model", "secret", "revision"), journal=False)
@dataclasses.dataclass(frozen=True)
class ExpiryRetry:
    """A revision that the charm was told has expired, that is still there, and when to tell it again."""

    model: str
    secret: str
    revision: int
    due: datetime.datetime


def changed(store: store_module.Store, model: str, unit: str, *, leader: bool) -> dict[str, int]:
    """The secrets that a unit reads whose latest revision is not the one it tracks, with the latest.

    Who manages a secret made the new revision and is not told. The agent remembers which revision it has told of.
    """
    rows = store.query(
        "SELECT s.id, s.latest_revision, s.owner FROM secret_consumers c JOIN secrets s "
        "ON s.model = c.model AND s.id = c.secret "
        "WHERE c.model = ? AND c.consumer = ? AND c.revision != s.latest_revision ORDER BY s.id",
        (model, tags.unit(unit)),
    )
    managed = _managed_owners(unit, leader=leader)
    return {identifier: latest for identifier, latest, owner in rows if owner not in managed}


def rotations(store: store_module.Store, model: str, unit: str, now: datetime.datetime, *, leader: bool) -> list[str]:
    """The secrets that a unit manages and that are to be rotated by now, the longest due first."""
    due = [
        (secret.next_rotate, secret.id)
        for secret in _managed(store, model, unit, leader=leader)
        if secret.next_rotate is not None and secret.next_rotate <= now
    ]
    return [identifier for _, identifier in sorted(due)]


def expirations(
    store: store_module.Store, model: str, unit: str, now: datetime.datetime, *, leader: bool
) -> list[tuple[str, int]]:
    """The expired revisions (secret, revision) that a unit manages and is to be told of now, the longest due first."""
    due: list[tuple[datetime.datetime, str, int]] = []
    for secret in _managed(store, model, unit, leader=leader):
        for one in store.find(entities.SecretRevision, model=model, secret=secret.id):
            if one.expires is None or one.expires > now:
                continue
            retry = store.get(ExpiryRetry, model, one.secret, one.revision)
            if retry is None or retry.due <= now:
                due.append((one.expires, one.secret, one.revision))
    return [(identifier, number) for _, identifier, number in sorted(due)]


def obsolete(store: store_module.Store, model: str, unit: str, *, leader: bool) -> dict[str, list[int]]:
    """The revisions that a unit manages and that nobody needs any more, by secret."""
    found: dict[str, list[int]] = {}
    for secret in _managed(store, model, unit, leader=leader):
        revisions = store.find(entities.SecretRevision, model=model, secret=secret.id)
        numbers = [one.revision for one in revisions if one.obsolete]
        if numbers:
            found[secret.id] = numbers
    return found


def next_due(store: store_module.Store, model: str, unit: str, *, leader: bool) -> datetime.datetime | None:
    """When the next rotation or expiry of what a unit manages comes; None if none is planned."""
    times: list[datetime.datetime] = []
    for secret in _managed(store, model, unit, leader=leader):
        if secret.next_rotate is not None:
            times.append(secret.next_rotate)
        for one in store.find(entities.SecretRevision, model=model, secret=secret.id):
            if one.expires is not None:
                retry = store.get(ExpiryRetry, model, one.secret, one.revision)
                times.append(retry.due if retry else one.expires)
    return min(times, default=None)


def label(store: store_module.Store, model: str, unit: str, identifier: str) -> str:
    """What a unit calls a secret: its label as reader, else the owner's if it belongs to the unit's application."""
    consumer = store.get(entities.SecretConsumer, model, identifier, tags.unit(unit))
    if consumer is not None and consumer.label:
        return consumer.label
    secret = store.get(entities.Secret, model, identifier)
    return secret.label if secret and secret.owner in _managed_owners(unit, leader=True) else ""


def after_rotate(
    store: store_module.Store, now: datetime.datetime, model: str, identifier: str, revision_before: int
) -> None:
    """Plan the next rotation once secret-rotate has succeeded: sooner if it has made no new revision."""
    secret = store.get(entities.Secret, model, identifier)
    if secret is None or secret.next_rotate is None:
        return
    planned = secrets_rotation.next_time(secret.rotate, now)
    if secret.latest_revision == revision_before and planned is not None:
        planned = min(planned, now + secrets_rotation.RETRY)
    store.put(dataclasses.replace(secret, next_rotate=planned))


def after_expired(
    store: store_module.Store, now: datetime.datetime, model: str, identifier: str, revision: int
) -> None:
    """Plan to tell of an expired revision again, once secret-expired has succeeded, unless the revision is gone."""
    retry = ExpiryRetry(model, identifier, revision, now + secrets_rotation.RETRY)
    if store.get(entities.SecretRevision, model, identifier, revision) is None:
        store.delete(retry)
    else:
        store.put(retry)


def forget_relation(store: store_module.Store, model: str, relation: int) -> None:
    """End the grants within a relation that is gone, and what their holders tracked."""
    with store.transaction():
        for grant in store.find(entities.SecretGrant, model=model, scope=relation):
            secrets.revoke(store, model, grant.secret, grant.subject)


def forget_unit(store: store_module.Store, model: str, unit: str) -> None:
    """Remove what a unit that is gone has owned, read and been granted."""
    _forget(store, model, tags.unit(unit))


def forget_application(store: store_module.Store, model: str, application: str) -> None:
    """Remove what an application that is gone has owned and been granted."""
    _forget(store, model, tags.application(application))


def _forget(store: store_module.Store, model: str, tag: str) -> None:
    with store.transaction():
        for secret in secrets.owned(store, model, tag):
            secrets.remove(store, model, secret.id)
        for consumer in store.find(entities.SecretConsumer, model=model, consumer=tag):
            store.delete(consumer)
            secrets.mark_obsolete(store, model, consumer.secret)
        store.delete_where(entities.SecretGrant, model=model, subject=tag)


def _managed_owners(unit: str, *, leader: bool) -> tuple[str, ...]:
    application = tags.application(unit.partition("/")[0])
    return (tags.unit(unit), application) if leader else (tags.unit(unit),)


def _managed(store: store_module.Store, model: str, unit: str, *, leader: bool) -> Iterator[entities.Secret]:
    return iter(secrets.owned(store, model, *_managed_owners(unit, leader=leader)))
