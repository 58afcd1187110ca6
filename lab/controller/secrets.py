"""Secrets: who owns, reads and manages them, their revisions, labels and grants, as Juju 3.6 has it.

Functions over the store; each change runs in a transaction of its own or of the caller's. Secrets belong to a unit, an
application or, with a name instead of a label, to the model (user secrets). Owners and readers are tags.

A reader tracks the revision that it read first until it asks for a newer one. A revision that is not the latest and
that nobody tracks is obsolete: its owner is told, and removes it (user secrets with auto-prune lose it at once).
"""

from __future__ import annotations

import dataclasses
import datetime
import typing

from lab.controller import secrets_rotation, tags
from lab.controller.entities import relations
from lab.controller.entities import secrets as entities

if typing.TYPE_CHECKING:
    from lab.controller import store as store_module


class SecretError(Exception):
    """A secret cannot be read or changed that way; the message is Juju's."""


class SecretNotFoundError(SecretError):
    """There is no such secret or revision."""


class AccessDeniedError(SecretError):
    """The caller may not do that with the secret."""

    def __init__(self) -> None:
        super().__init__("permission denied")


@dataclasses.dataclass(frozen=True)
class Changes:
    """What an update changes; None leaves things as they are.

    Attributes:
        content: The new content, values base64-encoded. The same content as before makes no new revision.
        label: The owner's label (for user secrets, the name).
        description: Free text.
        rotate: Rotation policy.
        expires: When the latest revision expires.
    """

    content: dict[str, str] | None = None
    label: str | None = None
    description: str | None = None
    rotate: str | None = None
    expires: datetime.datetime | None = None

    def over(self, other: Changes) -> Changes:
        """These changes made after the others."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return dataclasses.replace(other, **given)


def find(store: store_module.Store, model: str, secret: str) -> entities.Secret:
    """The secret of that identifier.

    Raises:
        SecretNotFoundError: there is none.
    """
    found = store.get(entities.Secret, model, secret)
    if found is None:
        raise SecretNotFoundError(f'secret "{secret}" not found')
    return found


def revision(store: store_module.Store, model: str, secret: str, number: int) -> entities.SecretRevision:
    """One revision of a secret.

    Raises:
        SecretNotFoundError: there is none, or no longer.
    """
    found = store.get(entities.SecretRevision, model, secret, number)
    if found is None:
        raise SecretNotFoundError(f'secret revision "{secret}/{number}" not found')
    return found


def owned(store: store_module.Store, model: str, *owners: str) -> list[entities.Secret]:
    """All secrets of these owners (tags)."""
    return [secret for owner in owners for secret in store.find(entities.Secret, model=model, owner=owner)]


# Access


def may_manage(secret: entities.Secret, unit: str, *, leader: bool) -> bool:
    """Whether a unit may change a secret: its owner, or the leader of the owning application."""
    application = unit.partition("/")[0]
    return secret.owner == tags.unit(unit) or (leader and secret.owner == tags.application(application))


def may_read(store: store_module.Store, secret: entities.Secret, unit: str) -> bool:
    """Whether a unit may read a secret: the owner, the owning application's units, and those it is granted to.

    A grant within a relation ends with the relation.
    """
    subjects = (tags.unit(unit), tags.application(unit.partition("/")[0]))
    if secret.owner in subjects:
        return True
    grants = (store.get(entities.SecretGrant, secret.model, secret.id, subject) for subject in subjects)
    return any(grant is not None and _in_force(store, grant) for grant in grants)


def _in_force(store: store_module.Store, grant: entities.SecretGrant) -> bool:
    return grant.scope is None or store.get(relations.Relation, grant.model, grant.scope) is not None


def grants(store: store_module.Store, model: str, secret: str) -> list[entities.SecretGrant]:
    """The grants of a secret that are in force."""
    return [one for one in store.find(entities.SecretGrant, model=model, secret=secret) if _in_force(store, one)]


def grant(store: store_module.Store, model: str, secret: str, subject: str, scope: int | None = None) -> None:
    """Let a unit or an application (tag) read a secret, while the relation ``scope`` lives (None: for ever).

    Raises:
        SecretNotFoundError: there is no such secret.
    """
    find(store, model, secret)
    store.put(entities.SecretGrant(model, secret, subject, scope=scope))


def revoke(store: store_module.Store, model: str, secret: str, subject: str) -> None:
    """Take a grant back; that of an application with those of its units. What they tracked is forgotten."""

    def meant(tag: str) -> bool:
        return tag == subject or (
            tags.kind(subject) == "application"
            and tags.kind(tag) == "unit"
            and tags.name(tag).partition("/")[0] == tags.name(subject)
        )

    with store.transaction():
        for one in store.find(entities.SecretGrant, model=model, secret=secret):
            if meant(one.subject):
                store.delete(one)
        for consumer in store.find(entities.SecretConsumer, model=model, secret=secret):
            if meant(consumer.consumer):
                store.delete(consumer)
        mark_obsolete(store, model, secret)


# Labels


def _label_scope(owner: str) -> tuple[str, str]:
    """Owners among which a label is unique: an application and its units."""
    return tags.kind(owner), tags.name(owner).partition("/")[0]


def label_taken(store: store_module.Store, model: str, owner: str, label: str, besides: str = "") -> bool:
    """Whether an owner's label is in use: by the owner, its application or its application's units.

    A unit's labels for what it reads of others count too: one label means one secret.
    """
    kind, application = _label_scope(owner)

    def related(tag: str) -> bool:
        other_kind, other_application = _label_scope(tag)
        if application != other_application or "model" in (kind, other_kind):
            return tag == owner
        return tag == owner or kind != other_kind

    owners = any(
        related(secret.owner) and secret.id != besides
        for secret in store.find(entities.Secret, model=model, label=label)
    )
    return owners or any(
        consumer.secret != besides and related(consumer.consumer)
        for consumer in store.find(entities.SecretConsumer, model=model, label=label)
    )


def _refuse_taken(store: store_module.Store, model: str, owner: str, label: str, besides: str = "") -> None:
    if tags.kind(owner) == "model":
        taken = any(one.id != besides for one in store.find(entities.Secret, model=model, owner=owner, name=label))
        if taken:
            raise SecretError(f'secret with name "{label}" already exists')
    elif label_taken(store, model, owner, label, besides):
        raise SecretError(f'secret with label "{label}" already exists')


def by_label(store: store_module.Store, model: str, unit: str, label: str) -> entities.Secret | None:
    """What a unit means by a label: a secret of its own, of its application, or one that it reads under it."""
    owners = (tags.unit(unit), tags.application(unit.partition("/")[0]))
    for secret in store.find(entities.Secret, model=model, label=label):
        if secret.owner in owners:
            return secret
    for consumer in store.find(entities.SecretConsumer, model=model, consumer=tags.unit(unit), label=label):
        return store.get(entities.Secret, model, consumer.secret)
    return None


# Reading


def track(store: store_module.Store, model: str, secret: str, unit: str, number: int, label: str | None = None) -> None:
    """Let a unit track a revision from now on; a label is that of the unit, None keeps the one it has."""
    consumer = store.get(entities.SecretConsumer, model, secret, tags.unit(unit))
    kept = label if label is not None else consumer.label if consumer else ""
    new = entities.SecretConsumer(model, secret, tags.unit(unit), number, kept)
    if new != consumer:
        with store.transaction():
            store.put(new)
            mark_obsolete(store, model, secret)


def read(
    store: store_module.Store,
    model: str,
    secret: str,
    unit: str,
    *,
    label: str | None = None,
    refresh: bool = False,
    peek: bool = False,
) -> dict[str, str]:
    """The content of a secret as a unit sees it.

    At first it is the latest revision, and the unit tracks it: later calls return the same one. With ``refresh`` the
    latest is returned and tracked, with ``peek`` it is only returned. What is tracked is written at once. Owners
    track revisions as everybody does.

    Args:
        store: The store.
        model: The model.
        secret: Bare identifier.
        unit: Who reads.
        label: What the unit will call the secret from now on.
        refresh: Move on to the latest revision.
        peek: See the latest revision once.

    Raises:
        SecretNotFoundError: there is no such secret, or the tracked revision was removed.
        AccessDeniedError: the unit may not read it.
        SecretError: the unit has another secret of that label.
    """
    found = find(store, model, secret)
    if not may_read(store, found, unit):
        raise AccessDeniedError
    consumer = store.get(entities.SecretConsumer, model, secret, tags.unit(unit))
    tracked = found.latest_revision if consumer is None or refresh else consumer.revision
    if label and (consumer is None or consumer.label != label) and found.label != label:
        _refuse_taken(store, model, tags.unit(unit), label, besides=secret)
        track(store, model, secret, unit, tracked, label)
    else:
        track(store, model, secret, unit, tracked)
    return revision(store, model, secret, found.latest_revision if peek else tracked).content


# Changes


def create(
    store: store_module.Store,
    now: datetime.datetime,
    model: str,
    secret: str,
    owner: str,
    changes: Changes,
    *,
    auto_prune: bool = False,
) -> entities.Secret:
    """Create a secret with its first revision.

    Args:
        store: The store.
        now: The time.
        model: Its model.
        secret: Its new identifier.
        owner: Tag of the unit, application or model.
        changes: Content (needed) and all else.
        auto_prune: Whether obsolete revisions are removed at once (user secrets).

    Raises:
        SecretError: the label or name is taken, or there is no content.
    """
    if not changes.content:
        raise SecretError("empty secret value not valid")
    label = changes.label or ""
    user = tags.kind(owner) == "model"
    with store.transaction():
        if label:
            _refuse_taken(store, model, owner, label)
        rotate = changes.rotate or "never"
        created = entities.Secret(
            model=model,
            id=secret,
            owner=owner,
            created=now,
            updated=now,
            latest_revision=1,
            label="" if user else label,
            name=label if user else "",
            description=changes.description or "",
            rotate=rotate,
            next_rotate=secrets_rotation.next_time(rotate, now),
            auto_prune=auto_prune,
        )
        store.put(
            created, entities.SecretRevision(model, secret, 1, changes.content, created=now, expires=changes.expires)
        )
    return created


def update(
    store: store_module.Store,
    now: datetime.datetime,
    model: str,
    secret: str,
    changes: Changes,
    *,
    auto_prune: bool | None = None,
) -> entities.Secret:
    """Change a secret; new content makes a new revision.

    Raises:
        SecretNotFoundError: there is no such secret.
        SecretError: the label or name is taken, or nothing is to be changed.
    """
    if changes == Changes() and auto_prune is None:
        raise SecretError("at least one attribute to update must be specified")
    with store.transaction():
        old = find(store, model, secret)
        if changes.label:
            _refuse_taken(store, model, old.owner, changes.label, besides=secret)
        user = tags.kind(old.owner) == "model"
        latest = _new_revision(store, now, old, changes)
        rotate = old.rotate if changes.rotate is None else changes.rotate
        changed = dataclasses.replace(
            old,
            updated=now,
            latest_revision=latest,
            label=old.label if user or changes.label is None else changes.label,
            name=changes.label if user and changes.label is not None else old.name,
            description=old.description if changes.description is None else changes.description,
            rotate=rotate,
            next_rotate=secrets_rotation.rescheduled(old.rotate, old.next_rotate, rotate, now),
            auto_prune=old.auto_prune if auto_prune is None else auto_prune,
        )
        store.put(changed)
        mark_obsolete(store, model, secret)
    return changed


def _new_revision(store: store_module.Store, now: datetime.datetime, old: entities.Secret, changes: Changes) -> int:
    """Write what an update means for the revisions; returns the number of the latest."""
    latest = revision(store, old.model, old.id, old.latest_revision)
    if changes.content and changes.content != latest.content:
        number = old.latest_revision + 1
        store.put(entities.SecretRevision(old.model, old.id, number, changes.content, now, expires=changes.expires))
        return number
    if changes.expires is not None:
        store.put(dataclasses.replace(latest, expires=changes.expires))
    return old.latest_revision


def remove(store: store_module.Store, model: str, secret: str, *revisions: int) -> None:
    """Remove a secret, or some of its revisions; with its last revision goes the secret.

    Raises:
        SecretNotFoundError: there is no such secret or revision.
    """
    with store.transaction():
        find(store, model, secret)
        for number in revisions:
            store.delete(revision(store, model, secret, number))
        left = store.find(entities.SecretRevision, model=model, secret=secret)
        if revisions and left:
            # The latest may have been removed; what is left is not made the latest by that.
            mark_obsolete(store, model, secret)
            return
        for kind in (entities.SecretRevision, entities.SecretConsumer, entities.SecretGrant):
            store.delete_where(kind, model=model, secret=secret)
        store.delete_where(entities.Secret, model=model, id=secret)


def mark_obsolete(store: store_module.Store, model: str, secret: str) -> None:
    """Mark the revisions that nobody can want any more; those of a user secret with auto-prune are removed."""
    with store.transaction():
        described = find(store, model, secret)
        consumers = store.find(entities.SecretConsumer, model=model, secret=secret)
        wanted = {described.latest_revision, *(consumer.revision for consumer in consumers)}
        for one in store.find(entities.SecretRevision, model=model, secret=secret):
            obsolete = one.revision not in wanted
            if obsolete and described.auto_prune:
                store.delete(one)
            elif obsolete != one.obsolete:
                store.put(dataclasses.replace(one, obsolete=obsolete))
