"""What a hook does to secrets: readable by the hook at once, written to the store when the hook has succeeded."""

from __future__ import annotations

import dataclasses
import typing

from lab.controller import secrets, tags
from lab.controller.entities import relations
from lab.controller.entities import secrets as entities

if typing.TYPE_CHECKING:
    import datetime

    from lab.controller import store as store_module


@dataclasses.dataclass(frozen=True)
class Access:
    """Who may read a secret, and within which relation."""

    subject: str
    scope: int | None
    role: str = "view"


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a secret's manager sees of it, the hook's own changes included."""

    id: str
    owner: str
    revision: int
    label: str
    description: str
    rotate: str
    expires: datetime.datetime | None
    rotates: datetime.datetime | None
    access: tuple[Access, ...]


@dataclasses.dataclass
class _Creation:
    owner: str
    changes: secrets.Changes


class StagedSecrets:
    """A hook's changes of secrets, in memory until `commit`."""

    def __init__(self, store: store_module.Store, model: str, unit: str) -> None:
        self._store = store
        self._model = model
        self._unit = unit
        self._creations: dict[str, _Creation] = {}
        self._updates: dict[str, secrets.Changes] = {}
        self._removals: dict[str, set[int] | None] = {}  # None: the whole secret
        self._grants: dict[str, dict[str, int | None]] = {}
        self._revocations: dict[str, list[str]] = {}
        self._track_latest: set[str] = set()

    # Changes

    def create(self, identifier: str, owner: str, changes: secrets.Changes) -> None:
        """Stage a new secret.

        Raises:
            SecretError: the hook has already created one with that label.
        """
        label = changes.label
        if label and any(one.changes.label == label for one in self._creations.values()):
            raise secrets.SecretError(f'secret with label "{label}" already exists')
        self._creations[identifier] = _Creation(owner, changes)

    def update(self, identifier: str, changes: secrets.Changes) -> None:
        """Stage a change; several of one secret become one."""
        self._removals.pop(identifier, None)
        created = self._creations.get(identifier)
        if created is not None:
            created.changes = changes.over(created.changes)
        else:
            self._updates[identifier] = changes.over(self._updates.get(identifier, secrets.Changes()))

    def remove(self, identifier: str, revision: int | None = None) -> None:
        """Stage the removal of a secret or of one revision; other staged changes of it are dropped."""
        created = self._creations.pop(identifier, None)
        for staged in (self._updates, self._grants, self._revocations):
            staged.pop(identifier, None)
        self._track_latest.discard(identifier)
        if created is not None:
            return
        if revision is None:
            self._removals[identifier] = None
        else:
            revisions = self._removals.setdefault(identifier, set())
            if revisions is not None:
                revisions.add(revision)

    def grant(self, identifier: str, subject: str, scope: int | None, *, leader: bool) -> None:
        """Stage a grant; one that is there already changes nothing.

        Raises:
            SecretNotFoundError: the unit manages no such secret.
            SecretError: the application is to be granted what some of its units were.
        """
        metadata = self.require(identifier, leader=leader)
        for access in metadata.access:
            if access.scope != scope:
                continue
            if access.subject == subject or tags.kind(access.subject) == "application":
                return
            if tags.kind(subject) == "application":
                raise secrets.SecretError(
                    "any unit level grants need to be revoked before granting access to the corresponding application"
                )
        self._grants.setdefault(identifier, {})[subject] = scope
        if subject in self._revocations.get(identifier, []):
            self._revocations[identifier].remove(subject)

    def revoke(self, identifier: str, subject: str) -> None:
        """Stage the end of a grant."""
        self._grants.get(identifier, {}).pop(subject, None)
        revocations = self._revocations.setdefault(identifier, [])
        if subject not in revocations:
            revocations.append(subject)

    # Reading

    def pending_content(
        self, identifier: str | None, label: str | None, *, refresh: bool, peek: bool
    ) -> dict[str, str] | None:
        """Content that the hook itself has staged, if it is what a reader is to see; None if not.

        A secret created in the hook is always read so; a new revision only where the latest is asked for.
        """
        for key, created in self._creations.items():
            if key == identifier or (label and created.changes.label == label):
                if key == identifier and label:
                    created.changes = dataclasses.replace(created.changes, label=label)
                return created.changes.content
        if not (refresh or peek):
            return None
        for key, changes in self._updates.items():
            if key == identifier or (label and changes.label == label):
                if refresh:
                    self._track_latest.add(key)
                return changes.content or None
        return None

    def by_label(self, label: str) -> str | None:
        """The secret that the hook has given a label to."""
        for identifier, changes in self._updates.items():
            if changes.label == label:
                return identifier
        return None

    def require(self, identifier: str, *, leader: bool) -> Metadata:
        """The metadata of a secret that the unit manages.

        Raises:
            SecretNotFoundError: it manages no such secret.
        """
        found = self.metadata(leader=leader).get(identifier)
        if found is None:
            raise secrets.SecretNotFoundError(f'secret "{identifier}" not found')
        return found

    def metadata(self, *, leader: bool) -> dict[str, Metadata]:
        """All secrets that the unit manages, as they will be if the hook succeeds (but for revision numbers)."""
        found: dict[str, Metadata] = {}
        for identifier, created in self._creations.items():
            found[identifier] = self._described(identifier, created.owner, 1, created.changes, None, ())
        owners = [tags.unit(self._unit)]
        if leader:
            owners.append(tags.application(self._unit.partition("/")[0]))
        for secret in secrets.owned(self._store, self._model, *owners):
            if self._removals.get(secret.id, ()) is not None:
                found[secret.id] = self._stored(secret)
        return found

    def _stored(self, secret: entities.Secret) -> Metadata:
        latest = self._store.get(entities.SecretRevision, self._model, secret.id, secret.latest_revision)
        before = secrets.Changes(
            label=secret.label,
            description=secret.description,
            rotate=secret.rotate,
            expires=latest.expires if latest else None,
        )
        changes = self._updates.get(secret.id, secrets.Changes()).over(before)
        access = tuple(
            Access(one.subject, one.scope, one.role) for one in secrets.grants(self._store, self._model, secret.id)
        )
        return self._described(secret.id, secret.owner, secret.latest_revision, changes, secret.next_rotate, access)

    def _described(
        self,
        identifier: str,
        owner: str,
        revision: int,
        changes: secrets.Changes,
        rotates: datetime.datetime | None,
        access: tuple[Access, ...],
    ) -> Metadata:
        staged = tuple(Access(subject, scope) for subject, scope in self._grants.get(identifier, {}).items())
        revoked = self._revocations.get(identifier, [])
        return Metadata(
            id=identifier,
            owner=owner,
            revision=revision,
            label=changes.label or "",
            description=changes.description or "",
            rotate=changes.rotate or "never",
            expires=changes.expires,
            rotates=rotates,
            access=tuple(one for one in access + staged if one.subject not in revoked),
        )

    # Commit

    def commit(self, now: datetime.datetime, *, leader: bool) -> None:
        """Write everything to the store; the caller has opened a transaction.

        Raises:
            AccessDeniedError: the unit does not manage one of the secrets.
            SecretError: a label is taken, or a secret or revision is gone.
        """
        for identifier, created in self._creations.items():
            if tags.kind(created.owner) == "application" and not leader:
                raise secrets.AccessDeniedError
            secrets.create(self._store, now, self._model, identifier, created.owner, created.changes)
        for identifier, changes in self._updates.items():
            self._check_managed(identifier, leader=leader)
            secrets.update(self._store, now, self._model, identifier, changes)
        for identifier, grants in self._grants.items():
            for subject, scope in grants.items():
                self._check_managed(identifier, leader=leader)
                self._check_scope(scope)
                secrets.grant(self._store, self._model, identifier, subject, scope)
        for identifier, subjects in self._revocations.items():
            self._check_managed(identifier, leader=leader)
            for subject in subjects:
                secrets.revoke(self._store, self._model, identifier, subject)
        for identifier in self._track_latest:
            latest = secrets.find(self._store, self._model, identifier).latest_revision
            secrets.track(self._store, self._model, identifier, self._unit, latest)
        for identifier, revisions in self._removals.items():
            self._check_managed(identifier, leader=leader)
            secrets.remove(self._store, self._model, identifier, *(revisions or ()))

    def _check_managed(self, identifier: str, *, leader: bool) -> None:
        secret = secrets.find(self._store, self._model, identifier)
        if not secrets.may_manage(secret, self._unit, leader=leader):
            raise secrets.AccessDeniedError

    def _check_scope(self, scope: int | None) -> None:
        if scope is not None and self._store.get(relations.Relation, self._model, scope) is None:
            raise secrets.SecretError(f"relation {scope} not found")
