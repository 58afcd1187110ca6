"""Operations on user secrets. What shows secrets is among the views."""

from __future__ import annotations

import typing

from lab.controller import operations_common, secrets, secrets_content, tags
from lab.controller.entities import models
from lab.controller.entities import secrets as entities
from lab.controller.operations_common import OperationError


class SecretOperations(operations_common.Base):
    """Secrets that a user adds to a model and grants to applications."""

    def add_secret(self, model: str, name: str, content: dict[str, str], description: str | None = None) -> str:
        """Adds a secret (content base64-encoded) and returns its URI.

        Raises:
            OperationError: the name is taken, or the content not valid.
        """
        found = self._living_model(model)
        changes = secrets.Changes(content=content, label=name, description=description)
        identifier = self.controller.identifiers.secret()
        with _errors(), self.store.transaction():
            now = self.controller.now()
            secrets.create(self.store, now, found.uuid, identifier, tags.model(found.uuid), changes)
        return secrets_content.uri(identifier)

    def update_secret(
        self,
        model: str,
        secret: str,
        content: dict[str, str] | None = None,
        description: str | None = None,
        name: str | None = None,
        auto_prune: bool | None = None,
    ) -> None:
        """Changes a secret; new content makes a revision, of which its readers are told."""
        found = self._living_model(model)
        identifier = self._secret(found, secret).id
        changes = secrets.Changes(content=content, label=name, description=description)
        with _errors(), self.store.transaction():
            secrets.update(self.store, self.controller.now(), found.uuid, identifier, changes, auto_prune=auto_prune)

    def remove_secret(self, model: str, secret: str, revision: int | None = None) -> None:
        """Removes a secret, or one of its revisions."""
        found = self._model(model)
        identifier = self._secret(found, secret).id
        with _errors():
            secrets.remove(self.store, found.uuid, identifier, *([revision] if revision else []))

    def grant_secret(self, model: str, secret: str, applications: typing.Sequence[str]) -> None:
        """Lets the units of applications read a secret."""
        found = self._living_model(model)
        identifier = self._secret(found, secret).id
        with _errors(), self.store.transaction():
            for name in applications:
                self._application(found, name)
                secrets.grant(self.store, found.uuid, identifier, tags.application(name))

    def revoke_secret(self, model: str, secret: str, applications: typing.Sequence[str]) -> None:
        """Takes that back."""
        found = self._model(model)
        identifier = self._secret(found, secret).id
        with _errors(), self.store.transaction():
            for name in applications:
                self._application(found, name)
                secrets.revoke(self.store, found.uuid, identifier, tags.application(name))

    def _secret(self, model: models.Model, reference: str) -> entities.Secret:
        """The user secret of that URI, identifier or name."""
        owner = tags.model(model.uuid)
        identifier = reference.removeprefix("secret:").rpartition("/")[2]
        found = self.store.get(entities.Secret, model.uuid, identifier)
        named = self.store.find(entities.Secret, model=model.uuid, owner=owner, name=reference)
        secret = found or next(iter(named), None)
        if secret is None:
            raise operations_common.not_found("secret", reference)
        if secret.owner != owner:
            raise OperationError("unauthorized access", "permission denied")
        return secret


class _errors:
    """Turns errors about secrets into those that clients get."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, secrets.SecretNotFoundError):
            raise OperationError("not found", str(error)) from error
        if isinstance(error, secrets.SecretError | ValueError):
            raise operations_common.bad_request(str(error)) from error
